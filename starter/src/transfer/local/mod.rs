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
use self::pair::{Keeps, Role, Work};
use self::place::Place;
use self::progress::Progress;
use self::receive::Receiver;
use self::send::Sender;
use crate::failure::{Context, Failure, Step};
use crate::plan::Plan;
use crate::transfer::fault::{Direction, Trouble};
use crate::transfer::{Catalogue, names};

/// How deep directories may be nested; every level costs both processes a descriptor.
const MAX_DEPTH: usize = 256;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Totals {
    files: u64,
    bytes: u64,
}

/// Copies the job's input into the sandbox, and says what its top level holds then.
pub(crate) fn copy_in(
    plan: &Plan,
    sandbox: BorrowedFd<'_>,
    show_progress: bool,
) -> Result<Catalogue, Failure> {
    // What can't work after the job's end is said before its start.
    names::check(&plan.files)?;
    let progress = show_progress && std::io::stderr().is_terminal();
    let keeps = if progress { Keeps::Error } else { Keeps::Nothing };
    let outside = Role { ids: plan.files.submitter.as_ref(), sandbox: None, keeps: Keeps::All };
    let inside = Role { ids: Some(&plan.account.ids), sandbox: Some(sandbox), keeps };
    let send = |link: &Link| Work { trouble: send_input(link, plan).err(), ..Work::default() };
    let receive = |link: &Link| match receive_input(link, plan, sandbox, progress) {
        Ok((totals, catalogue)) => Work { totals, catalogue, ..Work::default() },
        Err(trouble) => Work { trouble: Some(trouble), ..Work::default() },
    };
    let (_, received) = pair::run(Direction::In, (outside, send), (inside, receive))
        .inspect_err(|_| progress::clear(progress))?;
    Ok(received.catalogue)
}

/// Copies the job's output to where it belongs; the numbers of files and bytes.
pub(crate) fn copy_out(
    plan: &Plan,
    sandbox: BorrowedFd<'_>,
    before: &Catalogue,
    show_progress: bool,
) -> Result<(u64, u64), Failure> {
    names::check(&plan.files)?;
    let progress = show_progress && std::io::stderr().is_terminal();
    let outside = Role { ids: plan.files.submitter.as_ref(), sandbox: None, keeps: Keeps::All };
    let inside =
        Role { ids: Some(&plan.account.ids), sandbox: Some(sandbox), keeps: Keeps::Nothing };
    let send = |link: &Link| send_output(link, plan, sandbox, before);
    let receive = |link: &Link| match receive_output(link, plan, progress) {
        Ok(totals) => Work { totals, ..Work::default() },
        Err(trouble) => Work { trouble: Some(trouble), ..Work::default() },
    };
    let (received, _) = pair::run(Direction::Out, (outside, receive), (inside, send))
        .inspect_err(|_| progress::clear(progress))?;
    Ok((received.totals.files, received.totals.bytes))
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
