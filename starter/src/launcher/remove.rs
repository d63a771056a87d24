//! Removing a directory tree, whatever a job left in it, without following a link, without entering
//! another mount, and without needing more memory or descriptors for a deeper tree.

use crate::sys::dir;
use crate::sys::open::openat2;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fchmod, renameat, unlinkat};
use rustix::io::Errno;

/// How deep the walk goes before it brings what is below up to the top of the tree.
const MAX_DEPTH: usize = 64;

/// Removes everything in the directory, which itself stays. Runs with the rights of the caller:
/// give it those of the job's account, so that it can't be used against anybody else.
pub(crate) fn empty(top: BorrowedFd<'_>) -> io::Result<()> {
    make_usable(top);
    let mut moved = 0_u64;
    // Whatever was brought up to the top is found in the next round.
    loop {
        let before = moved;
        empty_below(top, top, 0, &mut moved)?;
        if moved == before {
            return Ok(());
        }
    }
}

fn empty_below(
    top: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    depth: usize,
    moved: &mut u64,
) -> io::Result<()> {
    for (name, kind) in dir::entries(dir)? {
        if kind != FileType::Directory {
            match unlinkat(dir, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                // The type was unknown or has changed under our hands.
                Err(Errno::ISDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Most directories at the bottom are empty: one call then.
        match unlinkat(dir, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let below = open_directory(dir, &name)?;
        if depth >= MAX_DEPTH {
            bring_up(top, dir, &name, moved)?;
            continue;
        }
        empty_below(top, below.as_fd(), depth + 1, moved)?;
        match unlinkat(dir, &name, AtFlags::REMOVEDIR) {
            // What was brought up from further below may have come to lie in a directory that is
            // being emptied; the next round gets it.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Moves a directory to the top of the tree under a name that isn't in use.
fn bring_up(
    top: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    name: &CStr,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        *moved += 1;
        let fresh = format!(".cloister-removing-{moved}");
        match renameat(dir, name, top, fresh.as_str()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a directory for emptying it, with the permission bits that this takes.
fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A mount in a sandbox would be a fault of ours: what is mounted there must not suffer for it.
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match openat2(parent, name, flags, Mode::empty(), within) {
        Ok(fd) => {
            make_usable(fd.as_fd());
            Ok(fd)
        }
        Err(Errno::ACCESS) => {
            // chmod by name follows links, so it goes through a descriptor that is only a place.
            let place = openat2(parent, name, flags | OFlags::PATH, Mode::empty(), within)?;
            let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
            rustix::fs::chmod(link.as_str(), Mode::RWXU)?;
            Ok(openat2(parent, name, flags, Mode::empty(), within)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Entries can only be removed from a directory that can be written and searched.
fn make_usable(dir: BorrowedFd<'_>) {
    let needed = Mode::RWXU;
    let usable =
        rustix::fs::fstat(dir).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(needed));
    if !usable {
        // If this fails, removing the entries fails too, with the reason.
        let _ = fchmod(dir, needed);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_modes_and_fifos_are_no_obstacle_and_nothing_outside_is_touched() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("keep"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(top.join("a/b/c/file"), "x").unwrap();
        symlink(outside.path(), top.join("a/out")).unwrap();
        symlink(outside.path(), top.join("out")).unwrap();
        nix::unistd::mkfifo(&top.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::set_permissions(top.join("a/b/c"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(top.join("a/b"), Permissions::from_mode(0o500)).unwrap();
        empty(File::open(top).unwrap().as_fd()).unwrap();
        assert_eq!(fs::read_dir(top).unwrap().count(), 0);
        assert!(outside.path().join("keep").exists());
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let mut here = OwnedFd::from(File::open(dir.path()).unwrap());
        for _ in 0..5000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            rustix::fs::symlinkat("/", &here, "l").unwrap();
            here =
                rustix::fs::openat(&here, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
                    .unwrap();
        }
        drop(here);
        empty(File::open(dir.path()).unwrap().as_fd()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
