//! A transfer with the shadow as a process of its own.

use std::os::fd::BorrowedFd;

use super::{Catalogue, Delivered, Fetched, Input, Output, Peer};
use crate::failure::Failure;
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
        || super::deliver(peer, what, sandbox, before, &mut |_| {}),
        Err,
    )?;
    Ok(Transferring { running, direction })
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
                fetched.map(|Fetched { catalogue, stats, .. }| Moved::In { catalogue, stats })
            }
            Direction::Out => {
                let delivered: Result<Delivered, Failure> = self.running.report()?;
                delivered.map(Moved::Out)
            }
        }
    }
}
