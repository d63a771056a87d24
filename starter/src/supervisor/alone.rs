//! The life of a job without a pool, from the ad in a file to the result in another.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use classad::ClassAd;
use nix::sys::signal::Signal;

use super::{Desk, describe, log_plan, memory, unexpected};
use crate::clock;
use crate::failure::{Failure, Step};
use crate::host::run_as;
use crate::job::Job;
use crate::knobs::Knobs;
use crate::launcher::message::{Order, Report};
use crate::parent::file::FileParent;
use crate::plan::{self, Host, Inputs, Plan, Stdio};
use crate::report::Disk;
use crate::report::ad::{self, Outcome};
use crate::transfer::{Delivered, Destination, Source};

/// How long a job that was asked to end may take before it is killed, where nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a supervisor works with.
pub(crate) struct Supervisor<'a> {
    /// The launcher, and signals.
    pub(crate) desk: Desk,
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
    to_exec: Duration,
    wall: Duration,
    disk: Disk,
}

impl Supervisor<'_> {
    /// Runs the parent's job from its ad to its result.
    pub(crate) fn run(mut self, parent: &mut FileParent) -> Result<Outcome, Failure> {
        let mut progress = Progress::default();
        let outcome = match self.life(parent, &mut progress) {
            Ok(outcome) => outcome,
            Err(failure) => {
                tracing::error!("{}: {failure}", failure.step);
                Outcome::Failed(failure)
            }
        };
        // The launcher cleans up while the result is written.
        let asked = self.desk.order(&Order::Finish);
        let result = ad::result(&ad::Result {
            plan: progress.plan.as_ref(),
            outcome: &outcome,
            started: progress.started.map(|(_, epoch)| epoch),
            to_exec: progress.to_exec,
            wall: progress.wall,
            pid: progress.pid,
            disk: progress.disk,
        });
        let told = parent.finished(&result);
        let cleaned = asked.and_then(|()| self.desk.gone());
        told.and(cleaned).map(|()| outcome)
    }

    fn life(
        &mut self,
        parent: &mut FileParent,
        progress: &mut Progress,
    ) -> Result<Outcome, Failure> {
        let mut job = Job::from_ad(parent.job_ad()?, &self.here, None)?;
        tracing::info!("Starting a VANILLA universe job with ID: {}", job.id());
        let plan = self.plan(&job)?;
        self.watch.planned(&plan);
        log_plan(&plan);
        self.desk.order(&Order::Prepare(Box::new(plan.clone())))?;
        let plan = progress.plan.insert(plan);
        let mut end = End { killed: false, soft: Some(job.kill_signal), hard: None };
        if plan.files.transfer {
            self.desk.order(&Order::Fetch(Source::Here))?;
            match self.answer(&mut End::copying())? {
                Report::Fetched(_) => {}
                other => return Err(unexpected(&other)),
            }
        }
        let hooks = self.knobs.choose_hooks(&job.ad);
        if let Some(hooks) = &hooks
            && let Some(changed) = self.prepare_hook(hooks, &mut job)?
        {
            *plan = changed;
            end.soft = Some(job.kill_signal);
        }
        self.desk.order(&Order::Launch)?;
        let Report::Started { pid, revision, .. } = self.answer(&mut end)? else {
            return Err(Failure::host(Step::Internal, "the launcher started nothing"));
        };
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = i64::try_from(epoch.as_secs()).unwrap_or_default();
        progress.started = Some((Instant::now(), epoch));
        plan.root_revision = revision;
        progress.to_exec = clock::since_begin();
        progress.pid = pid;
        tracing::info!("Create_Process succeeded, pid={pid}");
        self.watch.started(plan, pid);
        let (ended, disk) = match self.answer(&mut end)? {
            Report::Ended { ended, disk, .. } => (ended, disk),
            other => return Err(unexpected(&other)),
        };
        progress.disk = disk;
        if let Some((start, _)) = progress.started {
            progress.wall = start.elapsed();
        }
        tracing::info!("Process exited, pid={pid}, {}", describe(&ended));
        if let Some(failure) = memory::failure(&ended, plan, self.knobs, end.killed) {
            return Err(failure);
        }
        if let Some(hooks) = &hooks {
            self.exit_hook(hooks, &job, end.killed)?;
        }
        if plan.files.transfer {
            self.desk.order(&Order::Deliver(Destination::Here))?;
            match self.answer(&mut End::copying())? {
                Report::Delivered(Delivered { stats, .. }) => {
                    tracing::info!("output: {} files, {} bytes", stats.files, stats.bytes);
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(if end.killed { Outcome::Killed(ended) } else { Outcome::Ended(ended) })
    }

    /// Chooses the account, looks it up, and makes the plan.
    pub(super) fn plan(&mut self, job: &Job) -> Result<Plan, Failure> {
        let choice = plan::choose_account(job, self.knobs, "", &|| true)?;
        tracing::info!("running as {} ({})", choice.name, choice.why);
        let account = run_as::account(&choice, self.host.privileged)?;
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
        let machine = machine_ad(job, &self.host);
        plan::make(Inputs {
            environment: &environment,
            stdio: self.stdio.clone(),
            unnamed_output: self.unnamed_output.clone(),
            submitter,
            ..Inputs::new(job, self.knobs, &self.host, account, &machine)
        })
    }

    /// The launcher's next report. Signals that come meanwhile are passed on: the first asks the job
    /// to end, and a second, or too much time, kills it. A copy is ended at once.
    pub(super) fn answer(&mut self, end: &mut End) -> Result<Report, Failure> {
        loop {
            match self.desk.report() {
                Some(Report::Failed(_)) if end.killed => return Err(interrupted()),
                Some(Report::Failed(failure)) => return Err(failure),
                Some(report) => return Ok(report),
                None => self.desk.wait(end.hard, &[])?,
            }
            let asked = self.desk.signal();
            let due = end.hard.is_some_and(|when| when <= Instant::now());
            let hard = due || asked.is_some_and(|signal| signal == Signal::SIGQUIT || end.killed);
            match end.soft {
                Some(signal) if asked.is_some() && !hard => {
                    tracing::info!("asked to end: sending signal {signal} to the job");
                    self.desk.order(&Order::Signal(signal))?;
                    end.hard = Some(Instant::now() + PATIENCE);
                }
                _ if asked.is_some() || due => {
                    self.desk.order(&Order::Kill)?;
                    end.hard = None;
                }
                _ => continue,
            }
            end.killed = true;
        }
    }
}

/// Whether and how the job is being ended.
pub(super) struct End {
    pub(super) killed: bool,
    /// The signal to ask with; `None`: nobody is asked.
    soft: Option<i32>,
    /// When it is killed.
    hard: Option<Instant>,
}

impl End {
    /// Files are being copied, which ends without being asked.
    pub(super) fn copying() -> Self {
        Self { killed: false, soft: None, hard: None }
    }
}

pub(super) fn interrupted() -> Failure {
    Failure::host(Step::Watch, "the starter was told to end before it was done")
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
