//! The process that runs plugins for a transfer, in a room that the launcher makes.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use super::run::{Call, Ran, run_all};
use crate::failure::{Context, Failure};
use crate::launcher::message::Channel;
use crate::sys::privilege::Ids;
use crate::sys::seccomp::Profile;
use crate::sys::{keyring, process, scope, seccomp};
use crate::transfer::fault::Direction;
use crate::transfer::process::{Entrance, Keeps, Role, Running, as_seen};

/// How long a helper that can't take its plugins along gets to end them.
const GRACE: Duration = Duration::from_secs(2);

/// Where plugins run.
pub(crate) struct Rooms<'a> {
    /// Those of the machine.
    pub(crate) site: Entrance<'a>,
    /// Those that the job brings.
    pub(crate) own: Entrance<'a>,
}

/// Transfer process to helper.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    calls: Vec<Call>,
    seconds: u64,
}

/// Helper to transfer process.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It is in its room.
    Ready,
    /// It couldn't get there.
    Refused(Failure),
    /// What became of the calls.
    Ran(Vec<Ran>),
}

/// The helpers of a transfer, for the launcher. Dropped, they end and so does all they have started.
#[derive(Debug, Default)]
pub(crate) struct Helpers(Vec<Helper>);

#[derive(Debug)]
struct Helper {
    running: Running,
    /// Whether the end of its PID namespace comes with its own.
    owns_numbers: bool,
}

/// Lines to the helpers, for the transfer process.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// To the one that runs the machine's plugins.
    pub(super) site: Option<Line>,
    /// To the one that runs those of the job.
    pub(super) own: Option<Line>,
}

impl Helpers {
    /// Makes those that are needed.
    pub(crate) fn begin(
        direction: Direction,
        rooms: &Rooms<'_>,
        has_own: bool,
        ids: &Ids,
        sandbox: (&Path, BorrowedFd<'_>),
    ) -> Result<(Self, Lines), Failure> {
        let mut helpers = Self::default();
        let mut make = |entrance: &Entrance<'_>| -> Result<Line, Failure> {
            let (helper, line) = begin(direction, entrance, ids, sandbox)?;
            helpers.0.push(helper);
            Ok(line)
        };
        let site = Some(make(&rooms.site)?);
        let own = if has_own { Some(make(&rooms.own)?) } else { None };
        Ok((helpers, Lines { site, own }))
    }
}

impl Lines {
    /// The descriptors, to be kept by the transfer process.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        [&self.site, &self.own]
            .into_iter()
            .flatten()
            .map(|line| line.channel.stream().as_fd())
            .collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Its line is closed when the transfer process is gone.
        if !self.owns_numbers {
            let [_, end] = self.running.sources();
            let mut fds = [PollFd::new(end, PollFlags::POLLIN)];
            let grace = PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut fds, grace);
        }
    }
}

fn begin(
    direction: Direction,
    entrance: &Entrance<'_>,
    ids: &Ids,
    (path, sandbox): (&Path, BorrowedFd<'_>),
) -> Result<(Helper, Line), Failure> {
    let step = direction.step();
    let (line, end) = Channel::pair().at(step, "line to a plugin's helper")?;
    let role = Role {
        name: "plugin",
        ids: Some(ids),
        keep: vec![sandbox, end.stream().as_fd()],
        keeps: Keeps::Nothing,
    };
    let running = Running::start(
        direction,
        &role,
        Some(entrance),
        || match settle(direction, path, sandbox, entrance.calls) {
            Ok(dir) => serve(&end, &dir),
            Err(failure) => refuse(&end, failure),
        },
        |failure| refuse(&end, failure),
    )?;
    let owns_numbers = entrance.namespaces.contains(CloneFlags::CLONE_NEWPID);
    Ok((Helper { running, owns_numbers }, Line { channel: line, greeted: Cell::new(false) }))
}

/// The rest of the job's isolation, and the sandbox as it is seen in here.
fn settle(
    direction: Direction,
    path: &Path,
    sandbox: BorrowedFd<'_>,
    calls: Profile,
) -> Result<File, Failure> {
    let step = direction.step();
    let seen: OwnedFd = as_seen(direction, path, sandbox)?;
    if std::process::id() != 1 {
        process::adopt_orphans().at(step, "subreaper")?;
    }
    match keyring::new_session() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => {
            return Err(error).at(step, "session keyring");
        }
        _ => {}
    }
    if scope::available() {
        scope::close().at(step, "Landlock scopes")?;
    }
    seccomp::refuse(calls).at(step, "seccomp filter")?;
    Ok(seen.into())
}

fn refuse(end: &Channel, failure: Failure) {
    // Nobody to tell is nobody to mind.
    let _ = end.send(&Answer::Refused(failure));
}

/// Runs what it is told, until the transfer process is gone.
fn serve(end: &Channel, dir: &File) {
    if end.send(&Answer::Ready).is_err() {
        return;
    }
    while let Ok(Some(Ask { calls, seconds })) = end.receive() {
        let until = Some(end.stream().as_fd());
        let ran = run_all(&calls, dir.as_fd(), Duration::from_secs(seconds), until);
        if end.send(&Answer::Ran(ran)).is_err() {
            return;
        }
    }
}

/// The transfer process's end of a line.
#[derive(Debug)]
pub(super) struct Line {
    channel: Channel,
    greeted: Cell<bool>,
}

impl Line {
    /// Has programs run; what became of each.
    pub(super) fn run(
        &self,
        direction: Direction,
        calls: Vec<Call>,
        seconds: u64,
    ) -> Result<Vec<Ran>, Failure> {
        let gone = || direction.host("the process that runs plugins is gone");
        if !self.greeted.get() {
            match self.channel.receive()?.ok_or_else(gone)? {
                Answer::Ready => self.greeted.set(true),
                Answer::Refused(failure) => return Err(failure),
                Answer::Ran(_) => return Err(gone()),
            }
        }
        let count = calls.len();
        self.channel.send(&Ask { calls, seconds })?;
        match self.channel.receive()?.ok_or_else(gone)? {
            Answer::Ran(ran) if ran.len() == count => Ok(ran),
            _ => Err(gone()),
        }
    }
}

#[cfg(test)]
impl Lines {
    /// To a thread in place of a process, for plugins of the machine and of the job.
    pub(crate) fn to_a_thread(dir: &Path) -> Self {
        let line = || {
            let (line, end) = Channel::pair().unwrap();
            let dir = File::open(dir).unwrap();
            std::thread::spawn(move || serve(&end, &dir));
            Some(Line { channel: line, greeted: Cell::new(false) })
        };
        Self { site: line(), own: line() }
    }
}
