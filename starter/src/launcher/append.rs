//! Lines at the end of a log of the user's, written with the job's rights.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::failure::{Context, Failure, Step, hold};
use crate::sys::privilege::{Borrowed, Ids};

/// Appends, and waits until it is on disk: who reads the log relies on it after a crash.
pub(super) fn append(owner: &Ids, path: &Path, text: &str) -> Result<(), Failure> {
    let rights = Borrowed::rights_of(owner).at(Step::UserLog, "the job's rights")?;
    let write = || -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o664);
        let mut file = File::from(openat(CWD, path, flags | OFlags::CLOEXEC, mode)?);
        if !file.metadata()?.is_file() {
            // /dev/null and the like.
            return file.write_all(text.as_bytes());
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    let written = write();
    drop(rights);
    written.map_err(|error| {
        let what = format!("the job's log {}", path.display());
        let Failure { message, .. } = Failure::os(Step::UserLog, what, &error);
        let errno = error.raw_os_error().unwrap_or_default();
        Failure::job(Step::UserLog, hold::UNABLE_TO_INIT_USER_LOG, errno, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_a_log_that_can_not_be_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Ids::own().unwrap();
        let path = dir.path().join("log");
        append(&owner, &path, "one\n").unwrap();
        append(&owner, &path, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        append(&owner, Path::new("/dev/null"), "three\n").unwrap();
        let failure = append(&owner, &dir.path().join("no/log"), "x").unwrap_err();
        assert!(failure.message.contains("no/log: (errno=2"), "{failure}");
    }
}
