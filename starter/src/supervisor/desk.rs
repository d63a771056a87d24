//! What happens around the supervisor, in one place: reports of the launcher, and signals.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::signals::Signals;
use crate::failure::{Context, Failure, Step};
use crate::launcher::message::{Channel, Order, Report};
use crate::plan::Program;

/// The launcher, and who may interrupt.
#[derive(Debug)]
pub(crate) struct Desk {
    channel: Channel,
    signals: Signals,
    reports: VecDeque<Report>,
    /// The last order was given.
    finishing: bool,
    /// What kills the running job when the launcher can't, where it has a cgroup.
    killer: Option<File>,
    /// Descriptors that came with a report.
    files: Vec<OwnedFd>,
    /// Files that were opened for the job's owner.
    peeked: VecDeque<Vec<Result<OwnedFd, i32>>>,
    /// What became of the sandbox, once that is told; then the launcher leaves.
    gone: Option<Result<(), Failure>>,
    pending: VecDeque<Signal>,
}

impl Desk {
    /// A desk with nothing on it.
    pub(crate) fn new(channel: Channel, signals: Signals) -> Self {
        Self {
            channel,
            signals,
            reports: VecDeque::new(),
            finishing: false,
            killer: None,
            files: Vec::new(),
            peeked: VecDeque::new(),
            gone: None,
            pending: VecDeque::new(),
        }
    }

    /// Gives the launcher an order; one that has left, or will, needs none.
    pub(super) fn order(&mut self, order: &Order) -> Result<(), Failure> {
        if self.gone.is_some() || self.finishing {
            return Ok(());
        }
        self.finishing = matches!(order, Order::Finish);
        // Its death is noticed where its report is waited for.
        self.channel.send(order).map_err(|_| launcher_gone())
    }

    /// Has a program run beside the job, with this as its standard files.
    pub(super) fn join(&mut self, program: Program, file: OwnedFd) -> Result<(), Failure> {
        if self.gone.is_some() || self.finishing {
            return Ok(());
        }
        self.channel
            .send(&Order::Join(Box::new(program)))
            .and_then(|()| self.channel.send_files(&[file]))
            .map_err(|_| launcher_gone())
    }

    /// Has a line written, also if the sandbox is gone already; the answer comes only before that.
    pub(super) fn append(&mut self, path: &Path, text: String) -> Result<(), Failure> {
        if self.finishing {
            return Ok(());
        }
        let order = Order::Append { path: path.to_owned(), text };
        self.channel.send(&order).map_err(|_| launcher_gone())
    }

    /// The next report, if one has come.
    pub(super) fn report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Whether one has come.
    pub(super) fn has_report(&self) -> bool {
        !self.reports.is_empty()
    }

    /// The pipes that came with `Opened`, or the socket that came with `Listening`, once.
    pub(super) fn files(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.files)
    }

    /// The files of the oldest order to peek that was carried out.
    pub(super) fn peeked(&mut self) -> Option<Vec<Result<OwnedFd, i32>>> {
        self.peeked.pop_front()
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
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        // The end of its stream would be told again and again.
        if self.gone.is_none() {
            fds.push(PollFd::new(self.channel.stream().as_fd(), PollFlags::POLLIN));
        }
        fds.extend_from_slice(others);
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(()),
            result => result.at(Step::Watch, "poll")?,
        };
        let ready = |index: usize| fds.get(index).and_then(PollFd::any).unwrap_or(false);
        let (signal, launcher) = (ready(0), ready(1));
        if launcher && self.gone.is_none() {
            self.receive()?;
        }
        if signal {
            self.pending.extend(self.signals.read()?);
        }
        Ok(())
    }

    /// Whether the sandbox is removed, or the launcher has said why it can't be.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Waits until the sandbox is removed.
    pub(super) fn gone(&mut self) -> Result<(), Failure> {
        loop {
            match &self.gone {
                Some(end) => return end.clone(),
                None => self.receive()?,
            }
        }
    }

    /// The launcher can do nothing more: what it leaves of the job in a cgroup is ended from here, also
    /// what no PID namespace ends.
    fn kill(&mut self) {
        if let Some(mut killer) = self.killer.take()
            && let Err(error) = killer.write_all(b"1")
        {
            tracing::error!("cgroup.kill: {error}");
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        let report = self.channel.receive().and_then(|report| report.ok_or_else(launcher_gone));
        match report.inspect_err(|_| self.kill())? {
            Report::Gone(None) => self.gone = Some(Ok(())),
            Report::Gone(Some(failure)) => self.gone = Some(Err(failure)),
            report => {
                match &report {
                    Report::Opened { streams } => {
                        self.files = self.channel.receive_files(*streams)?;
                    }
                    Report::Listening => self.files = self.channel.receive_files(1)?,
                    Report::Started { killer: true, .. } => {
                        self.killer = self.channel.receive_files(1)?.pop().map(File::from);
                    }
                    Report::Ended { .. } => self.killer = None,
                    Report::Peeked(told) => {
                        let count = told.iter().filter(|file| file.is_ok()).count();
                        let mut files = self.channel.receive_files(count)?.into_iter();
                        let file = |told: &Result<(), i32>| {
                            told.and_then(|()| files.next().ok_or(libc::EIO))
                        };
                        self.peeked.push_back(told.iter().map(file).collect());
                        return Ok(());
                    }
                    _ => {}
                }
                self.reports.push_back(report);
            }
        }
        Ok(())
    }
}

fn launcher_gone() -> Failure {
    Failure::host(Step::Internal, "the launcher is gone")
}
