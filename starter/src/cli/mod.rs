//! The command line: the stock starter's options, and verbs for people.

mod check;
mod claim;
mod config;
mod examine;
mod explain;
mod inherited;
mod invocation;
mod keyword;
mod live;
mod local;
mod plan;
mod probe;
mod run;
mod session;
mod stock;
mod who;

use std::ffi::OsString;

use crate::version;

/// What the starter says about itself.
const USAGE: &str = "\
cloister: a condor_starter that gives every HTCondor job a cell of its own

For people:
  starter run [-v] JOB        run a job ad or a submit description here, isolated; exits with its status
  starter plan JOB            print what would be done for a job; needs no root
  starter check [ROOT...]     examine this machine and its named roots; says how to fix what fails
          [--json | --classad] [--deep] [--exec COMMAND [--as USER]]
  starter config [NAME...]    print knobs with value, origin and default
  starter who [--json]        list the jobs that run on this machine
  starter explain [--svg FILE] JOB|PID
                              show the cell of a job that runs

As the stock starter:
  starter -classad            print what this machine can do for jobs, as a startd asks for it
  starter -job-input-ad FILE [-job-output-ad FILE] [-job-stdin FILE] [-job-stdout FILE]
          [-job-stderr FILE] [-job-cluster N] [-job-proc N] [-local-name NAME] [-f] [-t] [-a SUFFIX]
          (FILE can be - for standard input or output)

The configuration is HTCondor's: CONDOR_CONFIG, /etc/condor/condor_config and what they include.";

/// Exit code for a command line that can't be understood.
const EXIT_USAGE: u8 = 64;

/// Does what the command line says; the only code that decides the exit code.
pub(crate) fn main(arguments: Vec<OsString>) -> u8 {
    let words: Vec<String> =
        arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let code = match words.first().map(String::as_str) {
        Some("run") => run::main(rest),
        Some("plan") => plan::main(rest),
        Some("check") => check::main(rest),
        Some("config") => config::main(rest),
        Some("who") => who::main(rest),
        Some("explain") => explain::main(rest),
        Some("-h" | "--help" | "help") => {
            say!("{USAGE}");
            Ok(0)
        }
        Some("-V" | "--version" | "-version") => {
            say!("cloister {}", version::CLOISTER);
            say!("{}", version::CONDOR_VERSION);
            say!("{}", version::CONDOR_PLATFORM);
            Ok(0)
        }
        Some(word) if word.starts_with('-') => stock::main(&arguments),
        Some(word) => Err(format!("there is no verb {word:?}; try --help")),
        None => Err(format!("nothing to do\n{USAGE}")),
    };
    match code {
        Ok(code) => code,
        Err(message) => {
            complain!("cloister: {message}");
            EXIT_USAGE
        }
    }
}
