//! What a hook before a job has to say: changes of the job, a message, and whether the job goes on.

use std::path::Path;

use classad::ClassAd;

use super::{End, Kind, Ran};
use crate::failure::{Disposition, Failure, Step, hold};
use crate::launcher::message::Status;

/// Codes from 1 to this have the job held; those above it have it run elsewhere.
const MOST_FOR_HOLD: i64 = 299;

/// The answer of a hook before a job.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The job goes on.
    GoOn {
        /// What changes in its ad.
        changes: ClassAd,
        /// What the user is to read.
        message: Option<String>,
    },
    /// It doesn't.
    Failed(Failure),
}

/// Reads it. `path`: the program, for messages.
pub(crate) fn answer(kind: Kind, path: &Path, ran: &Ran) -> Answer {
    let program = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut changes = changes(&ran.output);
    let (mut code, mut how) = match ran.end {
        End::Ended(Status::Exited(code)) => (i64::from(code), format!("exited with status {code}")),
        End::Ended(Status::Signaled(signal, _)) => {
            (-i64::from(signal), format!("died with signal {signal}"))
        }
        End::NotExecuted(_) | End::Unregistered | End::Missing => {
            let path = path.display();
            let why = match ran.end {
                End::NotExecuted(errno) => {
                    let error = std::io::Error::from_raw_os_error(errno);
                    format!(": {}", crate::failure::Reason(&error))
                }
                _ => String::new(),
            };
            let message = format!("failed to execute {} ({path}){why}", kind.name());
            let code = hold::HOOK_PREPARE_JOB_FAILURE;
            return Answer::Failed(Failure::job(Step::Hook, code, 0, message));
        }
        End::TimedOut => (-1, "took too long".to_owned()),
        End::TooMuch => (-1, "wrote more than it may".to_owned()),
    };
    // The hook's own word goes before its exit code, unless it was killed.
    if matches!(ran.end, End::Ended(Status::Exited(_)))
        && let Some(said) = changes.eval_i64("HookStatusCode").filter(|said| *said >= 0)
    {
        code = said;
        how = format!("reported status {said:03}");
    }
    let said = changes.eval_string("HookStatusMessage").filter(|text| !text.is_empty());
    let outcome = if code == 0 { "succeeded" } else { "failed" };
    let text = said.as_deref().unwrap_or("<no message>");
    let message = format!("{} ({program}) {outcome} ({how}): {text}", kind.name());
    if code == 0 {
        changes.remove("HookStatusCode");
        changes.remove("HookStatusMessage");
        return Answer::GoOn { changes, message: said.is_some().then_some(message) };
    }
    let mut failure = Failure::host(Step::Hook, message);
    if (1..=MOST_FOR_HOLD).contains(&code) {
        let subcode = i32::try_from(code).unwrap_or_default();
        failure.disposition = Disposition::Hold { code: hold::HOOK_PREPARE_JOB_FAILURE, subcode };
    }
    Answer::Failed(failure)
}

/// The attributes that a hook has written, one a line; what is none is left out.
fn changes(output: &[u8]) -> ClassAd {
    let mut ad = ClassAd::new();
    for line in output.split(|byte| *byte == b'\n') {
        match ClassAd::parse_old(line) {
            Ok(one) => ad.update(&one),
            Err(error) => tracing::warn!(
                "a hook wrote what is no attribute ({error}): {}",
                String::from_utf8_lossy(line.get(..200).unwrap_or(line))
            ),
        }
    }
    ad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(end: End, output: &str) -> Answer {
        let ran = Ran { end, output: output.into(), errors: Vec::new() };
        answer(Kind::Prepare, Path::new("/site/hook"), &ran)
    }

    fn exited(code: i32) -> End {
        End::Ended(Status::Exited(code))
    }

    fn failed(end: End, output: &str) -> (String, Disposition) {
        match of(end, output) {
            Answer::Failed(failure) => (failure.message, failure.disposition),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attributes_change_the_job() {
        let Answer::GoOn { changes, message } = of(
            exited(0),
            "Args = \"1 2\"\nno attribute\nRank = Memory * 2\nHookStatusCode = 0\n\n",
        ) else {
            panic!("it goes on")
        };
        assert_eq!((changes.len(), message), (2, None));
        assert_eq!(changes.eval_string("Args").as_deref(), Some("1 2"));
    }

    #[test]
    fn a_message_of_a_hook_that_succeeds_is_for_the_user() {
        let text = "HookStatusMessage = \"fine\"";
        let Answer::GoOn { message, .. } = of(exited(0), text) else { panic!("it goes on") };
        let expected = "PREPARE_JOB (hook) succeeded (exited with status 0): fine";
        assert_eq!(message.as_deref(), Some(expected));
    }

    #[test]
    fn the_code_says_what_becomes_of_the_job() {
        let held = |subcode| Disposition::Hold { code: 19, subcode };
        let says = |code: i64| format!("HookStatusCode = {code}\nHookStatusMessage = \"m\"\n");
        for (end, output, text, disposition) in [
            (exited(3), String::new(), "failed (exited with status 3): <no message>", held(3)),
            (exited(0), says(190), "failed (reported status 190): m", held(190)),
            (exited(9), says(299), "failed (reported status 299): m", held(299)),
            (exited(0), says(300), "failed (reported status 300): m", Disposition::Elsewhere),
            (exited(0), says(1 << 40), "failed (reported status 1", Disposition::Elsewhere),
            (exited(4), says(-1), "failed (exited with status 4): m", held(4)),
            (
                End::Ended(Status::Signaled(9, false)),
                says(0),
                "failed (died with signal 9): m",
                Disposition::Elsewhere,
            ),
            (End::TooMuch, String::new(), "failed (wrote more", Disposition::Elsewhere),
        ] {
            let (message, became) = failed(end, &output);
            assert!(message.starts_with("PREPARE_JOB (hook) "), "{message}");
            assert!(message.contains(text), "{message}");
            assert_eq!(became, disposition, "{message}");
        }
        let (message, became) = failed(End::NotExecuted(8), "");
        assert!(message.starts_with("failed to execute PREPARE_JOB (/site/hook)"), "{message}");
        assert_eq!(became, held(0));
    }
}
