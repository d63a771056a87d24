//! Finds the root file.

use std::ffi::OsStr;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::facts::Fact;
use crate::io;
use crate::macros::Macros;
use crate::options::Options;

/// The root file, or why there is none.
pub(crate) enum Root {
    /// A file, or a command that ends in `|`.
    File(String),
    /// There is to be none: all knobs come from the environment.
    OnlyEnvironment,
    /// None was found.
    Nothing,
}

/// The file that the options name, or the environment, or the first in the usual places.
pub(crate) fn find_root(options: &Options, macros: &Macros) -> Result<Root, Error> {
    if let Some(file) = &options.root_file {
        return Ok(Root::File(file.to_string_lossy().into_owned()));
    }
    if let Some(value) = macros.env("CONDOR_CONFIG") {
        return root_of_environment(value);
    }
    let under = options.search_under.as_deref().unwrap_or_else(|| Path::new("/"));
    let at = |directory: &Path| {
        let file = directory.join("condor_config");
        io::can_open(&file).then(|| Root::File(file.to_string_lossy().into_owned()))
    };
    let found = at(&under.join("etc/condor")).or_else(|| at(&under.join("usr/local/etc")));
    // The home of user condor only now, since it takes a look at the user database.
    let found = found.or_else(|| at(Path::new(macros.facts.get(Fact::Tilde)?)));
    Ok(found.unwrap_or(Root::Nothing))
}

fn root_of_environment(value: &OsStr) -> Result<Root, Error> {
    let file = value.to_string_lossy().into_owned();
    if file.eq_ignore_ascii_case("ONLY_ENV") {
        return Ok(Root::OnlyEnvironment);
    }
    let wrong = |what: String, told: String| {
        let told = vec!["File specified in CONDOR_CONFIG environment variable:".to_owned(), told];
        Error::new(ErrorKind::Source, what, "Correct or unset CONDOR_CONFIG").told(told)
    };
    match io::is_directory(&file) {
        Ok(false) => Ok(Root::File(file)),
        Ok(true) => Err(wrong(
            format!("CONDOR_CONFIG names a directory: {file}"),
            format!("\"{file}\" is a directory.  Please specify a file."),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if file.ends_with('|') {
                return Ok(Root::File(file));
            }
            Err(wrong(
                format!("CONDOR_CONFIG names a file that does not exist: {file}"),
                format!("\"{file}\" does not exist."),
            ))
        }
        Err(error) => {
            let words = io::words(&error);
            let number = error.raw_os_error().unwrap_or_default();
            let told = vec![
                "Cannot stat file specified in CONDOR_CONFIG environment variable:".to_owned(),
                format!("\"{file}\", errno: {number}"),
            ];
            let what = format!("CONDOR_CONFIG names {file}: {words}");
            Err(Error::new(ErrorKind::Source, what, "Correct or unset CONDOR_CONFIG").told(told))
        }
    }
}
