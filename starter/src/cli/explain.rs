//! `cloister explain`: the cell of a job that runs.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;

use super::live::{self, Live, Processes, cell, picture};
use super::who::age;
use crate::knobs::{self, Knobs};

/// Prints it as a tree, or draws it into a file.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let (mut wanted, mut file) = (None, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            lexopt::Arg::Long("svg") => {
                file = Some(parser.value().map_err(|error| error.to_string())?)
            }
            lexopt::Arg::Value(word) if wanted.is_none() => wanted = word.into_string().ok(),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let wanted = wanted.ok_or("explain needs a job's number (12.0) or that of a process")?;
    match shown(&wanted, file.as_ref()) {
        Ok(()) => Ok(0),
        Err(why) => {
            complain!("cloister: {why}");
            Ok(1)
        }
    }
}

fn shown(wanted: &str, file: Option<&OsString>) -> Result<(), String> {
    let config = knobs::load(None, false).map_err(|failure| failure.message)?;
    let knobs = Knobs::read(&config).map_err(|failure| failure.message)?;
    let processes = Processes::read();
    let jobs = live::all(&knobs, &processes)?;
    let job = jobs.iter().find(|job| is(job, wanted)).ok_or_else(|| {
        format!(
            "{}: no such job runs here; cloister who lists those that do",
            live::printable(wanted)
        )
    })?;
    let sections = cell::sections(job, &knobs, &processes);
    let title = title(job);
    let Some(file) = file else {
        say_part!("{}", picture::tree(&title, &sections));
        return Ok(());
    };
    // A new file: nothing that is there is written over, nor a link followed.
    let name = std::path::Path::new(file).display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut out| out.write_all(picture::svg(&title, &sections).as_bytes()))
        .map_err(|error| format!("{name}: {error}"))
}

/// By the job's number, or by that of any process of it or of its starter.
fn is(job: &Live, wanted: &str) -> bool {
    let numbered = wanted.contains('.') && job.job.as_deref() == Some(wanted);
    let pid = wanted.parse::<i32>().ok();
    numbered || pid.is_some_and(|pid| job.starter == pid || job.members.contains(&pid))
}

fn title(job: &Live) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    format!(
        "job {} of {} in {}, root {}, {}",
        text(&job.job),
        text(&job.owner),
        text(&job.slot),
        text(&job.root),
        job.age.map_or_else(|| "not begun".to_owned(), age)
    )
}
