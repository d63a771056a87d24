//! The stock starter's command line: what is done for each kind of call.

use std::ffi::OsString;
use std::path::PathBuf;

use super::invocation::{Common, Files, Ids, Invocation};
use super::session::{self, Described, Session};
use super::{claim, local, probe};
use crate::failure::{Disposition, Failure, Step};
use crate::log;
use crate::parent::file;
use crate::plan::Stdio;
use crate::report::ad::Outcome;

/// Exit code of a starter that can't open its log, as in 23.9.6 and 25.14.1.
const EXIT_NO_LOG: u8 = 4;

/// Does what a startd, a schedd or a person asks for.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    match Invocation::read(arguments)? {
        Invocation::Probe => Ok(probe::main()),
        Invocation::Standalone { files, ids, common } => {
            let input = Described::File { name: files.input.clone(), reader: file::read_ad };
            Ok(standalone(input, files, ids, common))
        }
        Invocation::Claim { common, .. } => Ok(claim::main(&common)),
        Invocation::Local { schedd, input, ids, common } => {
            Ok(local::main(&schedd, &input, ids, &common))
        }
        Invocation::Keyword { keyword, files, ids, common } => {
            Ok(standalone(Described::Keyword(keyword), files, ids, common))
        }
    }
}

/// Runs a job as the stock starter does without a shadow. Exit code 0: the result (also a reason
/// for a hold) is in the output ad; 1: the starter itself could not do its work.
fn standalone(input: Described, files: Files, ids: Ids, common: Common) -> u8 {
    let session = Session {
        common,
        input,
        output: files.output,
        stdio: files.stdio.map(|name| {
            name.map(|name| match name.as_str() {
                "-" => Stdio::Inherit,
                _ => Stdio::File(PathBuf::from(name)),
            })
        }),
        ids: (ids.cluster, ids.proc),
        for_people: false,
        verbose: false,
    };
    let status = match session::run(session) {
        Ok(Outcome::Ended(_) | Outcome::Killed(_)) => 0,
        Ok(Outcome::Failed(failure)) => {
            complain!("cloister: {}: {failure}", failure.step);
            match failure.disposition {
                Disposition::Hold { .. } => 0,
                Disposition::Elsewhere => 1,
            }
        }
        Err(failure) => {
            complain!("cloister: {}: {failure}", failure.step);
            exit_code(&failure)
        }
    };
    log::exiting(status);
    status
}

fn exit_code(failure: &Failure) -> u8 {
    if failure.step == Step::Log { EXIT_NO_LOG } else { 1 }
}
