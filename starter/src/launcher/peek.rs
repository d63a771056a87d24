//! Opening what the job's owner wants to see: a file of the job's directory, with the job's rights, as
//! the job sees it, and without leaving that directory.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat};

use super::Launcher;
use super::cell::number_of;
use super::sandbox::Made;
use super::state::State;
use crate::plan::Plan;
use crate::sys::open::openat2;
use crate::sys::privilege::Borrowed;

impl Launcher<'_> {
    /// The errno if it can't be opened. A failure here is none of the job's.
    pub(super) fn peek(path: &Path, state: &State) -> Result<OwnedFd, i32> {
        open(path, state).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }
}

fn open(path: &Path, state: &State) -> io::Result<OwnedFd> {
    let errno = |number| io::Error::from_raw_os_error(number);
    let plan = state.plan.as_ref().ok_or_else(|| errno(libc::ENOENT))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let dir = directory(plan, state)?;
    let _rights = Borrowed::rights_of(&plan.account.ids)?;
    let file = openat2(dir, path, flags, Mode::empty(), how)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(errno(libc::EINVAL));
    }
    Ok(file)
}

/// The job's directory.
fn directory(plan: &Plan, state: &State) -> io::Result<OwnedFd> {
    const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let none = || io::Error::from_raw_os_error(libc::ENOENT);
    let sandbox = state.sandbox.as_ref().ok_or_else(none)?;
    let directory = &plan.program.directory;
    let rights = || Borrowed::rights_of(&plan.account.ids);
    if let Ok(inner) = directory.strip_prefix(&sandbox.path) {
        let _rights = rights()?;
        return match inner.as_os_str().is_empty() {
            true => Ok(sandbox.dir.try_clone()?),
            false => Made::place(sandbox.dir.as_fd(), inner),
        };
    }
    // A job that works where its owner does may have a root and directories of its own. Without root
    // only the job's own process can be followed, for init is opaque.
    let cell = state.cell.as_ref().ok_or_else(none)?;
    let holder = if plan.namespaces.user { &cell.job } else { &cell.init.pidfd };
    let root = format!("/proc/{}/root", number_of(holder));
    let root = openat(CWD, root.as_str(), DIRECTORY, Mode::empty())?;
    let _rights = rights()?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, directory.as_path(), DIRECTORY, Mode::empty(), how)?)
}
