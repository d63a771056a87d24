//! The life of a job of the local universe: the schedd is the parent, and this starter does what is
//! otherwise the shadow's work. It writes the job's log, keeps its attributes in the queue, and says
//! with its exit code what becomes of the job (23.9.6 and 25.14.1).

mod decide;
mod end;
mod mail;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use classad::ClassAd;
use nix::sys::signal::Signal;

use super::super::{Desk, describe, unexpected};
use super::ads::Figures;
use super::complain;
use super::ending::{Ending, How};
use super::user_log::UserLog;
use crate::failure::{Failure, Step};
use crate::host::run_as;
use crate::job::{Begin, Job};
use crate::knobs::Knobs;
use crate::launcher::message::{Order, Report, Status};
use crate::launcher::place::Placed;
use crate::parent::file::FileParent;
use crate::parent::schedd::Queue;
use crate::parent::startd::{Asked, Startd};
use crate::plan::{self, AccountChoice, Host, Inputs, Plan};
use crate::report::events::Event;

/// How often the clock is looked at, which may be set while a job waits for its time.
const LOOK: Duration = Duration::from_secs(30);

/// What a supervisor works with.
pub(crate) struct Local<'a> {
    /// The launcher, and signals.
    pub(crate) desk: Desk,
    /// The schedd.
    pub(crate) schedd: Startd,
    /// Where it takes changes of the queue.
    pub(crate) address: condor_cedar::Sinful,
    /// The configuration.
    pub(crate) knobs: &'a Knobs,
    /// The machine.
    pub(crate) host: Host,
    /// The starter's own environment.
    pub(crate) environment: Vec<(String, String)>,
    /// What happens while it runs.
    pub(crate) course: Course,
}

/// How far a job is.
#[derive(Default)]
pub(crate) struct Course {
    ending: Ending,
    /// The schedd wants it out of the queue.
    remove: bool,
    /// The signal that ends the running job.
    running: Option<i32>,
    figures: Option<Figures>,
    suspended: bool,
    logs: Vec<UserLog>,
    /// The job's, for mail.
    ad: ClassAd,
    id: (i64, i64),
    queue: Option<Queue>,
}

/// Why a job's life ended early.
enum Broken {
    Failed(Failure),
    /// It was to end before it ran.
    NotStarted,
    /// Its time is over.
    Missed(String),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Local<'_> {
    /// Runs the parent's job; the exit code.
    pub(crate) fn run(mut self, parent: &mut FileParent) -> u8 {
        let code = match self.life(parent) {
            Ok(code) => code,
            Err(broken) => self.broken(broken),
        };
        let gone = self.desk.order(&Order::Finish).and_then(|()| self.desk.gone());
        if let Err(failure) = gone {
            tracing::error!("{}: {failure}", failure.step);
        }
        code
    }

    fn life(&mut self, parent: &mut FileParent) -> Result<u8, Broken> {
        let job = self.job(parent.job_ad()?)?;
        tracing::info!("Starting a LOCAL universe job with ID: {}", job.id());
        let plan = self.plan(&job)?;
        self.desk.order(&Order::Prepare(Box::new(plan.clone())))?;
        if !job.credentials.services.is_empty() {
            let services = job.credentials.services.clone();
            self.desk.order(&Order::Place(Placed::OwnTokens(services)))?;
            match self.report()? {
                Report::Placed(None) => {}
                Report::Placed(Some(failure)) => return Err(failure.into()),
                other => return Err(unexpected(&other).into()),
            }
        }
        self.deferred(&job)?;
        self.stop_if_asked()?;
        self.first_event()?;
        let starts = job.ad.eval_i64("NumJobStarts").unwrap_or(0) + 1;
        let mut ad = ClassAd::new();
        ad.insert_value("NumJobStarts", starts);
        self.tell(&ad);
        self.desk.order(&Order::Launch)?;
        self.course.running = Some(job.kill_signal);
        let pid = match self.report()? {
            Report::Started { pid, .. } => pid,
            other => return Err(unexpected(&other).into()),
        };
        tracing::info!("Create_Process succeeded, pid={pid}");
        self.course.figures = Some(Figures::new(pid, None));
        self.suspend()?;
        let status = self.running()?;
        self.course.running = None;
        Ok(self.over(&job, status))
    }

    /// The job, which uses its files where they are.
    fn job(&mut self, ad: ClassAd) -> Result<Job, Failure> {
        let mut job = Job::from_ad(ad, Path::new("/"), None)?;
        job.transfer = None;
        job.streams = [false; 3];
        self.course.id = (job.cluster, job.proc);
        self.course.ad = job.ad.clone();
        self.course.logs = UserLog::of(&job);
        self.course.queue = Some(Queue {
            address: self.address.clone(),
            session: self.schedd.session().clone(),
            user: job.ad.eval_string("User").or_else(|| job.owner.clone()).unwrap_or_default(),
            id: self.course.id,
        });
        Ok(job)
    }

    fn plan(&mut self, job: &Job) -> Result<Plan, Failure> {
        let Some(owner) = &job.owner else {
            return Err(Failure::host(Step::Account, "the job ad has neither OsUser nor Owner"));
        };
        let choice = AccountChoice {
            name: owner.clone(),
            group: job.primary_group.clone(),
            why: "the submitting user",
        };
        let account = run_as::account(&choice, self.host.privileged)?;
        let plan = plan::make(Inputs {
            slot: "",
            environment: &self.environment,
            pool: true,
            ..Inputs::new(job, self.knobs, &self.host, account, &ClassAd::new())
        })?;
        tracing::info!("isolation: {}", plan.applied().join(" "));
        for item in &plan.not_applied {
            tracing::warn!("isolation not applied: {item}");
        }
        Ok(plan)
    }

    fn deferred(&mut self, job: &Job) -> Result<(), Broken> {
        let time = match Begin::of(&job.ad, &job.id(), SystemTime::now()) {
            Begin::AtOnce => return Ok(()),
            Begin::At(time) => time,
            Begin::Missed(why) => return Err(Broken::Missed(why)),
        };
        let left = || time.duration_since(SystemTime::now()).unwrap_or_default();
        tracing::info!("Job {} deferred for {} seconds", job.id(), left().as_secs());
        while !left().is_zero() {
            self.wait(Some(Instant::now() + left().min(LOOK)))?;
            self.stop_if_asked()?;
        }
        Ok(())
    }

    /// Waits for the end of the job, and looks at it meanwhile.
    fn running(&mut self) -> Result<Status, Broken> {
        let interval =
            |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1));
        let mut due = Instant::now() + interval(self.knobs.starter_initial_update_interval);
        loop {
            match self.desk.report() {
                Some(Report::Ended { ended, disk, .. }) => {
                    let status = ended.status;
                    if let Some(figures) = &mut self.course.figures {
                        let pid = figures.pid();
                        tracing::info!("Process exited, pid={pid}, {}", describe(&ended));
                        figures.end(ended, disk);
                    }
                    return Ok(status);
                }
                Some(Report::Measured { sample, disk, .. }) => {
                    if let Some(figures) = &mut self.course.figures {
                        figures.look(sample, disk);
                    }
                }
                Some(Report::Appended(end)) => complain(end),
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(other) => return Err(unexpected(&other).into()),
                None => {
                    if due <= Instant::now() {
                        self.desk.order(&Order::Measure)?;
                        due = Instant::now() + interval(self.knobs.starter_update_interval);
                    }
                    self.wait(Some(due))?;
                }
            }
        }
    }

    /// The first line of the job's log decides whether it can have one.
    fn first_event(&mut self) -> Result<(), Broken> {
        let event = Event::Execute(self.schedd.address().to_string());
        for _ in 0..self.log(&event) {
            match self.report()? {
                Report::Appended(None) => {}
                Report::Appended(Some(failure)) => return Err(failure.into()),
                other => return Err(unexpected(&other).into()),
            }
        }
        Ok(())
    }

    /// Has the event written; into how many logs of the job's.
    fn log(&mut self, event: &Event) -> usize {
        if let Some(all) = UserLog::of_all(self.knobs, self.course.id)
            && let Err(error) = all.add(event)
        {
            tracing::warn!("EVENT_LOG {}: {error}", all.path.display());
        }
        let mut count = 0;
        for log in self.course.logs.iter().filter(|log| log.wants(event)) {
            match self.desk.append(&log.path, log.line(event)) {
                Ok(()) => count += 1,
                Err(failure) => tracing::error!("{}: {failure}", log.path.display()),
            }
        }
        count
    }

    fn stop_if_asked(&self) -> Result<(), Broken> {
        if self.course.ending.is_under_way() { Err(Broken::NotStarted) } else { Ok(()) }
    }

    /// The launcher's next report.
    fn report(&mut self) -> Result<Report, Broken> {
        loop {
            match self.desk.report() {
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(report) => return Ok(report),
                None => self.wait(None)?,
            }
        }
    }

    /// Waits until something has happened, or until the time has come, and does what the schedd asked
    /// for.
    fn wait(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        let kill = self.course.ending.kill_at.filter(|_| self.course.running.is_some());
        let until = [until, self.schedd.due(), kill].into_iter().flatten().min();
        let sources = self.schedd.sources();
        self.desk.wait(until, &sources)?;
        drop(sources);
        let mut asked = self.schedd.step();
        while let Some(signal) = self.desk.signal() {
            asked.push(match signal {
                Signal::SIGQUIT => Asked::Hard(None),
                Signal::SIGHUP => Asked::Reconfig,
                Signal::SIGUSR1 => Asked::Remove,
                _ => Asked::Soft(None),
            });
        }
        for asked in asked {
            self.take(asked)?;
        }
        let Some(signal) = self.course.running else { return Ok(()) };
        let patience = u64::try_from(self.knobs.shutdown_graceful_timeout).unwrap_or(0);
        match self.course.ending.next(Duration::from_secs(patience)) {
            Some(How::Soft) => {
                tracing::info!("sending signal {signal} to the job");
                if self.course.suspended {
                    self.desk.order(&Order::Suspend(false))?;
                }
                self.desk.order(&Order::Signal(signal))
            }
            Some(How::Hard) => self.desk.order(&Order::Kill),
            None => Ok(()),
        }
    }

    fn take(&mut self, asked: Asked) -> Result<(), Failure> {
        tracing::info!("asked to: {asked:?}");
        match &asked {
            Asked::Suspend | Asked::Continue => {
                let suspended = asked == Asked::Suspend;
                if suspended != self.course.suspended {
                    self.course.suspended = suspended;
                    self.suspend()?;
                }
            }
            Asked::Reconfig => tracing::info!("a new configuration counts from the next job on"),
            Asked::Proxy(_) => self.schedd.proxy_is_placed(false),
            Asked::Checkpoint => tracing::warn!("a job of the local universe has no checkpoints"),
            Asked::Remove => {
                self.course.remove = true;
                self.course.ending.take(asked);
            }
            _ => self.course.ending.take(asked),
        }
        Ok(())
    }

    /// Stops the job or lets it go on, as was asked for last: perhaps before there was one.
    fn suspend(&mut self) -> Result<(), Failure> {
        let Some(figures) = &mut self.course.figures else { return Ok(()) };
        if self.course.running.is_none() || figures.suspended == self.course.suspended {
            return Ok(());
        }
        figures.suspended = self.course.suspended;
        let count = figures.running(self.knobs).eval_i64("NumPids").unwrap_or(1);
        self.desk.order(&Order::Suspend(self.course.suspended))?;
        let event =
            if self.course.suspended { Event::Suspended(count) } else { Event::Unsuspended };
        self.log(&event);
        Ok(())
    }
}
