//! The launcher: the small privileged process. It is forked before anything from outside is read,
//! carries out a fixed set of orders, and believes nothing that it can check.

pub(crate) mod account;
mod cell;
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

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::cell::Cell;
use self::message::{Channel, Ended, Order, Report};
use self::sandbox::Made;
use self::verify::Known;
use self::view::{Identity, Places};
use crate::failure::{Context, Failure, Step};
use crate::knobs::Knobs;
use crate::plan::{Account, Plan, Root};
use crate::sys::privilege::Ids;
use crate::sys::process;
use crate::transfer::{self, Catalogue};

/// What the launcher knows, none of it from the supervisor.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    /// Its own reading of the configuration.
    pub(crate) knobs: &'a Knobs,
    /// The daemons' account: owner of the sandbox's frame, and what init becomes.
    pub(crate) daemon: Ids,
    /// Whether the starter was started as root.
    pub(crate) privileged: bool,
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
    account: Option<Account>,
    plan: Option<Plan>,
    sandbox: Option<Made>,
    catalogue: Option<Catalogue>,
    cell: Option<Cell>,
    ended: Option<Ended>,
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
            let (order, status, end) = wait(channel, state.cell.as_ref(), state.ended.is_none())?;
            if status && let Some(cell) = &state.cell {
                state.ended = cell.take_status();
            }
            if end && let Some(cell) = state.cell.take() {
                let ended = cell.collect(state.ended.take())?;
                let disk = state.sandbox.as_ref().map(Made::measure).unwrap_or_default();
                channel.send(&Report::Ended { ended, disk })?;
            }
            if order {
                let Some(order) = channel.receive()? else { return Ok(()) };
                let last = matches!(order, Order::Finish);
                if let Some(report) = self.obey(order, state)? {
                    channel.send(&report)?;
                }
                if last {
                    return Ok(());
                }
            }
        }
    }

    /// Carries out one order. An error here ends the launcher; a failure of the job is a report.
    fn obey(&self, order: Order, state: &mut State) -> Result<Option<Report>, Failure> {
        let report = match order {
            Order::LookUp(name) => self.look_up(&name).map(|account| {
                state.account = Some(account.clone());
                Report::Account(account)
            }),
            Order::Start(plan) => self.start(*plan, state).map(|pid| Report::Started { pid }),
            Order::Signal(number) => {
                if let Some(cell) = &state.cell {
                    cell.signal(number)?;
                }
                return Ok(None);
            }
            Order::Kill => {
                if let Some(cell) = &state.cell {
                    cell.kill()?;
                }
                return Ok(None);
            }
            Order::Deliver => self.deliver(state),
            Order::Finish => {
                let removed = state.sandbox.take().map_or(Ok(()), Made::remove);
                Ok(Report::Gone(removed.err()))
            }
        };
        Ok(Some(report.unwrap_or_else(Report::Failed)))
    }

    fn look_up(&self, name: &str) -> Result<Account, Failure> {
        if !self.privileged {
            return account::own();
        }
        if !account::may_be_asked_for(name, self.knobs) {
            return Err(Failure::host(
                Step::Account,
                format!("STARTER_ALLOW_RUNAS_OWNER is False, and {name} is no slot account"),
            ));
        }
        account::look_up(name)
    }

    fn start(&self, plan: Plan, state: &mut State) -> Result<i32, Failure> {
        if state.plan.is_some() {
            return Err(Failure::host(Step::Internal, "a job was started already"));
        }
        let known = Known {
            account: state.account.as_ref(),
            knobs: self.knobs,
            privileged: self.privileged,
            supervisor: self.supervisor,
            caller_is_submitter: self.caller_is_submitter,
        };
        verify::plan(&plan, known)?;
        let plan = state.plan.insert(plan);
        let sandbox = state.sandbox.insert(sandbox::make(plan, &self.daemon)?);
        if plan.files.transfer {
            let catalogue = transfer::copy_in(plan, sandbox.dir.as_fd(), self.show_progress)?;
            state.catalogue = Some(catalogue);
        }
        let files = stdio::open(plan)?;
        let places = Places {
            sandbox: Identity::of(sandbox.dir.as_fd()).at(Step::Sandbox, "sandbox")?,
            root: checked_root(plan)?,
        };
        let cell = cell::launch(plan, places, files, &self.daemon)?;
        let pid = cell.pid;
        state.cell = Some(cell);
        Ok(pid)
    }

    fn deliver(&self, state: &State) -> Result<Report, Failure> {
        let (Some(plan), Some(sandbox), None) = (&state.plan, &state.sandbox, &state.cell) else {
            return Err(Failure::host(Step::Internal, "there is no ended job to deliver"));
        };
        let Some(before) = &state.catalogue else {
            return Err(Failure::host(Step::Internal, "this job's files are not moved"));
        };
        let (files, bytes) =
            transfer::copy_out(plan, sandbox.dir.as_fd(), before, self.show_progress)?;
        Ok(Report::Delivered { files, bytes })
    }
}

fn checked_root(plan: &Plan) -> Result<Option<Identity>, Failure> {
    let Root::Named(named) = &plan.root else { return Ok(None) };
    let dir = root::open(named)?;
    Identity::of(dir.as_fd()).map(Some).at(Step::Root, named.path.display())
}

/// Waits for an order, the end of the main process if that is still open, or the end of all; says
/// which have come.
fn wait(
    channel: &Channel,
    cell: Option<&Cell>,
    running: bool,
) -> Result<(bool, bool, bool), Failure> {
    let mut fds = vec![PollFd::new(channel.stream().as_fd(), PollFlags::POLLIN)];
    if let Some(cell) = cell {
        fds.push(PollFd::new(cell.end().as_fd(), PollFlags::POLLIN));
        if running {
            fds.push(PollFd::new(cell.status().as_fd(), PollFlags::POLLIN));
        }
    }
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno).at(Step::Watch, "poll"),
        }
    }
    let ready = |index: usize, which: PollFlags| {
        fds.get(index).and_then(PollFd::revents).is_some_and(|events| events.intersects(which))
    };
    let any = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
    Ok((ready(0, any), ready(2, PollFlags::POLLIN), ready(1, any)))
}
