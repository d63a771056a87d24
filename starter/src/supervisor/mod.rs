//! The supervisor: the process that the parent knows. It reads everything that comes from outside,
//! without any privilege, and has the launcher do what needs one.
//!
//! It waits in one poll loop. A job without a pool has three sources of events (the launcher, the
//! signals, nothing else), for which an async runtime would cost more than it gives.

mod signals;

use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use classad::ClassAd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub(crate) use signals::Signals;

use crate::failure::{Context, Failure, Step};
use crate::job::Job;
use crate::knobs::Knobs;
use crate::launcher::message::{Channel, Ended, Order, Report};
use crate::parent::Parent;
use crate::plan::{self, Host, Inputs, Plan, Stdio};
use crate::report::Disk;
use crate::report::ad::{self, Outcome};

/// How long a job that was asked to end may take before it is killed, where nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a supervisor works with.
pub(crate) struct Supervisor<'a> {
    /// The launcher.
    pub(crate) channel: Channel,
    /// Blocked signals, as a descriptor.
    pub(crate) signals: Signals,
    /// The configuration.
    pub(crate) knobs: &'a Knobs,
    /// The machine.
    pub(crate) host: Host,
    /// Standard files that the command line named.
    pub(crate) stdio: [Option<Stdio>; 3],
    /// Where output goes that the job named no file for.
    pub(crate) unnamed_output: Stdio,
    /// The directory that a relative Iwd is taken from.
    pub(crate) here: std::path::PathBuf,
    /// Whether a job without an owner runs with files opened by the caller's rights.
    pub(crate) caller_is_submitter: bool,
    /// Is told what happens, for people.
    pub(crate) watch: &'a mut dyn Watch,
}

/// Somebody who looks on.
pub(crate) trait Watch {
    /// The plan is made.
    fn planned(&mut self, plan: &Plan);
    /// The program runs.
    fn started(&mut self, plan: &Plan, pid: i32);
}

/// How far a job came.
#[derive(Default)]
struct Progress {
    plan: Option<Plan>,
    pid: i32,
    started: Option<(Instant, i64)>,
    wall: Duration,
    disk: Disk,
}

impl Supervisor<'_> {
    /// Runs the parent's job from its ad to its result.
    pub(crate) fn run(mut self, parent: &mut dyn Parent) -> Result<Outcome, Failure> {
        let mut progress = Progress::default();
        let outcome = match self.life(parent, &mut progress) {
            Ok(outcome) => outcome,
            Err(failure) => {
                tracing::error!("{}: {failure}", failure.step);
                Outcome::Failed(failure)
            }
        };
        // The launcher cleans up while the result is written.
        let asked = self.channel.send(&Order::Finish).map_err(|_| launcher_gone());
        let result = ad::result(&ad::Result {
            plan: progress.plan.as_ref(),
            outcome: &outcome,
            started: progress.started.map(|(_, epoch)| epoch),
            wall: progress.wall,
            pid: progress.pid,
            disk: progress.disk,
        });
        let told = parent.finished(&outcome, &result);
        let cleaned = asked.and_then(|()| self.gone());
        told.and(cleaned).map(|()| outcome)
    }

    fn life(
        &mut self,
        parent: &mut dyn Parent,
        progress: &mut Progress,
    ) -> Result<Outcome, Failure> {
        let job = Job::from_ad(parent.job_ad()?, &self.here)?;
        tracing::info!("Starting a VANILLA universe job with ID: {}", job.id());
        let plan = self.plan(&job)?;
        self.watch.planned(&plan);
        tracing::info!("isolation: {}", plan.applied().join(" "));
        for item in &plan.not_applied {
            tracing::warn!("isolation not applied: {item}");
        }
        self.channel.send(&Order::Start(Box::new(plan.clone())))?;
        let plan = progress.plan.insert(plan);
        let mut killed = false;
        let (pid, ended) = match self.answer(&mut killed, job.kill_signal)? {
            Report::Started { pid } => {
                let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let epoch = i64::try_from(epoch.as_secs()).unwrap_or_default();
                progress.started = Some((Instant::now(), epoch));
                progress.pid = pid;
                tracing::info!("Create_Process succeeded, pid={pid}");
                self.watch.started(plan, pid);
                parent.started(pid);
                let answer = self.answer(&mut killed, job.kill_signal)?;
                (pid, answer)
            }
            other => return Err(unexpected(&other)),
        };
        let Report::Ended { ended, disk } = ended else { return Err(unexpected(&ended)) };
        progress.disk = disk;
        if let Some((start, _)) = progress.started {
            progress.wall = start.elapsed();
        }
        tracing::info!("Process exited, pid={pid}, {}", describe(&ended));
        if plan.files.transfer {
            self.channel.send(&Order::Deliver)?;
            match self.answer(&mut false, job.kill_signal)? {
                Report::Delivered { files, bytes } => {
                    tracing::info!("output: {files} files, {bytes} bytes");
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(if killed { Outcome::Killed(ended) } else { Outcome::Ended(ended) })
    }

    /// Chooses the account, has it looked up, and makes the plan.
    fn plan(&mut self, job: &Job) -> Result<Plan, Failure> {
        let choice = plan::choose_account(job, self.knobs, "", true)?;
        tracing::info!("running as {} ({})", choice.name, choice.why);
        self.channel.send(&Order::LookUp(choice.name))?;
        let Report::Account(account) = self.answer(&mut false, 0)? else {
            return Err(Failure::host(Step::Internal, "the launcher answered something else"));
        };
        let submitter = if self.caller_is_submitter && job.owner.is_none() {
            None
        } else {
            Some(account.ids.clone())
        };
        let environment: Vec<(String, String)> = match self.knobs.inherits_environment() {
            true => std::env::vars_os()
                .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            false => Vec::new(),
        };
        plan::make(Inputs {
            job,
            knobs: self.knobs,
            host: &self.host,
            account,
            machine: &machine_ad(job, &self.host),
            slot: "slot1",
            environment: &environment,
            stdio: self.stdio.clone(),
            unnamed_output: self.unnamed_output.clone(),
            submitter,
        })
    }

    /// The launcher's next report. Signals that come meanwhile are passed on: the first asks the job
    /// to end, and a second, or too much time, kills it.
    fn answer(&mut self, killed: &mut bool, soft: i32) -> Result<Report, Failure> {
        let mut deadline: Option<Instant> = None;
        loop {
            let timeout = match deadline {
                None => PollTimeout::NONE,
                Some(when) => PollTimeout::try_from(when.saturating_duration_since(Instant::now()))
                    .unwrap_or(PollTimeout::MAX),
            };
            let mut fds = [
                PollFd::new(self.channel.stream().as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Err(nix::errno::Errno::EINTR) => continue,
                result => result.at(Step::Watch, "poll")?,
            };
            let [launcher, signal] = fds.map(|fd| fd.any().unwrap_or(false));
            if launcher {
                return match self.channel.receive()? {
                    Some(Report::Failed(failure)) => Err(failure),
                    Some(report) => Ok(report),
                    None => Err(launcher_gone()),
                };
            }
            let due = deadline.is_some_and(|when| when <= Instant::now());
            let asked = if signal { self.signals.read()? } else { None };
            let hard =
                due || asked.is_some_and(|signal| signal.is_hard()) || (asked.is_some() && *killed);
            if hard {
                self.channel.send(&Order::Kill)?;
                deadline = None;
                *killed = true;
            } else if asked.is_some() {
                tracing::info!("asked to end: sending signal {soft} to the job");
                self.channel.send(&Order::Signal(soft))?;
                deadline = Some(Instant::now() + PATIENCE);
                *killed = true;
            }
        }
    }

    /// Waits until the sandbox is removed.
    fn gone(&mut self) -> Result<(), Failure> {
        loop {
            match self.channel.receive()? {
                Some(Report::Gone(None)) => return Ok(()),
                Some(Report::Gone(Some(failure))) => return Err(failure),
                Some(_) => {}
                None => return Err(launcher_gone()),
            }
        }
    }
}

fn launcher_gone() -> Failure {
    Failure::host(Step::Internal, "the launcher is gone")
}

fn unexpected(report: &Report) -> Failure {
    Failure::host(Step::Internal, format!("the launcher answered out of order: {report:?}"))
}

fn describe(ended: &Ended) -> String {
    use crate::launcher::message::Status;
    match ended.status {
        Status::Exited(code) => format!("status={code}"),
        Status::Signaled(signal, _) => format!("signal={signal}"),
    }
}

/// What a job finds out about its slot where there is no pool.
fn machine_ad(job: &Job, host: &Host) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("MyType", "Machine");
    ad.insert_value("Name", format!("slot1@{}", host.name));
    ad.insert_value("Machine", host.name.clone());
    ad.insert_value("Cpus", job.cpus);
    ad
}
