//! Programs of the admin's that run around a job, outside of its cell and with its account's rights:
//! job hooks, and the diagnostics of 25.x.
//!
//! The supervisor says which (a keyword and a kind) and what to do with the answer; the launcher has
//! the path from its own reading of the configuration, and starts it.

mod answer;
mod configured;
mod errand;
mod process;

use serde::{Deserialize, Serialize};

pub(crate) use answer::{Answer, answer};
pub(crate) use configured::{Chosen, Hooks};
pub(crate) use errand::start;
pub(crate) use process::Running;

use crate::launcher::message::Status;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// There is a sandbox, input comes next.
    BeforeTransfer,
    /// Input is there, the job comes next.
    Prepare,
    /// There is something new about the running job.
    Update,
    /// The job has ended, output comes next.
    Exit,
}

impl Kind {
    /// All, in the order of a job's life.
    pub(crate) const ALL: [Self; 4] =
        [Self::BeforeTransfer, Self::Prepare, Self::Update, Self::Exit];

    /// Its name in HTCondor: the end of the knob's name, and what messages say.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforeTransfer => "PREPARE_JOB_BEFORE_TRANSFER",
            Self::Prepare => "PREPARE_JOB",
            Self::Update => "UPDATE_JOB_INFO",
            Self::Exit => "JOB_EXIT",
        }
    }
}

/// Why a job ended, as an exit hook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// By itself.
    Exit,
    /// It was removed.
    Remove,
    /// It is to be held.
    Hold,
    /// It has to leave this machine.
    Evict,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Remove => "remove",
            Self::Hold => "hold",
            Self::Evict => "evict",
        }
    }
}

/// What the supervisor wants to have run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Errand {
    /// A job hook.
    Hook {
        /// Whose: the beginning of the knob's name.
        keyword: String,
        /// Which.
        kind: Kind,
        /// Of an exit hook: why.
        reason: Option<Reason>,
        /// The ad that it reads.
        ad: Vec<u8>,
    },
    /// A diagnostic of this name (STARTER_DIAGNOSTIC_NAME).
    Diagnostic(String),
}

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) end: End,
    /// What it wrote to its standard output.
    pub(crate) output: Vec<u8>,
    /// The beginning of what it wrote to standard error.
    pub(crate) errors: Vec<u8>,
}

impl Ran {
    /// One that isn't there to be run.
    pub(crate) fn missing() -> Self {
        End::Missing.without_output()
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// As the kernel says.
    Ended(Status),
    /// It could not be executed; the errno.
    NotExecuted(i32),
    /// It was ended because its time was up.
    TimedOut,
    /// It was ended because it wrote more than it may.
    TooMuch,
    /// The admin has none of this name.
    Unregistered,
    /// The admin has one, but there is no such file.
    Missing,
}

impl End {
    /// Of something that didn't even begin.
    fn without_output(self) -> Ran {
        Ran { end: self, output: Vec::new(), errors: Vec::new() }
    }
}
