//! What lies over directories of the machine: empty ones that nobody may look into, and the account's
//! home. A directory that the machine doesn't have needs no cover.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, fstat, openat};
use rustix::io::Errno;

use super::{HARMLESS, PLACE, View, memory};
use crate::plan::Account;
use crate::sys::mount::{Deny, attach, copy_tree, new_filesystem, restrict};

impl View {
    /// The place at a path of the view, if there is one.
    pub(super) fn existing(&self, target: &Path) -> io::Result<Option<OwnedFd>> {
        match Self::resolve(self.root.as_fd(), target) {
            Ok(place) => Ok(Some(place)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            // Where this process isn't root, the job has no more rights.
            Err(Errno::ACCESS) if !rustix::process::geteuid().is_root() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Covers a directory by an empty one of mode 000, the same for all, and a file by no content. Where
    /// only somebody else may look anyway nothing is needed.
    pub(super) fn cover(&mut self, target: &Path, account: &Account) -> io::Result<()> {
        let Some(place) = self.existing(target)? else { return Ok(()) };
        let stat = fstat(&place)?;
        if stat.st_uid != account.ids.uid && stat.st_mode & 0o077 == 0 {
            return Ok(());
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let null = openat(CWD, "/dev/null", PLACE, Mode::empty())?;
            return attach(copy_tree(null.as_fd(), false)?.as_fd(), place.as_fd());
        }
        if let Some(first) = &self.nothing {
            return attach(copy_tree(first.as_fd(), false)?.as_fd(), place.as_fd());
        }
        let deny = HARMLESS | Deny::WRITE | Deny::EXEC;
        let nothing = new_filesystem("tmpfs", &[("mode", "0000")], deny)?;
        attach(nothing.as_fd(), place.as_fd())?;
        self.nothing = Some(nothing);
        Ok(())
    }

    /// An empty memory file system over a directory.
    pub(super) fn memory_over(&mut self, target: &Path) -> io::Result<()> {
        match self.existing(target)? {
            Some(place) => attach(memory("1777")?.as_fd(), place.as_fd()),
            None => Ok(()),
        }
    }

    /// A directory of the sandbox over the home.
    pub(super) fn home(&mut self, copy: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        match self.existing(target)? {
            Some(place) => unless_no_directory(attach(copy, place.as_fd())),
            None => Ok(()),
        }
    }

    /// The home over itself, read-only, with all that is mounted in it.
    pub(super) fn read_only(&mut self, target: &Path) -> io::Result<()> {
        let Some(place) = self.existing(target)? else { return Ok(()) };
        let copy = copy_tree(place.as_fd(), true)?;
        restrict(copy.as_fd(), HARMLESS | Deny::WRITE, true)?;
        attach(copy.as_fd(), place.as_fd())
    }
}

/// Some accounts have a file for a home, such as /dev/null.
fn unless_no_directory(attached: io::Result<()>) -> io::Result<()> {
    match attached {
        Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => Ok(()),
        other => other,
    }
}
