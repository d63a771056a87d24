//! Goes through what is listed or found, directories depth first in their own order as HTCondor
//! does, and says item by item what is to be sent.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, FileType, Stat};
use rustix::io::Errno;

use super::source::Source;
use super::{Output, item};
use crate::failure::Failure;
use crate::transfer::{Catalogue, names};

/// How deep directories may be nested; every level costs a descriptor.
const MAX_DEPTH: usize = 256;
/// Warnings beyond these are left out.
const MAX_WARNINGS: usize = 20;

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A directory, before what is in it.
    Directory {
        /// Its name at the other side.
        dest: &'a [u8],
        /// Its permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Its name at the other side.
        dest: &'a [u8],
        /// Where it is.
        source: Source<'a>,
        /// Its bytes, when it was looked at.
        size: u64,
    },
    /// What should be sent, but can't.
    Failing {
        /// Its name at the other side.
        dest: &'a [u8],
        /// From the sandbox's top, or absolute.
        path: &'a [u8],
        /// What keeps it from being sent.
        why: Why,
    },
}

/// Why something can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The system says so.
    Errno(Errno),
    /// It is a link to a directory.
    LinkedDirectory,
    /// Directories are nested too deep.
    Deep,
    /// It names no file.
    Nameless,
}

/// Who takes items.
pub(super) type Visit<'v> = dyn FnMut(Item<'_>) -> Result<(), Failure> + 'v;

/// A walk through the sandbox.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) top: BorrowedFd<'a>,
    pub(super) what: &'a Output,
    pub(super) before: &'a Catalogue,
    /// The job's core file by its new name.
    pub(super) core: Option<&'a OsStr>,
    /// Where the walk is: from the sandbox's top, or absolute.
    pub(super) path: Vec<u8>,
    /// What that is called at the other side.
    pub(super) dest: Vec<u8>,
    /// Directories that were sent because something in them was listed.
    pub(super) announced: BTreeSet<Vec<u8>>,
    /// What was left out.
    pub(super) warnings: Vec<String>,
}

/// How something is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// It was named, so leaving it out is a failure.
    pub(super) listed: bool,
    /// Only what is in it.
    pub(super) content_only: bool,
    /// How many directories down from what was listed.
    depth: usize,
}

impl Wanted {
    pub(super) const LISTED: Self = Self { listed: true, content_only: false, depth: 0 };
    pub(super) const CONTENT: Self = Self { content_only: true, ..Self::LISTED };
    pub(super) const FOUND: Self = Self { listed: false, ..Self::LISTED };
}

impl<'a> Walk<'a> {
    /// A walk that hasn't begun.
    pub(super) fn new(
        top: BorrowedFd<'a>,
        what: &'a Output,
        before: &'a Catalogue,
        core: Option<&'a OsStr>,
    ) -> Self {
        Self {
            top,
            what,
            before,
            core,
            path: Vec::new(),
            dest: Vec::new(),
            announced: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Sends what is at `path`, `dir` being the directory that has it if it was found in one.
    pub(super) fn entry(
        &mut self,
        dir: Option<BorrowedFd<'_>>,
        wanted: Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let path = self.path.clone();
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let source = Source { top: self.top, dir, name, path: &path, link: false };
        let nested = dir.is_some();
        let stat = match source.look() {
            Ok(stat) => stat,
            // Gone since it was seen.
            Err(Errno::NOENT) if nested => return Ok(()),
            Err(errno) => return self.fails(Why::Errno(errno), visit),
        };
        if kind(&stat) != FileType::Symlink {
            return self.looked(source, &stat, wanted, visit);
        }
        let source = source.followed();
        match source.look() {
            Ok(stat) => self.looked(source, &stat, wanted, visit),
            // HTCondor doesn't see links that lead nowhere, unless they are wanted.
            Err(Errno::NOENT) if !wanted.listed && wanted.depth == 0 => Ok(()),
            Err(errno) => self.fails(Why::Errno(errno), visit),
        }
    }

    fn looked(
        &mut self,
        source: Source<'_>,
        stat: &Stat,
        wanted: Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        match kind(stat) {
            FileType::RegularFile if wanted.content_only => {
                self.fails(Why::Errno(Errno::NOTDIR), visit)
            }
            FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                visit(Item::File { dest: &self.dest, source, size })
            }
            // Directories that the job has made at the top are no output by themselves.
            FileType::Directory if !wanted.listed && wanted.depth == 0 => Ok(()),
            FileType::Directory if source.link && !wanted.content_only => {
                self.fails(Why::LinkedDirectory, visit)
            }
            FileType::Directory => self.directory(source, stat, wanted, visit),
            _ => {
                self.warn("is no regular file and no directory: left out");
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        source: Source<'_>,
        stat: &Stat,
        wanted: Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        if wanted.depth >= MAX_DEPTH {
            return self.fails(Why::Deep, visit);
        }
        let mut entries = match source.directory().and_then(Dir::new) {
            Ok(entries) => entries,
            Err(errno) => return self.fails(Why::Errno(errno), visit),
        };
        if !wanted.content_only {
            visit(Item::Directory { dest: &self.dest, mode: stat.st_mode & 0o777 })?;
            if self.what.preserve_paths {
                self.announced.insert(self.dest.clone());
            }
        }
        let (path, dest) = (self.path.len(), self.dest.len());
        let wanted = Wanted { listed: false, content_only: false, depth: wanted.depth + 1 };
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return self.fails(Why::Errno(errno), visit),
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || (path == 0 && !self.may_leave(name)) {
                continue;
            }
            push(&mut self.path, name);
            push(&mut self.dest, name);
            match entries.fd() {
                Ok(dir) => self.entry(Some(dir), wanted, visit)?,
                Err(errno) => self.fails(Why::Errno(errno), visit)?,
            }
            self.path.truncate(path);
            self.dest.truncate(dest);
        }
        Ok(())
    }

    /// Whether a name at the sandbox's top may be sent when the whole of it is wanted.
    pub(super) fn may_leave(&self, name: &[u8]) -> bool {
        let name = OsStr::from_bytes(name);
        !names::is_standard(name) && !self.is_hidden(name)
    }

    /// Whether a name at the sandbox's top is never sent.
    pub(super) fn is_hidden(&self, name: &OsStr) -> bool {
        names::is_reserved(name) || self.what.hidden.iter().any(|hidden| hidden == name)
    }

    /// Something that can't be sent.
    pub(super) fn fails(&mut self, why: Why, visit: &mut Visit<'_>) -> Result<(), Failure> {
        // Where only content was wanted there is no name for the thing itself.
        let own = || self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let dest = match if self.dest.is_empty() { own() } else { &self.dest } {
            b"" | b".." => b"_",
            name => name,
        };
        visit(Item::Failing { dest, path: &self.path, why })
    }

    /// Says that what the walk is at is left out.
    pub(super) fn warn(&mut self, why: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            let path = item::shown(&self.what.sandbox, &self.path);
            self.warnings.push(format!("{} {why}", path.display()));
        }
    }
}

/// What something is.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Adds a component to a path.
pub(super) fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
