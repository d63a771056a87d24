//! Landlock scopes: a border around the job's processes that needs neither namespaces nor root.
//!
//! A process inside can't trace one outside or read its memory, environment, descriptors, root and
//! working directory through /proc; nor send it signals, nor connect to its abstract Unix sockets. So
//! two jobs stay apart also where they share process numbers or the network. No rights to files are
//! asked for: with such, a process inside could never mount again, and container tools would fail.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: libc::c_uint = 1;
/// The first version of the interface with scopes (Linux 6.12).
const WITH_SCOPES: libc::c_long = 6;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET` and `LANDLOCK_SCOPE_SIGNAL`.
const SCOPES: u64 = 0b11;

/// Whether the kernel has scopes and they are switched on.
pub(crate) fn available() -> bool {
    // SAFETY: with this flag the call takes no attributes.
    let version = unsafe {
        let none = std::ptr::null::<u8>();
        libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION)
    };
    version >= WITH_SCOPES
}

/// Puts the border around this process and all it will start. Needs no_new_privs.
pub(crate) fn close() -> io::Result<()> {
    // `struct landlock_ruleset_attr`: rights to files, rights to the network, scopes.
    let attributes: [u64; 3] = [0, 0, SCOPES];
    // SAFETY: the attributes outlive the call, with their true size given.
    let ruleset = unsafe {
        let size = size_of_val(&attributes);
        libc::syscall(libc::SYS_landlock_create_ruleset, attributes.as_ptr(), size, 0)
    };
    let ruleset = match i32::try_from(ruleset) {
        Ok(fd) if fd >= 0 => super::process::owned(fd),
        _ => return Err(io::Error::last_os_error()),
    };
    restrict(&ruleset)
}

fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: the call takes a descriptor and no flags.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
