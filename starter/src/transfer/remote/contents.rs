//! `manifest`, `manifest_dir`: a directory in the sandbox with lists of what is in the sandbox, before the
//! job and after it, and with the job's environment. It goes back with the output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::walk::kind;
use crate::transfer::names;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How deep directories are looked into.
const MAX_DEPTH: usize = 256;
/// A longer list ends early.
const MAX_BYTES: usize = 64 << 20;

/// What a job wants recorded, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// The directory, in the sandbox.
    pub(crate) directory: String,
    /// The job's environment.
    pub(crate) environment: String,
}

impl Contents {
    /// Before the job.
    pub(super) fn before(&self, top: BorrowedFd<'_>) -> io::Result<()> {
        let dir = self.open(top)?;
        put(dir.as_fd(), "environment", format!("{}\n", self.environment).as_bytes())?;
        put(dir.as_fd(), "in", b"")?;
        put(dir.as_fd(), "in", &list(top)?)
    }

    /// After it.
    pub(super) fn after(&self, top: BorrowedFd<'_>) -> io::Result<()> {
        let dir = self.open(top)?;
        put(dir.as_fd(), "out", b"")?;
        put(dir.as_fd(), "out", &list(top)?)
    }

    fn open(&self, top: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let name = self.directory.as_str();
        if !names::is_plain(name.as_ref()) || names::is_reserved(name.as_ref()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain name"));
        }
        match mkdirat(top, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(openat(top, name, DIRECTORY, Mode::empty())?),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Makes a file anew: nothing that the job may have left there is opened.
fn put(dir: BorrowedFd<'_>, name: &str, content: &[u8]) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::from(openat(dir, name, flags, Mode::from_raw_mode(0o644))?).write_all(content)
}

/// A line for each name, as HTCondor writes it: `./a`, and `./d/` for a directory, before what is in it.
fn list(top: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    below(top, b".", 0, &mut lines)?;
    Ok(lines)
}

fn below(
    dir: BorrowedFd<'_>,
    path: &[u8],
    depth: usize,
    lines: &mut Vec<u8>,
) -> rustix::io::Result<()> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            found.push(name);
        }
    }
    found.sort_unstable();
    for name in found {
        if lines.len() > MAX_BYTES {
            return Ok(());
        }
        let path = [path, b"/", name.as_bytes()].concat();
        lines.extend_from_slice(&path);
        let stat = statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW);
        let is_directory = stat.is_ok_and(|stat| kind(&stat) == FileType::Directory);
        lines.extend_from_slice(if is_directory { b"/\n" } else { b"\n" });
        // What the job has made unreadable is its own affair.
        if is_directory
            && depth < MAX_DEPTH
            && let Ok(inner) = openat(dir, &name, DIRECTORY, Mode::empty())
        {
            let _ = below(inner.as_fd(), &path, depth + 1, lines);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_there_is_listed_and_nothing_of_the_jobs_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let top = File::open(root.path()).unwrap();
        fs::write(path("a"), "").unwrap();
        fs::create_dir(path("d")).unwrap();
        fs::write(path("d/b"), "").unwrap();
        let contents = Contents { directory: "m".into(), environment: "A=1".into() };
        contents.before(top.as_fd()).unwrap();
        assert_eq!(fs::read_to_string(path("m/environment")).unwrap(), "A=1\n");
        let before = "./a\n./d/\n./d/b\n./m/\n./m/environment\n./m/in\n";
        assert_eq!(fs::read_to_string(path("m/in")).unwrap(), before);
        symlink(path("a"), path("m/out")).unwrap();
        symlink("/", path("root")).unwrap();
        contents.after(top.as_fd()).unwrap();
        let after = before.to_owned() + "./m/out\n./root\n";
        assert_eq!(fs::read_to_string(path("m/out")).unwrap(), after);
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "");
        for directory in ["..", "a/b", "", ".job.ad", "root", "a"] {
            let odd = Contents { directory: directory.into(), ..contents.clone() };
            assert!(odd.after(top.as_fd()).is_err(), "{directory}");
        }
    }
}
