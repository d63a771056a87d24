//! Something in the sandbox that may be sent: looked at first, then opened, never waited for.
//!
//! Nothing is opened to find out what it is: opening a FIFO waits, opening a device acts.

use crate::sys::open::openat2;
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

/// NONBLOCK and NOCTTY: in case it isn't the regular file any more that was looked at.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const WALK: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The sandbox.
    pub(super) top: BorrowedFd<'a>,
    /// The directory it was found in, if it was.
    pub(super) dir: Option<BorrowedFd<'a>>,
    /// Its name there.
    pub(super) name: &'a [u8],
    /// From the sandbox's top, or absolute.
    pub(super) path: &'a [u8],
    /// Whether it is a symbolic link, to be followed.
    pub(super) link: bool,
}

impl<'a> Source<'a> {
    /// What it is, and with `link` set what it leads to.
    pub(super) fn look(&self) -> rustix::io::Result<Stat> {
        match self.dir {
            Some(dir) if !self.link => statat(dir, self.name, AtFlags::SYMLINK_NOFOLLOW),
            _ => fstat(self.get(LOOK)?),
        }
    }

    /// The same at the end of the link.
    pub(super) fn followed(self) -> Self {
        Self { link: true, ..self }
    }

    /// Opens a file for reading; anything else is an error.
    pub(super) fn file(&self) -> rustix::io::Result<(File, Stat)> {
        let file = self.get(READ)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::LOOP);
        }
        Ok((File::from(file), stat))
    }

    /// Opens a directory.
    pub(super) fn directory(&self) -> rustix::io::Result<OwnedFd> {
        self.get(WALK)
    }

    fn get(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let nofollow = if self.link { OFlags::empty() } else { OFlags::NOFOLLOW };
        let (flags, none) = (flags | nofollow, Mode::empty());
        match self.dir {
            Some(dir) if !self.link => openat(dir, self.name, flags, none),
            // Links of /proc lead to what this process has open.
            Some(dir) => openat2(dir, self.name, flags, none, ResolveFlags::NO_MAGICLINKS),
            None => openat2(self.top, self.path, flags, none, ResolveFlags::NO_MAGICLINKS),
        }
    }
}
