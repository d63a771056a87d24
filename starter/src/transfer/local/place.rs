//! Where received files go: how each of the two receivers makes its names.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, fcntl_getfl, fcntl_setfl, fstat, mkdirat, openat,
    unlinkat,
};
use rustix::io::Errno;

use crate::plan::Files;
use crate::transfer::fault::{Direction, Side};
use crate::transfer::names;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory that is being filled.
#[derive(Debug)]
pub(super) struct Level {
    /// The directory.
    pub(super) dir: OwnedFd,
    /// Permission bits it gets once it is full, because they would keep its owner from filling it.
    pub(super) finally: Option<Mode>,
}

/// What receives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// The inside process: below the sandbox's directory, never through a link.
    Sandbox {
        /// The sandbox.
        dir: BorrowedFd<'a>,
        /// Its path, for messages.
        path: &'a Path,
    },
    /// The outside process: where the submitter wants the files.
    Outside(&'a Files),
}

impl Place<'_> {
    /// Which way files come here.
    pub(super) fn direction(&self) -> Direction {
        match self {
            Self::Sandbox { .. } => Direction::In,
            Self::Outside(_) => Direction::Out,
        }
    }

    /// Which side this is.
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Sandbox { .. } => Side::Sandbox,
            Self::Outside(_) => Side::Outside,
        }
    }

    /// Whether an entry at the top is one that was asked for. A sender in a job's hands shall not
    /// write more of the submitter's files than the job could have done.
    pub(super) fn expects(&self, name: &OsStr, directory: bool) -> bool {
        let Self::Outside(files) = self else { return true };
        let standard = files.remaps.iter().any(|(from, _)| from == Path::new(name))
            && names::is_standard(name)
            && !directory;
        let listed = match &files.output {
            // New and changed plain files.
            None => !directory,
            Some(list) => {
                list.iter().any(|path| names::content_only(path) || path.file_name() == Some(name))
            }
        };
        standard || listed
    }

    /// Where an entry goes, for messages. `path` is relative, as it was walked to.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        match self {
            Self::Sandbox { path: sandbox, .. } => sandbox.join(path),
            Self::Outside(files) => remapped(files, path).unwrap_or_else(|| files.home.join(path)),
        }
    }

    /// Makes or empties a file. `parent` is the directory it was walked to in, if not the top.
    pub(super) fn file(
        &self,
        parent: Option<BorrowedFd<'_>>,
        path: &Path,
        mode: Mode,
    ) -> rustix::io::Result<File> {
        match self {
            Self::Sandbox { dir, .. } => in_sandbox(parent.unwrap_or(*dir), name(path)?, mode),
            Self::Outside(files) => match target(files, parent.is_none(), path) {
                Some(target) => outside(CWD, &target, mode),
                None => outside(parent.unwrap_or(CWD), Path::new(name(path)?), mode),
            },
        }
    }

    /// Makes a directory; one that is there already is filled further.
    pub(super) fn directory(
        &self,
        parent: Option<BorrowedFd<'_>>,
        path: &Path,
        mode: Mode,
    ) -> rustix::io::Result<Level> {
        match self {
            Self::Sandbox { dir, .. } => {
                // What is at the end of a link is not of our making.
                let flags = DIRECTORY | OFlags::NOFOLLOW;
                make(parent.unwrap_or(*dir), Path::new(name(path)?), mode, flags)
            }
            Self::Outside(files) => match target(files, parent.is_none(), path) {
                Some(target) => make(CWD, &target, mode, DIRECTORY),
                None => make(parent.unwrap_or(CWD), Path::new(name(path)?), mode, DIRECTORY),
            },
        }
    }
}

/// The last component, which the link has already checked.
fn name(path: &Path) -> rustix::io::Result<&OsStr> {
    path.file_name().ok_or(Errno::INVAL)
}

/// The path that an entry gets regardless of where it was walked to.
fn target(files: &Files, top: bool, path: &Path) -> Option<PathBuf> {
    remapped(files, path).or_else(|| top.then(|| files.home.join(path)))
}

/// A remap names what was listed (`d/out`), or how it travels (`out`).
fn remapped(files: &Files, path: &Path) -> Option<PathBuf> {
    let plain = |path: &Path| -> PathBuf {
        path.components().filter(|part| *part != Component::CurDir).collect()
    };
    let listed = |from: &Path| {
        let list = files.output.as_deref().unwrap_or_default();
        let as_written = |item: &PathBuf| plain(item) == plain(from);
        from.file_name().map(Path::new) == Some(path) && list.iter().any(as_written)
    };
    let remap = files.remaps.iter().find(|(from, _)| plain(from) == path || listed(from));
    remap.map(|(_, to)| files.home.join(to))
}

/// A later file of the same name replaces an earlier one. Nothing that exists is opened, so it
/// doesn't matter what it is.
fn in_sandbox(dir: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = match openat(dir, name, flags, mode) {
        Err(Errno::EXIST) => {
            unlinkat(dir, name, AtFlags::empty())?;
            openat(dir, name, flags, mode)
        }
        other => other,
    };
    made.map(File::from)
}

/// Written in place, as HTCondor does: links are followed, and what else refers to the file sees
/// the new content. NONBLOCK: a FIFO without a reader is an error, not a reason to wait.
fn outside(dir: BorrowedFd<'_>, path: &Path, mode: Mode) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::TRUNC
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = File::from(openat(dir, path, flags, mode)?);
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        // A device such as /dev/null keeps its permission bits.
        let flags = fcntl_getfl(&file)?;
        fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    } else if Mode::from_raw_mode(stat.st_mode) != mode {
        // Fails on a file that is somebody else's but may be written; then it keeps its bits.
        let _ = fchmod(&file, mode);
    }
    Ok(file)
}

fn make(
    parent: BorrowedFd<'_>,
    path: &Path,
    mode: Mode,
    flags: OFlags,
) -> rustix::io::Result<Level> {
    let fresh = match mkdirat(parent, path, mode | Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(errno),
    };
    let dir = openat(parent, path, flags, Mode::empty())?;
    let finally = (fresh && !mode.contains(Mode::RWXU)).then_some(mode);
    Ok(Level { dir, finally })
}

impl Level {
    /// Ends the filling.
    pub(super) fn close(self) -> rustix::io::Result<()> {
        self.finally.map_or(Ok(()), |mode| fchmod(self.dir.as_fd(), mode))
    }
}
