//! The stock starter's command line, for a job without a pool: options may be shortened as there.

use std::ffi::OsString;
use std::path::PathBuf;

use super::session::{self, Session};
use crate::parent::file;
use crate::plan::Stdio;
use crate::report::ad::Outcome;

/// The options that matter here, as said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    local_name: Option<String>,
    log_suffix: Option<String>,
    log_to_terminal: bool,
    input: Option<String>,
    output: Option<String>,
    stdio: [Option<String>; 3],
    cluster: Option<i64>,
    proc: Option<i64>,
}

/// Runs a job as the stock starter does without a shadow. Exit code 0: the result (also a reason
/// for a hold) is in the output ad; 1: the starter itself could not do its work.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let words = arguments
        .iter()
        .map(|word| word.to_str().map(str::to_owned).ok_or("an option is not UTF-8"))
        .collect::<Result<Vec<_>, _>>()?;
    let said = read(&words)?;
    let Some(input) = said.input else {
        return Err("-job-input-ad FILE is needed: this starter has no shadow to ask yet".into());
    };
    let session = Session {
        local_name: said.local_name,
        log_suffix: said.log_suffix,
        log_to_terminal: said.log_to_terminal,
        input,
        reader: file::read_ad,
        output: said.output,
        stdio: said.stdio.map(|name| {
            name.map(|name| match name.as_str() {
                "-" => Stdio::Inherit,
                _ => Stdio::File(PathBuf::from(name)),
            })
        }),
        ids: (said.cluster, said.proc),
        for_people: false,
        verbose: false,
    };
    Ok(match session::run(session) {
        Ok(Outcome::Ended(_) | Outcome::Killed(_)) => 0,
        Ok(Outcome::Failed(failure)) => {
            complain!("cloister: {}: {failure}", failure.step);
            match failure.disposition {
                crate::failure::Disposition::Hold { .. } => 0,
                crate::failure::Disposition::Elsewhere => 1,
            }
        }
        Err(failure) => {
            complain!("cloister: {}: {failure}", failure.step);
            1
        }
    })
}

/// The options that take a value, and where it goes.
fn read(words: &[String]) -> Result<Said, String> {
    let mut said = Said::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let option = known(word)?;
        if matches!(option, "-f" | "-t" | "-b") {
            said.log_to_terminal |= option == "-t";
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?.clone();
        let number = || {
            value
                .parse::<i64>()
                .ok()
                .filter(|n| *n >= 0)
                .ok_or_else(|| format!("{option}: {value:?} is not a number that is 0 or more"))
        };
        match option {
            "-local-name" => said.local_name = Some(value),
            "-append" => said.log_suffix = Some(value),
            "-job-input-ad" => said.input = Some(value),
            "-job-output-ad" => said.output = Some(value),
            "-job-stdin" => said.stdio[0] = Some(value),
            "-job-stdout" => said.stdio[1] = Some(value),
            "-job-stderr" => said.stdio[2] = Some(value),
            "-job-cluster" => said.cluster = Some(number()?),
            "-job-proc" => said.proc = Some(number()?),
            // Subproc, header, update ad: accepted, nothing depends on them here.
            _ => {}
        }
    }
    if said.stdio[0].as_deref() == Some("-") && said.input.as_deref() == Some("-") {
        return Err("standard input can't be both the job ad and the job's stdin".into());
    }
    if said.stdio[1].as_deref() == Some("-") && said.output.as_deref() == Some("-") {
        return Err("standard output can't be both the result ad and the job's stdout".into());
    }
    Ok(said)
}

/// Every option with the shortest form it is known by.
const OPTIONS: [(&str, usize); 15] = [
    ("-f", 2),
    ("-t", 2),
    ("-b", 2),
    ("-local-name", 4),
    ("-append", 2),
    ("-header", 2),
    ("-slot-name", 4),
    ("-job-input-ad", 6),
    ("-job-output-ad", 6),
    ("-job-update-ad", 6),
    ("-job-cluster", 6),
    ("-job-proc", 6),
    ("-job-subproc", 7),
    ("-job-stdin", 9),
    ("-job-stdout", 9),
];

fn known(word: &str) -> Result<&'static str, String> {
    let matches = |full: &str, least: usize| word.len() >= least && full.starts_with(word);
    if matches("-job-stderr", 8) {
        return Ok("-job-stderr");
    }
    OPTIONS
        .iter()
        .find(|(full, least)| matches(full, *least))
        .map(|(full, _)| *full)
        .ok_or_else(|| format!("{word} is no option of the starter, or too short to tell which"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<Said, String> {
        read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_may_be_shortened_as_with_stock() {
        let long = said("-f -local-name p1 -job-input-ad a -job-output-ad b -a x").unwrap();
        let short = said("-f -local p1 -job-i a -job-out b -append x").unwrap();
        assert_eq!(long, short);
        assert!(said("-job-").is_err());
        assert!(said("-job-st x").is_err());
        assert_eq!(said("-job-stdo x -job-i y").unwrap().stdio[1].as_deref(), Some("x"));
    }

    #[test]
    fn one_stream_is_not_used_twice() {
        assert!(said("-job-input-ad - -job-stdin -").is_err());
        assert!(said("-job-input-ad x -job-output-ad - -job-stdout -").is_err());
        assert!(said("-job-input-ad - -job-stdout -").is_ok());
        assert!(said("-job-input-ad").is_err());
        assert!(said("-job-cluster -1 -job-i x").is_err());
    }
}
