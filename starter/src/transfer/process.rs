//! A transfer process: made, confined to one account and a few descriptors, listened to, and always
//! reaped. The launcher goes on with its own work meanwhile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Direction;
use crate::failure::{Context, Failure};
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::seccomp::Profile;
use crate::sys::{exec, process};

/// More than this is not read from a process that reports; a catalogue of some 500 000 names.
const MAX_REPORT: usize = 64 << 20;

/// What a process may do and use.
#[derive(Clone, Debug)]
pub(super) struct Role<'a> {
    /// What it is called in messages.
    pub(super) name: &'static str,
    /// The account it becomes for good; `None`: it keeps its own rights.
    pub(super) ids: Option<&'a Ids>,
    /// Descriptors it keeps, besides its standard files.
    pub(super) keep: Vec<BorrowedFd<'a>>,
    /// Which of the starter's standard files it keeps.
    pub(super) keeps: Keeps,
}

/// Which standard files a process keeps; the others become `/dev/null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// All: the submitter may have named them as files (`/dev/stdout`).
    All,
    /// Standard error, to draw on.
    Error,
    /// None.
    Nothing,
}

/// A view of the file system that a process enters before it becomes the account of its side.
pub(crate) struct Entrance<'a> {
    /// The namespaces that it is made in.
    pub(crate) namespaces: CloneFlags,
    /// The system calls that the plugins in it can't make.
    pub(crate) calls: Profile,
    /// Builds it, in there.
    pub(crate) enter: &'a dyn Fn() -> Result<(), Failure>,
}

/// A process at work. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Running {
    name: &'static str,
    direction: Direction,
    child: Child,
    /// Its report, as far as it has come; nothing more comes once it has ended.
    told: File,
    heard: Vec<u8>,
    ended: Option<WaitStatus>,
}

impl Running {
    /// Forks the process and has it do its work, whose result it reports, or `refused` of the reason
    /// why it could not begin.
    pub(super) fn start<T: Serialize>(
        direction: Direction,
        role: &Role<'_>,
        entrance: Option<&Entrance<'_>>,
        work: impl FnOnce() -> T,
        refused: impl FnOnce(Failure) -> T,
    ) -> Result<Self, Failure> {
        let step = direction.step();
        let launcher = rustix::process::getpid();
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC).at(step, "pipe of a transfer process")?;
        let flags = fcntl_getfl(&told).at(step, "pipe of a transfer process")?;
        fcntl_setfl(&told, flags | OFlags::NONBLOCK).at(step, "pipe of a transfer process")?;
        let namespaces = entrance.map_or(CloneFlags::empty(), |entrance| entrance.namespaces);
        match clone::fork(namespaces).at(step, "fork of a transfer process")? {
            Side::Parent(child) => Ok(Self {
                name: role.name,
                direction,
                child,
                told: told.into(),
                heard: Vec::new(),
                ended: None,
            }),
            Side::Child => {
                // In a PID namespace of its own it can't see who made it.
                let sees_parent = !namespaces.contains(CloneFlags::CLONE_NEWPID);
                let entered = entrance.map_or(Ok(()), |entrance| (entrance.enter)());
                let ready = entered.and_then(|()| confine(direction, role, tell.as_fd()));
                let done = match ready {
                    Ok(()) if sees_parent && rustix::process::getppid() != Some(launcher) => {
                        exec::leave(1)
                    }
                    Ok(()) => work(),
                    Err(failure) => refused(failure),
                };
                let told = postcard::to_stdvec(&done)
                    .is_ok_and(|bytes| File::from(tell).write_all(&bytes).is_ok());
                exec::leave(i32::from(!told));
            }
        }
    }

    /// To wait for: any of them is readable when there is something to do.
    pub(super) fn sources(&self) -> [BorrowedFd<'_>; 2] {
        [self.told.as_fd(), self.child.pidfd.as_fd()]
    }

    /// Hears what there is to hear, without waiting; whether the process has ended and is reaped.
    /// Nothing that it does can keep it from being reaped: one that tells too much is killed.
    pub(super) fn step(&mut self) -> Result<bool, Failure> {
        if self.ended.is_some() {
            return Ok(true);
        }
        // The end is asked for first: what was told before it is in the pipe then.
        let status = loop {
            match waitpid(self.child.pid, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::EINTR) => {}
                other => break other.at(self.direction.step(), "end of a transfer process")?,
            }
        };
        let mut buffer = [0; 16 << 10];
        loop {
            match self.told.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.heard.extend_from_slice(buffer.get(..length).unwrap_or(&[])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error).at(self.direction.step(), "report of a transfer process");
                }
            }
            if self.heard.len() > MAX_REPORT {
                self.kill();
                break;
            }
        }
        if status != WaitStatus::StillAlive {
            self.ended = Some(status);
        }
        Ok(self.ended.is_some())
    }

    /// Ends it, whatever it is doing. It is reaped by `step`, or when it is dropped.
    pub(super) fn kill(&self) {
        if self.ended.is_none() {
            // One that is gone needs none.
            let _ = pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        }
    }

    /// What it has reported, once it has ended.
    pub(super) fn report<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        postcard::from_bytes(&self.heard).map_err(|_| {
            let end = match self.ended {
                Some(WaitStatus::Signaled(_, signal, _)) => format!("was ended by {signal}"),
                _ => "ended without a report".to_owned(),
            };
            self.direction.host(format!("the {} process {end}", self.name))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            let _ = waitpid(self.child.pid, None);
        }
    }
}

/// The sandbox, opened in the view of the job: what was opened outside leads, by `..`, to what is
/// beside it on the machine.
pub(super) fn as_seen(
    direction: Direction,
    path: &Path,
    sandbox: BorrowedFd<'_>,
) -> Result<OwnedFd, Failure> {
    let step = direction.step();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let seen = openat(CWD, path, flags, Mode::empty()).at(step, path.display())?;
    let (outside, inside) =
        (fstat(sandbox).at(step, path.display())?, fstat(&seen).at(step, path.display())?);
    if (outside.st_dev, outside.st_ino) == (inside.st_dev, inside.st_ino) {
        Ok(seen)
    } else {
        Err(Failure::host(step, format!("{}: not the job's sandbox", path.display())))
    }
}

/// Leaves nothing to a process but what it needs: a few descriptors and one account.
fn confine(direction: Direction, role: &Role<'_>, tell: BorrowedFd<'_>) -> Result<(), Failure> {
    let step = direction.step();
    standard_files(role.keeps).at(step, "/dev/null")?;
    let mut keep = role.keep.clone();
    keep.push(tell);
    process::close_all_but(&keep).at(step, "descriptors")?;
    if let Some(ids) = role.ids
        && rustix::process::geteuid().is_root()
    {
        privilege::become_for_good(ids).at(step, "becoming the account of a side")?;
    }
    if role.ids.is_some() && !rustix::process::geteuid().is_root() {
        privilege::drop_capabilities().at(step, "capabilities")?;
    }
    privilege::no_new_privileges().at(step, "no_new_privs")?;
    // Jobs of the same account may run on this machine.
    process::be_opaque().at(step, "dumpable")?;
    process::die_with_parent().at(step, "death signal")?;
    // The supervisor reads its signals from a descriptor; these processes have nothing to put in
    // order when the terminal ends them.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).at(step, "signal mask")?;
    // Permission bits are those of the original.
    rustix::process::umask(Mode::empty());
    Ok(())
}

/// A number below 3 that is free would be given to the next file that is opened, and what is
/// written by mistake would go there.
fn standard_files(keeps: Keeps) -> io::Result<()> {
    if keeps == Keeps::All {
        return Ok(());
    }
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    if keeps == Keeps::Nothing {
        rustix::stdio::dup2_stderr(&null)?;
    }
    Ok(())
}
