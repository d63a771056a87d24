//! Somebody joins a running job: a program in the same cell, under the same rules, by the same last
//! steps as the job's own.
//!
//! A process of the launcher's goes into the cell's namespaces and makes the program's process there,
//! by way of one more that is gone before the program begins: so the program's parent is the first
//! process of the job's PID namespace. Were it the launcher, whatever the program makes as a brother of
//! its own would be the launcher's, and the kernel is not done with a PID namespace before all that were
//! in it are waited for.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::waitpid;
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use super::cell::{self, Cell};
use super::cgroup::Group;
use super::stdio::Files;
use super::{State, job, out_of_order};
use crate::failure::{Context, Failure, Step};
use crate::plan::{Plan, Program};
use crate::sys::clone::{self, Side};
use crate::sys::{exec, privilege, process};

/// Programs beside a job at the most.
const MOST: usize = 64;

/// A program beside the job. It ends with this.
#[derive(Debug)]
pub(super) struct Guest {
    pidfd: OwnedFd,
}

impl Guest {
    /// Readable once it has ended.
    pub(super) fn end(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Whether it has ended; then nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let over = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if over {
            self.reap();
        }
        over
    }

    /// Where process numbers are shared it is the launcher's child; elsewhere there is nothing to do.
    fn reap(&self) {
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if pidfd_send_signal(&self.pidfd, Signal::KILL).is_ok() {
            self.reap();
        }
    }
}

/// Runs a program in the cell of the job that runs.
pub(super) fn join(program: Program, file: &OwnedFd, state: &mut State) -> Result<(), Failure> {
    let (Some(plan), Some(cell), None, false) =
        (&state.plan, &state.cell, &state.ended, state.script)
    else {
        return Err(out_of_order("the job doesn't run"));
    };
    if state.guests.len() >= MOST {
        return Err(out_of_order("too many have joined the job already"));
    }
    let plan = Plan { program, ..plan.clone() };
    let copy = || file.try_clone().at(Step::Stdio, "standard files");
    let guest = enter(&plan, Files([copy()?, copy()?, copy()?]), cell)?;
    state.guests.push(guest);
    Ok(())
}

/// Tells whoever waits at the program's standard output why there is none.
pub(super) fn excuse(file: &OwnedFd, failure: &Failure) {
    if let Ok(file) = file.try_clone() {
        // Whoever has left needs no reason.
        let _ = File::from(file).write_all(format!("{failure}\n").as_bytes());
    }
}

fn enter(plan: &Plan, files: Files, cell: &Cell) -> Result<Guest, Failure> {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (told, tell) = pipe().at(Step::Namespaces, "pipe")?;
    let (gate, go) = pipe().at(Step::Namespaces, "pipe")?;
    let (status, report) = cell::messages().at(Step::Namespaces, "socketpair")?;
    let parent = std::process::id();
    let usher = match clone::fork(CloneFlags::empty()).at(Step::Namespaces, "clone3")? {
        Side::Parent(usher) => usher,
        Side::Child => {
            let made = usher(plan, &files, cell, parent, [&tell, &gate], &report);
            if let Err(failure) = made {
                job::confess(&tell, &failure);
            }
            exec::leave(0);
        }
    };
    drop((tell, gate, report, files));
    let received = cell::receive_pidfd(&status);
    let _ = waitpid(usher.pid, None);
    let pidfd = match received {
        Ok(received) => received.job,
        Err(failure) => return Err(cell::reason(told).err().unwrap_or(failure)),
    };
    let guest = Guest { pidfd };
    let _ = File::from(go).write_all(b"g");
    cell::reason(told)?;
    Ok(guest)
}

/// Goes where the job is, and makes the program's process there.
fn usher(
    plan: &Plan,
    files: &Files,
    cell: &Cell,
    parent: u32,
    [tell, gate]: [&OwnedFd; 2],
    report: &std::os::unix::net::UnixDatagram,
) -> Result<(), Failure> {
    process::die_with_parent().at(Step::Namespaces, "death signal")?;
    let [input, output, error] = &files.0;
    let mut keep = vec![input.as_fd(), output.as_fd(), error.as_fd(), tell.as_fd(), gate.as_fd()];
    keep.extend([report.as_fd(), cell.init.pidfd.as_fd(), cell.job.as_fd()]);
    keep.extend(cell.group.as_ref().map(Group::dir));
    process::close_all_but(&keep).at(Step::Namespaces, "descriptors")?;
    cell::oom_score(plan)?;
    // What a job unshares of itself is its own affair: init has what it was given. Without root only
    // the job's own process can be followed, for init is opaque.
    let holder = if plan.namespaces.user { &cell.job } else { &cell.init.pidfd };
    let (pid, cgroup) = (CloneFlags::CLONE_NEWPID, CloneFlags::CLONE_NEWCGROUP);
    let mut wanted = cell::flags(plan);
    let own_pids = wanted.contains(pid);
    wanted.remove(pid | cgroup);
    let step = |fd: &OwnedFd, flags: CloneFlags| match flags.is_empty() {
        true => Ok(()),
        false => setns(fd, flags).at(Step::Namespaces, "joining the job's namespaces"),
    };
    step(holder, wanted)?;
    if own_pids {
        step(&cell.job, pid)?;
    }
    if rustix::process::geteuid().is_root() || plan.namespaces.user {
        privilege::empty_bounding_set().at(Step::Identity, "capability bounding set")?;
    }
    let into = cell.group.as_ref().map(Group::dir);
    match clone::fork(CloneFlags::empty()).at(Step::Namespaces, "clone3")? {
        Side::Parent(between) => {
            waitpid(between.pid, None).map(drop).at(Step::Namespaces, "waiting")
        }
        Side::Child => {
            let between = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
                .at(Step::Namespaces, "a descriptor of this process")?;
            match clone::fork_into(CloneFlags::empty(), into).at(Step::Namespaces, "clone3")? {
                Side::Parent(child) => cell::send_pidfd(report, &child.pidfd, None, None),
                Side::Child => {
                    // Not sooner: who is in that namespace can't move anybody into its cgroup.
                    let seen = if plan.namespaces.cgroup { cgroup } else { CloneFlags::empty() };
                    let failure = match step(holder, seen).and_then(|()| end_of(&between)) {
                        Ok(()) => job::start(plan, files, parent, gate),
                        Err(failure) => failure,
                    };
                    job::confess(tell, &failure);
                    exec::leave(127);
                }
            }
        }
    }
}

/// Waits until a process has ended and has no children any more: who asks to be killed with its parent, as
/// the program will, must have got its last one.
fn end_of(process: &OwnedFd) -> Result<(), Failure> {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::NONE).map(drop).at(Step::Namespaces, "waiting for the end")
}
