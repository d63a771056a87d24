//! A job's own /dev: harmless devices, and those of the machine that are granted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    CWD, FileType, Mode, OFlags, fstat, makedev, mkdirat, mknodat, openat, symlinkat,
};
use rustix::io::Errno;

use crate::sys::mount::{Deny, attach, attach_in, copy_tree, new_filesystem, restrict};

const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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

/// Puts the harmless ones in once it is attached: on one that isn't, Linux before 6.15 attaches nothing. With the right to
/// make device nodes they are made; in a user namespace the machine's are bound.
pub(crate) fn harmless(dev: &OwnedFd, in_user_namespace: bool) -> io::Result<()> {
    let umask = rustix::process::umask(Mode::empty());
    let made = nodes(dev, in_user_namespace);
    rustix::process::umask(umask);
    made?;
    for (target, name) in LINKS {
        symlinkat(target, dev, name)?;
    }
    Ok(())
}

fn nodes(dev: &OwnedFd, in_user_namespace: bool) -> io::Result<()> {
    for (name, major, minor) in DEVICES {
        if in_user_namespace {
            bind(dev, Path::new(name), true)?;
        } else {
            let all = Mode::from_raw_mode(0o666);
            mknodat(dev, name, FileType::CharacterDevice, all, makedev(major, minor))?;
        }
    }
    Ok(())
}

/// Adds what is granted, shared memory and terminals.
pub(crate) fn fill(
    dev: &OwnedFd,
    in_user_namespace: bool,
    granted: &[String],
    machines_memory: bool,
) -> io::Result<()> {
    for name in granted {
        grant(dev, name, in_user_namespace)?;
    }
    if machines_memory {
        bind(dev, Path::new("shm"), in_user_namespace)?;
    } else {
        inside(dev, "shm", "tmpfs", &[("mode", "1777")], Deny::SETUID | Deny::DEVICES)?;
    }
    let options = [("ptmxmode", "0666"), ("mode", "0620")];
    inside(dev, "pts", "devpts", &options, Deny::SETUID | Deny::EXEC)
}

/// Nothing more is added.
pub(crate) fn close(dev: &OwnedFd) -> io::Result<()> {
    restrict(dev.as_fd(), Deny::SETUID | Deny::WRITE | Deny::EXEC, false)
}

/// A new file system in a directory of it.
fn inside(
    dev: &OwnedFd,
    name: &str,
    kind: &str,
    options: &[(&str, &str)],
    deny: Deny,
) -> io::Result<()> {
    mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
    let mounted = new_filesystem(kind, options, deny)?;
    attach_in(mounted.as_fd(), dev.as_fd(), name)
}

/// What the machine has by a name of JOB_DEVICES; a `*` at its end stands for any text.
fn grant(dev: &OwnedFd, name: &str, in_user_namespace: bool) -> io::Result<()> {
    let bind = |name: &Path| match bind(dev, name, in_user_namespace) {
        // One that isn't there can't be had, and one that is there already needn't.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) =>
        {
            Ok(())
        }
        other => other,
    };
    let Some(start) = name.strip_suffix('*') else { return bind(Path::new(name)) };
    let (parent, start) = start.rsplit_once('/').unwrap_or(("", start));
    let parent = Path::new(parent);
    let Ok(entries) = std::fs::read_dir(Path::new("/dev").join(parent)) else { return Ok(()) };
    for entry in entries {
        let entry = entry?.file_name();
        if entry.as_bytes().starts_with(start.as_bytes()) {
            bind(&parent.join(entry))?;
        }
    }
    Ok(())
}

/// Binds a device, or a directory of them, of the machine at the same name.
fn bind(dev: &OwnedFd, name: &Path, in_user_namespace: bool) -> io::Result<()> {
    let source = openat(CWD, Path::new("/dev").join(name), PLACE, Mode::empty())?;
    let is_directory = FileType::from_raw_mode(fstat(&source)?.st_mode) == FileType::Directory;
    // In a user namespace the kernel hands out a mount only together with those below.
    let copy = copy_tree(source.as_fd(), is_directory && in_user_namespace)?;
    restrict(copy.as_fd(), Deny::SETUID | Deny::EXEC, false)?;
    let mut here = dev.try_clone()?;
    for part in name.parent().into_iter().flat_map(Path::components) {
        match mkdirat(&here, part.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        here = openat(&here, part.as_os_str(), PLACE | OFlags::DIRECTORY, Mode::empty())?;
    }
    let Some(name) = name.file_name() else { return Err(io::ErrorKind::InvalidInput.into()) };
    if is_directory {
        mkdirat(&here, name, Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&here, name, flags, Mode::from_raw_mode(0o666))?;
    }
    let target = openat(&here, name, PLACE, Mode::empty())?;
    attach(copy.as_fd(), target.as_fd())
}
