//! Starting a program of the job's: in which places, in which cgroup, and with what it can reach.

use std::os::fd::{AsFd, OwnedFd};

use super::cell::{self, Begin, Waiting};
use super::cgroup::{self, Group};
use super::sandbox::Made;
use super::state::State;
use super::view::{Identity, Places};
use super::{Launcher, network, out_of_order, root, stdio};
use crate::failure::{Context, Failure, Step};
use crate::plan::{CHIRP_CONFIG, Plan, Program, Root};
use crate::reach::chirp::is_cookie;

impl Launcher<'_> {
    pub(super) fn ready(&self, state: &mut State, begin: Begin) -> Result<Waiting, Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to start a job in"));
        };
        let files = match state.files.take() {
            Some(files) => files,
            None => stdio::open(plan)?.0,
        };
        let places = Places { for_job: true, ..places(plan, sandbox)? };
        let group = self.group(plan)?;
        cell::make(plan, places, files, &self.daemon, group, begin)
    }

    /// A socket that the job's processes can reach, and its address where they look for it.
    pub(super) fn listen(cookie: &str, state: &mut State) -> Result<OwnedFd, Failure> {
        let (Some(sandbox), Some(plan), Some(ready)) =
            (&state.sandbox, &state.plan, &mut state.ready)
        else {
            return Err(out_of_order("there is no job that waits"));
        };
        if !plan.sandbox.chirp || !is_cookie(cookie) {
            return Err(out_of_order("this job gets no chirp proxy"));
        }
        let socket = match ready.take_listener() {
            Some(socket) => socket,
            None => network::listener()?,
        };
        let port = network::port(&socket)?;
        sandbox.tell_job(CHIRP_CONFIG, format!("127.0.0.1 {port} {cookie}\n").as_bytes())?;
        Ok(socket)
    }

    /// The cgroup of a cell that is about to be made, if there is to be one.
    fn group(&self, plan: &Plan) -> Result<Option<Group>, Failure> {
        let Some(cgroup) = plan.together.cgroup() else { return Ok(None) };
        if self.slot.is_none() {
            cgroup::clean(self.cgroups, self.knobs);
        }
        Group::make(cgroup, self.cgroups, self.knobs).map(Some)
    }

    /// Runs the program: its process number, and the revision of its root.
    pub(super) fn launch(&self, state: &mut State) -> Result<(i32, Option<String>), Failure> {
        let ready = match state.ready.take() {
            Some(ready) => ready,
            None => self.ready(state, Begin::AtOnce)?,
        };
        let mut cell = ready.go()?;
        let started = (cell.pid, cell.revision.take());
        state.cell = Some(cell);
        Ok(started)
    }

    /// Starts another program of the job's in a cell like its own.
    pub(super) fn script(&self, program: Program, state: &mut State) -> Result<i32, Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to run a script in"));
        };
        let plan = Plan { program, ..plan.clone() };
        let files = stdio::open(&plan)?.0;
        let places = Places { for_job: true, ..places(&plan, sandbox)? };
        let group = self.group(&plan)?;
        let cell = cell::make(&plan, places, files, &self.daemon, group, Begin::AtOnce)?.go()?;
        let pid = cell.pid;
        state.cell = Some(cell);
        state.script = true;
        Ok(pid)
    }
}

pub(super) fn places(plan: &Plan, sandbox: &Made) -> Result<Places, Failure> {
    Ok(Places {
        sandbox: Identity::of(sandbox.dir.as_fd()).at(Step::Sandbox, "sandbox")?,
        root: checked_root(plan)?,
        for_job: false,
    })
}

fn checked_root(plan: &Plan) -> Result<Option<Identity>, Failure> {
    match &plan.root {
        Root::Named(named) if plan.namespaces.user => root::identify(named).map(Some),
        _ => Ok(None),
    }
}
