//! Checking a named root: only root may be able to change what a job will run.
//!
//! The check is made in the machine's own user namespace, where owners are seen as they are; the cell
//! then finds the same directory again, on a path that nobody but root could have changed meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatvfs, openat};

use super::view::Identity;

use crate::failure::{Context, Failure, Reason, Step};
use crate::plan::NamedRoot;
use crate::sys::open::openat2;

/// Walks to the root from `/`, one component at a time, without following a link. Each directory
/// on the way must belong to root and be writable by nobody else, or lie on a read-only file system.
/// The descriptor that comes back is the very directory that was checked.
pub(crate) fn open(root: &NamedRoot) -> Result<OwnedFd, Failure> {
    let refuse = |why: String| {
        Failure::host(Step::Root, format!("named root {} can't be used: {why}", root.name))
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = openat(CWD, "/", flags, Mode::empty())
        .map_err(|error| refuse(format!("/: {}", Reason(&error.into()))))?;
    let mut path = PathBuf::from("/");
    for component in root.path.components() {
        let Component::Normal(name) = component else { continue };
        path.push(name);
        here = openat(&here, name, flags, Mode::empty()).map_err(|error| {
            // O_PATH with O_NOFOLLOW and O_DIRECTORY says "not a directory" for a link.
            let link = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
            if link {
                refuse(format!(
                    "{} is a symbolic link: name the directory it points to",
                    path.display()
                ))
            } else {
                refuse(format!("{}: {}", path.display(), Reason(&error.into())))
            }
        })?;
        check_owner(&here, &path).map_err(&refuse)?;
    }
    if path == Path::new("/") {
        return Err(refuse("it is the machine's own root".to_owned()));
    }
    Ok(here)
}

/// Opens a checked root again, in the cell's mount namespace.
pub(crate) fn reopen(root: &NamedRoot, checked: Option<Identity>) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = || -> std::io::Result<OwnedFd> {
        let dir = openat2(CWD, root.path.as_path(), flags, Mode::empty(), how)?;
        match checked {
            Some(identity) if Identity::of(dir.as_fd())? == identity => Ok(dir),
            _ => Err(std::io::Error::other("it is not the directory that was checked")),
        }
    };
    found().at(Step::Root, format!("named root {} at {}", root.name, root.path.display()))
}

fn check_owner(dir: &OwnedFd, path: &Path) -> Result<(), String> {
    let stat =
        fstat(dir).map_err(|error| format!("{}: {}", path.display(), Reason(&error.into())))?;
    let only_root = stat.st_uid == 0 && stat.st_mode & 0o022 == 0;
    // CVMFS and images show other owners, but nobody can write there.
    let read_only =
        || fstatvfs(dir.as_fd()).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    if only_root || read_only() {
        return Ok(());
    }
    Err(format!(
        "{} belongs to uid {} with mode {:04o}: make it root's and take write permission from all \
         others (chown root, chmod go-w)",
        path.display(),
        stat.st_uid,
        stat.st_mode & 0o7777
    ))
}
