//! Making a cell: from the outside, as the launcher does it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::sys::wait::waitpid;
use rustix::process::{Signal, pidfd_send_signal};

use super::handover::{Received, answers, messages, number_of, receive_pidfd};
use super::{Cell, flags, init};
use crate::failure::{Context, Failure, Step, hold};
use crate::launcher::cgroup::Group;
use crate::launcher::stdio::Files;
use crate::launcher::{job, root, view};
use crate::plan::{PidOne, Plan, Root};
use crate::sys::clone::{self, Child, Side};
use crate::sys::exec;
use crate::sys::privilege::Ids;

/// What the job's process waits for; one more than it reads does no harm.
const WORD: &[u8] = b"g";

/// A cell whose job has everything but its program, and waits for the word to run that.
#[derive(Debug)]
pub(crate) struct Waiting {
    cell: Cell,
    /// Closes when the program runs, or carries the reason why it doesn't.
    told: OwnedFd,
    /// For the word.
    go: OwnedFd,
    /// A socket in the job's own network, for its chirp proxy.
    listener: Option<OwnedFd>,
}

/// When a job's process runs its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// As soon as it can: it needn't wait until the launcher knows of it.
    AtOnce,
    /// At the word.
    WhenTold,
}

/// Makes the cell and the job's process in it.
pub(crate) fn make(
    plan: &Plan,
    places: view::Places,
    files: Files,
    daemon: &Ids,
    group: Option<Group>,
    begin: Begin,
) -> Result<Waiting, Failure> {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (told, tell) = pipe().at(Step::Namespaces, "pipe")?;
    let (gate, go) = pipe().at(Step::Namespaces, "pipe")?;
    // Elsewhere a failure to make the cell known would not end all that the job has begun meanwhile.
    if begin == Begin::AtOnce && plan.namespaces.pid != PidOne::Shared {
        rustix::io::write(&go, WORD).at(Step::Namespaces, "the word to run")?;
    }
    let (status, report) = messages().at(Step::Namespaces, "socketpair")?;
    let into = group.as_ref().map(Group::dir);
    let init = match clone::fork_into(flags(plan), into).at(Step::Namespaces, "clone3")? {
        Side::Parent(init) => init,
        Side::Child => {
            let failure = init::run(plan, places, files, daemon, [&tell, &gate], &report);
            if let Err(failure) = failure {
                job::confess(&tell, &failure);
            }
            exec::leave(1);
        }
    };
    drop((tell, gate, report, files));
    // Init waits for an answer before it reaps, so that even a job that is over has its number still.
    if let Root::Named(named) = &plan.root
        && !answers(&status, root::patience(named))?
    {
        root::give_up(&init);
        return Err(root::silent(named));
    }
    let job = receive_pidfd(&status).map(|received| (number_of(&received.job), received));
    // An init that is gone needs none.
    let _ = status.send(b"r");
    match job {
        Ok((pid, Received { job, listener, revision })) => {
            let separate = plan.namespaces.pid != PidOne::Shared;
            let cell = Cell { init, status, job, separate, killed: false, group, revision, pid };
            Ok(Waiting { cell, told, go, listener })
        }
        Err(failure) => {
            drop(go);
            let failure = reason(told).err().unwrap_or(failure);
            end(&init);
            Err(too_large(group.as_ref()).unwrap_or(failure))
        }
    }
}

/// Waits until the program runs, or until it is known why it can't.
pub(in crate::launcher) fn reason(told: OwnedFd) -> Result<(), Failure> {
    let mut why = Vec::new();
    File::from(told).read_to_end(&mut why).at(Step::Exec, "waiting for the program to start")?;
    if why.is_empty() { Ok(()) } else { Err(decoded(&why)) }
}

/// Ends a cell in which nothing runs yet that could resist; the kernel takes the rest along.
fn end(init: &Child) {
    let _ = pidfd_send_signal(&init.pidfd, Signal::KILL);
    let _ = waitpid(init.pid, None);
}

impl Waiting {
    /// Has the job run its program, which it does when this comes back without an error.
    pub(crate) fn go(self) -> Result<Cell, Failure> {
        // One that has ended meanwhile has said why.
        let _ = File::from(self.go).write_all(WORD);
        match reason(self.told) {
            Ok(()) => Ok(self.cell),
            Err(failure) => {
                end(&self.cell.init);
                Err(too_large(self.cell.group.as_ref()).unwrap_or(failure))
            }
        }
    }

    /// The socket in the job's own network, once.
    pub(crate) fn take_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// The program is not to run.
    pub(crate) fn abandon(self) {
        end(&self.cell.init);
    }
}

/// What stopped a job from starting was its limit of memory.
fn too_large(group: Option<&Group>) -> Option<Failure> {
    group?.out_of_memory()?;
    Some(Failure::job(
        Step::Exec,
        hold::FAILED_TO_CREATE_PROCESS,
        libc::ENOMEM,
        "Job was OOM killed by cgroup memory limit before it could start. Consider requesting more \
         memory",
    ))
}

fn decoded(bytes: &[u8]) -> Failure {
    postcard::from_bytes(bytes).unwrap_or_else(|_| {
        Failure::host(Step::Exec, "the job's process died while it told why it can't start")
    })
}
