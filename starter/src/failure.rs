//! Why a job could not be run: the step, the cause, and whose fault it is.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// HTCondor's hold codes that this program gives (the numbers of `CONDOR_HOLD_CODE`).
pub(crate) mod hold {
    /// The job's program could not be started.
    pub(crate) const FAILED_TO_CREATE_PROCESS: i32 = 6;
    /// Standard output or error could not be opened.
    pub(crate) const UNABLE_TO_OPEN_OUTPUT: i32 = 7;
    /// Standard input could not be opened.
    pub(crate) const UNABLE_TO_OPEN_INPUT: i32 = 8;
    /// A standard output that is streamed can't be opened or written at the submit side.
    pub(crate) const UNABLE_TO_OPEN_OUTPUT_STREAM: i32 = 9;
    /// A standard input that is streamed can't be opened or read there.
    pub(crate) const UNABLE_TO_OPEN_INPUT_STREAM: i32 = 10;
    /// The job ad is not usable.
    pub(crate) const JOB_NOT_VALID: i32 = 5;
    /// Output files could not be taken back.
    pub(crate) const UPLOAD_FILE: i32 = 12;
    /// Input files could not be fetched.
    pub(crate) const DOWNLOAD_FILE: i32 = 13;
    /// A hook before the job failed, or said so.
    pub(crate) const HOOK_PREPARE_JOB_FAILURE: i32 = 19;
    /// The job used more than it had asked for.
    pub(crate) const OUT_OF_RESOURCES: i32 = 34;
    /// Memory, as the subcode says what it was.
    pub(crate) const MEMORY: i32 = 102;
    /// Disk space.
    pub(crate) const DISK: i32 = 104;
    /// The job's log can't be written.
    pub(crate) const UNABLE_TO_INIT_USER_LOG: i32 = 22;
    /// What was to run before the job failed.
    pub(crate) const PRE_SCRIPT_FAILED: i32 = 43;
    /// What was to run after it failed.
    pub(crate) const POST_SCRIPT_FAILED: i32 = 44;
    /// A job did not save itself as it had promised, or what it saved could not be taken.
    pub(crate) const FAILED_TO_CHECKPOINT: i32 = 36;
    /// The job's account isn't in the group that it asked for.
    pub(crate) const CANNOT_SWITCH_PRIMARY_GROUP: i32 = 49;
    /// A job has saved itself and goes back to the queue, as its claim ends.
    pub(crate) const SUCCESSFUL_CHECKPOINT: i32 = 1025;
    /// The starter could not do its work: the schedd has the job run again instead of holding it.
    pub(crate) const STARTER_ERROR: i32 = 1007;
}

/// What becomes of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Disposition {
    /// The job itself is at fault: it would fail on every machine, so it is held.
    Hold {
        /// `HoldReasonCode`.
        code: i32,
        /// `HoldReasonSubCode`; an errno where there is one.
        subcode: i32,
    },
    /// This machine is at fault: the job goes back to the queue and runs elsewhere.
    Elsewhere,
}

/// A named step in the life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Reading the configuration.
    Configuration,
    /// Opening the log.
    Log,
    /// Reading the job ad.
    JobAd,
    /// Choosing the account.
    Account,
    /// Deciding what to do.
    Plan,
    /// Making the sandbox directory.
    Sandbox,
    /// Putting tokens and proxies into the sandbox.
    Credentials,
    /// Writing to the user's log.
    UserLog,
    /// Copying input files into the sandbox.
    Input,
    /// Running a program of the admin's beside the job.
    Hook,
    /// Opening standard input, output or error.
    Stdio,
    /// Making the namespaces.
    Namespaces,
    /// Checking and opening the root.
    Root,
    /// Building the job's view of the file system.
    View,
    /// Setting limits.
    Limits,
    /// Becoming the job's account.
    Identity,
    /// Entering the working directory.
    WorkingDirectory,
    /// Running what the job has run before or after it.
    Script,
    /// Executing the program.
    Exec,
    /// Watching the job.
    Watch,
    /// Copying output files back.
    Output,
    /// Cleaning up.
    Cleanup,
    /// Talking to another process of this starter.
    Internal,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Log => "log",
            Self::JobAd => "job ad",
            Self::Account => "account",
            Self::Plan => "plan",
            Self::Sandbox => "sandbox",
            Self::Credentials => "credentials",
            Self::UserLog => "user log",
            Self::Input => "input files",
            Self::Hook => "hook",
            Self::Stdio => "standard files",
            Self::Namespaces => "namespaces",
            Self::Root => "root",
            Self::View => "view",
            Self::Limits => "limits",
            Self::Identity => "identity",
            Self::WorkingDirectory => "working directory",
            Self::Script => "script",
            Self::Exec => "exec",
            Self::Watch => "watch",
            Self::Output => "output files",
            Self::Cleanup => "clean-up",
            Self::Internal => "internal",
        })
    }
}

/// A step that failed. `message` is one line: the cause first, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// Where it happened.
    pub(crate) step: Step,
    /// The sentence for logs and hold reasons. Never has a control character, and a bounded length.
    pub(crate) message: String,
    /// What becomes of the job.
    pub(crate) disposition: Disposition,
}

impl Failure {
    /// The machine's fault.
    pub(crate) fn host(step: Step, message: impl Into<String>) -> Self {
        Self { step, message: one_line(message.into()), disposition: Disposition::Elsewhere }
    }

    /// The job's fault.
    pub(crate) fn job(step: Step, code: i32, subcode: i32, message: impl Into<String>) -> Self {
        let disposition = Disposition::Hold { code, subcode };
        Self { step, message: one_line(message.into()), disposition }
    }

    /// A system call that failed on `what` through no fault of the job.
    pub(crate) fn os(step: Step, what: impl fmt::Display, error: &io::Error) -> Self {
        Self::host(step, format!("{what}: {}", Reason(error)))
    }
}

/// An operating system error as HTCondor's messages show it: `(errno=2: 'No such file or directory')`.
pub(crate) struct Reason<'a>(pub(crate) &'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(number) => {
                let text = nix::errno::Errno::from_raw(number).desc();
                write!(f, "(errno={number}: '{text}')")
            }
            None => write!(f, "({})", self.0),
        }
    }
}

/// Attaches a step and an object to a failed system call.
pub(crate) trait Context<T> {
    /// `what` names the object, usually a path.
    fn at(self, step: Step, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn at(self, step: Step, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::os(step, what, &error.into()))
    }
}

/// Longest message in bytes: names that a job gives may be of any length.
const LONGEST: usize = 8192;

/// The schedd refuses hold reasons of several lines, and terminals obey what else is no letter.
fn one_line(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("...");
    }
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    for_the_wire(text)
}

/// In the syntax that ads travel in a backslash at the end of a string would take the quote with it.
pub(crate) fn for_the_wire(mut text: String) -> String {
    if text.ends_with('\\') {
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_show_the_errno_as_stock_does() {
        let error = io::Error::from_raw_os_error(2);
        let failure = Failure::os(Step::Sandbox, "/a\u{1b}b", &error);
        assert_eq!(failure.message, "/a b: (errno=2: 'No such file or directory')");
        assert_eq!(failure.disposition, Disposition::Elsewhere);
    }

    #[test]
    fn messages_survive_the_wire() {
        for text in ["a\\", "a\\\\", "a\\\"b", "\"", "\\\""] {
            let mut ad = classad::ClassAd::new();
            ad.insert_value("HoldReason", Failure::host(Step::Exec, text).message);
            let old: String = ad.to_old_string();
            let read = classad::ClassAd::parse_old(&old).unwrap();
            let read = read.eval_string("HoldReason").unwrap();
            assert_eq!(read.trim_end(), text, "{old}");
        }
    }
}
