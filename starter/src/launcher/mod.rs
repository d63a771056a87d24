//! The launcher: the small privileged process. It is forked before anything from outside is read,
//! carries out a fixed set of orders, and believes nothing that it can check.

mod append;
mod cell;
mod cgroup;
mod devices;
pub(crate) mod family;
mod guest;
mod job;
pub(crate) mod message;
mod network;
pub(crate) mod place;
mod remove;
mod room;
pub(crate) mod root;
pub(crate) mod sandbox;
mod stdio;
#[cfg(test)]
mod tests;
mod verify;
mod view;

pub(crate) use self::family::kill_children;

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat};

use self::cell::{Cell, Waiting};
use self::cgroup::Group;
use self::guest::Guest;
use self::message::{Channel, Ended, Order, Report};
use self::place::{Placed, Store};
use self::room::Whose;
use self::sandbox::Made;
use self::verify::Known;
use self::view::{Identity, Places};
use crate::failure::{Context, Failure, Step};
use crate::hooks::{self, Errand, Kind, Running};
use crate::host::cgroups::Cgroups;
use crate::host::run_as;
use crate::knobs::Knobs;
use crate::plan::{Account, CHIRP_CONFIG, Plan, Program, Root};
use crate::reach::chirp::is_cookie;
use crate::reach::peek::MAX_FILES;
use crate::sys::open::openat2;
use crate::sys::privilege::Borrowed;
use crate::sys::privilege::Ids;
use crate::sys::process;
use crate::transfer::{self, Catalogue, Destination, Entrance, Moved, Moving, Rooms, Source};

/// What the launcher knows, none of it from the supervisor.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    /// Its own reading of the configuration.
    pub(crate) knobs: &'a Knobs,
    /// The daemons' account: owner of the sandbox's frame, and what init becomes.
    pub(crate) daemon: Ids,
    /// Whether the starter was started as root.
    pub(crate) privileged: bool,
    /// Where jobs' cgroups are made.
    pub(crate) cgroups: &'a Cgroups,
    /// The slot's name as the startd put it on the command line, which names the cgroup.
    pub(crate) slot: Option<&'a str>,
    /// The supervisor's process number, which names the sandbox.
    pub(crate) supervisor: u32,
    /// Whether the caller's rights open the files of a job that has no owner.
    pub(crate) caller_is_submitter: bool,
    /// Whether files that take long to copy are shown at the terminal.
    pub(crate) show_progress: bool,
}

/// The log's copy in the sandbox, as shadows know it.
pub(crate) const SANDBOX_LOG: &str = ".starter.log";

/// The state of one job.
#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    sandbox: Option<Made>,
    catalogue: Option<Catalogue>,
    files: Option<stdio::Files>,
    moving: Option<Moving>,
    /// A program of the admin's that orders wait for.
    running: Option<Running>,
    /// One beside the running job, which nothing waits for.
    beside: Option<Running>,
    /// A job that has yet to begin.
    ready: Option<Waiting>,
    /// Descriptors for the supervisor that go along with the next report.
    streams: Vec<OwnedFd>,
    cell: Option<Cell>,
    /// That of a job that has ended, until there is time to remove it.
    group: Option<Group>,
    ended: Option<Ended>,
    /// Programs beside the job, and what those that wait are given.
    guests: Vec<Guest>,
    brought: VecDeque<OwnedFd>,
    /// Orders that wait for the copy under way.
    waiting: VecDeque<Order>,
    /// What runs isn't the job itself, but a script of it.
    script: bool,
    /// An order failed: of those that follow only the last is carried out.
    failed: bool,
    /// The end of the sandbox has been told.
    gone: bool,
}

impl Launcher<'_> {
    /// Serves the supervisor until it says so or is gone. Whatever happens, no process of the job
    /// and no sandbox is left.
    pub(crate) fn serve(&self, channel: &Channel) {
        let mut state = State::default();
        if let Err(error) = process::adopt_orphans() {
            tracing::warn!("orphans of a job go to the machine's init: {error}");
        }
        let outcome = self.work(channel, &mut state);
        if let Err(failure) = outcome {
            tracing::error!("launcher: {failure}");
        }
        drop((state.moving.take(), state.running.take(), state.beside.take()));
        if let Some(ready) = state.ready.take() {
            ready.abandon();
        }
        // The kernel ends a PID namespace when all in it were waited for.
        state.guests.clear();
        if let Some(mut cell) = state.cell.take() {
            let end = cell.kill().and_then(|()| cell.collect(None));
            if let Err(failure) = end {
                tracing::error!("{failure}");
            }
        }
        if let Some(Err(failure)) = state.sandbox.take().map(Made::remove) {
            tracing::error!("{failure}");
        }
    }

    fn work(&self, channel: &Channel, state: &mut State) -> Result<(), Failure> {
        loop {
            let ready = wait(channel, state)?;
            state.guests.retain(|guest| !guest.is_over());
            if ready.status
                && let Some(cell) = &state.cell
            {
                state.ended = cell.take_status();
            }
            if let Some(group) = state.cell.as_mut().and_then(|cell| cell.group.as_mut()) {
                group.look_if_due();
            }
            if ready.end
                && let Some(cell) = state.cell.take()
            {
                state.guests.clear();
                let (ended, group) = cell.collect(state.ended.take())?;
                state.group = group;
                let ended = match ended {
                    Ok(ended) => ended,
                    Err(failure) => {
                        Self::fail(channel, state, failure)?;
                        continue;
                    }
                };
                let script = std::mem::take(&mut state.script);
                if !script && let Some(failure) = self.wrapper_failure(state) {
                    Self::fail(channel, state, failure)?;
                    continue;
                }
                let disk = state.sandbox.as_ref().map(Made::measure).unwrap_or_default();
                let snapshot = state.sandbox.as_ref().map(Made::snapshot).unwrap_or_default();
                channel.send(&Report::Ended { ended, disk, snapshot })?;
                state.group = None;
                // Nobody needs what is left of a job whose files aren't moved, unless there is a hook.
                let unneeded = |plan: &Plan| !plan.files.transfer && !plan.program.again;
                if !script
                    && self.knobs.hooks.is_empty()
                    && state.plan.as_ref().is_some_and(unneeded)
                {
                    Self::remove(channel, state)?;
                }
            }
            if let Some(end) = state.moving.as_mut().and_then(Moving::step) {
                state.moving = None;
                if !end.told.is_empty() {
                    channel.send(&Report::Plugins(end.told))?;
                }
                Self::moved(channel, state, end.outcome)?;
            }
            if let Some(ran) = state.running.as_mut().and_then(Running::step) {
                state.running = None;
                channel.send(&Report::Ran(ran))?;
            }
            if state.beside.as_mut().and_then(Running::step).is_some() {
                state.beside = None;
            }
            if ready.order {
                let Some(order) = channel.receive()? else { return Ok(()) };
                if matches!(order, Order::Join(_)) {
                    state.brought.extend(channel.receive_files(1)?);
                }
                state.waiting.push_back(order);
            }
            if self.obey_all(channel, state)? {
                return Ok(());
            }
        }
    }

    /// Carries out what can be carried out now; whether that was the last order.
    fn obey_all(&self, channel: &Channel, state: &mut State) -> Result<bool, Failure> {
        if state.waiting.iter().any(|order| matches!(order, Order::Kill | Order::Finish)) {
            if let Some(moving) = &state.moving {
                // Its end comes as a failure, after which the orders that wait mean nothing.
                moving.kill();
            }
            if let Some(running) = &mut state.running {
                running.kill();
            }
        }
        while state.moving.is_none()
            && state.running.is_none()
            && let Some(order) = state.waiting.pop_front()
        {
            match order {
                Order::Finish => {
                    if !state.gone {
                        Self::remove(channel, state)?;
                    }
                    return Ok(true);
                }
                // Of a job that failed there is still something to be said.
                Order::Append { .. } if state.failed => {
                    if let Some(report) = self.obey(order, state)? {
                        channel.send(&report)?;
                    }
                }
                _ if state.failed => {}
                order => match self.obey(order, state) {
                    Ok(None) => {}
                    Ok(Some(report)) => {
                        channel.send(&report)?;
                        channel.send_files(&std::mem::take(&mut state.streams))?;
                    }
                    Err(failure) => Self::fail(channel, state, failure)?,
                },
            }
        }
        Ok(false)
    }

    /// What USER_JOB_WRAPPER has written to say that it could not run the job. A job can write it, too,
    /// and then runs again, as with stock.
    fn wrapper_failure(&self, state: &State) -> Option<Failure> {
        self.knobs.user_job_wrapper.as_ref()?;
        let text = state.sandbox.as_ref()?.wrapper_error()?;
        let message = format!("The job wrapper failed to execute the job: {text}");
        Some(Failure::host(Step::Exec, message))
    }

    fn fail(channel: &Channel, state: &mut State, failure: Failure) -> Result<(), Failure> {
        state.failed = true;
        channel.send(&Report::Failed(failure))
    }

    fn remove(channel: &Channel, state: &mut State) -> Result<(), Failure> {
        drop(state.beside.take());
        if let Some(ready) = state.ready.take() {
            ready.abandon();
        }
        let removed = state.sandbox.take().map_or(Ok(()), Made::remove);
        state.gone = true;
        channel.send(&Report::Gone(removed.err()))
    }

    fn moved(
        channel: &Channel,
        state: &mut State,
        end: Result<Moved, Failure>,
    ) -> Result<(), Failure> {
        match end {
            Ok(Moved::In { invalid: Some(invalid), .. }) => {
                state.failed = true;
                channel.send(&Report::InvalidCheckpoint(invalid))
            }
            Ok(Moved::In { catalogue, stats, invalid: None }) => {
                state.catalogue = Some(catalogue);
                channel.send(&Report::Fetched(stats))
            }
            Ok(Moved::Out(delivered)) => channel.send(&Report::Delivered(delivered)),
            // It may be tried once more, or the job be started without: then everything is new.
            Err(failure) => {
                state.catalogue.get_or_insert_default();
                channel.send(&Report::Failed(failure))
            }
        }
    }

    /// Carries out one order. An error is a failure of the job, which is reported.
    fn obey(&self, order: Order, state: &mut State) -> Result<Option<Report>, Failure> {
        match order {
            Order::Prepare(plan) => self.prepare(*plan, state).map(|()| None),
            Order::Place(placed) => Ok(Some(Report::Placed(self.place(&placed, state).err()))),
            Order::Renew(placed) => {
                if state.sandbox.is_some()
                    && let Err(failure) = self.place(&placed, state)
                {
                    tracing::warn!("credentials aren't renewed: {failure}");
                }
                Ok(None)
            }
            Order::Append { path, text } => {
                let plan = state.plan.as_ref().ok_or_else(|| out_of_order("there is no plan"))?;
                let end = append::append(&plan.account.ids, &plan.sandbox, &path, &text);
                Ok(Some(Report::Appended(end.err())))
            }
            Order::Revise(plan) => self.revise(*plan, state).map(|()| None),
            Order::Run(errand) => self.run(&errand, state),
            Order::Fetch(source) => self.fetch(&source, state).map(|()| None),
            Order::Open => {
                let plan = state.plan.as_ref().ok_or_else(|| out_of_order("there is no plan"))?;
                let (files, streams) = stdio::open(plan)?;
                state.files = Some(files);
                state.streams = streams;
                Ok(Some(Report::Opened { streams: state.streams.len() }))
            }
            Order::Ready => {
                state.ready = Some(self.ready(state)?);
                Ok(None)
            }
            Order::Listen(cookie) => {
                let socket = Self::listen(&cookie, state)?;
                state.streams = vec![socket];
                Ok(Some(Report::Listening))
            }
            Order::Peek(paths) => {
                let files: Vec<_> =
                    paths.iter().take(MAX_FILES).map(|path| Self::peek(path, state)).collect();
                let told = files.iter().map(|file| file.as_ref().map(drop).map_err(|errno| *errno));
                let told = told.collect();
                state.streams = files.into_iter().flatten().collect();
                Ok(Some(Report::Peeked(told)))
            }
            Order::Script(program) => {
                let pid = self.script(*program, state)?;
                Ok(Some(Report::Started { pid, revision: None }))
            }
            Order::Join(program) => {
                if let Some(file) = state.brought.pop_front()
                    && let Err(failure) = guest::join(*program, &file, state)
                {
                    tracing::warn!("nobody joins the job: {failure}");
                    guest::excuse(&file, &failure);
                }
                Ok(None)
            }
            Order::Launch => {
                let (pid, revision) = self.launch(state)?;
                Ok(Some(Report::Started { pid, revision }))
            }
            Order::Signal(number) => {
                if let Some(cell) = &state.cell {
                    cell.signal(number)?;
                }
                Ok(None)
            }
            Order::Suspend(stop) => {
                if let Some(cell) = &state.cell {
                    cell.suspend(stop)?;
                }
                Ok(None)
            }
            Order::Measure => Ok(state.cell.as_mut().map(|cell| Report::Measured {
                sample: cell.sample(),
                disk: state.sandbox.as_ref().map(Made::measure).unwrap_or_default(),
                snapshot: state.sandbox.as_ref().map(Made::snapshot).unwrap_or_default(),
            })),
            Order::Kill => {
                if let Some(cell) = &mut state.cell {
                    cell.kill()?;
                }
                Ok(None)
            }
            Order::KeepLog => {
                // A job without it is better than none.
                if let (Some(sandbox), Some(content)) = (&state.sandbox, crate::log::second())
                    && let Err(error) = content.and_then(|text| sandbox.put(SANDBOX_LOG, &text))
                {
                    tracing::warn!("the log's copy for the user: {error}");
                }
                Ok(None)
            }
            // It may be tried once more, also one that could not begin.
            Order::Deliver(destination) => {
                Ok(self.deliver(&destination, state).err().map(Report::Failed))
            }
            Order::Finish => Ok(None),
        }
    }

    fn prepare(&self, plan: Plan, state: &mut State) -> Result<(), Failure> {
        if state.plan.is_some() {
            return Err(Failure::host(Step::Internal, "a job was prepared already"));
        }
        let account = run_as::same(&plan.account, self.privileged)?;
        verify::plan(&plan, self.known(&account))?;
        let plan = state.plan.insert(plan);
        state.sandbox = Some(sandbox::make(plan, &self.daemon)?);
        Ok(())
    }

    /// Takes another plan, which passes the same checks and leaves account and sandbox as they are.
    fn revise(&self, plan: Plan, state: &mut State) -> Result<(), Failure> {
        let (Some(before), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no job to be changed"));
        };
        let (mut same, old) = (plan.sandbox.clone(), &before.sandbox);
        (same.directories, same.files) = (old.directories.clone(), old.files.clone());
        if plan.account != before.account || same != *old {
            return Err(Failure::host(
                Step::Plan,
                "a hook has changed the job so that it would run as somebody else or elsewhere",
            ));
        }
        verify::plan(&plan, self.known(&plan.account))?;
        sandbox.add_directories(&plan.sandbox)?;
        state.plan = Some(plan);
        Ok(())
    }

    fn run(&self, errand: &Errand, state: &mut State) -> Result<Option<Report>, Failure> {
        let (Some(plan), Some(sandbox)) = (&state.plan, &state.sandbox) else {
            return Err(out_of_order("there is no sandbox to run a hook in"));
        };
        let aside = matches!(errand, Errand::Hook { kind: Kind::Update, .. });
        let needed =
            matches!(errand, Errand::Hook { kind: Kind::BeforeTransfer | Kind::Prepare, .. });
        if aside && state.beside.is_some() {
            tracing::info!("UPDATE_JOB_INFO still runs, and isn't invoked again");
            return Ok(None);
        }
        let pid = state.cell.as_ref().map(|cell| cell.pid);
        let started = hooks::start(errand, plan, self.knobs, sandbox.dir.as_fd(), pid);
        match started {
            Ok(Ok(running)) if aside => state.beside = Some(running),
            Ok(Ok(running)) => state.running = Some(running),
            Ok(Err(ran)) if !aside => return Ok(Some(Report::Ran(ran))),
            Ok(Err(_)) => {}
            Err(failure) if needed => return Err(failure),
            Err(failure) => {
                tracing::warn!("{failure}");
                return Ok((!aside).then(|| Report::Ran(hooks::Ran::missing())));
            }
        }
        Ok(None)
    }

    fn known<'a>(&'a self, account: &'a Account) -> Known<'a> {
        Known {
            account,
            knobs: self.knobs,
            privileged: self.privileged,
            supervisor: self.supervisor,
            slot: self.slot,
            caller_is_submitter: self.caller_is_submitter,
        }
    }

    fn place(&self, placed: &Placed, state: &State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox)) = (&state.plan, &state.sandbox) else {
            return Err(out_of_order("there is no sandbox for credentials"));
        };
        let store = Store {
            directory: self.knobs.sec_credential_directory_oauth.as_deref(),
            trusted: self.knobs.trust_credential_directory,
        };
        place::place(sandbox, &plan.account, placed, store)
    }

    fn fetch(&self, source: &Source, state: &mut State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to copy to"));
        };
        let moving = self.with_rooms(plan, sandbox, source.runs_plugins(), |rooms| {
            transfer::fetch(plan, source, sandbox.dir.as_fd(), rooms, self.show_progress)
        })?;
        state.moving = Some(moving);
        Ok(())
    }

    fn ready(&self, state: &mut State) -> Result<Waiting, Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to start a job in"));
        };
        let files = match state.files.take() {
            Some(files) => files,
            None => stdio::open(plan)?.0,
        };
        let places = Places { for_job: true, ..places(plan, sandbox)? };
        let group = self.group(plan)?;
        cell::make(plan, places, files, &self.daemon, group)
    }

    /// A socket that the job's processes can reach, and its address where they look for it.
    fn listen(cookie: &str, state: &mut State) -> Result<OwnedFd, Failure> {
        let (Some(sandbox), Some(plan), Some(ready)) =
            (&state.sandbox, &state.plan, &mut state.ready)
        else {
            return Err(out_of_order("there is no job that waits"));
        };
        if !plan.sandbox.chirp || !is_cookie(cookie) {
            return Err(out_of_order("this job gets no chirp proxy"));
        }
        let socket = match ready.take_listener() {
            Some(socket) => socket,
            None => network::listener()?,
        };
        let port = network::port(&socket)?;
        sandbox.tell_job(CHIRP_CONFIG, format!("127.0.0.1 {port} {cookie}\n").as_bytes())?;
        Ok(socket)
    }

    /// A file of the job's directory, opened with the job's rights and without leaving that directory;
    /// the errno if that can't be. A failure here is none of the job's.
    fn peek(path: &Path, state: &State) -> Result<OwnedFd, i32> {
        let (Some(plan), Some(sandbox)) = (&state.plan, &state.sandbox) else {
            return Err(libc::ENOENT);
        };
        let open = || -> std::io::Result<OwnedFd> {
            let _rights = Borrowed::rights_of(&plan.account.ids)?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            let own = plan.program.directory.strip_prefix(&sandbox.path).ok();
            let dir = match own {
                Some(inner) if inner.as_os_str().is_empty() => sandbox.dir.try_clone()?,
                Some(inner) => Made::place(sandbox.dir.as_fd(), inner)?,
                None => openat(
                    CWD,
                    plan.program.directory.as_path(),
                    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    Mode::empty(),
                )?,
            };
            let file = openat2(dir, path, flags, Mode::empty(), how)?;
            if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
                return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
            }
            Ok(file)
        };
        open().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }

    /// The cgroup of a cell that is about to be made, if there is to be one.
    fn group(&self, plan: &Plan) -> Result<Option<Group>, Failure> {
        let Some(cgroup) = plan.together.cgroup() else { return Ok(None) };
        if self.slot.is_none() {
            cgroup::clean(self.cgroups, self.knobs);
        }
        Group::make(cgroup, self.cgroups, self.knobs).map(Some)
    }

    /// Runs the program: its process number, and the revision of its root.
    fn launch(&self, state: &mut State) -> Result<(i32, Option<String>), Failure> {
        let ready = match state.ready.take() {
            Some(ready) => ready,
            None => self.ready(state)?,
        };
        let mut cell = ready.go()?;
        let started = (cell.pid, cell.revision.take());
        state.cell = Some(cell);
        Ok(started)
    }

    /// Starts another program of the job's in a cell like its own.
    fn script(&self, program: Program, state: &mut State) -> Result<i32, Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to run a script in"));
        };
        let plan = Plan { program, ..plan.clone() };
        let files = stdio::open(&plan)?.0;
        let places = Places { for_job: true, ..places(&plan, sandbox)? };
        let cell = cell::make(&plan, places, files, &self.daemon, self.group(&plan)?)?.go()?;
        let pid = cell.pid;
        state.cell = Some(cell);
        state.script = true;
        Ok(pid)
    }

    fn deliver(&self, destination: &Destination, state: &mut State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no ended job to deliver"));
        };
        let Some(before) = &state.catalogue else {
            return Err(out_of_order("this job's files are not moved"));
        };
        sandbox.open_again().at(Step::Output, sandbox.path.display())?;
        let places = places(plan, sandbox)?;
        let calls = plan.calls;
        let enter = || cell::enter_view(plan, places);
        let entrance = Entrance { namespaces: cell::view_namespaces(plan), calls, enter: &enter };
        let entrance = plan.namespaces.mount.then_some(&entrance);
        let dir = sandbox.dir.as_fd();
        let progress = self.show_progress;
        let moving = self.with_rooms(plan, sandbox, destination.runs_plugins(), |rooms| {
            transfer::deliver(plan, destination, before, dir, entrance, rooms, progress)
        })?;
        state.moving = Some(moving);
        Ok(())
    }

    /// Has the rooms for plugins planned, if they are wanted.
    fn with_rooms(
        &self,
        plan: &Plan,
        sandbox: &Made,
        wanted: bool,
        begin: impl FnOnce(Option<&Rooms<'_>>) -> Result<Moving, Failure>,
    ) -> Result<Moving, Failure> {
        if !wanted {
            return begin(None);
        }
        let places = places(plan, sandbox)?;
        let (site, site_namespaces) = room::plan_of(plan, Whose::Site, self.privileged);
        let (own, own_namespaces) = room::plan_of(plan, Whose::Own, self.privileged);
        let calls = plan.calls;
        let enter_site = || room::enter(&site, places);
        let enter_own = || room::enter(&own, places);
        begin(Some(&Rooms {
            site: Entrance { namespaces: site_namespaces, calls, enter: &enter_site },
            own: Entrance { namespaces: own_namespaces, calls, enter: &enter_own },
        }))
    }
}

fn out_of_order(why: &str) -> Failure {
    Failure::host(Step::Internal, why)
}

fn places(plan: &Plan, sandbox: &Made) -> Result<Places, Failure> {
    Ok(Places {
        sandbox: Identity::of(sandbox.dir.as_fd()).at(Step::Sandbox, "sandbox")?,
        root: checked_root(plan)?,
        for_job: false,
    })
}

fn checked_root(plan: &Plan) -> Result<Option<Identity>, Failure> {
    match &plan.root {
        Root::Named(named) if plan.namespaces.user => root::identify(named).map(Some),
        _ => Ok(None),
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    order: bool,
    /// The main process has ended.
    status: bool,
    /// So have all.
    end: bool,
}

/// Waits for an order, for the end of the job's main process or of all of them, or for a copy.
fn wait(channel: &Channel, state: &State) -> Result<Ready, Failure> {
    let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![source(channel.stream().as_fd())];
    if let Some(cell) = &state.cell {
        fds.push(source(cell.end().as_fd()));
        if state.ended.is_none() {
            fds.push(source(cell.status().as_fd()));
        }
    } else if let Some(moving) = &state.moving {
        fds.extend(moving.sources().into_iter().map(source));
    }
    fds.extend(state.guests.iter().map(|guest| source(guest.end().as_fd())));
    for running in [&state.running, &state.beside].into_iter().flatten() {
        fds.extend(running.sources().into_iter().map(source));
    }
    let due = state.cell.as_ref().and_then(|cell| cell.group.as_ref()).map(Group::due);
    loop {
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno).at(Step::Watch, "poll"),
        }
    }
    let ready = |index: usize, which: PollFlags| {
        fds.get(index).and_then(PollFd::revents).is_some_and(|events| events.intersects(which))
    };
    let any = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
    let running = state.cell.is_some();
    Ok(Ready {
        order: ready(0, any),
        end: running && ready(1, any),
        status: running && state.ended.is_none() && ready(2, PollFlags::POLLIN),
    })
}
