//! What items of a transfer are called, and how their failures are told.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ack::Problem;
use crate::transfer::fault::Act;

/// No more items.
pub(super) const END: i64 = 0;
/// A file.
pub(super) const FILE: i64 = 1;
/// A file, to be encrypted whatever the rule: here everything is.
pub(super) const ENCRYPTED: i64 = 2;
/// A file that need not be encrypted: with AES it is all the same.
pub(super) const PLAIN: i64 = 3;
/// A proxy, by delegation.
pub(super) const DELEGATION: i64 = 4;
/// A URL, to be fetched by a plugin.
pub(super) const URL: i64 = 5;
/// A directory.
pub(super) const DIRECTORY: i64 = 6;
/// Something that an ad tells.
pub(super) const EXTENSION: i64 = 999;

/// `SubCommand` of an ad: output that is at a URL, or should be.
pub(super) const STORED: i64 = 7;
/// `SubCommand` of an ad: URLs to be signed.
pub(super) const SIGN: i64 = 9;
/// `SubCommand` of an ad: what could be used again instead of being sent.
pub(super) const REUSE: i64 = 8;

/// A name in the sandbox, for messages.
pub(super) fn shown(sandbox: &Path, name: &[u8]) -> PathBuf {
    sandbox.join(OsStr::from_bytes(name))
}

/// A system call on a file in the sandbox that failed, in HTCondor's words. A disk that is full or
/// broken, and what this process lacks, is this machine's fault: another one may do better. A quota
/// is the job's or its owner's.
pub(super) fn problem(act: Act, code: i32, path: &Path, error: &io::Error) -> Problem {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let reason = nix::errno::Errno::from_raw(errno).desc();
    let again = matches!(
        errno,
        libc::ENOSPC
            | libc::EIO
            | libc::EROFS
            | libc::ESTALE
            | libc::EMFILE
            | libc::ENFILE
            | libc::ENOMEM
    );
    let text = format!("|Error: {act} file {}: (errno {errno}) {reason}", path.display());
    Problem { again, code, subcode: errno, text }
}
