//! A transfer with the shadow as a process of its own.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Catalogue, Delivered, Fetched, Input, Output, Peer};
use crate::failure::Failure;
use crate::sys::privilege::Ids;
use crate::transfer::fault::Direction;
use crate::transfer::plugins::{Caller, Helpers, Lines, Rooms, Settings, Told};
use crate::transfer::process::{Entrance, Keeps, Role, Running, as_seen};
use crate::transfer::{Ending, Moved};

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transferring {
    running: Running,
    direction: Direction,
    /// Run plugins for it, and end with it.
    _helpers: Helpers,
}

/// What the transfer process reports.
#[derive(Debug, Serialize, Deserialize)]
struct Reported<T> {
    outcome: Result<T, Failure>,
    told: Told,
}

impl<T> Reported<T> {
    fn refused(failure: Failure) -> Self {
        Self { outcome: Err(failure), told: Told::default() }
    }
}

/// Begins to fetch the job's input, with the rights of an account and nothing but the sandbox.
pub(crate) fn begin_fetch(
    peer: &Peer,
    what: &Input,
    ids: &Ids,
    sandbox: BorrowedFd<'_>,
    rooms: Option<&Rooms<'_>>,
) -> Result<Transferring, Failure> {
    let direction = Direction::In;
    let settings = what.plugins.as_deref();
    let (helpers, lines) = helpers(direction, settings, rooms, ids, (&what.sandbox, sandbox))?;
    let role = role(ids, sandbox, &lines);
    let running = Running::start(
        direction,
        &role,
        None,
        || {
            let mut caller = Caller::new(settings, &what.sandbox, Some(&lines));
            let outcome = super::fetch(peer, what, sandbox, &mut caller, &mut |_| {});
            Reported { outcome, told: caller.told }
        },
        Reported::refused,
    )?;
    Ok(Transferring { running, direction, _helpers: helpers })
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
    rooms: Option<&Rooms<'_>>,
) -> Result<Transferring, Failure> {
    let direction = Direction::Out;
    let settings = what.plugins.as_deref();
    let (helpers, lines) = helpers(direction, settings, rooms, ids, (&what.sandbox, sandbox))?;
    let role = role(ids, sandbox, &lines);
    let running = Running::start(
        direction,
        &role,
        entrance,
        || {
            let mut caller = Caller::new(settings, &what.sandbox, Some(&lines));
            let outcome = match entrance {
                None => super::deliver(peer, what, sandbox, before, &mut caller, &mut |_| {}),
                Some(_) => as_seen(direction, &what.sandbox, sandbox).and_then(|seen| {
                    super::deliver(peer, what, seen.as_fd(), before, &mut caller, &mut |_| {})
                }),
            };
            Reported { outcome, told: caller.told }
        },
        Reported::refused,
    )?;
    Ok(Transferring { running, direction, _helpers: helpers })
}

/// None for a job that names no URLs: it isn't made to wait for them.
fn helpers(
    direction: Direction,
    settings: Option<&Settings>,
    rooms: Option<&Rooms<'_>>,
    ids: &Ids,
    sandbox: (&Path, BorrowedFd<'_>),
) -> Result<(Helpers, Lines), Failure> {
    match (settings, rooms) {
        (Some(settings), Some(rooms)) => {
            Helpers::begin(direction, rooms, settings.has_own(), ids, sandbox)
        }
        _ => Ok(Default::default()),
    }
}

fn role<'a>(ids: &'a Ids, sandbox: BorrowedFd<'a>, lines: &'a Lines) -> Role<'a> {
    let mut keep = lines.descriptors();
    keep.push(sandbox);
    Role { name: "transfer", ids: Some(ids), keep, keeps: Keeps::Nothing }
}

impl Transferring {
    /// To wait for.
    pub(crate) fn sources(&self) -> [BorrowedFd<'_>; 2] {
        self.running.sources()
    }

    /// Goes on without waiting; the end, if it has come.
    pub(crate) fn step(&mut self) -> Option<Ending> {
        match self.running.step() {
            Ok(false) => None,
            Ok(true) => Some(self.end()),
            Err(failure) => Some(Err(failure).into()),
        }
    }

    /// Ends it in the middle.
    pub(crate) fn kill(&self) {
        self.running.kill();
    }

    fn end(&self) -> Ending {
        match self.direction {
            Direction::In => self.ended(|Fetched { catalogue, stats, invalid }| Moved::In {
                catalogue,
                stats,
                invalid,
            }),
            Direction::Out => self.ended(|delivered: Delivered| Moved::Out(delivered)),
        }
    }

    fn ended<T: serde::de::DeserializeOwned>(&self, moved: impl FnOnce(T) -> Moved) -> Ending {
        match self.running.report::<Reported<T>>() {
            Ok(Reported { outcome, told }) => Ending { outcome: outcome.map(moved), told },
            Err(failure) => Err(failure).into(),
        }
    }
}
