//! The launcher: the small privileged process. It is forked before anything from outside is read,
//! carries out a fixed set of orders, and believes nothing that it can check.

mod append;
mod begin;
mod cell;
mod cgroup;
mod devices;
pub(crate) mod family;
pub(crate) mod fence;
mod guest;
mod job;
pub(crate) mod message;
mod moves;
mod network;
mod orders;
mod peek;
pub(crate) mod place;
mod remove;
mod room;
pub(crate) mod root;
pub(crate) mod sandbox;
mod state;
mod stdio;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod work;

pub(crate) use self::family::kill_children;

use self::message::Channel;
use self::sandbox::Made;
use self::state::State;
use crate::failure::{Failure, Step};
use crate::host::cgroups::Cgroups;
use crate::knobs::Knobs;
use crate::sys::privilege::Ids;
use crate::sys::process;

/// What the launcher knows, none of it from the supervisor.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    /// Its own reading of the configuration.
    pub(crate) knobs: &'a Knobs,
    /// The daemons' account: owner of the sandbox's frame, and what init becomes.
    pub(crate) daemon: Ids,
    /// Whether the starter was started as root.
    pub(crate) privileged: bool,
    /// Where jobs' cgroups are made.
    pub(crate) cgroups: &'a Cgroups,
    /// The slot's name as the startd put it on the command line, which names the cgroup.
    pub(crate) slot: Option<&'a str>,
    /// The supervisor's process number, which names the sandbox.
    pub(crate) supervisor: u32,
    /// Whether the caller's rights open the files of a job that has no owner.
    pub(crate) caller_is_submitter: bool,
    /// Whether files that take long to copy are shown at the terminal.
    pub(crate) show_progress: bool,
}

/// The log's copy in the sandbox, as shadows know it.
pub(crate) const SANDBOX_LOG: &str = ".starter.log";

impl Launcher<'_> {
    /// Serves the supervisor until it says so or is gone. Whatever happens, no process of the job
    /// and no sandbox is left.
    pub(crate) fn serve(&self, channel: &Channel) {
        let mut state = State::default();
        // For the job, while there is nothing else to do.
        process::ignored_signals();
        if let Err(error) = process::adopt_orphans() {
            tracing::warn!("orphans of a job go to the machine's init: {error}");
        }
        let outcome = self.work(channel, &mut state);
        if let Err(failure) = outcome {
            tracing::error!("launcher: {failure}");
        }
        drop((state.moving.take(), state.running.take(), state.beside.take()));
        if let Some(ready) = state.ready.take() {
            ready.abandon();
        }
        // The kernel ends a PID namespace when all in it were waited for.
        state.guests.clear();
        if let Some(mut cell) = state.cell.take() {
            let end = cell.kill().and_then(|()| cell.collect(None));
            if let Err(failure) = end {
                tracing::error!("{failure}");
            }
        }
        if let Some(Err(failure)) = state.sandbox.take().map(Made::remove) {
            tracing::error!("{failure}");
        }
    }
}

fn out_of_order(why: &str) -> Failure {
    Failure::host(Step::Internal, why)
}
