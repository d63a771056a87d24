//! How a starter ended, and what its peers saw of it.

use std::fmt;
use std::time::Duration;

use super::Event;
use super::shadow::{JOB_EXIT, Request, ULOG};

/// How a starter ended.
pub(crate) struct Ended {
    pub(super) status: i32,
    pub(super) cpu: Duration,
    pub(crate) log: String,
    pub(crate) events: Vec<Event>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, cpu, log, events } = self;
        write!(f, "status {status:#x}, {cpu:?}\n--- log\n{log}\n--- events\n{events:#?}")
    }
}

impl Ended {
    /// Fails unless the starter exited with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status, code << 8, "exit code {code} was expected\n{self}");
        self
    }

    /// Fails unless one line of the log has all these words.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let said = self.log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "no line of the log has {words:?}\n{self}");
        self
    }

    /// The requests to the shadow, by number.
    pub(crate) fn requests(&self) -> Vec<i64> {
        self.asked().map(|request| request.number).collect()
    }

    pub(crate) fn asked(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.events.iter().filter_map(|event| match event {
            Event::Asked(request) => Some(request),
            _ => None,
        })
    }

    /// Status and reason of `job_exit`, if that was said.
    pub(crate) fn exit(&self) -> Option<(i64, i64)> {
        self.asked().find(|request| request.number == JOB_EXIT)?.exit
    }

    /// Code and text of the error event, if there was one.
    pub(crate) fn error(&self) -> Option<(i64, String)> {
        let request = self.asked().find(|request| request.number == ULOG)?;
        let code = request.ad.eval_i64("HoldReasonCode").unwrap();
        Some((code, request.ad.eval_string("ErrorMsg").unwrap()))
    }

    /// The subcode that came with it.
    pub(crate) fn subcode(&self) -> Option<i64> {
        self.asked().find(|request| request.number == ULOG)?.ad.eval_i64("HoldReasonSubCode")
    }

    /// Output that arrived, by name; the last attempt counts.
    pub(crate) fn output(&self, name: &str) -> Option<Vec<u8>> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Output(files) => {
                files.iter().find(|(own, _)| own == name).map(|(_, bytes)| bytes.clone())
            }
            _ => None,
        })
    }

    /// How often a transfer of this kind was begun.
    pub(crate) fn transfers(&self, number: i32) -> usize {
        self.events
            .iter()
            .filter(|event| matches!(event, Event::Files(begun) if *begun == number))
            .count()
    }

    /// Whether the startd was told the last of it.
    pub(crate) fn startd_knows(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Update(update) if update.last))
    }
}
