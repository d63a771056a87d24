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

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::process::{Signal, pidfd_send_signal};

use super::cgroup::Group;
use super::message::{Ended, Status};
use super::stdio::Files;
use super::{family, job, root, view};
use crate::failure::{Context, Failure, Step, hold};
use crate::plan::{PidOne, Plan, Root};
use crate::report::{Sample, Usage};
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::{exec, process};

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

/// Makes the cell and the job's process in it.
pub(crate) fn make(
    plan: &Plan,
    places: view::Places,
    files: Files,
    daemon: &Ids,
    group: Option<Group>,
) -> Result<Waiting, Failure> {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (told, tell) = pipe().at(Step::Namespaces, "pipe")?;
    let (gate, go) = pipe().at(Step::Namespaces, "pipe")?;
    let (status, report) = messages().at(Step::Namespaces, "socketpair")?;
    let into = group.as_ref().map(Group::dir);
    let init = match clone::fork_into(flags(plan), into).at(Step::Namespaces, "clone3")? {
        Side::Parent(init) => init,
        Side::Child => {
            let failure = init_main(plan, places, files, daemon, [&tell, &gate], &report);
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
pub(super) fn reason(told: OwnedFd) -> Result<(), Failure> {
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
        let _ = File::from(self.go).write_all(b"g");
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

/// A socket pair that keeps messages apart and tells when the other end is gone, which a pair of
/// datagram sockets doesn't.
pub(super) fn messages() -> io::Result<(UnixDatagram, UnixDatagram)> {
    let kind = SockType::SeqPacket;
    let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((one.into(), other.into()))
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

fn decoded(bytes: &[u8]) -> Failure {
    postcard::from_bytes(bytes).unwrap_or_else(|_| {
        Failure::host(Step::Exec, "the job's process died while it told why it can't start")
    })
}

/// Everything that init does. Ends only by leaving, or with the reason why the job can't start.
fn init_main(
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
        super::network::loopback_up()?;
    }
    let own_network = plan.namespaces.net && plan.sandbox.chirp;
    let listener = own_network.then(super::network::listener).transpose()?;
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

/// The job inherits it from init. Written before the view is entered, which may have no /proc yet.
pub(super) fn oom_score(plan: &Plan) -> Result<(), Failure> {
    match fs::write("/proc/self/oom_score_adj", plan.limits.oom_score_adj.to_string()) {
        // In a container that has /proc read-only, its maker decides which process goes first.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        other => other.at(Step::Limits, "oom_score_adj"),
    }
}

pub(super) fn send_pidfd(
    report: &UnixDatagram,
    pidfd: &OwnedFd,
    listener: Option<&OwnedFd>,
    revision: Option<&str>,
) -> Result<(), Failure> {
    let fds = [Some(pidfd), listener];
    let fds: Vec<RawFd> = fds.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let none: Option<&()> = None;
    let text = [b"p", revision.unwrap_or_default().as_bytes()].concat();
    sendmsg(report.as_raw_fd(), &[IoSlice::new(&text)], &rights, MsgFlags::empty(), none)
        .map(drop)
        .at(Step::Namespaces, "handing over the job's descriptor")
}

/// What init hands over.
pub(super) struct Received {
    /// The job's process.
    pub(super) job: OwnedFd,
    /// The socket that init may have made in the job's network.
    listener: Option<OwnedFd>,
    /// Of the job's root.
    revision: Option<String>,
}

/// Whether init says something in time, be it by its end.
fn answers(status: &UnixDatagram, patience: PollTimeout) -> Result<bool, Failure> {
    let mut fds = [PollFd::new(status.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, patience) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).at(Step::Namespaces, "poll"),
        }
    }
}

pub(super) fn receive_pidfd(status: &UnixDatagram) -> Result<Received, Failure> {
    let mut text = [0; 256];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(status.as_raw_fd(), &mut parts, Some(&mut space), flags)
        .at(Step::Namespaces, "the job's descriptor")?;
    let mut messages = message.cmsgs().at(Step::Namespaces, "the job's descriptor")?;
    let fds = messages.find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let mut fds = fds.into_iter().flatten().map(process::owned);
    let pair = fds.next().map(|job| (job, fds.next()));
    let length = message.bytes;
    let revision = text.get(1..length).filter(|text| !text.is_empty());
    let revision = revision.map(|text| String::from_utf8_lossy(text).into_owned());
    pair.map(|(job, listener)| Received { job, listener, revision })
        .ok_or_else(|| Failure::host(Step::Namespaces, "init sent no descriptor of the job"))
}

/// The number that the kernel shows for a pidfd in this process's own PID namespace.
pub(super) fn number_of(pidfd: &OwnedFd) -> i32 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let line = info.unwrap_or_default();
    line.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()).unwrap_or_default()
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
