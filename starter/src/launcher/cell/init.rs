//! The init of a cell: it furnishes the cell, makes the job's process, and from then on only reaps.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::handover::send_pidfd;
use super::map_own_ids;
use crate::failure::{Context, Failure, Step};
use crate::launcher::message::{Ended, Status};
use crate::launcher::stdio::Files;
use crate::launcher::{family, job, network, view};
use crate::plan::{PidOne, Plan};
use crate::report::Usage;
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::{exec, process};

/// Everything that init does. Ends only by leaving, or with the reason why the job can't start.
pub(super) fn run(
    plan: &Plan,
    places: view::Places,
    files: Files,
    daemon: &Ids,
    [tell, gate]: [&OwnedFd; 2],
    report: &UnixDatagram,
) -> Result<(), Failure> {
    process::die_with_parent().at(Step::Namespaces, "death signal")?;
    let [input, output, error] = &files.0;
    let standard = [input.as_fd(), output.as_fd(), error.as_fd()];
    let keep = [&standard[..], &[tell.as_fd(), gate.as_fd(), report.as_fd()]].concat();
    process::close_all_but(&keep).at(Step::Namespaces, "descriptors")?;
    launcher_lives(report)?;
    if plan.namespaces.user {
        map_own_ids(&plan.account.ids)?;
    }
    if plan.namespaces.cgroup && plan.together.cgroup().is_some() {
        nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)
            .at(Step::Namespaces, "cgroup namespace")?;
    }
    if plan.namespaces.net {
        network::loopback_up()?;
    }
    let own_network = plan.namespaces.net && plan.sandbox.chirp;
    let listener = own_network.then(network::listener).transpose()?;
    oom_score(plan)?;
    let revision = match plan.namespaces.mount {
        true => view::build(plan, places)?,
        false => None,
    };
    if plan.namespaces.pid == PidOne::Shared {
        process::adopt_orphans().at(Step::Namespaces, "subreaper")?;
    }
    if rustix::process::geteuid().is_root() || plan.namespaces.user {
        // For init and, since it is inherited, for the job.
        privilege::empty_bounding_set().at(Step::Identity, "capability bounding set")?;
    }
    let namespace = match plan.namespaces.pid {
        PidOne::Job => CloneFlags::CLONE_NEWPID,
        PidOne::Init | PidOne::Shared => CloneFlags::empty(),
    };
    let own = std::process::id();
    match clone::fork(namespace).at(Step::Namespaces, "clone3 of the job")? {
        Side::Child => {
            let failure = match view::mount_processes(plan) {
                Ok(()) => job::start(plan, &files, own, gate),
                Err(failure) => failure,
            };
            job::confess(tell, &failure);
            exec::leave(127);
        }
        Side::Parent(child) => {
            send_pidfd(report, &child.pidfd, listener.as_ref(), revision.as_deref())?;
            retire(plan, daemon, report)?;
            match plan.namespaces.pid {
                PidOne::Shared => reap_and_watch(&child, report),
                PidOne::Init | PidOne::Job => reap(&child, report),
            }
        }
    }
}

/// Without rights, opaque, deaf: from here on init only waits. Where its own end doesn't take the
/// job's processes along, it keeps the right to kill them.
fn retire(plan: &Plan, daemon: &Ids, report: &UnixDatagram) -> Result<(), Failure> {
    privilege::no_new_privileges().at(Step::Identity, "no_new_privs of init")?;
    let shared = plan.namespaces.pid == PidOne::Shared;
    if rustix::process::geteuid().is_root() {
        let bare = Ids { groups: Vec::new(), ..daemon.clone() };
        let retired = match shared {
            true => privilege::become_for_good_but_kill(&bare),
            false => privilege::become_for_good(&bare),
        };
        retired.at(Step::Identity, "ids of init")?;
    } else if plan.namespaces.user {
        privilege::drop_capabilities().at(Step::Identity, "capabilities of init")?;
    }
    process::be_opaque().at(Step::Identity, "dumpable")?;
    if shared {
        process::outlive_parent().at(Step::Namespaces, "death signal")?;
    } else {
        process::die_with_parent().at(Step::Namespaces, "death signal")?;
    }
    process::close_everything_but(&[report.as_fd()]).at(Step::Namespaces, "descriptors of init")?;
    if launcher_lives(report).is_err() {
        orphaned();
    }
    report.recv(&mut [0]).map(drop).at(Step::Namespaces, "the launcher's answer")
}

/// The launcher is gone. What is left of the job goes with it: the kernel sees to that where init's
/// end is the end of a PID namespace; elsewhere everything below init is killed.
fn orphaned() -> ! {
    family::kill_children();
    exec::leave(1)
}

/// The kernel kills init with the launcher, if the launcher lives when init asks for that. Called
/// after each time of asking.
fn launcher_lives(report: &UnixDatagram) -> Result<(), Failure> {
    let mut fds = [PollFd::new(report.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).at(Step::Namespaces, "poll")?;
    let [end] = fds;
    match end.revents() {
        Some(events) if events.contains(PollFlags::POLLHUP) => {
            Err(Failure::host(Step::Namespaces, "the launcher is gone"))
        }
        _ => Ok(()),
    }
}

/// Reaps until the job's main process ends, reports how, and leaves: with it goes its PID namespace.
fn reap(child: &Child, report: &UnixDatagram) -> ! {
    let mut ended = false;
    loop {
        let status = match waitpid(None, None) {
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(_) => exec::leave(if ended { 0 } else { 1 }),
        };
        let Some(status) = end_of(status, child) else { continue };
        tell(status, report);
        ended = true;
        let own_namespace = std::process::id() == 1;
        if own_namespace {
            exec::leave(0);
        }
    }
}

/// As `reap`, for an init whose end the job's processes would outlive: it also has an eye on the
/// launcher.
fn reap_and_watch(child: &Child, report: &UnixDatagram) -> ! {
    let Ok(ends) = process::ends_of_children() else { orphaned() };
    let mut ended = false;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(status) => {
                if let Some(status) = end_of(status, child) {
                    tell(status, report);
                    ended = true;
                }
                continue;
            }
            Err(Errno::EINTR) => continue,
            Err(_) => exec::leave(if ended { 0 } else { 1 }),
        }
        let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [source(ends.as_fd()), source(report.as_fd())];
        let _ = poll(&mut fds, PollTimeout::NONE);
        let [end, launcher] = fds;
        if launcher.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)) {
            orphaned();
        }
        if end.any().unwrap_or(false) {
            // One signal may stand for several ends.
            let _ = ends.read_signal();
        }
    }
}

fn tell(status: Status, report: &UnixDatagram) {
    let message = Ended { status, usage: Usage::of_children(), out_of_memory: None };
    if let Ok(bytes) = postcard::to_stdvec(&message) {
        // Without a launcher there is nobody to tell.
        let _ = report.send(&bytes);
    }
}

fn end_of(status: WaitStatus, child: &Child) -> Option<Status> {
    match status {
        WaitStatus::Exited(pid, code) if pid == child.pid => Some(Status::Exited(code)),
        WaitStatus::Signaled(pid, signal, core) if pid == child.pid => {
            Some(Status::Signaled(signal as i32, core))
        }
        _ => None,
    }
}

/// The job inherits it from init. Written before the view is entered, which may have no /proc yet.
pub(in crate::launcher) fn oom_score(plan: &Plan) -> Result<(), Failure> {
    match fs::write("/proc/self/oom_score_adj", plan.limits.oom_score_adj.to_string()) {
        // In a container that has /proc read-only, its maker decides which process goes first.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        other => other.at(Step::Limits, "oom_score_adj"),
    }
}
