//! `clone3` as a fork: a child in new namespaces, held by a descriptor instead of a number.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::sched::CloneFlags;
use nix::unistd::Pid;

/// A child process. The descriptor names this very process even after its number is reused.
#[derive(Debug)]
pub(crate) struct Child {
    /// The number of the child in the caller's PID namespace.
    pub(crate) pid: Pid,
    /// Readable (poll) once the child has ended.
    pub(crate) pidfd: OwnedFd,
}

/// Which side of the fork the caller woke up on.
#[derive(Debug)]
pub(crate) enum Side {
    /// The caller, with the child it made.
    Parent(Child),
    /// The new process.
    Child,
}

/// Forks the calling process into the given new namespaces.
///
/// Works like `fork(2)`: the child runs on a copy of the caller's memory. glibc's fork handlers do
/// not run, which is harmless here because this program never has a second thread.
pub(crate) fn fork(namespaces: CloneFlags) -> io::Result<Side> {
    let mut pidfd: libc::c_int = -1;
    let flags = namespaces.bits() | libc::CLONE_PIDFD;
    // SAFETY: all-zero is a valid `clone_args`; it is a plain struct of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.cast_unsigned());
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: `args` and `pidfd` outlive the call. No stack is given and CLONE_VM is never set, so
    // the child returns here on a copy of this stack. There is one thread, so no lock is held.
    let answer = unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of_val(&args))
    };
    match answer {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel stored a fresh descriptor that nothing else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidData)?;
            Ok(Side::Parent(Child { pid: Pid::from_raw(pid), pidfd }))
        }
    }
}
