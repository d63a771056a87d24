//! What each order means.

use std::os::fd::AsFd;

use super::cell::Begin;
use super::cgroup::Group;
use super::message::{Order, Report};
use super::place::{self, Placed, Store};
use super::sandbox::{self, Made};
use super::state::State;
use super::verify::{self, Known};
use super::{Launcher, SANDBOX_LOG, append, guest, out_of_order, stdio};
use crate::failure::{Failure, Step};
use crate::hooks::{self, Errand, Kind};
use crate::host::run_as;
use crate::plan::{Account, Plan};
use crate::reach::peek::MAX_FILES;

impl Launcher<'_> {
    /// Carries out one order. An error is a failure of the job, which is reported.
    pub(super) fn obey(&self, order: Order, state: &mut State) -> Result<Option<Report>, Failure> {
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
                state.ready = Some(self.ready(state, Begin::WhenTold)?);
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
                Ok(Some(started(pid, None, state)))
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
                Ok(Some(started(pid, revision, state)))
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
}

/// The job's program runs, and should this process be killed, the supervisor can end it all the same.
fn started(pid: i32, revision: Option<String>, state: &mut State) -> Report {
    let group = state.cell.as_ref().and_then(|cell| cell.group.as_ref());
    state.streams = group.and_then(Group::killer).into_iter().collect();
    Report::Started { pid, revision, killer: !state.streams.is_empty() }
}
