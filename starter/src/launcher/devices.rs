//! A /dev of our own for roots that have none of the kernel's: only harmless devices.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};

use crate::sys::mount::{Deny, attach, copy_tree, new_filesystem, restrict};

/// Name and number of every device a job gets.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The file system, empty and attached nowhere.
pub(crate) fn filesystem() -> io::Result<OwnedFd> {
    new_filesystem("tmpfs", &[("mode", "0755"), ("size", "64k")], Deny::SETUID)
}

/// Fills it once it is attached: on one that isn't, Linux before 6.15 attaches nothing. With the right to
/// make device nodes they are made; in a user namespace the machine's are bound.
pub(crate) fn fill(dev: &OwnedFd, may_make_nodes: bool) -> io::Result<()> {
    let all = Mode::from_raw_mode(0o666);
    for (name, major, minor) in DEVICES {
        if may_make_nodes {
            mknodat(dev, name, FileType::CharacterDevice, all, makedev(major, minor))?;
            chmod_all(dev, name)?;
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(dev, name, flags, all)?;
            let place = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(CWD, format!("/dev/{name}"), place, Mode::empty())?;
            let target = openat(dev, name, place, Mode::empty())?;
            attach(copy_tree(source.as_fd(), false)?.as_fd(), target.as_fd())?;
        }
    }
    for (target, name) in LINKS {
        symlinkat(target, dev, name)?;
    }
    let inside = [
        ("shm", "tmpfs", vec![("mode", "1777")]),
        ("pts", "devpts", vec![("ptmxmode", "0666"), ("mode", "0620")]),
    ];
    for (name, kind, options) in inside {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
        let deny = Deny::SETUID | if kind == "tmpfs" { Deny::DEVICES } else { Deny::EXEC };
        let mounted = new_filesystem(kind, &options, deny)?;
        let place =
            openat(dev, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        attach(mounted.as_fd(), place.as_fd())?;
    }
    restrict(dev.as_fd(), Deny::SETUID | Deny::WRITE | Deny::EXEC, false)
}

/// mknod is subject to the umask.
fn chmod_all(dev: &OwnedFd, name: &str) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    Ok(rustix::fs::chmodat(dev, name, mode, rustix::fs::AtFlags::empty())?)
}
