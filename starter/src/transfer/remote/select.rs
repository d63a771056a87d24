//! Which files of the sandbox are output: those that are listed, or those that the job has made or
//! changed at the top.

use std::ffi::{CString, OsStr};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, renameat, statat};

use super::Core;
use super::source::Source;
use super::walk::{Item, Visit, Walk, Wanted, Why, kind, push};
use crate::failure::{Context, Failure, Step};
use crate::transfer::Catalogue;
use crate::transfer::names::{self, STANDARD};

impl Walk<'_> {
    /// Goes through all of it: standard output and error, then the rest.
    pub(super) fn run(&mut self, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let what = self.what;
        for (name, wanted) in STANDARD.iter().zip(what.standard) {
            // A job that has removed its own is not to blame for it.
            if wanted && statat(self.top, *name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                self.top_level(name.as_bytes(), Wanted::LISTED, visit)?;
            }
        }
        let Some(list) = &what.list else {
            self.changed(visit)?;
            return self.contents(visit);
        };
        for path in list {
            self.listed(path, visit)?;
        }
        let is_listed = |name: &OsStr| list.iter().any(|path| path == Path::new(name));
        if let Some(core) = self.core
            && !is_listed(core)
        {
            self.top_level(core.as_bytes(), Wanted::LISTED, visit)?;
        }
        match &what.contents {
            Some(contents) if is_listed(contents.directory.as_ref()) => Ok(()),
            _ => self.contents(visit),
        }
    }

    /// The lists of what is in the sandbox, if they could be made.
    fn contents(&mut self, visit: &mut Visit<'_>) -> Result<(), Failure> {
        match &self.what.contents {
            Some(contents)
                if statat(self.top, contents.directory.as_str(), AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok() =>
            {
                self.top_level(contents.directory.as_bytes(), Wanted::LISTED, visit)
            }
            _ => Ok(()),
        }
    }

    fn top_level(
        &mut self,
        name: &[u8],
        wanted: Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        self.path = name.to_vec();
        self.dest = name.to_vec();
        self.entry(None, wanted, visit)
    }

    /// `d/e` travels as `e` unless its path is to be kept, and of `d/` only the content. What looks
    /// like a pattern is a name.
    fn listed(&mut self, path: &Path, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let content_only = names::content_only(path);
        let inside = path.strip_prefix(&self.what.sandbox).unwrap_or(path);
        let bytes = inside.as_os_str().as_bytes();
        let parts: Vec<&[u8]> = bytes
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty() && part != b".")
            .collect();
        let absolute = inside.is_absolute();
        self.path = parts.join(&b'/');
        self.dest = parts.last().copied().unwrap_or_default().to_vec();
        if absolute {
            self.path.insert(0, b'/');
        }
        let climbs = parts.iter().any(|part| part == b"..");
        if parts.last().is_some_and(|last| last == b"..") || (absolute && parts.is_empty()) {
            return self.fails(Why::Nameless, visit);
        }
        if !absolute {
            let hidden = |part: &&[u8]| self.is_hidden(OsStr::from_bytes(part));
            let checked = if climbs { parts.len() } else { 1 };
            if parts.iter().take(checked).any(hidden) {
                self.warn("belongs to the starter: left out");
                return Ok(());
            }
        }
        // They have been sent before the list, if they are wanted.
        if let [name] = parts[..]
            && !absolute
            && names::is_standard(OsStr::from_bytes(name))
        {
            return Ok(());
        }
        self.below(&parts, absolute || climbs, content_only, visit)
    }

    /// The rest of it, when all names are known to be allowed.
    fn below(
        &mut self,
        parts: &[&[u8]],
        elsewhere: bool,
        content_only: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        if parts.is_empty() {
            return self.everything(visit);
        }
        if self.what.preserve_paths && !elsewhere {
            let announced = if content_only { parts.len() } else { parts.len() - 1 };
            self.announce(parts, announced, visit)?;
            self.path = parts.join(&b'/');
            self.dest = self.path.clone();
        } else if content_only {
            self.dest.clear();
        }
        let wanted = if content_only { Wanted::CONTENT } else { Wanted::LISTED };
        self.entry(None, wanted, visit)
    }

    /// Sends the first `count` directories on the way to what is listed, those that weren't yet.
    fn announce(
        &mut self,
        parts: &[&[u8]],
        count: usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let mut dest = Vec::new();
        for part in parts.iter().take(count) {
            push(&mut dest, part);
            if self.announced.contains(&dest) {
                continue;
            }
            let source = Source { top: self.top, dir: None, name: part, path: &dest, link: true };
            // If it can't be had, nor can what is in it, and that will be said.
            let Ok(stat) = source.look() else { return Ok(()) };
            if kind(&stat) == FileType::Directory {
                visit(Item::Directory { dest: &dest, mode: stat.st_mode & 0o777 })?;
                self.announced.insert(dest.clone());
            }
        }
        Ok(())
    }

    /// All of the sandbox, as a listed `./` wants it.
    fn everything(&mut self, visit: &mut Visit<'_>) -> Result<(), Failure> {
        for name in self.top_names()? {
            if self.may_leave(&name) && !self.is_program(&name) {
                self.top_level(&name, Wanted::LISTED, visit)?;
            }
        }
        Ok(())
    }

    /// Only the sandbox's top is looked at, and of that only files.
    fn changed(&mut self, visit: &mut Visit<'_>) -> Result<(), Failure> {
        for name in self.top_names()? {
            if self.is_program(&name) || !self.may_leave(&name) || self.is_unchanged(&name) {
                continue;
            }
            self.top_level(&name, Wanted::FOUND, visit)?;
        }
        Ok(())
    }

    /// Names at the top, so that nothing that is done meanwhile gets into them.
    fn top_names(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut found = Vec::new();
        for entry in Dir::read_from(self.top).at(Step::Output, "sandbox")? {
            let entry = entry.at(Step::Output, "sandbox")?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                found.push(name.to_vec());
            }
        }
        Ok(found)
    }

    fn is_program(&self, name: &[u8]) -> bool {
        self.what.program.as_ref().is_some_and(|program| program.as_bytes() == name)
    }

    fn is_unchanged(&self, name: &[u8]) -> bool {
        let earlier = self.what.earlier.iter().any(|earlier| earlier.as_bytes() == name);
        !earlier && known(self.top, name, self.before)
    }
}

/// Whether a name at the top is the very file that was there before.
fn known(top: BorrowedFd<'_>, name: &[u8], before: &Catalogue) -> bool {
    let Ok(cname) = CString::new(name) else { return false };
    statat(top, &cname, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| before.has(&cname, &stat))
}

/// Gives the core file that the job left the name it is sent under; that name, if there is one.
pub(super) fn rename_core<'a>(
    top: BorrowedFd<'_>,
    core: Option<&'a Core>,
    before: &Catalogue,
) -> Option<&'a OsStr> {
    let core = core?;
    let is_new = |name: &OsStr| {
        let stat = statat(top, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| kind(&stat) == FileType::RegularFile)
            && !known(top, name.as_bytes(), before)
    };
    let found = core.found.iter().find(|name| is_new(name));
    let renamed = found.is_some_and(|name| renameat(top, name, top, &core.name).is_ok());
    // It may have been renamed before a connection was lost.
    (renamed || is_new(&core.name)).then_some(core.name.as_os_str())
}
