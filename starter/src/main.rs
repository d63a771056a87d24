//! A condor_starter that gives every HTCondor job a cell of its own.
//!
//! Three processes, by privilege: the *supervisor* (the original process, which gives up root at once
//! and reads everything that comes from outside), the *launcher* (root, forked first, small), and the
//! *init* of each cell. See `plan` for what is decided and `launcher` for how it is done.

#[macro_use]
mod say;

mod abilities;
mod cli;
mod failure;
mod hooks;
mod host;
mod job;
mod knobs;
mod launcher;
mod log;
mod parent;
mod plan;
mod reach;
mod report;
mod supervisor;
mod sys;
mod transfer;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().skip(1).collect())
}
