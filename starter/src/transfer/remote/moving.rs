//! A transfer with the shadow as a process of its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use super::{Catalogue, Delivered, Fetched, Input, Output, Peer};
use crate::failure::{Context, Failure, Step};
use crate::sys::privilege::Ids;
use crate::transfer::Moved;
use crate::transfer::fault::Direction;
use crate::transfer::process::{Entrance, Keeps, Role, Running};

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transferring {
    running: Running,
    direction: Direction,
}

/// Begins to fetch the job's input, with the rights of an account and nothing but the sandbox.
pub(crate) fn begin_fetch(
    peer: &Peer,
    what: &Input,
    ids: &Ids,
    sandbox: BorrowedFd<'_>,
) -> Result<Transferring, Failure> {
    let direction = Direction::In;
    let running = Running::start(
        direction,
        &role(ids, sandbox),
        None,
        || super::fetch(peer, what, sandbox, &mut |_| {}),
        Err,
    )?;
    Ok(Transferring { running, direction })
}

/// Begins to deliver the job's output in the same way, from where the job saw it: links and absolute
/// paths lead where they led for the job, and to no other job's sandbox. `before`: what was in the
/// sandbox when the job started.
pub(crate) fn begin_delivery(
    peer: &Peer,
    what: &Output,
    before: &Catalogue,
    ids: &Ids,
    sandbox: BorrowedFd<'_>,
    entrance: Option<&Entrance<'_>>,
) -> Result<Transferring, Failure> {
    let direction = Direction::Out;
    let running = Running::start(
        direction,
        &role(ids, sandbox),
        entrance,
        || match entrance {
            None => super::deliver(peer, what, sandbox, before, &mut |_| {}),
            Some(_) => {
                let seen = as_seen(&what.sandbox, sandbox)?;
                super::deliver(peer, what, seen.as_fd(), before, &mut |_| {})
            }
        },
        Err,
    )?;
    Ok(Transferring { running, direction })
}

/// The sandbox, opened in the view of the job: what was opened outside leads, by `..`, to what is
/// beside it on the machine.
fn as_seen(path: &Path, sandbox: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let seen = openat(CWD, path, flags, Mode::empty()).at(Step::Output, path.display())?;
    let (outside, inside) = (
        fstat(sandbox).at(Step::Output, path.display())?,
        fstat(&seen).at(Step::Output, path.display())?,
    );
    if (outside.st_dev, outside.st_ino) == (inside.st_dev, inside.st_ino) {
        Ok(seen)
    } else {
        Err(Failure::host(Step::Output, format!("{}: not the job's sandbox", path.display())))
    }
}

fn role<'a>(ids: &'a Ids, sandbox: BorrowedFd<'a>) -> Role<'a> {
    Role { name: "transfer", ids: Some(ids), keep: vec![sandbox], keeps: Keeps::Nothing }
}

impl Transferring {
    /// To wait for.
    pub(crate) fn sources(&self) -> [BorrowedFd<'_>; 2] {
        self.running.sources()
    }

    /// Goes on without waiting; the end, if it has come.
    pub(crate) fn step(&mut self) -> Option<Result<Moved, Failure>> {
        match self.running.step() {
            Ok(false) => None,
            Ok(true) => Some(self.end()),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Ends it in the middle.
    pub(crate) fn kill(&self) {
        self.running.kill();
    }

    fn end(&self) -> Result<Moved, Failure> {
        match self.direction {
            Direction::In => {
                let fetched: Result<Fetched, Failure> = self.running.report()?;
                fetched.map(|Fetched { catalogue, stats, invalid, .. }| Moved::In {
                    catalogue,
                    stats,
                    invalid,
                })
            }
            Direction::Out => {
                let delivered: Result<Delivered, Failure> = self.running.report()?;
                delivered.map(Moved::Out)
            }
        }
    }
}
