//! Signals to the starter, read from a descriptor instead of interrupting it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::{Context, Failure, Step};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// End the job in an orderly way.
    Soft,
    /// End it now.
    Hard,
}

impl Asked {
    /// Whether the job gets no time.
    pub(crate) fn is_hard(self) -> bool {
        self == Self::Hard
    }
}

/// The signals that mean something to a starter.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals for this process and those it forks, and collects them here. SIGTERM,
    /// SIGINT and SIGHUP ask for an orderly end, SIGQUIT for a quick one, as daemons of HTCondor do.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block().at(Step::Internal, "blocking signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&set, flags).map(Self).at(Step::Internal, "signalfd")
    }

    /// The next signal, if one is waiting.
    pub(crate) fn read(&self) -> Result<Option<Asked>, Failure> {
        let info = self.0.read_signal().at(Step::Internal, "reading signals")?;
        Ok(info.map(|info| match Signal::try_from(i32::try_from(info.ssi_signo).unwrap_or(0)) {
            Ok(Signal::SIGQUIT) => Asked::Hard,
            _ => Asked::Soft,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
