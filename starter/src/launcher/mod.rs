//! The launcher: the small privileged process. It is forked before anything from outside is read,
//! carries out a fixed set of orders, and believes nothing that it can check.

mod cell;
mod cgroup;
mod devices;
mod family;
mod job;
pub(crate) mod message;
mod network;
mod remove;
pub(crate) mod root;
pub(crate) mod sandbox;
mod stdio;
mod verify;
mod view;

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::cell::{Cell, Waiting};
use self::cgroup::Group;
use self::message::{Channel, Ended, Order, Report};
use self::sandbox::Made;
use self::verify::Known;
use self::view::{Identity, Places};
use crate::failure::{Context, Failure, Step};
use crate::host::cgroups::Cgroups;
use crate::host::run_as;
use crate::knobs::Knobs;
use crate::plan::{Plan, Root};
use crate::sys::privilege::Ids;
use crate::sys::process;
use crate::transfer::{self, Catalogue, Destination, Entrance, Moved, Moving, Source};

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

/// The state of one job.
#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    sandbox: Option<Made>,
    catalogue: Option<Catalogue>,
    files: Option<stdio::Files>,
    moving: Option<Moving>,
    /// A job that has yet to begin.
    ready: Option<Waiting>,
    /// The supervisor's ends of the standard files that are streams.
    streams: Vec<OwnedFd>,
    cell: Option<Cell>,
    /// That of a job that has ended, until there is time to remove it.
    group: Option<Group>,
    ended: Option<Ended>,
    /// Orders that wait for the copy under way.
    waiting: VecDeque<Order>,
    /// An order failed: of those that follow only the last is carried out.
    failed: bool,
    /// The end of the sandbox has been told.
    gone: bool,
}

impl Launcher<'_> {
    /// Serves the supervisor until it says so or is gone. Whatever happens, no process of the job
    /// and no sandbox is left.
    pub(crate) fn serve(&self, channel: &Channel) {
        let mut state = State::default();
        if let Err(error) = process::adopt_orphans() {
            tracing::warn!("orphans of a job go to the machine's init: {error}");
        }
        let outcome = self.work(channel, &mut state);
        if let Err(failure) = outcome {
            tracing::error!("launcher: {failure}");
        }
        drop(state.moving.take());
        if let Some(ready) = state.ready.take() {
            ready.abandon();
        }
        if let Some(cell) = state.cell.take() {
            let end = cell.kill().and_then(|()| cell.collect(None));
            if let Err(failure) = end {
                tracing::error!("{failure}");
            }
        }
        if let Some(Err(failure)) = state.sandbox.take().map(Made::remove) {
            tracing::error!("{failure}");
        }
    }

    fn work(&self, channel: &Channel, state: &mut State) -> Result<(), Failure> {
        loop {
            let ready = wait(channel, state)?;
            if ready.status
                && let Some(cell) = &state.cell
            {
                state.ended = cell.take_status();
            }
            if let Some(group) = state.cell.as_mut().and_then(|cell| cell.group.as_mut()) {
                group.look_if_due();
            }
            if ready.end
                && let Some(cell) = state.cell.take()
            {
                let (ended, group) = cell.collect(state.ended.take())?;
                state.group = group;
                let disk = state.sandbox.as_ref().map(Made::measure).unwrap_or_default();
                let snapshot = state.sandbox.as_ref().map(Made::snapshot).unwrap_or_default();
                channel.send(&Report::Ended { ended, disk, snapshot })?;
                state.group = None;
                // Nobody needs what is left of a job whose files aren't moved.
                if state.plan.as_ref().is_some_and(|plan| !plan.files.transfer) {
                    Self::remove(channel, state)?;
                }
            }
            if let Some(end) = state.moving.as_mut().and_then(Moving::step) {
                state.moving = None;
                Self::moved(channel, state, end)?;
            }
            if ready.order {
                let Some(order) = channel.receive()? else { return Ok(()) };
                state.waiting.push_back(order);
            }
            if self.obey_all(channel, state)? {
                return Ok(());
            }
        }
    }

    /// Carries out what can be carried out now; whether that was the last order.
    fn obey_all(&self, channel: &Channel, state: &mut State) -> Result<bool, Failure> {
        if state.waiting.iter().any(|order| matches!(order, Order::Kill | Order::Finish))
            && let Some(moving) = &state.moving
        {
            // Its end comes as a failure, after which the orders that wait mean nothing.
            moving.kill();
        }
        while state.moving.is_none()
            && let Some(order) = state.waiting.pop_front()
        {
            match order {
                Order::Finish => {
                    if !state.gone {
                        Self::remove(channel, state)?;
                    }
                    return Ok(true);
                }
                _ if state.failed => {}
                order => match self.obey(order, state) {
                    Ok(None) => {}
                    Ok(Some(report)) => {
                        channel.send(&report)?;
                        channel.send_files(&std::mem::take(&mut state.streams))?;
                    }
                    Err(failure) => Self::fail(channel, state, failure)?,
                },
            }
        }
        Ok(false)
    }

    fn fail(channel: &Channel, state: &mut State, failure: Failure) -> Result<(), Failure> {
        state.failed = true;
        channel.send(&Report::Failed(failure))
    }

    fn remove(channel: &Channel, state: &mut State) -> Result<(), Failure> {
        if let Some(ready) = state.ready.take() {
            ready.abandon();
        }
        let removed = state.sandbox.take().map_or(Ok(()), Made::remove);
        state.gone = true;
        channel.send(&Report::Gone(removed.err()))
    }

    fn moved(
        channel: &Channel,
        state: &mut State,
        end: Result<Moved, Failure>,
    ) -> Result<(), Failure> {
        match end {
            Ok(Moved::In { catalogue, stats }) => {
                state.catalogue = Some(catalogue);
                channel.send(&Report::Fetched(stats))
            }
            Ok(Moved::Out(delivered)) => channel.send(&Report::Delivered(delivered)),
            // Output may be tried once more.
            Err(failure) if state.catalogue.is_some() => channel.send(&Report::Failed(failure)),
            Err(failure) => Self::fail(channel, state, failure),
        }
    }

    /// Carries out one order. An error is a failure of the job, which is reported.
    fn obey(&self, order: Order, state: &mut State) -> Result<Option<Report>, Failure> {
        match order {
            Order::Prepare(plan) => self.prepare(*plan, state).map(|()| None),
            Order::Fetch(source) => self.fetch(&source, state).map(|()| None),
            Order::Open => {
                let plan = state.plan.as_ref().ok_or_else(|| out_of_order("there is no plan"))?;
                let (files, streams) = stdio::open(plan)?;
                state.files = Some(files);
                state.streams = streams;
                Ok(Some(Report::Opened { streams: state.streams.len() }))
            }
            Order::Ready => {
                state.ready = Some(self.ready(state)?);
                Ok(None)
            }
            Order::Launch => self.launch(state).map(|pid| Some(Report::Started { pid })),
            Order::Signal(number) => {
                if let Some(cell) = &state.cell {
                    cell.signal(number)?;
                }
                Ok(None)
            }
            Order::Suspend(stop) => {
                if let Some(cell) = &state.cell {
                    cell.suspend(stop)?;
                }
                Ok(None)
            }
            Order::Measure => Ok(state.cell.as_mut().map(|cell| Report::Measured {
                sample: cell.sample(),
                disk: state.sandbox.as_ref().map(Made::measure).unwrap_or_default(),
                snapshot: state.sandbox.as_ref().map(Made::snapshot).unwrap_or_default(),
            })),
            Order::Kill => {
                if let Some(cell) = &state.cell {
                    cell.kill()?;
                }
                Ok(None)
            }
            Order::Deliver(destination) => self.deliver(&destination, state).map(|()| None),
            Order::Finish => Ok(None),
        }
    }

    fn prepare(&self, plan: Plan, state: &mut State) -> Result<(), Failure> {
        if state.plan.is_some() {
            return Err(Failure::host(Step::Internal, "a job was prepared already"));
        }
        let account = run_as::account(&plan.account.name, self.privileged)?;
        let known = Known {
            account: &account,
            knobs: self.knobs,
            privileged: self.privileged,
            supervisor: self.supervisor,
            slot: self.slot,
            caller_is_submitter: self.caller_is_submitter,
        };
        verify::plan(&plan, known)?;
        let plan = state.plan.insert(plan);
        state.sandbox = Some(sandbox::make(plan, &self.daemon)?);
        Ok(())
    }

    fn fetch(&self, source: &Source, state: &mut State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to copy to"));
        };
        let moving = transfer::fetch(plan, source, sandbox.dir.as_fd(), self.show_progress)?;
        state.moving = Some(moving);
        Ok(())
    }

    fn ready(&self, state: &mut State) -> Result<Waiting, Failure> {
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
        let group = match plan.together.cgroup() {
            Some(cgroup) if self.slot.is_none() => {
                cgroup::clean(self.cgroups, self.knobs);
                Some(Group::make(cgroup, self.cgroups, self.knobs)?)
            }
            Some(cgroup) => Some(Group::make(cgroup, self.cgroups, self.knobs)?),
            None => None,
        };
        cell::make(plan, places, files, &self.daemon, group)
    }

    fn launch(&self, state: &mut State) -> Result<i32, Failure> {
        let ready = match state.ready.take() {
            Some(ready) => ready,
            None => self.ready(state)?,
        };
        let cell = ready.go()?;
        let pid = cell.pid;
        state.cell = Some(cell);
        Ok(pid)
    }

    fn deliver(&self, destination: &Destination, state: &mut State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no ended job to deliver"));
        };
        let Some(before) = &state.catalogue else {
            return Err(out_of_order("this job's files are not moved"));
        };
        let places = places(plan, sandbox)?;
        let enter = || cell::enter_view(plan, places);
        let entrance = Entrance { namespaces: cell::view_namespaces(plan), enter: &enter };
        let entrance = plan.namespaces.mount.then_some(&entrance);
        let sandbox = sandbox.dir.as_fd();
        let progress = self.show_progress;
        let moving = transfer::deliver(plan, destination, before, sandbox, entrance, progress)?;
        state.moving = Some(moving);
        Ok(())
    }
}

fn out_of_order(why: &str) -> Failure {
    Failure::host(Step::Internal, why)
}

fn places(plan: &Plan, sandbox: &Made) -> Result<Places, Failure> {
    Ok(Places {
        sandbox: Identity::of(sandbox.dir.as_fd()).at(Step::Sandbox, "sandbox")?,
        root: checked_root(plan)?,
        for_job: false,
    })
}

fn checked_root(plan: &Plan) -> Result<Option<Identity>, Failure> {
    let Root::Named(named) = &plan.root else { return Ok(None) };
    let dir = root::open(named)?;
    Identity::of(dir.as_fd()).map(Some).at(Step::Root, named.path.display())
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    order: bool,
    /// The main process has ended.
    status: bool,
    /// So have all.
    end: bool,
}

/// Waits for an order, for the end of the job's main process or of all of them, or for a copy.
fn wait(channel: &Channel, state: &State) -> Result<Ready, Failure> {
    let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![source(channel.stream().as_fd())];
    if let Some(cell) = &state.cell {
        fds.push(source(cell.end().as_fd()));
        if state.ended.is_none() {
            fds.push(source(cell.status().as_fd()));
        }
    } else if let Some(moving) = &state.moving {
        fds.extend(moving.sources().into_iter().map(source));
    }
    let due = state.cell.as_ref().and_then(|cell| cell.group.as_ref()).map(Group::due);
    loop {
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno).at(Step::Watch, "poll"),
        }
    }
    let ready = |index: usize, which: PollFlags| {
        fds.get(index).and_then(PollFd::revents).is_some_and(|events| events.intersects(which))
    };
    let any = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
    let running = state.cell.is_some();
    Ok(Ready {
        order: ready(0, any),
        end: running && ready(1, any),
        status: running && ready(2, PollFlags::POLLIN),
    })
}
