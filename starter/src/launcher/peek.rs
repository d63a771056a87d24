//! A look at the files of a running job, for whoever follows them from afar.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat};

use super::Launcher;
use super::sandbox::Made;
use super::state::State;
use crate::sys::open::openat2;
use crate::sys::privilege::Borrowed;

impl Launcher<'_> {
    /// A file of the job's directory, opened with the job's rights and without leaving that directory;
    /// the errno if that can't be. A failure here is none of the job's.
    pub(super) fn peek(path: &Path, state: &State) -> Result<OwnedFd, i32> {
        let (Some(plan), Some(sandbox)) = (&state.plan, &state.sandbox) else {
            return Err(libc::ENOENT);
        };
        let open = || -> std::io::Result<OwnedFd> {
            let _rights = Borrowed::rights_of(&plan.account.ids)?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            let own = plan.program.directory.strip_prefix(&sandbox.path).ok();
            let dir = match own {
                Some(inner) if inner.as_os_str().is_empty() => sandbox.dir.try_clone()?,
                Some(inner) => Made::place(sandbox.dir.as_fd(), inner)?,
                None => openat(
                    CWD,
                    plan.program.directory.as_path(),
                    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    Mode::empty(),
                )?,
            };
            let file = openat2(dir, path, flags, Mode::empty(), how)?;
            if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
                return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
            }
            Ok(file)
        };
        open().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }
}
