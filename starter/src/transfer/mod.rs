//! Moves a job's files: into the sandbox before it starts, out of it after it has ended.

#[cfg(test)]
mod alone;
mod catalogue;
mod fault;
mod local;
mod manifest;
mod names;
mod plugins;
mod process;
mod remote;

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

pub(crate) use catalogue::Catalogue;
pub(crate) use manifest::Invalid;
pub(crate) use plugins::{
    Found as PluginFound, Loudness, Probe as PluginProbe, Rooms, Settings as PluginSettings, Told,
};
pub(crate) use process::Entrance;
pub(crate) use remote::{Contents, Core, Delivered, Input, Output, Peer, Stats, Targets};

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
    Shadow(Box<Peer>, Box<Output>),
}

impl Source {
    /// Whether plugins may have to be run.
    pub(crate) fn runs_plugins(&self) -> bool {
        matches!(self, Self::Shadow(_, input) if runs(input.plugins.as_deref()))
    }
}

impl Destination {
    /// Whether plugins may have to be run.
    pub(crate) fn runs_plugins(&self) -> bool {
        matches!(self, Self::Shadow(_, output) if runs(output.plugins.as_deref()))
    }
}

fn runs(settings: Option<&PluginSettings>) -> bool {
    settings.is_some_and(PluginSettings::is_enabled)
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

/// The end of a transfer.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What it has come to.
    pub(crate) outcome: Result<Moved, Failure>,
    /// What plugins did for it.
    pub(crate) told: Told,
}

impl From<Result<Moved, Failure>> for Ending {
    fn from(outcome: Result<Moved, Failure>) -> Self {
        Self { outcome, told: Told::default() }
    }
}

/// A transfer under way, in processes of its own.
#[derive(Debug)]
pub(crate) enum Moving {
    /// Between two directories of this machine.
    Here(local::Copying),
    /// With the shadow.
    Shadow(remote::Transferring),
}

/// Begins to bring the job's input into the sandbox. `rooms`: where plugins would run.
pub(crate) fn fetch(
    plan: &Plan,
    source: &Source,
    sandbox: BorrowedFd<'_>,
    rooms: Option<&Rooms<'_>>,
    show_progress: bool,
) -> Result<Moving, Failure> {
    match source {
        Source::Here => local::copy_in(plan, sandbox, show_progress).map(Moving::Here),
        Source::Shadow(peer, input) => {
            remote::begin_fetch(peer, input, &plan.account.ids, sandbox, rooms).map(Moving::Shadow)
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
    rooms: Option<&Rooms<'_>>,
    show_progress: bool,
) -> Result<Moving, Failure> {
    match destination {
        Destination::Here => {
            local::copy_out(plan, sandbox, before, show_progress).map(Moving::Here)
        }
        Destination::Shadow(peer, output) => {
            let ids = &plan.account.ids;
            remote::begin_delivery(peer, output, before, ids, sandbox, entrance, rooms)
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
    pub(crate) fn step(&mut self) -> Option<Ending> {
        match self {
            Self::Here(copy) => copy.step().map(Ending::from),
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
