//! The launcher's loop: it waits for whatever comes first, and carries out one order after the other.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Launcher;
use super::cell::Cell;
use super::cgroup::Group;
use super::message::{Channel, Order, Report};
use super::sandbox::Made;
use super::state::State;
use crate::failure::{Context, Failure, Step};
use crate::hooks::Running;
use crate::plan::Plan;
use crate::transfer::{Moved, Moving};

impl Launcher<'_> {
    pub(super) fn work(&self, channel: &Channel, state: &mut State) -> Result<(), Failure> {
        loop {
            let ready = wait(channel, state)?;
            state.guests.retain(|guest| !guest.is_over());
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
                self.cell_ended(cell, channel, state)?;
            }
            if let Some(end) = state.moving.as_mut().and_then(Moving::step) {
                state.moving = None;
                if !end.told.is_empty() {
                    channel.send(&Report::Plugins(end.told))?;
                }
                Self::moved(channel, state, end.outcome)?;
            }
            if let Some(ran) = state.running.as_mut().and_then(Running::step) {
                state.running = None;
                channel.send(&Report::Ran(ran))?;
            }
            if state.beside.as_mut().and_then(Running::step).is_some() {
                state.beside = None;
            }
            if ready.order {
                let Some(order) = channel.receive()? else { return Ok(()) };
                if matches!(order, Order::Join(_)) {
                    state.brought.extend(channel.receive_files(1)?);
                }
                state.waiting.push_back(order);
            }
            if self.obey_all(channel, state)? {
                return Ok(());
            }
        }
    }

    /// All processes of a cell are gone: tells how it ended.
    fn cell_ended(&self, cell: Cell, channel: &Channel, state: &mut State) -> Result<(), Failure> {
        state.guests.clear();
        let (ended, group) = cell.collect(state.ended.take())?;
        state.group = group;
        let ended = match ended {
            Ok(ended) => ended,
            Err(failure) => return Self::fail(channel, state, failure),
        };
        let script = std::mem::take(&mut state.script);
        if !script && let Some(failure) = self.wrapper_failure(state) {
            return Self::fail(channel, state, failure);
        }
        let disk = state.sandbox.as_ref().map(Made::measure).unwrap_or_default();
        let snapshot = state.sandbox.as_ref().map(Made::snapshot).unwrap_or_default();
        channel.send(&Report::Ended { ended, disk, snapshot })?;
        state.group = None;
        // Nobody needs what is left of a job whose files aren't moved, unless there is a hook.
        let unneeded = |plan: &Plan| !plan.files.transfer && !plan.program.again;
        if !script && self.knobs.hooks.is_empty() && state.plan.as_ref().is_some_and(unneeded) {
            Self::remove(channel, state)?;
        }
        Ok(())
    }

    /// Carries out what can be carried out now; whether that was the last order.
    fn obey_all(&self, channel: &Channel, state: &mut State) -> Result<bool, Failure> {
        if state.waiting.iter().any(|order| matches!(order, Order::Kill | Order::Finish)) {
            if let Some(moving) = &state.moving {
                // Its end comes as a failure, after which the orders that wait mean nothing.
                moving.kill();
            }
            if let Some(running) = &mut state.running {
                running.kill();
            }
        }
        while state.moving.is_none()
            && state.running.is_none()
            && let Some(order) = state.waiting.pop_front()
        {
            match order {
                Order::Finish => {
                    if !state.gone {
                        Self::remove(channel, state)?;
                    }
                    return Ok(true);
                }
                // Of a job that failed there is still something to be said.
                Order::Append { .. } if state.failed => {
                    if let Some(report) = self.obey(order, state)? {
                        channel.send(&report)?;
                    }
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

    /// What USER_JOB_WRAPPER has written to say that it could not run the job. A job can write it, too,
    /// and then runs again, as with stock.
    fn wrapper_failure(&self, state: &State) -> Option<Failure> {
        self.knobs.user_job_wrapper.as_ref()?;
        let text = state.sandbox.as_ref()?.wrapper_error()?;
        let message = format!("The job wrapper failed to execute the job: {text}");
        Some(Failure::host(Step::Exec, message))
    }

    fn fail(channel: &Channel, state: &mut State, failure: Failure) -> Result<(), Failure> {
        state.failed = true;
        channel.send(&Report::Failed(failure))
    }

    fn remove(channel: &Channel, state: &mut State) -> Result<(), Failure> {
        drop(state.beside.take());
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
            Ok(Moved::In { invalid: Some(invalid), .. }) => {
                state.failed = true;
                channel.send(&Report::InvalidCheckpoint(invalid))
            }
            Ok(Moved::In { catalogue, stats, invalid: None }) => {
                state.catalogue = Some(catalogue);
                channel.send(&Report::Fetched(stats))
            }
            Ok(Moved::Out(delivered)) => channel.send(&Report::Delivered(delivered)),
            // It may be tried once more, or the job be started without: then everything is new.
            Err(failure) => {
                state.catalogue.get_or_insert_default();
                channel.send(&Report::Failed(failure))
            }
        }
    }
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
    fds.extend(state.guests.iter().map(|guest| source(guest.end().as_fd())));
    for running in [&state.running, &state.beside].into_iter().flatten() {
        fds.extend(running.sources().into_iter().map(source));
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
        status: running && state.ended.is_none() && ready(2, PollFlags::POLLIN),
    })
}
