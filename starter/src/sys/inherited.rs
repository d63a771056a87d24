//! Descriptors that the parent left open for this process.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Takes over the descriptor of that number, which from then on is closed on exec.
///
/// One that is closed on exec already isn't inherited: this process opened it, or took it before.
/// Neither are the standard files.
pub(crate) fn take(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: asking for the flags of a number is harmless, whatever the number is.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if number <= libc::STDERR_FILENO || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an inherited descriptor"));
    }
    // SAFETY: the number is one of an open descriptor; only its flag changes.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open. Nobody else in this process owns it: everything that the standard library
    // and this program open is closed on exec, and so is what has been taken here.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

    use super::*;

    #[test]
    fn only_what_is_inherited_and_only_once() {
        let file = File::open("/dev/null").unwrap();
        let number = file.as_raw_fd();
        assert_eq!(take(number).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let number = file.into_raw_fd();
        let taken = take(number).unwrap();
        assert_eq!(fcntl_getfd(taken.as_fd()).unwrap(), FdFlags::CLOEXEC);
        assert!(take(number).is_err());
        drop(taken);
        assert_eq!(take(1_000_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(take(2).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
