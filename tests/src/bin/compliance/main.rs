//! The same jobs in real pools, run by HTCondor's own starter and by ours, and what differs.
//!
//! `tests/compliance/README.md` says how to use it and how to add a case. The same program runs outside,
//! where it starts pools, and inside a pool, where it submits (`drive`).

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a thread that panicked is a bug of the test program, which ends with it"
)]

mod ads;
mod case;
mod compare;
mod drive;
mod event_log;
mod expect;
mod files;
mod normal;
mod options;
mod pool;
mod record;
mod report;
mod submit;

use std::process::ExitCode;
use std::time::Instant;

use crate::compare::List;
use crate::options::Command;
use crate::pool::Starter;
use crate::report::Table;

/// A failure is a sentence for whoever runs the tests.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match options::parse().and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compliance: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(command: Command) -> Result<bool> {
    let list = || List::read(&pool::tests().join("compliance/differences.tsv"));
    match command {
        Command::Help => {
            println!("{}", options::USAGE);
            Ok(true)
        }
        Command::List(place) => {
            for case in case::read_all(&pool::tests().join("compliance/cases"), &place)? {
                println!("{}{}", case.name, if case.fast { " (fast)" } else { "" });
            }
            Ok(true)
        }
        Command::Drive(drive) => drive.run().map(|()| true),
        Command::Compare(first, second) => {
            let compared = compare::directories(&first, &second, &list()?)?;
            Ok(report::compared(&compared))
        }
        Command::Run { wanted, places, starters } => {
            let list = list()?;
            let mut table = Table::default();
            for place in &places {
                for starter in &starters {
                    let started = Instant::now();
                    match wanted.run(place, starter) {
                        Ok(verdicts) => {
                            table.ran(place, starter.label(), &verdicts, started.elapsed());
                        }
                        Err(error) => table.did_not_run(place, starter.label(), &error.to_string()),
                    }
                }
                if let [first, second] = &starters[..] {
                    let directory = |starter: &Starter| wanted.results(place, starter.label());
                    match compare::directories(&directory(first), &directory(second), &list) {
                        Ok(compared) => table.compared(place, compared),
                        Err(error) => table.did_not_run(place, "compared", &error.to_string()),
                    }
                }
            }
            Ok(table.finish(&list))
        }
    }
}
