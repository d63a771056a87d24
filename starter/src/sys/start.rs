//! What a program of Rust has done before its `main`, as far as this one needs it.

use std::io;
use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Opens /dev/null for standard files that are closed, so that nothing that is opened later gets their
/// numbers; and ignores SIGPIPE.
pub(crate) fn prepare() -> io::Result<()> {
    // SAFETY: the descriptors are only asked for; poll says of those that aren't open that they aren't.
    let standard = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut fds = standard.map(|fd| PollFd::new(fd, PollFlags::empty()));
    poll(&mut fds, PollTimeout::ZERO)?;
    let is_closed =
        |fd: &PollFd<'_>| fd.revents().is_some_and(|what| what.contains(PollFlags::POLLNVAL));
    for _ in fds.iter().filter(|fd| is_closed(fd)) {
        // It gets the lowest number that is free, and keeps it.
        std::mem::forget(openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?);
    }
    // SAFETY: no handler of this program's is set.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(())
}
