//! Small process controls: death signals, dumpability, signal state, limits of descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::open::read_short;
use crate::report::Usage;

/// Asks the kernel to kill this process when the process that made it ends.
/// A change of ids takes the request back, so it is made after the last one.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// Takes that request back.
pub(crate) fn outlive_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(None)?)
}

/// A descriptor that is readable once a child has ended; a sweep for those that ended before is the
/// caller's.
pub(crate) fn ends_of_children() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// Nobody but root may trace this process or read its memory.
pub(crate) fn be_opaque() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

/// Orphans below this process become its children instead of init's.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER reads only its integer argument.
    let answer = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Signal state as a program expects to find it: nothing blocked, nothing ignored. Daemons ignore
/// SIGPIPE and inherit more from the shell that started them; a job must not. Those that are caught
/// the exec resets.
pub(crate) fn reset_signals() -> io::Result<()> {
    let ignored = ignored_signals().unwrap_or(u64::MAX);
    for number in 1..=SIGNALS {
        if number == libc::SIGKILL || number == libc::SIGSTOP || ignored >> (number - 1) & 1 == 0 {
            continue;
        }
        // The system call and not the C library's function, which refuses the two signals that it
        // keeps for itself, while its posix_spawn passes on those ignored.
        // SAFETY: the kernel reads one action, which outlives the call, and a mask of that size.
        let answer = unsafe {
            let action = &raw const DEFAULT_ACTION;
            let none = std::ptr::null_mut::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, number, action, none, MASK_BYTES)
        };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// The signals that this process ignores, the first in the lowest bit; `None` if that can't be known.
/// Asked once: this program changes none after its start, and what it forks has the same.
pub(crate) fn ignored_signals() -> Option<u64> {
    static IGNORED: OnceLock<Option<u64>> = OnceLock::new();
    *IGNORED.get_or_init(|| {
        let status = read_short("/proc/self/status").ok()?;
        let text = String::from_utf8_lossy(&status);
        let mask = text.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    })
}

/// The highest signal that Linux has.
const SIGNALS: libc::c_int = 64;
/// The kernel's mask, one bit for each signal; the C library's is longer.
const MASK_BYTES: usize = 8;
/// The kernel's `struct sigaction` in any of its layouts (handler, flags, restorer and mask): all
/// zero is SIG_DFL without flags.
static DEFAULT_ACTION: [u64; 4] = [0; 4];

/// Marks every descriptor from `first` on to be closed by the next exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range with the CLOEXEC flag only marks descriptors.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes all descriptors but 0, 1, 2 and those given.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for number in kept.into_iter().chain([u32::MAX]) {
        if number > first {
            let last = if number == u32::MAX { u32::MAX } else { number - 1 };
            // SAFETY: closing is safe for memory; the owners of these descriptors are objects of
            // the parent's copy that this child never touches again.
            let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if answer != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = number.saturating_add(1);
    }
    Ok(())
}

/// Closes all descriptors but those given; 0, 1 and 2 too.
pub(crate) fn close_everything_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    for fd in 0..3 {
        if keep.iter().all(|kept| kept.as_raw_fd() != fd) {
            // SAFETY: as in `close_all_but`.
            unsafe { libc::close(fd) };
        }
    }
    close_all_but(keep)
}

/// Takes charge of a descriptor that just came from the kernel.
pub(crate) fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor that a system call has just made for them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Waits for the end of a child and tells what it and the children it waited for used.
pub(crate) fn wait_with_usage(pid: Pid) -> io::Result<Usage> {
    // SAFETY: all-zero is a valid rusage; it is a plain struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    loop {
        // SAFETY: both pointers are to locals that outlive the call.
        let answer = unsafe { libc::wait4(pid.as_raw(), &raw mut status, 0, &raw mut usage) };
        if answer >= 0 {
            return Ok(Usage::from_kernel(&usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Size of a memory page in KiB.
pub(crate) fn page_kib() -> u64 {
    // SAFETY: sysconf reads a constant of the machine.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).map_or(4, |bytes| bytes / 1024)
}

/// What all children that were waited for used.
pub(crate) fn usage_of_children() -> io::Result<Usage> {
    // SAFETY: all-zero is a valid rusage; it is a plain struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local that outlives the call.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    if answer == 0 { Ok(Usage::from_kernel(&usage)) } else { Err(io::Error::last_os_error()) }
}

/// Switches a network interface on.
pub(crate) fn interface_up(socket: RawFd, name: &str) -> io::Result<()> {
    // SAFETY: all-zero is a valid ifreq; it is a plain struct of bytes and integers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags =
        i16::try_from(flags).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the request is a complete ifreq that outlives the call.
    let answer =
        unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as libc::Ioctl, &raw const request) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
