//! [`Config`]: a configuration that has been read.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Warning};
use crate::expand::Dialect;
use crate::load::Loader;
use crate::macros::{Macros, Origin};
use crate::options::Options;

/// A configuration that has been read, as one subsystem sees it.
///
/// It holds raw values; references are replaced when a value is asked for, so a broken knob
/// troubles only who reads it.
pub struct Config {
    pub(crate) macros: Macros,
    files: Vec<String>,
    warnings: Vec<Warning>,
}

impl Config {
    /// Reads the configuration of this host: the root file, what it names or includes, the
    /// environment, and persistent settings.
    pub fn load(options: &Options) -> Result<Config, Error> {
        let mut loader = Loader::new(options)?;
        loader.load(options)?;
        Ok(Config::from(loader))
    }

    /// Reads a text as if it were a root file called `name`, and the environment in the options.
    pub fn parse_str(name: &str, text: &str, options: &Options) -> Result<Config, Error> {
        let mut loader = Loader::new(options)?;
        loader.load_text(name, text, options)?;
        Ok(Config::from(loader))
    }

    /// The subsystem whose view this is.
    pub fn subsystem(&self) -> &str {
        &self.macros.subsystem
    }

    /// The local name (`-local-name`) of the reader, if it has one.
    pub fn local_name(&self) -> Option<&str> {
        self.macros.local.as_deref()
    }

    /// The raw value, references and all. An empty value is `Some("")`.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.macros.find(name).map(|found| found.text)
    }

    /// The value with all references replaced; `None` if it is undefined or empty.
    pub fn string(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(found) = self.macros.find(name).filter(|found| !found.text.is_empty()) else {
            return Ok(None);
        };
        match self.macros.expand_found(&found) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(text.into_owned())),
            Err(error) => {
                let origin = self.macros.origin(&found);
                Err(error.at(&origin.file, origin.line))
            }
        }
    }

    /// The value as a path; `None` if it is undefined or empty.
    pub fn path(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.string(name)?.map(PathBuf::from))
    }

    /// The value as [`Config::string`], or the given text.
    pub fn string_or(&self, name: &str, default: &str) -> Result<String, Error> {
        Ok(self.string(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A text with all references in it replaced.
    pub fn expand(&self, text: &str) -> Result<String, Error> {
        self.macros.expand_text(text, Dialect::Param)
    }

    /// A text with references replaced as `condor_config_val -macro` does it:
    /// `$(DOLLAR)` stays, `$SUBSTR(NAME,n)` takes a length, and a reference that arises from two
    /// others is left alone.
    pub fn expand_inline(&self, text: &str) -> Result<String, Error> {
        self.macros.expand_text(text, Dialect::Inline)
    }

    /// Where the value comes from; `None` if the name leads to nothing.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.macros.find(name).map(|found| self.macros.origin(&found))
    }

    /// Is the knob set other than by default, under exactly this name?
    pub fn is_set(&self, name: &str) -> bool {
        self.macros.is_set(name)
    }

    /// Does the value come from a file, a command or the environment, under whatever prefix, as
    /// opposed to a default or something detected?
    pub fn is_assigned(&self, name: &str) -> bool {
        self.macros.is_assigned(name)
    }

    /// All names that are set, in order, with their raw values. Defaults are not among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.macros.set_values()
    }

    /// All names that are set or can be detected, in order. Costs less than [`Config::iter`], which
    /// has to detect the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.macros.names()
    }

    /// The files and commands that were read, in order.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// What an admin should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The value, or an error that says it is missing.
    pub fn required(&self, name: &str) -> Result<String, Error> {
        self.string(name)?.ok_or_else(|| {
            let what = format!("{name} is not defined");
            Error::new(ErrorKind::Value, what, "Set it in the configuration")
        })
    }
}

impl From<Loader> for Config {
    fn from(loader: Loader) -> Config {
        let Loader { macros, files, warnings, .. } = loader;
        Config { macros, files, warnings }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values can hold secrets' places and are many; names and files tell what this is.
        f.debug_struct("Config")
            .field("subsystem", &self.macros.subsystem)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
