//! Lines at the end of a log of the user's, written with the job's rights and never in another job's
//! sandbox, wherever links lead.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;

use crate::failure::{Context, Failure, Step, hold};
use crate::plan::Sandbox;
use crate::sys::open::openat2;
use crate::sys::privilege::{Borrowed, Ids};

/// Appends, and waits until it is on disk: who reads the log relies on it after a crash.
pub(super) fn append(
    owner: &Ids,
    sandbox: &Sandbox,
    path: &Path,
    text: &str,
) -> Result<(), Failure> {
    let rights = Borrowed::rights_of(owner).at(Step::UserLog, "the job's rights")?;
    let written = open(sandbox, path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // /dev/null and the like have no disk.
        if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
    });
    drop(rights);
    written.map_err(|error| {
        let what = format!("the job's log {}", path.display());
        let Failure { message, .. } = Failure::os(Step::UserLog, what, &error);
        let errno = error.raw_os_error().unwrap_or_default();
        Failure::job(Step::UserLog, hold::UNABLE_TO_INIT_USER_LOG, errno, message)
    })
}

/// The file; a new one is made only where it may be.
fn open(sandbox: &Sandbox, path: &Path) -> io::Result<File> {
    let look = |path: &Path, flags: OFlags| {
        let flags = flags | OFlags::CLOEXEC;
        openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
    };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
    match look(path, flags) {
        Ok(file) => return allowed(sandbox, file).map(File::from),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = allowed(sandbox, look(parent, OFlags::PATH | OFlags::DIRECTORY)?)?;
    let flags = flags | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(parent, name, flags, Mode::from_raw_mode(0o664))?;
    Ok(File::from(file))
}

/// Refuses what is in EXECUTE and not this job's.
fn allowed(sandbox: &Sandbox, opened: OwnedFd) -> io::Result<OwnedFd> {
    let real = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))?;
    if real.starts_with(&sandbox.execute) && !real.starts_with(sandbox.path()) {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn sandbox(execute: &Path) -> Sandbox {
        Sandbox {
            execute: execute.to_owned(),
            slot: "dir_1".into(),
            nested: false,
            pool: true,
            chirp: false,
            mode: 0o700,
            directories: Vec::new(),
            files: Vec::new(),
        }
    }

    #[test]
    fn lines_are_added_and_a_log_that_can_not_be_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let append = |path: &Path, text: &str| {
            let owner = Ids::own().unwrap();
            super::append(&owner, &sandbox(Path::new("/nonexistent")), path, text)
        };
        let path = dir.path().join("log");
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        append(Path::new("/dev/null"), "three\n").unwrap();
        let failure = append(&dir.path().join("no/log"), "x").unwrap_err();
        assert!(failure.message.contains("no/log: (errno=2"), "{failure}");
    }

    #[test]
    fn no_link_leads_to_a_neighbour() {
        let dir = tempfile::tempdir().unwrap();
        let execute = fs::canonicalize(dir.path()).unwrap();
        let (own, other) = (execute.join("dir_1"), execute.join("dir_12"));
        fs::create_dir(&own).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), "theirs").unwrap();
        fs::write(own.join("real"), "").unwrap();
        symlink("../dir_12/file", own.join("file")).unwrap();
        symlink("../dir_12", own.join("directory")).unwrap();
        symlink("../dir_12/new", own.join("new")).unwrap();
        symlink("real", own.join("link")).unwrap();
        let owner = Ids::own().unwrap();
        let append =
            |name: &str| super::append(&owner, &sandbox(&execute), &own.join(name), "ours\n");
        for name in ["file", "directory/file", "directory/new", "new", "../dir_12/new"] {
            assert!(append(name).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
        append("link").unwrap();
        assert_eq!(fs::read_to_string(own.join("real")).unwrap(), "ours\n");
    }
}
