//! What the launcher has of its one job.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::cell::{Cell, Waiting};
use super::cgroup::Group;
use super::guest::Guest;
use super::message::{Ended, Order};
use super::sandbox::Made;
use super::stdio;
use crate::hooks::Running;
use crate::plan::Plan;
use crate::transfer::{Catalogue, Moving};

/// The state of one job.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) plan: Option<Plan>,
    pub(super) sandbox: Option<Made>,
    pub(super) catalogue: Option<Catalogue>,
    pub(super) files: Option<stdio::Files>,
    pub(super) moving: Option<Moving>,
    /// A program of the admin's that orders wait for.
    pub(super) running: Option<Running>,
    /// One beside the running job, which nothing waits for.
    pub(super) beside: Option<Running>,
    /// A job that has yet to begin.
    pub(super) ready: Option<Waiting>,
    /// Descriptors for the supervisor that go along with the next report.
    pub(super) streams: Vec<OwnedFd>,
    pub(super) cell: Option<Cell>,
    /// That of a job that has ended, until there is time to remove it.
    pub(super) group: Option<Group>,
    pub(super) ended: Option<Ended>,
    /// Programs beside the job, and what those that wait are given.
    pub(super) guests: Vec<Guest>,
    pub(super) brought: VecDeque<OwnedFd>,
    /// Orders that wait for the copy under way.
    pub(super) waiting: VecDeque<Order>,
    /// What runs isn't the job itself, but a script of it.
    pub(super) script: bool,
    /// An order failed: of those that follow only the last is carried out.
    pub(super) failed: bool,
    /// The end of the sandbox has been told.
    pub(super) gone: bool,
}
