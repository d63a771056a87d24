//! `clone3` as a fork: a child in new namespaces, held by a descriptor instead of a number.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// `CLONE_INTO_CGROUP`, which has no place in the flags of the older call.
const INTO_CGROUP: u64 = 0x2_0000_0000;

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
    fork_into(namespaces, None)
}

/// The same, with the child in another cgroup from its first moment.
pub(crate) fn fork_into(
    namespaces: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Side> {
    let mut pidfd: libc::c_int = -1;
    let flags = namespaces.bits() | libc::CLONE_PIDFD;
    // SAFETY: all-zero is a valid `clone_args`; it is a plain struct of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.cast_unsigned());
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: `args` and `pidfd` outlive the call. No stack is given and CLONE_VM is never set, so
    // the child returns here on a copy of this stack. There is one thread, so no lock is held.
    let answer = unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of_val(&args))
    };
    // Where the job's filter holds, which can't see the flags of this call, the older one does.
    let refused = answer == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
    let answer = if refused && namespaces.is_empty() && cgroup.is_none() {
        let flags = libc::c_long::from(flags | libc::SIGCHLD);
        // SAFETY: as above. The descriptor goes where the third argument points; the last two, whose
        // order differs between architectures, aren't used.
        unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, &raw mut pidfd, 0_usize, 0_usize) }
    } else {
        answer
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
