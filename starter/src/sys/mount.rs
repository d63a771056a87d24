//! Mounts by descriptor: `mount_setattr`, and short forms of the calls that rustix has.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bitflags::bitflags;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

bitflags! {
    /// What a mount denies to those who use it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Deny: u64 {
        /// No writing.
        const WRITE = libc::MOUNT_ATTR_RDONLY;
        /// Set-uid and file capabilities have no effect.
        const SETUID = libc::MOUNT_ATTR_NOSUID;
        /// Device nodes can't be opened.
        const DEVICES = libc::MOUNT_ATTR_NODEV;
        /// Nothing can be executed.
        const EXEC = libc::MOUNT_ATTR_NOEXEC;
    }
}

/// A private copy of the mount at `dir`, attached nowhere; with all mounts below it if `recursive`.
pub(crate) fn copy_tree(dir: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(dir, c"", flags)?)
}

/// Attaches a detached mount on the directory or file that `target` is open on.
pub(crate) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// The same on a name in a directory that nobody else can change.
pub(crate) fn attach_in(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    Ok(move_mount(mount, c"", dir, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A new file system of a kind without a device, attached nowhere.
pub(crate) fn new_filesystem(
    kind: &str,
    options: &[(&str, &str)],
    deny: Deny,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(
        u32::try_from(deny.bits()).map_err(|_| io::ErrorKind::InvalidInput)?,
    );
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The directories `lower`, the first of which wins, and if there is one `upper`, which takes what is written, with the
/// empty directory beside it that it needs for that. All must be attached somewhere.
pub(crate) fn overlay(
    lower: &[BorrowedFd<'_>],
    upper: Option<(BorrowedFd<'_>, BorrowedFd<'_>)>,
    in_user_namespace: bool,
    deny: Deny,
) -> io::Result<OwnedFd> {
    // Linux before 6.13 takes no descriptors.
    let path = |fd: &BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<String> = lower.iter().map(path).collect();
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "overlay")?;
    fsconfig_set_string(context.as_fd(), "lowerdir", lower.join(":"))?;
    if let Some((upper, work)) = upper {
        fsconfig_set_string(context.as_fd(), "upperdir", path(&upper))?;
        fsconfig_set_string(context.as_fd(), "workdir", path(&work))?;
        // The last cell's may be gone a moment later than its processes.
        fsconfig_set_string(context.as_fd(), "index", "off")?;
    }
    if in_user_namespace {
        fsconfig_set_flag(context.as_fd(), "userxattr")?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(
        u32::try_from(deny.bits()).map_err(|_| io::ErrorKind::InvalidInput)?,
    );
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Makes a mount and all below it read-only; what is mounted elsewhere later doesn't arrive there.
pub(crate) fn freeze(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_attributes(mount, Deny::WRITE, libc::MS_PRIVATE, true)
}

/// Adds restrictions to a mount; to all mounts below it too if `recursive`.
pub(crate) fn restrict(mount: BorrowedFd<'_>, deny: Deny, recursive: bool) -> io::Result<()> {
    set_attributes(mount, deny, 0, recursive)
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    deny: Deny,
    propagation: u64,
    recursive: bool,
) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: deny.bits(), attr_clr: 0, propagation, userns_fd: 0 };
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    // SAFETY: the path is a terminated constant and `attributes` outlives the call, with its true
    // size given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of_val(&attributes),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
