//! What happens around the supervisor, in one place: reports of the launcher, and signals.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::signals::Signals;
use crate::failure::{Context, Failure, Step};
use crate::launcher::message::{Channel, Order, Report};

/// The launcher, and who may interrupt.
#[derive(Debug)]
pub(crate) struct Desk {
    channel: Channel,
    signals: Signals,
    reports: VecDeque<Report>,
    pending: VecDeque<Signal>,
}

impl Desk {
    /// A desk with nothing on it.
    pub(crate) fn new(channel: Channel, signals: Signals) -> Self {
        Self { channel, signals, reports: VecDeque::new(), pending: VecDeque::new() }
    }

    /// Gives the launcher an order.
    pub(super) fn order(&self, order: &Order) -> Result<(), Failure> {
        // Its death is noticed where its report is waited for.
        self.channel.send(order).map_err(|_| launcher_gone())
    }

    /// The next report, if one has come.
    pub(super) fn report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// The next signal, if one has come.
    pub(super) fn signal(&mut self) -> Option<Signal> {
        self.pending.pop_front()
    }

    /// Waits until there is something on the desk or at one of the other sources, or until the time
    /// has come.
    pub(super) fn wait(
        &mut self,
        until: Option<Instant>,
        others: &[PollFd<'_>],
    ) -> Result<(), Failure> {
        let timeout = match until {
            None => PollTimeout::NONE,
            Some(when) => PollTimeout::try_from(when.saturating_duration_since(Instant::now()))
                .unwrap_or(PollTimeout::MAX),
        };
        let mut fds = vec![
            PollFd::new(self.channel.stream().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend_from_slice(others);
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(()),
            result => result.at(Step::Watch, "poll")?,
        };
        let ready = |index: usize| fds.get(index).and_then(PollFd::any).unwrap_or(false);
        let (launcher, signal) = (ready(0), ready(1));
        if launcher {
            self.reports.push_back(self.channel.receive()?.ok_or_else(launcher_gone)?);
        }
        if signal {
            self.pending.extend(self.signals.read()?);
        }
        Ok(())
    }

    /// Waits until the sandbox is removed.
    pub(super) fn gone(&mut self) -> Result<(), Failure> {
        loop {
            let report = match self.report() {
                Some(report) => Some(report),
                None => self.channel.receive()?,
            };
            match report {
                Some(Report::Gone(None)) => return Ok(()),
                Some(Report::Gone(Some(failure))) => return Err(failure),
                Some(_) => {}
                None => return Err(launcher_gone()),
            }
        }
    }
}

fn launcher_gone() -> Failure {
    Failure::host(Step::Internal, "the launcher is gone")
}
