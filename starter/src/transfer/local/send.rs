//! The sending process: finds files, opens them with its own rights, and sends them open.
//!
//! Nothing is opened to find out what it is: opening a FIFO waits, opening a device acts. A file is
//! looked at, opened without waiting, and must then still be the one that was looked at.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, readlinkat,
    statat,
};
use rustix::io::Errno;

use super::MAX_DEPTH;
use super::link::Link;
use super::pair::Warnings;
use crate::failure::Failure;
use crate::plan::InputFile;
use crate::sys::open::openat2;
use crate::transfer::fault::{Act, Direction, Faults, Side, Trouble};

/// NONBLOCK and NOCTTY: in case it isn't the regular file any more that was looked at.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const WALK: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Within the sandbox links may lead anywhere but out of it.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// Where the sender finds its files.
#[derive(Clone, Copy, Debug)]
enum Origin<'a> {
    /// The submitter's files: links are the submitter's too, and followed.
    Outside,
    /// The job's files: no link is followed out of the sandbox.
    Inside { top: BorrowedFd<'a>, path: &'a Path },
}

/// How an entry is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The name it gets at the other side; `None`: only a directory's content is wanted.
    pub(super) name: Option<&'a OsStr>,
    /// Somebody named it, so that leaving it out is a failure.
    pub(super) listed: bool,
    /// It gets execute permission.
    pub(super) executable: bool,
}

/// Something in a directory.
#[derive(Clone, Copy, Debug)]
struct Here<'a> {
    /// The directory.
    dir: BorrowedFd<'a>,
    /// Its name there; several components if it was listed.
    name: &'a Path,
    /// How many directories down from what was listed.
    depth: usize,
}

/// The sender of one direction.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    link: &'a Link,
    origin: Origin<'a>,
    /// Where the walk is: absolute outside, from the sandbox's top inside.
    path: PathBuf,
    faults: Faults,
    warnings: Warnings,
}

impl<'a> Sender<'a> {
    /// A sender of the submitter's files.
    pub(super) fn outside(link: &'a Link) -> Self {
        Self::new(link, Origin::Outside)
    }

    /// A sender of the job's files.
    pub(super) fn inside(link: &'a Link, top: BorrowedFd<'a>, path: &'a Path) -> Self {
        Self::new(link, Origin::Inside { top, path })
    }

    fn new(link: &'a Link, origin: Origin<'a>) -> Self {
        let (faults, warnings) = (Faults::default(), Warnings::default());
        Self { link, origin, path: PathBuf::new(), faults, warnings }
    }

    /// Sends one input file or directory.
    pub(super) fn input(&mut self, file: &InputFile) -> Result<(), Trouble> {
        let name = (!file.content_only).then_some(OsStr::new(&file.name));
        let wanted = Wanted { name, listed: true, executable: file.executable };
        self.item(&file.source, wanted)
    }

    /// Sends what is at `path`, which is absolute outside and starts at the top in the sandbox.
    pub(super) fn item(&mut self, path: &Path, wanted: Wanted<'_>) -> Result<(), Trouble> {
        let top = match self.origin {
            Origin::Outside => CWD,
            Origin::Inside { top, .. } => top,
        };
        self.path = path.to_owned();
        match statat(top, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => self.entry(Here { dir: top, name: path, depth: 0 }, &stat, wanted),
            Err(errno) => self.unreadable(errno),
        }
    }

    /// Says that nothing follows. The first failure, if there was one, and warnings.
    pub(super) fn finish(self) -> (Result<(), Trouble>, Vec<String>) {
        let end = self.link.end();
        // What failed here is the better reason.
        (self.faults.verdict().and(end), self.warnings.into_vec())
    }

    fn entry(&mut self, here: Here<'_>, stat: &Stat, wanted: Wanted<'_>) -> Result<(), Trouble> {
        let link = kind(stat) == FileType::Symlink;
        let stat = &match if link { self.behind(here) } else { Ok(*stat) } {
            Ok(stat) => stat,
            Err(Errno::XDEV) => return self.leads_outside(wanted),
            Err(errno) => return self.unreadable(errno),
        };
        match (kind(stat), wanted.name) {
            (FileType::RegularFile, Some(name)) => self.file(here, link, stat, name, wanted),
            (FileType::RegularFile, None) => self.unreadable(Errno::NOTDIR),
            (FileType::Directory, _) if link && here.depth > 0 => self.linked_directory(),
            (FileType::Directory, _) if wanted.listed || here.depth > 0 => {
                self.directory(here, link, stat, wanted.name)
            }
            // New directories at the sandbox's top are no output by themselves.
            (FileType::Directory, _) => Ok(()),
            _ => {
                if wanted.listed || here.depth > 0 {
                    self.warn("is no regular file and no directory: left out");
                }
                Ok(())
            }
        }
    }

    fn file(
        &mut self,
        here: Here<'_>,
        link: bool,
        seen: &Stat,
        name: &OsStr,
        wanted: Wanted<'_>,
    ) -> Result<(), Trouble> {
        let opened = self.open(here, link, READ).and_then(|file| Ok((fstat(&file)?, file)));
        let (stat, file) = match opened {
            Ok(opened) => opened,
            Err(Errno::XDEV) => return self.leads_outside(wanted),
            Err(errno) => return self.unreadable(errno),
        };
        let same = kind(&stat) == FileType::RegularFile
            && (stat.st_dev, stat.st_ino) == (seen.st_dev, seen.st_ino);
        if !same {
            let text = format!("{} was replaced while it was opened", self.shown().display());
            return self.failed(self.direction().hold(libc::ELOOP, text));
        }
        let mut mode = Mode::from_raw_mode(stat.st_mode);
        if wanted.executable {
            mode |= Mode::XUSR;
        }
        self.link.file(name, mode, file.as_fd())
    }

    /// Depth first, in the order of the directory, as HTCondor does.
    fn directory(
        &mut self,
        here: Here<'_>,
        link: bool,
        stat: &Stat,
        name: Option<&OsStr>,
    ) -> Result<(), Trouble> {
        if here.depth >= MAX_DEPTH {
            let path = self.shown();
            let text = format!(
                "{} is nested deeper than {MAX_DEPTH} directories: pack it into an archive",
                path.display()
            );
            return self.failed(self.direction().hold(libc::ELOOP, text));
        }
        let mut entries = match self.open(here, link, WALK).and_then(Dir::new) {
            Ok(entries) => entries,
            Err(Errno::XDEV) => {
                return self.leads_outside(Wanted { name, listed: true, executable: false });
            }
            Err(errno) => return self.unreadable(errno),
        };
        if let Some(name) = name {
            self.link.enter(name, Mode::from_raw_mode(stat.st_mode))?;
        }
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    self.unreadable(errno)?;
                    break;
                }
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.path.push(name);
            let wanted = Wanted { name: Some(name), listed: false, executable: false };
            let looked = entries
                .fd()
                .and_then(|dir| Ok((dir, statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)));
            match looked {
                Ok((dir, stat)) => {
                    let here = Here { dir, name: Path::new(name), depth: here.depth + 1 };
                    self.entry(here, &stat, wanted)?;
                }
                // Gone since it was listed.
                Err(Errno::NOENT) => {}
                Err(errno) => self.unreadable(errno)?,
            }
            self.path.pop();
        }
        if name.is_some() { self.link.leave() } else { Ok(()) }
    }

    /// What a link leads to, without opening that.
    fn behind(&self, here: Here<'_>) -> rustix::io::Result<Stat> {
        match self.origin {
            Origin::Outside => statat(here.dir, here.name, AtFlags::empty()),
            Origin::Inside { .. } => {
                fstat(self.open(here, true, OFlags::PATH | OFlags::CLOEXEC)?)
            }
        }
    }

    fn open(&self, here: Here<'_>, link: bool, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let none = Mode::empty();
        match self.origin {
            Origin::Outside if link => openat(here.dir, here.name, flags, none),
            // Several components at once, or a link: from the top, the kernel keeps it beneath.
            Origin::Inside { top, path } if link || here.depth == 0 => {
                let inside = if link { within(here, path) } else { None };
                let nofollow = if link { OFlags::empty() } else { OFlags::NOFOLLOW };
                let target = inside.as_deref().unwrap_or(&self.path);
                openat2(top, target, flags | nofollow, none, BENEATH)
            }
            _ => openat(here.dir, here.name, flags | OFlags::NOFOLLOW, none),
        }
    }

    fn direction(&self) -> Direction {
        match self.origin {
            Origin::Outside => Direction::In,
            Origin::Inside { .. } => Direction::Out,
        }
    }

    fn shown(&self) -> PathBuf {
        match self.origin {
            Origin::Outside => self.path.clone(),
            Origin::Inside { path, .. } => path.join(&self.path),
        }
    }

    /// Has something about a file written to the log.
    pub(super) fn warn_of(&mut self, path: &Path, why: &str) {
        self.warnings.push(format!("{} {why}", path.display()));
    }

    fn warn(&mut self, why: &str) {
        let path = self.shown();
        self.warn_of(&path, why);
    }

    /// Notes the failure of a file.
    pub(super) fn failed(&mut self, failure: Failure) -> Result<(), Trouble> {
        self.faults.note(self.direction(), failure)
    }

    fn unreadable(&mut self, errno: Errno) -> Result<(), Trouble> {
        let side = match self.origin {
            Origin::Outside => Side::Outside,
            Origin::Inside { .. } => Side::Sandbox,
        };
        let error = io::Error::from(errno);
        self.failed(self.direction().errno(side, Act::Reading, &self.shown(), &error))
    }

    /// HTCondor would send what the job can't see: files that another job of its account has.
    fn leads_outside(&mut self, wanted: Wanted<'_>) -> Result<(), Trouble> {
        const WHY: &str = "is a symbolic link that leads out of the sandbox";
        if !wanted.listed {
            self.warn(&format!("{WHY}: left out"));
            return Ok(());
        }
        let text = format!("{} {WHY}", self.shown().display());
        self.failed(self.direction().hold(libc::EXDEV, text))
    }

    fn linked_directory(&mut self) -> Result<(), Trouble> {
        let text = format!(
            "reading from file {}: (errno {}) Transfer of symlinks to directories is not supported.",
            self.shown().display(),
            libc::EISDIR
        );
        self.failed(self.direction().hold(libc::EISDIR, text))
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The kernel takes no absolute link for one that stays beneath, yet `ln -s $PWD/a b` does: the
/// target from the sandbox's top, if the link names the sandbox by its path.
fn within(here: Here<'_>, sandbox: &Path) -> Option<PathBuf> {
    let target = readlinkat(here.dir, here.name, Vec::new()).ok()?;
    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
    let rest = target.strip_prefix(sandbox).ok()?;
    (!rest.as_os_str().is_empty()).then(|| rest.to_owned())
}
