//! The two processes of a copy, and what they report.

use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use super::{Link, Totals};
use crate::failure::{Context, Failure};
use crate::transfer::Catalogue;
use crate::transfer::fault::{Direction, Trouble};
use crate::transfer::process::{Role, Running};

/// Warnings beyond these are only counted.
const MAX_WARNINGS: usize = 20;

/// What a process reports when it has done its part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Work {
    /// Of the receiver: what it has written.
    pub(super) totals: Totals,
    /// Why it stopped, or what failed on the way.
    pub(super) trouble: Option<Trouble>,
    /// For the log.
    pub(super) warnings: Vec<String>,
    /// Of the receiver of input.
    pub(super) catalogue: Catalogue,
}

impl From<Failure> for Work {
    fn from(failure: Failure) -> Self {
        Self { trouble: Some(failure.into()), ..Self::default() }
    }
}

/// Both processes at work.
#[derive(Debug)]
pub(super) struct Pair {
    direction: Direction,
    outside: Running,
    inside: Running,
}

impl Pair {
    /// Starts both.
    pub(super) fn start(
        direction: Direction,
        (outer_role, outer_work): (Role<'_>, impl FnOnce(&Link) -> Work),
        (inner_role, inner_work): (Role<'_>, impl FnOnce(&Link) -> Work),
    ) -> Result<Self, Failure> {
        let (outer, inner) =
            Link::pair().at(direction.step(), "socket between the transfer processes")?;
        let outside = start(direction, outer_role, &outer, outer_work)?;
        // What this process still held open would keep the other from seeing its peer's end.
        drop(outer);
        let inside = start(direction, inner_role, &inner, inner_work)?;
        Ok(Self { direction, outside, inside })
    }

    /// To wait for.
    pub(super) fn sources(&self) -> Vec<BorrowedFd<'_>> {
        self.outside.sources().into_iter().chain(self.inside.sources()).collect()
    }

    /// Goes on without waiting; once both have ended, what the outside and the inside one report.
    pub(super) fn step(&mut self) -> Option<Result<(Work, Work), Failure>> {
        match (self.outside.step(), self.inside.step()) {
            (Ok(true), Ok(true)) => Some(self.end()),
            (Err(failure), _) | (_, Err(failure)) => Some(Err(failure)),
            _ => None,
        }
    }

    /// Ends both.
    pub(super) fn kill(&self) {
        self.outside.kill();
        self.inside.kill();
    }

    fn end(&self) -> Result<(Work, Work), Failure> {
        let (outside, inside): (Work, Work) = (self.outside.report()?, self.inside.report()?);
        for warning in outside.warnings.iter().chain(&inside.warnings) {
            tracing::warn!("transfer of {}: {warning}", self.direction);
        }
        let (receiver, sender) = match self.direction {
            Direction::In => (&inside, &outside),
            Direction::Out => (&outside, &inside),
        };
        // The receiver's reason first: it made the sender stop.
        let troubles = || [receiver, sender].into_iter().filter_map(|work| work.trouble.as_ref());
        for trouble in troubles() {
            if let Trouble::Failed(failure) = trouble {
                return Err(failure.clone());
            }
        }
        if troubles().next().is_some() {
            return Err(self.direction.host("a process ended early without a reason"));
        }
        Ok((outside, inside))
    }
}

fn start<'a>(
    direction: Direction,
    mut role: Role<'a>,
    link: &'a Link,
    work: impl FnOnce(&Link) -> Work,
) -> Result<Running, Failure> {
    role.keep.push(link.as_fd());
    Running::start(direction, &role, None, || work(link), Work::from)
}

/// Keeps what a process has to say short.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    first: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Adds one.
    pub(super) fn push(&mut self, warning: String) {
        if self.first.len() < MAX_WARNINGS {
            self.first.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// All, or the first and how many more there were.
    pub(super) fn into_vec(mut self) -> Vec<String> {
        if self.more > 0 {
            self.first.push(format!("{} more warnings", self.more));
        }
        self.first
    }
}
