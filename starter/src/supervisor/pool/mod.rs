//! The life of a job in a pool: from the shadow's job ad to the report of its end.
//!
//! The shadow answers one request at a time, and may take its time; signals and the startd's orders
//! are taken into account whatever is being waited for. `wait` has that, this file the order of
//! events.
//!
//! The guidance of 25.x (request 305) isn't asked for: a shadow serves a starter that doesn't ask, and
//! one that asks too soon after its input has come is told to ask again in five seconds.

mod ads;
mod assignment;
mod ending;
mod monitors;
mod output;
mod plugins;
mod streams;
mod wait;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::Stream;

use self::ads::Figures;
use self::assignment::{Assignment, ShadowHost};
use self::ending::Ending;
use self::output::{Wanted, wanted_of_ended};
use self::plugins::Plugins;
use self::streams::Streamed;
use super::{Desk, describe, unexpected};
use crate::failure::{Disposition, Failure, Step, hold};
use crate::knobs::Knobs;
use crate::launcher::message::{Order, Report, Status};
use crate::parent::shadow::{Call, JobExit, Lost, Shadow};
use crate::parent::startd::Startd;
use crate::plan::Host;
use crate::transfer::Delivered;

/// Exit codes, as a startd reads them.
const EXIT_OK: u8 = 0;
/// The starter could not do its work.
const EXIT_FAILED: u8 = 1;
/// The shadow is gone.
const EXIT_LOST: u8 = 2;

/// Reasons of `job_exit`.
const JOB_EXITED: i32 = 100;
const JOB_COREDUMPED: i32 = 103;
const JOB_SHOULD_REQUEUE: i32 = 107;
const JOB_NOT_STARTED: i32 = 108;

/// What a supervisor in a pool works with.
pub(crate) struct Pool<'a> {
    desk: Desk,
    startd: Startd,
    shadow: Shadow,
    knobs: &'a Knobs,
    host: Host,
    /// The starter's own environment.
    environment: Vec<(String, String)>,
    /// Where the shadow is.
    shadow_host: Option<ShadowHost>,
    ending: Ending,
    stage: Stage,
    figures: Option<Figures>,
    plugins: Plugins,
    /// The job is not to run just now.
    suspended: bool,
    /// The job's standard files that go over the shadow while it runs.
    streams: Vec<Streamed>,
    /// A message of the shadow is waited for.
    asked: bool,
    /// It has come.
    answered: bool,
    lost: Option<Lost>,
}

/// What is going on in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing that could be ended.
    Quiet,
    /// Input is on its way: an order to end ends that.
    Fetching,
    /// The job runs, and is ended by this signal.
    Running(i32),
    /// Output is on its way, which an order to end softly doesn't touch.
    Delivering,
}

/// Why a job's life ended early.
enum Broken {
    /// Something could not be done, which the shadow is told.
    Failed(Failure),
    /// There is no shadow to tell.
    Lost(Lost),
    /// The job was to end before it ran.
    NotStarted,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Lost> for Broken {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl<'a> Pool<'a> {
    /// Takes over the conversations that the startd has begun.
    pub(crate) fn new(
        desk: Desk,
        startd: Startd,
        shadow: Stream<TcpStream>,
        knobs: &'a Knobs,
        host: Host,
        environment: Vec<(String, String)>,
    ) -> Result<Self, Failure> {
        let socket = shadow.socket();
        let shadow_host = match (socket.peer_addr(), socket.local_addr()) {
            (Ok(peer), Ok(own)) => Some(ShadowHost {
                address: peer.ip().to_canonical(),
                is_local: peer.ip() == own.ip() || peer.ip().to_canonical().is_loopback(),
            }),
            _ => None,
        };
        Ok(Self {
            desk,
            startd,
            shadow: Shadow::new(shadow)?,
            knobs,
            host,
            environment,
            shadow_host,
            ending: Ending::default(),
            stage: Stage::Quiet,
            figures: None,
            plugins: Plugins::default(),
            suspended: false,
            asked: false,
            streams: Vec::new(),
            answered: false,
            lost: None,
        })
    }

    /// Runs the job; the exit code.
    pub(crate) fn run(mut self) -> u8 {
        let code = match self.life() {
            Ok(()) => EXIT_OK,
            Err(broken) => self.broken(broken),
        };
        // Whatever runs still is ended by this.
        let gone = self.desk.order(&Order::Finish).and_then(|()| self.desk.gone());
        match gone {
            Ok(()) => code,
            Err(failure) => {
                tracing::error!("{}: {failure}", failure.step);
                code.max(EXIT_FAILED)
            }
        }
    }

    fn life(&mut self) -> Result<(), Broken> {
        let assignment = self.assignment()?;
        let Assignment { job, plan, shadow, peer } = &assignment;
        self.fetched(job)?;
        self.stop_if_asked()?;
        // A job whose files can't be opened has not begun.
        self.desk.order(&Order::Open)?;
        match self.report()? {
            Report::Opened { .. } => {}
            other => return Err(unexpected(&other).into()),
        }
        self.open_streams(job, plan)?;
        // The cell is made while the shadow takes note.
        self.desk.order(&Order::Ready)?;
        self.not_too_soon(job)?;
        self.call(&Call::BeginExecution, |_| Ok(()))?;
        self.desk.order(&Order::Launch)?;
        self.stage = Stage::Running(job.kill_signal);
        let pid = match self.report()? {
            Report::Started { pid } => pid,
            other => return Err(unexpected(&other).into()),
        };
        tracing::info!("Create_Process succeeded, pid={pid}");
        self.figures = Some(Figures::new(pid, *shadow));
        self.suspend()?;
        let ended = self.running()?;
        self.stage = Stage::Quiet;
        self.close_streams()?;

        // Orders that come later don't make it another end.
        let by_itself = !self.ending.is_under_way();
        if let Some(hold) = self.untold_hold() {
            self.call(&Call::UserLog(&hold), |_| Ok(()))?;
        }
        if let Some(figures) = &self.figures {
            let reaped = figures.reaped(self.knobs, &self.ending, *shadow);
            self.update(reaped)?;
        }
        self.tell(&Call::Event(&ads::execution_exit()))?;
        if let Some(figures) = &self.figures {
            let exited = figures.exited(self.knobs);
            self.update(exited)?;
        }
        // Not sooner: a shadow that hasn't seen the end of the input's transfer yet, which comes from a
        // process of its own, gives up the job when that of the output begins.
        let wanted = if by_itself {
            wanted_of_ended(job, ended, *shadow)
        } else {
            self.wanted_of_evicted(job)
        };
        let delivered = match (peer, wanted) {
            (Some(peer), Some(wanted)) => {
                let mut output = self.output(job, plan, pid);
                output.is_final = by_itself || self.ending.wants_final_output();
                if wanted == Wanted::OfFailure {
                    output.list = Some(job.failure_files.iter().map(Into::into).collect());
                }
                self.deliver(peer, &output)?
            }
            _ => None,
        };
        self.desk.order(&Order::Finish)?;
        self.settle(peer.is_some())?;
        let last = self.last_words(delivered.as_ref());
        self.startd.finish(&last);
        if self.ending.hold_told {
            // The shadow hears nothing after that.
            return Ok(());
        }
        let reason = match &delivered {
            _ if !by_itself => JOB_SHOULD_REQUEUE,
            Some(Delivered { core: Some(_), .. }) => JOB_COREDUMPED,
            // Somebody was in a hurry.
            None if wanted.is_some() && peer.is_some() => JOB_SHOULD_REQUEUE,
            _ => JOB_EXITED,
        };
        let exit = JobExit { status: ads::wait_status(ended), reason, ad: &last };
        self.tell(&Call::JobExit(exit))?;
        tracing::info!("told the shadow that the job is over (reason {reason})");
        Ok(())
    }

    /// Waits for the end of the job, and reports on it meanwhile.
    fn running(&mut self) -> Result<Status, Broken> {
        let interval =
            |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1));
        let mut due = Instant::now() + interval(self.knobs.starter_initial_update_interval);
        loop {
            match self.desk.report() {
                Some(Report::Ended { ended, disk, snapshot }) => {
                    if let Some(figures) = &mut self.figures {
                        figures.monitor(&snapshot, &self.knobs.monitored_resources);
                        tracing::info!(
                            "Process exited, pid={}, {}",
                            figures.pid(),
                            describe(&ended)
                        );
                        figures.end(ended.clone(), disk);
                    }
                    return Ok(ended.status);
                }
                Some(Report::Measured { sample, disk, snapshot }) => {
                    if let Some(figures) = &mut self.figures {
                        figures.monitor(&snapshot, &self.knobs.monitored_resources);
                        figures.look(sample, disk);
                        let ad = figures.running(self.knobs);
                        self.update(ad)?;
                    }
                    continue;
                }
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(other) => return Err(unexpected(&other).into()),
                None => {}
            }
            if let Some(hold) = self.untold_hold() {
                self.call(&Call::UserLog(&hold), |_| Ok(()))?;
            }
            if due <= Instant::now() {
                self.desk.order(&Order::Measure)?;
                due = Instant::now() + interval(self.knobs.starter_update_interval);
            }
            self.stream()?;
            // One may have come while the shadow was waited for.
            if !self.desk.has_report() {
                self.wait_also(Some(due), true)?;
            }
            if let Some(lost) = self.lost.take() {
                return Err(lost.into());
            }
        }
    }

    /// The error event of an order to hold, once.
    fn untold_hold(&mut self) -> Option<ClassAd> {
        let why = self.ending.hold.clone().filter(|_| !self.ending.hold_told)?;
        self.ending.hold_told = true;
        let failure = Failure::job(Step::Watch, why.code, why.subcode, why.text);
        Some(ads::error(&failure, why.code, why.subcode))
    }

    fn last_words(&self, delivered: Option<&Delivered>) -> ClassAd {
        let mut ad = self.figures.as_ref().map(Figures::last).unwrap_or_default();
        ad.insert_value("StarterIpAddr", self.startd.address().to_string());
        if let Some(delivered) = delivered {
            ad.insert_value("SpooledOutputFiles", delivered.spooled.join(","));
        }
        ads::vacated(&mut ad, &self.ending);
        ad
    }

    /// Sends an update to the shadow, and to the startd.
    fn update(&mut self, mut ad: ClassAd) -> Result<(), Broken> {
        ad.insert_value("StarterIpAddr", self.startd.address().to_string());
        ads::vacated(&mut ad, &self.ending);
        self.startd.update(&ad);
        self.tell(&Call::JobUpdate(&ad))
    }

    /// The last words of a life that ended early; the exit code.
    fn broken(&mut self, broken: Broken) -> u8 {
        match broken {
            Broken::NotStarted => match self.not_started() {
                Ok(()) => EXIT_OK,
                Err(broken) => self.broken(broken),
            },
            Broken::Failed(failure) => self.failed(&failure),
            Broken::Lost(Lost(why)) => {
                let ad = self.last_words(None);
                self.startd.finish(&ad);
                if self.ending.is_under_way() {
                    // The claim is as good as before: nobody waited for more than the end.
                    tracing::warn!("the shadow did not wait for the end of the job: {why}");
                    return EXIT_OK;
                }
                tracing::error!("lost the connection with the shadow: {why}");
                EXIT_LOST
            }
        }
    }

    /// The order to end came before the program was started.
    fn not_started(&mut self) -> Result<(), Broken> {
        let ad = self.last_words(None);
        self.startd.finish(&ad);
        if let Some(hold) = self.untold_hold() {
            return self.call(&Call::UserLog(&hold), |_| Ok(()));
        }
        self.tell(&Call::JobExit(JobExit { status: 0, reason: JOB_NOT_STARTED, ad: &ad }))
    }

    /// Tells the shadow why the job can't go on. It has nothing to say to that: a shadow of 25.14.1 waits
    /// ten seconds for this starter to be gone, and only then the job is held.
    fn failed(&mut self, failure: &Failure) -> u8 {
        tracing::error!("{}: {failure}", failure.step);
        let (code, subcode) = match failure.disposition {
            Disposition::Hold { code, subcode } => (code, subcode),
            Disposition::Elsewhere => (hold::STARTER_ERROR, 0),
        };
        let event = ads::error(failure, code, subcode);
        if let Err(Broken::Lost(lost)) = self.call(&Call::UserLog(&event), |_| Ok(())) {
            return self.broken(lost.into());
        }
        // A job that runs still doesn't run on meanwhile; where the launcher is gone it doesn't.
        let _ = self.desk.order(&Order::Finish);
        let ad = self.last_words(None);
        self.startd.finish(&ad);
        EXIT_OK
    }

    fn stop_if_asked(&self) -> Result<(), Broken> {
        if self.ending.is_under_way() { Err(Broken::NotStarted) } else { Ok(()) }
    }
}
