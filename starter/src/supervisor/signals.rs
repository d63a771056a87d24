//! Signals to the starter, read from a descriptor instead of interrupting it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::{Context, Failure, Step};

/// Those that mean something to a starter: SIGTERM and SIGINT ask for an orderly end, SIGQUIT for a
/// quick one; of a pool's daemons SIGHUP means to read the configuration again and SIGUSR1 that the
/// job is removed, from a terminal both mean an orderly end.
const MEANT: [Signal; 5] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1];

/// Signals, collected.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals for this process and those it forks, and collects them here. Others are no
    /// longer blocked, as a startd has them for its children.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        for signal in MEANT {
            set.add(signal);
        }
        set.thread_set_mask().at(Step::Internal, "blocking signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&set, flags).map(Self).at(Step::Internal, "signalfd")
    }

    /// The next signal, if one is waiting.
    pub(crate) fn read(&self) -> Result<Option<Signal>, Failure> {
        let info = self.0.read_signal().at(Step::Internal, "reading signals")?;
        Ok(info.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).unwrap_or(0)).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
