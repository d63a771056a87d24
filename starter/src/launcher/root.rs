//! Checking a named root: only root may be able to change what a job will run.
//!
//! A starter of root has its cells check. Where the cell is in a user namespace, owners can't be seen there:
//! the check is made before, and the cell finds the same directory again, on a path that nobody but root
//! could have changed meanwhile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatvfs, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use super::view::Identity;
use crate::failure::{Context, Failure, Reason, Step};
use crate::knobs::roots::{Bind, NamedRoot};
use crate::sys::clone::{self, Child, Side};
use crate::sys::exec;
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

/// Largest file of a root that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;
/// Longest revision that is reported.
const MAX_REVISION: usize = 128;

/// The same where owners can't be seen later, in a process of its own: a file system that hangs takes
/// only that along.
pub(crate) fn identify(root: &NamedRoot) -> Result<Identity, Failure> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).at(Step::Root, "pipe")?;
    let child = match clone::fork(CloneFlags::empty()).at(Step::Root, "fork")? {
        Side::Parent(child) => child,
        Side::Child => {
            let seen = open(root)
                .and_then(|dir| Identity::of(dir.as_fd()).at(Step::Root, root.path.display()));
            if let Ok(bytes) = postcard::to_stdvec(&seen) {
                let _ = File::from(theirs).write_all(&bytes);
            }
            exec::leave(0);
        }
    };
    drop(theirs);
    let mut fds = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, patience(root)).at(Step::Root, "poll")? == 0 {
        give_up(&child);
        return Err(silent(root));
    }
    let mut bytes = Vec::new();
    File::from(ours).read_to_end(&mut bytes).at(Step::Root, root.path.display())?;
    let _ = waitpid(child.pid, None);
    postcard::from_bytes(&bytes).unwrap_or_else(|_| {
        Err(Failure::host(Step::Root, format!("the look at named root {} died", root.name)))
    })
}

/// How long a root may take to answer.
pub(crate) fn patience(root: &NamedRoot) -> PollTimeout {
    PollTimeout::try_from(Duration::from_secs(root.patience.into())).unwrap_or(PollTimeout::MAX)
}

/// Ends a process that waits for a file system. One that the kernel doesn't let go is left behind.
pub(crate) fn give_up(child: &Child) {
    let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
    let mut fds = [PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, 2000_u16).is_ok_and(|ready| ready > 0) {
        let _ = waitpid(child.pid, None);
    }
}

/// The failure of a root that doesn't answer.
pub(crate) fn silent(root: &NamedRoot) -> Failure {
    Failure::host(
        Step::Root,
        format!(
            "named root {} can't be used: {}, or what is bound into it, gave no answer within {} s \
             (NAMED_CHROOT_TIMEOUT): is its file system there?",
            root.name,
            root.path.display(),
            root.patience
        ),
    )
}

/// Why something can't be bound into a root.
pub(crate) fn no_bind(root: &NamedRoot, bind: &Bind, error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::ELOOP) => ": there is a symbolic link on the way: name what it points to",
        Some(libc::ENOENT) => ": make it, or write ? behind it if it needn't be there",
        _ => "",
    };
    format!("{}: {}: {}{remedy}", root.knob("BIND"), bind.source.display(), Reason(error))
}

/// A regular file of a root, with links followed within it; nothing if there is none.
pub(crate) fn read(root: BorrowedFd<'_>, path: &str) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(root, path, flags, Mode::empty(), how) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// What a root says of its revision: by its knob, or CVMFS does.
pub(crate) fn revision(dir: BorrowedFd<'_>, root: &NamedRoot) -> Option<String> {
    let text = match root.revision.as_deref() {
        Some(path) if path.starts_with('/') => {
            let content = read(dir, path.trim_start_matches('/')).ok()??;
            String::from_utf8_lossy(content.split(|byte| *byte == b'\n').next()?).into_owned()
        }
        Some(text) => text.to_owned(),
        None => {
            let mut value = [0; MAX_REVISION];
            let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
            let length = rustix::fs::getxattr(path, "user.revision", &mut value).ok()?;
            format!("cvmfs:{}", String::from_utf8_lossy(value.get(..length)?))
        }
    };
    let plain = text.trim().chars().filter(|c| (' '..='~').contains(c) && !"\"\\".contains(*c));
    let text: String = plain.take(MAX_REVISION).collect();
    (!text.is_empty()).then_some(text)
}

/// The name of its system, as its os-release has it.
pub(crate) fn system(dir: BorrowedFd<'_>) -> Option<String> {
    let files = ["etc/os-release", "usr/lib/os-release"];
    let content = files.iter().find_map(|path| read(dir, path).ok()?)?;
    let content = String::from_utf8_lossy(&content);
    let name = content.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim().trim_matches(['"', '\'']).to_owned())
}

/// Opens a root in the cell's mount namespace: checks it, or finds the one again that was checked.
pub(crate) fn reopen(root: &NamedRoot, checked: Option<Identity>) -> Result<OwnedFd, Failure> {
    let Some(identity) = checked else { return open(root) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = || -> io::Result<OwnedFd> {
        let dir = openat2(CWD, root.path.as_path(), flags, Mode::empty(), how)?;
        if Identity::of(dir.as_fd())? == identity {
            Ok(dir)
        } else {
            Err(io::Error::other("it is not the directory that was checked"))
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
