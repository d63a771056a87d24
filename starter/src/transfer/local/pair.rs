//! The two processes of a copy: made, confined, listened to, and always reaped.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use super::{Link, Totals};
use crate::failure::{Context, Failure};
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::{exec, process};
use crate::transfer::Catalogue;
use crate::transfer::fault::{Direction, Trouble};

/// More than this is not read from a process that reports; a catalogue of some 500 000 names.
const MAX_REPORT: u64 = 64 << 20;
/// Warnings beyond these are only counted.
const MAX_WARNINGS: usize = 20;

/// What a process may do and use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role<'a> {
    /// The account it becomes for good; `None`: it keeps its own rights.
    pub(super) ids: Option<&'a Ids>,
    /// The directory it works in, if it is the inside one.
    pub(super) sandbox: Option<BorrowedFd<'a>>,
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

/// What a process reports when it has done its part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Work {
    /// Of the receiver: what it has written.
    pub(super) totals: Totals,
    /// Why it stopped, or what failed on the way.
    pub(super) trouble: Option<Trouble>,
    /// For the log.
    pub(super) warnings: Vec<String>,
    /// Of the receiver of input.
    pub(super) catalogue: Catalogue,
}

/// Runs both and waits for their ends; what the outside and the inside one report.
pub(super) fn run(
    direction: Direction,
    outside: (Role<'_>, impl FnOnce(&Link) -> Work),
    inside: (Role<'_>, impl FnOnce(&Link) -> Work),
) -> Result<(Work, Work), Failure> {
    let step = direction.step();
    let (outer, inner) = Link::pair().at(step, "socket between the transfer processes")?;
    let outside = Running::start(direction, outside, outer)?;
    // If this one can't be made, the other finds its peer gone and ends.
    let inside = Running::start(direction, inside, inner);
    let outside = outside.finish(direction, "outside");
    let inside = inside?.finish(direction, "inside");
    let (outside, inside) = (outside?, inside?);
    for warning in outside.warnings.iter().chain(&inside.warnings) {
        tracing::warn!("transfer of {direction}: {warning}");
    }
    let (receiver, sender) = match direction {
        Direction::In => (&inside, &outside),
        Direction::Out => (&outside, &inside),
    };
    // The receiver's reason first: it made the sender stop.
    let troubles = || [receiver, sender].into_iter().filter_map(|work| work.trouble.as_ref());
    for trouble in troubles() {
        if let Trouble::Failed(failure) = trouble {
            return Err(failure.clone());
        }
    }
    if troubles().next().is_some() {
        return Err(direction.host("a process ended early without a reason"));
    }
    Ok((outside, inside))
}

/// A process at work.
struct Running {
    child: Child,
    told: OwnedFd,
}

impl Running {
    fn start(
        direction: Direction,
        (role, work): (Role<'_>, impl FnOnce(&Link) -> Work),
        link: Link,
    ) -> Result<Self, Failure> {
        let step = direction.step();
        let launcher = rustix::process::getpid();
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC).at(step, "pipe of a transfer process")?;
        match clone::fork(CloneFlags::empty()).at(step, "fork of a transfer process")? {
            Side::Parent(child) => Ok(Self { child, told }),
            Side::Child => {
                let done = match confine(direction, role, &link, &tell) {
                    Ok(()) if rustix::process::getppid() != Some(launcher) => exec::leave(1),
                    Ok(()) => work(&link),
                    Err(failure) => Work { trouble: Some(failure.into()), ..Work::default() },
                };
                // The peer learns from the socket's end, the launcher from the report.
                let told = postcard::to_stdvec(&done)
                    .is_ok_and(|bytes| File::from(tell).write_all(&bytes).is_ok());
                exec::leave(i32::from(!told));
            }
        }
    }

    /// Hears the report and reaps. Nothing that the process does can keep it from being reaped: the
    /// pipe is closed first, so that it isn't stuck with a report that is too long.
    fn finish(self, direction: Direction, which: &str) -> Result<Work, Failure> {
        let Self { child, told } = self;
        let mut bytes = Vec::new();
        let heard = File::from(told).take(MAX_REPORT).read_to_end(&mut bytes);
        let status = loop {
            match waitpid(child.pid, None) {
                Err(Errno::EINTR) => {}
                other => break other,
            }
        };
        heard.at(direction.step(), "report of a transfer process")?;
        let reported: Result<Work, _> = postcard::from_bytes(&bytes);
        reported.map_err(|_| {
            let end = match status {
                Ok(WaitStatus::Signaled(_, signal, _)) => format!("was ended by {signal}"),
                _ => "ended without a report".to_owned(),
            };
            direction.host(format!("the {which} process {end}"))
        })
    }
}

/// Leaves nothing to a process but what it needs: two descriptors or three, and one account.
fn confine(
    direction: Direction,
    role: Role<'_>,
    link: &Link,
    tell: &OwnedFd,
) -> Result<(), Failure> {
    let step = direction.step();
    standard_files(role.keeps).at(step, "/dev/null")?;
    let mut keep = vec![link.as_fd(), tell.as_fd()];
    keep.extend(role.sandbox);
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

/// Keeps what a process has to say short.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    first: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Adds one.
    pub(super) fn push(&mut self, warning: String) {
        if self.first.len() < MAX_WARNINGS {
            self.first.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// All, or the first and how many more there were.
    pub(super) fn into_vec(mut self) -> Vec<String> {
        if self.more > 0 {
            self.first.push(format!("{} more warnings", self.more));
        }
        self.first
    }
}
