//! Kernel keyrings: a job starts with an empty session keyring of its own.

use std::io;

/// `KEYCTL_JOIN_SESSION_KEYRING` of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Leaves the inherited session keyring for a new, empty, anonymous one.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: a null name asks for an anonymous keyring; nothing is read or written by the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    if answer >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
