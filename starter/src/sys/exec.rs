//! The last call of the launch.

use std::ffi::{CStr, CString};
use std::io;

/// Replaces this process by a program; comes back only with the reason why it could not.
pub(crate) fn execve(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    match nix::unistd::execve(program, arguments, environment) {
        Ok(never) => match never {},
        Err(errno) => errno.into(),
    }
}

/// Ends this process at once, without running what its parent's copy registered for exit.
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: `_exit` never returns and touches no memory of this process.
    unsafe { libc::_exit(status) }
}
