//! The cell: the namespaces a job lives in, and the init that holds them.
//!
//! The launcher makes one process in new namespaces, called init here in every mode. It builds the
//! view as root, makes the job's process, gives up its rights and then only reaps. Where the job is
//! to be process 1 itself, it gets a second PID namespace inside; so there is always a process that
//! the job can't touch, whose death the kernel turns into the death of everything in the cell.
//!
//! Two channels lead out, neither of which the job has: a pipe that closes when the program runs
//! (or carries the reason why it doesn't), and a socket with the status that the kernel reported.
//! One leads in: a pipe with the word to run the program, until which the job's process waits.

mod handover;
mod init;
mod make;

pub(super) use self::handover::{messages, number_of, receive_pidfd, send_pidfd};
pub(super) use self::init::oom_score;
pub(super) use self::make::reason;
pub(crate) use self::make::{Begin, Waiting, make};

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use nix::sched::CloneFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::cgroup::Group;
use super::message::{Ended, Status};
use super::{family, view};
use crate::failure::{Context, Failure, Step};
use crate::plan::{PidOne, Plan};
use crate::report::{Sample, Usage};
use crate::sys::clone::Child;
use crate::sys::privilege::Ids;
use crate::sys::process;

/// A job that runs.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(super) init: Child,
    status: UnixDatagram,
    pub(super) job: OwnedFd,
    separate: bool,
    /// It was to end at once.
    killed: bool,
    /// The cgroup that all of it is in, where there is one.
    pub(crate) group: Option<Group>,
    /// The revision of its root, where that is known.
    pub(crate) revision: Option<String>,
    /// The job's process number on the machine.
    pub(crate) pid: i32,
}

impl Cell {
    /// Readable once every process of the cell is gone.
    pub(crate) fn end(&self) -> &OwnedFd {
        &self.init.pidfd
    }

    /// Readable once the job's main process has ended.
    pub(crate) fn status(&self) -> &UnixDatagram {
        &self.status
    }

    /// A signal to the job's main process; one that is gone needs none.
    pub(crate) fn signal(&self, number: i32) -> Result<(), Failure> {
        let Some(signal) = Signal::from_named_raw(number) else {
            return Err(Failure::host(Step::Watch, format!("there is no signal {number}")));
        };
        match pidfd_send_signal(&self.job, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.at(Step::Watch, format!("signal {number} to the job")),
        }
    }

    /// Stops every process of the job, or lets it go on.
    pub(crate) fn suspend(&self, stop: bool) -> Result<(), Failure> {
        if let Some(group) = &self.group {
            return group.freeze(stop).at(Step::Watch, "freezing the job's cgroup");
        }
        let signal = if stop { Signal::STOP } else { Signal::CONT };
        family::signal(self.init.pid, signal)
    }

    /// What the processes of the job use now.
    pub(crate) fn sample(&mut self) -> Sample {
        if let Some(group) = &mut self.group {
            return group.sample();
        }
        family::sample(self.init.pid)
    }

    /// Kills every process of the cell.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.killed = true;
        self.end_all()
    }

    fn end_all(&self) -> Result<(), Failure> {
        if self.group.as_ref().is_some_and(|group| group.kill().is_ok()) {
            return Ok(());
        }
        // Where init's end isn't theirs, the launcher adopts what is left, and `collect` ends it.
        match pidfd_send_signal(&self.init.pidfd, Signal::KILL) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.at(Step::Watch, "killing the job"),
        }
    }

    /// Takes the message that the main process has ended, if it has come; kills what is left of its
    /// family where no PID namespace does it.
    pub(crate) fn take_status(&self) -> Option<Ended> {
        let mut buffer = [0; 256];
        self.status.set_nonblocking(true).ok()?;
        let length = self.status.recv(&mut buffer).ok()?;
        let ended = postcard::from_bytes(buffer.get(..length)?).ok();
        if !self.separate {
            // Also where it fails: the caller waits for the end of all processes anyway.
            let _ = self.end_all();
        }
        ended
    }

    /// Takes init's end into account once all processes are gone. What comes back is how the job ended,
    /// if that is known, and the cgroup, for the caller to remove.
    pub(crate) fn collect(
        mut self,
        ended: Option<Ended>,
    ) -> Result<(Result<Ended, Failure>, Option<Group>), Failure> {
        let usage = process::wait_with_usage(self.init.pid).at(Step::Watch, "waiting for init")?;
        if !self.separate {
            // What init had adopted is the launcher's now.
            family::kill_children();
        }
        let ended = ended.or_else(|| self.take_status());
        let group = self.group.take();
        let out_of_memory = group.as_ref().and_then(Group::out_of_memory);
        let (status, peak) = match ended {
            Some(ended) => (ended.status, ended.usage.peak_memory_kib),
            // Init went first: it was killed together with the job.
            None if self.killed || out_of_memory.is_some() => {
                (Status::Signaled(libc::SIGKILL, false), usage.peak_memory_kib)
            }
            None => {
                let why = "the job's init was killed from outside, and the job with it: it has to run again \
                           (who on this machine kills processes of HTCondor?)";
                return Ok((Err(Failure::host(Step::Watch, why)), group));
            }
        };
        let usage = Usage { peak_memory_kib: peak, ..usage };
        let usage = group.as_ref().map_or(usage, |group| group.usage(usage));
        Ok((Ok(Ended { status, usage, out_of_memory }), group))
    }
}

/// All namespaces of the cell.
pub(super) fn flags(plan: &Plan) -> CloneFlags {
    let n = &plan.namespaces;
    let wanted = [
        (n.user, CloneFlags::CLONE_NEWUSER),
        (n.mount, CloneFlags::CLONE_NEWNS),
        (n.pid != PidOne::Shared, CloneFlags::CLONE_NEWPID),
        (n.ipc, CloneFlags::CLONE_NEWIPC),
        (n.uts, CloneFlags::CLONE_NEWUTS),
        // In a cgroup of its own, init makes the namespace itself: here it would begin at this process's.
        (n.cgroup && plan.together.cgroup().is_none(), CloneFlags::CLONE_NEWCGROUP),
        (n.net, CloneFlags::CLONE_NEWNET),
    ];
    wanted.into_iter().filter_map(|(on, flag)| on.then_some(flag)).collect()
}

/// The namespaces that a view of the job's can be built in by itself.
pub(crate) fn view_namespaces(plan: &Plan) -> CloneFlags {
    let user = if plan.namespaces.user { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
    CloneFlags::CLONE_NEWNS | user
}

/// Sees the file system as the job does, apart from its processes. Called in such namespaces.
pub(crate) fn enter_view(plan: &Plan, places: view::Places) -> Result<(), Failure> {
    if plan.namespaces.user {
        map_own_ids(&plan.account.ids)?;
    }
    view::build(plan, places).map(drop)
}

/// In a user namespace the job keeps the only ids that an unprivileged starter may give: its own.
pub(super) fn map_own_ids(ids: &Ids) -> Result<(), Failure> {
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .at(Step::Namespaces, format!("/proc/self/{file} of the user namespace"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{0} {0} 1", ids.uid))?;
    write("gid_map", format!("{0} {0} 1", ids.gid))
}
