//! Copies between the sandbox and this machine's file system, for a job without a shadow.
//!
//! Two processes do it, each with the rights of one side and of nobody else. The *outside* process
//! is the submitter: it opens what is read or written outside the sandbox. The *inside* process has
//! the job's account for good and works below the sandbox's directory only. One of them finds the
//! files, opens them and sends the open files to the other over a socket (`link`); that one makes
//! the names on its side and copies. So content never passes through a third process, the kernel
//! can copy by itself where it knows how, and no process ever opens a name with rights that the
//! side it belongs to lacks.

mod copy;
mod link;
mod output;
mod pair;
mod place;
mod progress;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

use self::link::Link;
use self::pair::{Pair, Work};
use self::place::Place;
use self::progress::Progress;
use self::receive::Receiver;
use self::send::Sender;
use crate::failure::{Context, Failure, Step};
use crate::plan::Plan;
use crate::transfer::fault::{Direction, Trouble};
use crate::transfer::process::{Keeps, Role};
use crate::transfer::{Catalogue, Delivered, Moved, Stats, names};

/// How deep directories may be nested; every level costs both processes a descriptor.
const MAX_DEPTH: usize = 256;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Totals {
    files: u64,
    bytes: u64,
}

impl From<Totals> for Stats {
    fn from(totals: Totals) -> Self {
        Self { files: totals.files, bytes: totals.bytes }
    }
}

/// A copy under way.
#[derive(Debug)]
pub(crate) struct Copying {
    pair: Pair,
    direction: Direction,
    progress: bool,
}

/// Begins to copy the job's input into the sandbox.
pub(crate) fn copy_in(
    plan: &Plan,
    sandbox: BorrowedFd<'_>,
    show_progress: bool,
) -> Result<Copying, Failure> {
    // What can't work after the job's end is said before its start.
    names::check(&plan.files)?;
    let progress = show_progress && std::io::stderr().is_terminal();
    let keeps = if progress { Keeps::Error } else { Keeps::Nothing };
    let inside = inside(plan, sandbox, keeps);
    let send = |link: &Link| Work { trouble: send_input(link, plan).err(), ..Work::default() };
    let receive = |link: &Link| match receive_input(link, plan, sandbox, progress) {
        Ok((totals, catalogue)) => Work { totals, catalogue, ..Work::default() },
        Err(trouble) => Work { trouble: Some(trouble), ..Work::default() },
    };
    let direction = Direction::In;
    let pair = Pair::start(direction, (outside(plan), send), (inside, receive))?;
    Ok(Copying { pair, direction, progress })
}

/// Begins to copy the job's output to where it belongs.
pub(crate) fn copy_out(
    plan: &Plan,
    sandbox: BorrowedFd<'_>,
    before: &Catalogue,
    show_progress: bool,
) -> Result<Copying, Failure> {
    names::check(&plan.files)?;
    let progress = show_progress && std::io::stderr().is_terminal();
    let inside = inside(plan, sandbox, Keeps::Nothing);
    let send = |link: &Link| send_output(link, plan, sandbox, before);
    let receive = |link: &Link| match receive_output(link, plan, progress) {
        Ok(totals) => Work { totals, ..Work::default() },
        Err(trouble) => Work { trouble: Some(trouble), ..Work::default() },
    };
    let direction = Direction::Out;
    let pair = Pair::start(direction, (outside(plan), receive), (inside, send))?;
    Ok(Copying { pair, direction, progress })
}

impl Copying {
    /// To wait for.
    pub(crate) fn sources(&self) -> Vec<BorrowedFd<'_>> {
        self.pair.sources()
    }

    /// Goes on without waiting; the end, if it has come.
    pub(crate) fn step(&mut self) -> Option<Result<Moved, Failure>> {
        let end = self.pair.step()?;
        Some(match end {
            Ok((outside, inside)) => Ok(match self.direction {
                Direction::In => Moved::In {
                    catalogue: inside.catalogue,
                    stats: inside.totals.into(),
                    invalid: None,
                },
                Direction::Out => {
                    Moved::Out(Delivered { stats: outside.totals.into(), ..Delivered::default() })
                }
            }),
            Err(failure) => {
                progress::clear(self.progress);
                Err(failure)
            }
        })
    }

    /// Ends it in the middle.
    pub(crate) fn kill(&self) {
        self.pair.kill();
    }
}

fn outside(plan: &Plan) -> Role<'_> {
    let ids = plan.files.submitter.as_ref();
    Role { name: "outside", ids, keep: Vec::new(), keeps: Keeps::All }
}

fn inside<'a>(plan: &'a Plan, sandbox: BorrowedFd<'a>, keeps: Keeps) -> Role<'a> {
    Role { name: "inside", ids: Some(&plan.account.ids), keep: vec![sandbox], keeps }
}

fn send_input(link: &Link, plan: &Plan) -> Result<(), Trouble> {
    let mut sender = Sender::outside(link);
    for file in &plan.files.input {
        sender.input(file)?;
    }
    sender.finish().0
}

fn receive_input(
    link: &Link,
    plan: &Plan,
    sandbox: BorrowedFd<'_>,
    progress: bool,
) -> Result<(Totals, Catalogue), Trouble> {
    let path = plan.sandbox.path();
    let place = Place::Sandbox { dir: sandbox, path: &path };
    let totals = Receiver::new(link, place, Progress::new(progress)).run()?;
    let catalogue = Catalogue::of(sandbox).at(Step::Input, path.display())?;
    Ok((totals, catalogue))
}

fn send_output(link: &Link, plan: &Plan, sandbox: BorrowedFd<'_>, before: &Catalogue) -> Work {
    let path = plan.sandbox.path();
    let mut sender = Sender::inside(link, sandbox, &path);
    let sent = output::send(&mut sender, sandbox, &plan.files, before);
    let (end, warnings) = sender.finish();
    Work { trouble: sent.and(end).err(), warnings, ..Work::default() }
}

fn receive_output(link: &Link, plan: &Plan, progress: bool) -> Result<Totals, Trouble> {
    Receiver::new(link, Place::Outside(&plan.files), Progress::new(progress)).run()
}
