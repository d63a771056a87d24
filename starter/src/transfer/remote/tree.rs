//! Where received files go: names of a shadow, made below the sandbox and never through a link.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::sys::open::openat2;
use crate::transfer::names;

/// Longest name with its directories: no system call takes a longer one.
const MAX_PATH: usize = 4095;
/// Nothing is found through a link, wherever it leads.
const WITHIN: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A name that was checked: plain components, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'a> {
    path: Cow<'a, [u8]>,
    /// Where the last component starts.
    last: usize,
}

impl<'a> Name<'a> {
    /// Checks what a shadow sent; `None` if it could mean anything outside.
    pub(super) fn new(name: &'a [u8]) -> Option<Self> {
        let odd = |part: &[u8]| part.is_empty() || part == b".";
        let parts = || name.split(|byte| *byte == b'/');
        if name.len() > MAX_PATH || name.starts_with(b"/") {
            return None;
        }
        let path = if parts().any(odd) {
            let parts: Vec<&[u8]> = parts().filter(|part| !odd(part)).collect();
            Cow::Owned(parts.join(&b'/'))
        } else {
            Cow::Borrowed(name)
        };
        let plain = |part: &[u8]| names::is_plain(std::os::unix::ffi::OsStrExt::from_bytes(part));
        if !path.split(|byte| *byte == b'/').all(plain) {
            return None;
        }
        let last = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        Some(Self { path, last })
    }

    /// All of it.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The last component.
    fn last(&self) -> &[u8] {
        self.path.get(self.last..).unwrap_or_default()
    }

    /// The directory, without a slash; empty at the top.
    fn parent(&self) -> &[u8] {
        self.path.get(..self.last.saturating_sub(1)).unwrap_or_default()
    }

    /// Whether it is at the sandbox's top.
    pub(super) fn is_top(&self) -> bool {
        self.last == 0
    }
}

/// The sandbox as it is being filled.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    top: BorrowedFd<'a>,
    /// The directory that the last name was in, if not the top: the next one will often be, too.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Permission bits that would keep their owner from filling a directory, set in the end.
    finally: Vec<(Vec<u8>, Mode)>,
}

impl<'a> Tree<'a> {
    /// Nothing is made yet.
    pub(super) fn new(top: BorrowedFd<'a>) -> Self {
        Self { top, parent: None, finally: Vec::new() }
    }

    /// Makes a file. One of that name is replaced, whatever it is: nothing that exists is opened.
    pub(super) fn file(&mut self, name: &Name<'_>, mode: Mode) -> rustix::io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = self.parent(name)?;
        let made = match openat(dir, name.last(), flags, mode) {
            Err(Errno::EXIST) => {
                unlinkat(dir, name.last(), AtFlags::empty())?;
                openat(dir, name.last(), flags, mode)
            }
            other => other,
        };
        made.map(File::from)
    }

    /// Makes a directory; one that is there already is filled further.
    pub(super) fn directory(&mut self, name: &Name<'_>, mode: Mode) -> rustix::io::Result<()> {
        // What nobody may use would be no use.
        let mode = if mode.is_empty() { Mode::RWXU } else { mode };
        let dir = self.parent(name)?;
        let working = mode | Mode::RWXU;
        match mkdirat(dir, name.last(), working) {
            Err(Errno::EXIST) => {
                let stat = statat(dir, name.last(), AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    return Ok(());
                }
                unlinkat(dir, name.last(), AtFlags::empty())?;
                mkdirat(dir, name.last(), working)?;
            }
            other => other?,
        }
        if working != mode {
            self.finally.push((name.path().to_vec(), mode));
        }
        Ok(())
    }

    /// Sets what had to wait, the innermost directories first.
    pub(super) fn finish(mut self) -> Result<(), (Vec<u8>, Errno)> {
        while let Some((path, mode)) = self.finally.pop() {
            let set = openat2(self.top, &path, DIRECTORY, Mode::empty(), WITHIN)
                .and_then(|dir| fchmod(dir, mode));
            if let Err(errno) = set {
                return Err((path, errno));
            }
        }
        Ok(())
    }

    fn parent(&mut self, name: &Name<'_>) -> rustix::io::Result<BorrowedFd<'_>> {
        let parent = name.parent();
        if parent.is_empty() {
            return Ok(self.top);
        }
        if self.parent.as_ref().is_none_or(|(path, _)| path != parent) {
            let dir = openat2(self.top, parent, DIRECTORY, Mode::empty(), WITHIN)?;
            self.parent = Some((parent.to_vec(), dir));
        }
        Ok(self.parent.as_ref().map_or(self.top, |(_, dir)| dir.as_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        let path = |name: &str| Name::new(name.as_bytes()).map(|name| name.path().to_vec());
        for (name, made) in
            [("a", "a"), ("a/b c", "a/b c"), ("./a//b/", "a/b"), ("..a/b.", "..a/b.")]
        {
            assert_eq!(path(name).unwrap(), made.as_bytes(), "{name}");
        }
        let long = "x/".repeat(2100);
        let wide = "x".repeat(256);
        for name in
            ["", ".", "./", "..", "a/..", "../a", "a/../b", "/a", "//a", "a\0", &long, &wide]
        {
            assert_eq!(path(name), None, "{name}");
        }
        let name = Name::new(b"a/b/c").unwrap();
        assert_eq!((name.parent(), name.last(), name.is_top()), (&b"a/b"[..], &b"c"[..], false));
        let name = Name::new(b"c").unwrap();
        assert_eq!((name.parent(), name.last(), name.is_top()), (&b""[..], &b"c"[..], true));
    }
}
