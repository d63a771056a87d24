//! Moves a job's files: into the sandbox before it starts, out of it after it has ended.

#[cfg(test)]
mod alone;
mod catalogue;
mod fault;
mod local;
mod manifest;
mod names;
mod process;
mod remote;

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

pub(crate) use catalogue::Catalogue;
pub(crate) use manifest::Invalid;
pub(crate) use process::Entrance;
pub(crate) use remote::{Core, Delivered, Input, Output, Peer, Reach, Stats};

use crate::failure::Failure;
use crate::plan::Plan;

/// Where input comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Source {
    /// The submitter's files on this machine, as the plan has them.
    Here,
    /// The shadow.
    Shadow(Box<Peer>, Input),
}

/// Where output goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Destination {
    /// The submitter's files on this machine, as the plan has them.
    Here,
    /// The shadow.
    Shadow(Box<Peer>, Output),
}

/// What a transfer has come to.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Input is in the sandbox.
    In {
        /// What the sandbox's top level holds now.
        catalogue: Catalogue,
        /// How much it was.
        stats: Stats,
        /// What is wrong with the checkpoint among it.
        invalid: Option<Invalid>,
    },
    /// Output is where it belongs.
    Out(Delivered),
}

/// A transfer under way, in processes of its own.
#[derive(Debug)]
pub(crate) enum Moving {
    /// Between two directories of this machine.
    Here(local::Copying),
    /// With the shadow.
    Shadow(remote::Transferring),
}

/// Begins to bring the job's input into the sandbox.
pub(crate) fn fetch(
    plan: &Plan,
    source: &Source,
    sandbox: BorrowedFd<'_>,
    show_progress: bool,
) -> Result<Moving, Failure> {
    match source {
        Source::Here => local::copy_in(plan, sandbox, show_progress).map(Moving::Here),
        Source::Shadow(peer, input) => {
            remote::begin_fetch(peer, input, &plan.account.ids, sandbox).map(Moving::Shadow)
        }
    }
}

/// Begins to take the job's output out of it. `before`: what was there when the job started;
/// `entrance`: how the job saw the machine.
pub(crate) fn deliver(
    plan: &Plan,
    destination: &Destination,
    before: &Catalogue,
    sandbox: BorrowedFd<'_>,
    entrance: Option<&Entrance<'_>>,
    show_progress: bool,
) -> Result<Moving, Failure> {
    match destination {
        Destination::Here => {
            local::copy_out(plan, sandbox, before, show_progress).map(Moving::Here)
        }
        Destination::Shadow(peer, output) => {
            remote::begin_delivery(peer, output, before, &plan.account.ids, sandbox, entrance)
                .map(Moving::Shadow)
        }
    }
}

impl Moving {
    /// To wait for.
    pub(crate) fn sources(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Here(copy) => copy.sources(),
            Self::Shadow(transfer) => transfer.sources().into(),
        }
    }

    /// Goes on without waiting; the end, if it has come.
    pub(crate) fn step(&mut self) -> Option<Result<Moved, Failure>> {
        match self {
            Self::Here(copy) => copy.step(),
            Self::Shadow(transfer) => transfer.step(),
        }
    }

    /// Ends it in the middle, which then is a failure.
    pub(crate) fn kill(&self) {
        match self {
            Self::Here(copy) => copy.kill(),
            Self::Shadow(transfer) => transfer.kill(),
        }
    }
}
