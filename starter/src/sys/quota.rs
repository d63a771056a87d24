//! Project quotas: a limit on what a directory takes on disk, kept by the file system (ext4 and xfs, mounted with prjquota;
//! Linux 5.14).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `FS_IOC_FSGETXATTR` and `FS_IOC_FSSETXATTR`.
const GET_ATTRIBUTES: libc::c_ulong = 0x801c_581f;
pub(crate) const SET_ATTRIBUTES: u32 = 0x401c_5820;
/// `FS_XFLAG_PROJINHERIT`: what is made in a directory belongs to its project.
const INHERIT: u32 = 0x200;
/// `PRJQUOTA`.
const PROJECTS: i32 = 2;
/// `Q_GETQUOTA` and `Q_SETQUOTA`.
const GET: i32 = 0x80_0007;
const SET: i32 = 0x80_0008;
/// `QIF_BLIMITS`: the limits on space are set.
const SPACE: u32 = 1;

/// `struct fsxattr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    unused: [u8; 8],
}

/// Puts an empty directory, and all that will be made in it, into a project.
pub(crate) fn assign(dir: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = Attributes::default();
    // SAFETY: the request writes one `fsxattr`, whose size and layout `Attributes` has.
    let read = unsafe { libc::ioctl(dir.as_raw_fd(), GET_ATTRIBUTES as _, &raw mut attributes) };
    if read != 0 {
        return Err(io::Error::last_os_error());
    }
    attributes.project = project;
    attributes.flags |= INHERIT;
    // SAFETY: the request reads one `fsxattr`.
    let set = unsafe { libc::ioctl(dir.as_raw_fd(), SET_ATTRIBUTES as _, &raw const attributes) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Limits a project of the file system that `file` is on, to this many KiB; 0 is no limit.
pub(crate) fn limit(file: BorrowedFd<'_>, project: u32, kib: u64) -> io::Result<()> {
    let mut quota = none();
    quota.dqb_bhardlimit = kib;
    quota.dqb_bsoftlimit = kib;
    quota.dqb_valid = SPACE;
    call(file, SET, project, &mut quota)
}

/// What a project takes, in bytes.
pub(crate) fn used(file: BorrowedFd<'_>, project: u32) -> io::Result<u64> {
    let mut quota = none();
    call(file, GET, project, &mut quota)?;
    Ok(quota.dqb_curspace)
}

fn none() -> libc::dqblk {
    // SAFETY: all-zero is a valid `dqblk`; it is a plain struct of integers.
    unsafe { std::mem::zeroed() }
}

fn call(
    file: BorrowedFd<'_>,
    command: i32,
    project: u32,
    quota: &mut libc::dqblk,
) -> io::Result<()> {
    let command = (command << 8) | PROJECTS;
    // SAFETY: `quota` outlives the call, and is what both commands read or write.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            file.as_raw_fd(),
            command,
            project,
            std::ptr::from_mut(quota),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
