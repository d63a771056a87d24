//! The life of a job in a pool: from the shadow's job ad to the report of its end.
//!
//! The shadow answers one request at a time, and may take its time; signals and the startd's orders
//! are taken into account whatever is being waited for. `wait` has that, this file the order of
//! events.
//!
//! The guidance of 25.x (request 305) is asked for only when input could not be fetched: a shadow serves
//! a starter that doesn't ask, and one that asks too soon after its input has come is told to ask again
//! in five seconds.

mod ads;
mod assignment;
mod checkpoint;
mod chirp;
mod contents;
mod credentials;
mod deferral;
mod disk;
mod ending;
mod guidance;
mod hooks;
mod isolation;
pub(crate) mod local;
mod monitors;
mod output;
mod peek;
mod plugins;
pub(crate) mod reason;
mod reconnect;
mod scripts;
mod ssh;
mod streams;
mod user_log;
mod wait;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::Stream;
use zeroize::Zeroizing;

use self::ads::Figures;
use self::assignment::{Assignment, ShadowHost};
use self::checkpoint::Checkpoints;
use self::ending::Ending;
use self::output::{TRIES, Wanted, wanted_of_ended};
use self::plugins::Plugins;
use self::reconnect::Tie;
use self::streams::Streamed;
use self::user_log::UserLog;
use super::{Desk, describe, unexpected};
use crate::failure::{Disposition, Failure, Step, hold};
use crate::hooks::{Chosen, Kind};
use crate::job::Job;
use crate::knobs::Knobs;
use crate::launcher::SANDBOX_LOG;
use crate::launcher::message::{Order, Report, Status};
use crate::parent::shadow::{Call, JobExit, Lost, Shadow};
use crate::parent::startd::{Release, Startd};
use crate::plan::Host;
use crate::reach::{self, chirp::Delayed, chirp::Proxy};
use crate::transfer::{Delivered, Peer};

/// Exit codes, as a startd reads them.
const EXIT_OK: u8 = 0;
/// The starter could not do its work.
const EXIT_FAILED: u8 = 1;
/// The shadow is gone.
const EXIT_LOST: u8 = 2;

/// What a supervisor in a pool works with.
pub(crate) struct Pool<'a> {
    desk: Desk,
    startd: Startd,
    /// `None` while there is none.
    shadow: Option<Shadow>,
    /// The shadow's, if it said so.
    release: Option<Release>,
    /// The session for file transfers, and the shadow's address and key for them.
    peer: Option<Box<Peer>>,
    /// The name of the claim's session.
    claim_session: Option<String>,
    tie: Tie,
    knobs: &'a Knobs,
    host: Host,
    /// The starter's own environment.
    environment: Vec<(String, String)>,
    /// Where the shadow is.
    shadow_host: Option<ShadowHost>,
    ending: Ending,
    stage: Stage,
    figures: Option<Figures>,
    /// The programs that the admin has run around this job.
    hooks: Option<Chosen>,
    checkpoints: Checkpoints,
    plugins: Plugins,
    /// The job is not to run just now.
    suspended: bool,
    /// `StarterUserLog`.
    log: Option<UserLog>,
    /// The name of the job's proxy in the sandbox.
    proxy: Option<String>,
    /// How many newer ones are being put in its place.
    proxies: usize,
    /// When its tokens are to be fetched again.
    tokens_due: Option<Instant>,
    /// The job's standard files that go over the shadow while it runs.
    streams: Vec<Streamed>,
    /// What the clients of the job's chirp proxy will show.
    cookie: Option<Zeroizing<String>>,
    /// That proxy, while the job runs.
    chirp: Option<Proxy>,
    /// The job's owner looks at its output.
    peeking: peek::Peeking,
    /// Or wants a shell in it.
    visits: ssh::Visits,
    /// Attributes that the job has set for the next report.
    delayed: Delayed,
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
    /// It was to run at a time which is over, for this reason.
    Missed(String),
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
            shadow: Some(Shadow::new(shadow)?),
            release: None,
            peer: None,
            claim_session: None,
            tie: Tie::default(),
            knobs,
            host,
            environment,
            shadow_host,
            ending: Ending::default(),
            stage: Stage::Quiet,
            figures: None,
            hooks: None,
            checkpoints: Checkpoints::default(),
            plugins: Plugins::default(),
            suspended: false,
            log: None,
            proxy: None,
            proxies: 0,
            tokens_due: None,
            asked: false,
            streams: Vec::new(),
            cookie: None,
            chirp: None,
            peeking: peek::Peeking::default(),
            visits: ssh::Visits::default(),
            delayed: Delayed::new(knobs),
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
        let mut assignment = self.assignment()?;
        self.fetched(&assignment)?;
        self.stop_if_asked()?;
        self.deferred(&assignment.job)?;
        self.prepare_hook(Kind::Prepare, &mut assignment)?;
        let Assignment { job, plan, scripts, .. } = &assignment;
        self.before(job, scripts)?;
        self.checkpoints = Checkpoints::of(job);
        let (pid, ended) = loop {
            let (pid, ended) = self.execution(&assignment)?;
            let Some(checkpoint) = self.saved(job, ended)? else { break (pid, ended) };
            // One that was to end meanwhile has ended.
            if !self.checkpoint(&assignment, checkpoint, pid)? {
                break (pid, ended);
            }
        };

        // Orders that come later don't make it another end.
        let by_itself = !self.ending.is_under_way();
        if let Some(hold) = self.untold_hold() {
            self.call(&Call::UserLog(&hold), |_| Ok(()))?;
        }
        self.tell_reaped()?;
        // Nothing of such a job is worth having.
        let figures = self.figures.as_ref();
        if let Some(failure) = figures.and_then(|f| f.out_of_memory(plan, self.knobs, !by_itself)) {
            return Err(failure.into());
        }
        if by_itself {
            self.after(job, scripts, ended)?;
        }
        self.log_end(ended, by_itself);
        self.tell(&Call::Event(&ads::execution_exit()))?;
        if let Some(figures) = &self.figures {
            let exited = figures.exited(self.knobs);
            self.update_hook(job, &exited)?;
            self.exit_hook(job, &exited)?;
            self.update(exited)?;
        }
        // Not sooner: a shadow that hasn't seen the end of the input's transfer yet, which comes from a
        // process of its own, gives up the job when that of the output begins.
        let wanted = if by_itself {
            wanted_of_ended(job, ended, self.release)
        } else {
            self.wanted_of_evicted(job)
        };
        let transfers = self.peer.is_some();
        let delivered = match wanted {
            Some(wanted) if transfers => {
                let mut output = self.output(job, plan, pid);
                output.is_final = by_itself || self.ending.wants_final_output();
                if wanted == Wanted::OfFailure {
                    output.list =
                        Some(job.failure_files.iter().flatten().map(Into::into).collect());
                }
                if job.wants_log && crate::log::has_second() {
                    self.desk.order(&Order::KeepLog)?;
                    output.list.iter_mut().for_each(|list| list.push(SANDBOX_LOG.into()));
                }
                self.deliver(&output, TRIES, "Output")?
            }
            _ => None,
        };
        self.desk.order(&Order::Finish)?;
        self.settle(transfers)?;
        let last = self.last_words(delivered.as_ref());
        self.startd.finish(&last);
        if self.ending.hold_told {
            // The shadow hears nothing after that.
            return Ok(());
        }
        let reason = match &delivered {
            _ if !by_itself => reason::SHOULD_REQUEUE,
            Some(Delivered { core: Some(_), .. }) => reason::COREDUMPED,
            // Somebody was in a hurry.
            None if wanted.is_some() && transfers => reason::SHOULD_REQUEUE,
            _ => reason::EXITED,
        };
        let exit = JobExit { status: ended.wait(), reason, ad: &last };
        self.tell(&Call::JobExit(exit))?;
        tracing::info!("told the shadow that the job is over (reason {reason})");
        Ok(())
    }

    /// Runs the program until it ends: its process number, and how.
    fn execution(&mut self, assignment: &Assignment) -> Result<(i32, Status), Broken> {
        let Assignment { job, plan, starter, .. } = assignment;
        // A job whose files can't be opened has not begun.
        self.desk.order(&Order::Open)?;
        match self.report()? {
            Report::Opened { .. } => {}
            other => return Err(unexpected(&other).into()),
        }
        self.open_streams(job, plan)?;
        // A job that goes on after a checkpoint has begun already.
        if self.figures.is_none() {
            self.begin_log(job, plan)?;
        }
        // The cell is made while the shadow takes note.
        self.desk.order(&Order::Ready)?;
        if plan.sandbox.chirp {
            let cookie = self.cookie.insert(reach::chirp::cookie()?);
            self.desk.order(&Order::Listen(cookie.to_string()))?;
        }
        self.not_too_soon(job)?;
        self.tie(job, starter);
        self.call(&Call::BeginExecution, |_| Ok(()))?;
        self.desk.order(&Order::Launch)?;
        self.stage = Stage::Running(job.kill_signal);
        if plan.sandbox.chirp {
            match self.report()? {
                Report::Listening => self.begin_chirp(job)?,
                other => return Err(unexpected(&other).into()),
            }
        }
        let (pid, revision) = match self.report()? {
            Report::Started { pid, revision } => (pid, revision),
            other => return Err(unexpected(&other).into()),
        };
        tracing::info!("Create_Process succeeded, pid={pid}");
        match &mut self.figures {
            Some(figures) => figures.again(pid),
            None => self.figures = Some(Figures::new(pid, self.release)),
        }
        self.tell_isolation(job, plan, revision)?;
        self.suspend()?;
        self.peeking.of = Some((job.clone(), plan.clone()));
        self.peeking.over = false;
        let ended = self.running(job, disk::Watch::new(plan.limits.disk_kib))?;
        self.stage = Stage::Quiet;
        self.chirp = None;
        self.peeking.of = None;
        self.peeking.over = true;
        self.close_streams()?;
        Ok((pid, ended))
    }

    /// Waits for the end of the job, and reports on it meanwhile.
    fn running(&mut self, job: &Job, mut space: disk::Watch) -> Result<Status, Broken> {
        let interval =
            |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1));
        let mut due = Instant::now() + interval(self.knobs.starter_initial_update_interval);
        loop {
            self.keep()?;
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
                        let failure = space.failure(disk);
                        if failure.is_some() || !std::mem::take(&mut space.quiet) {
                            let ad = figures.running(self.knobs);
                            self.update_hook(job, &ad)?;
                            match self.update(ad) {
                                Err(Broken::Lost(lost)) => self.lose(lost)?,
                                result => result?,
                            }
                        }
                        if let Some(failure) = failure.filter(|_| !self.ending.is_under_way()) {
                            return Err(failure.into());
                        }
                    }
                    continue;
                }
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(Report::Placed(end)) if self.proxies > 0 => {
                    self.proxy_is_placed(end);
                    continue;
                }
                Some(Report::Appended(end)) => {
                    complain(end);
                    continue;
                }
                Some(other) => return Err(unexpected(&other).into()),
                None => {}
            }
            if due <= Instant::now() {
                self.desk.order(&Order::Measure)?;
                let usual = interval(self.knobs.starter_update_interval);
                due = Instant::now() + self.tie.update_interval(usual);
            } else if space.is_due() {
                self.desk.order(&Order::Measure)?;
                space.quiet = true;
            }
            match self.serve(job) {
                Err(Broken::Lost(lost)) => self.lose(lost)?,
                result => result?,
            }
            // One may have come while the shadow was waited for.
            if !self.desk.has_report() && !self.has_newcomer() {
                let tokens = self.tokens_due.unwrap_or(due);
                let next = space.due().map_or(due, |look| look.min(due)).min(tokens);
                self.wait_also(Some(next), !self.is_away())?;
            }
        }
    }

    /// What the shadow is needed for while the job runs, if there is one.
    fn serve(&mut self, job: &Job) -> Result<(), Broken> {
        self.welcome()?;
        if self.is_away() {
            return Ok(());
        }
        if let Some(hold) = self.untold_hold() {
            let told = self.call(&Call::UserLog(&hold), |_| Ok(()));
            self.ending.hold_told = told.is_ok();
            told?;
        }
        self.renew_tokens(job)?;
        self.stream()?;
        self.serve_chirp(job)
    }

    /// Whether the job does.
    fn runs(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
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
        self.delayed.add_to(&mut ad);
        ad
    }

    /// Sends an update to the shadow, and to the startd. One of a job that runs isn't kept for a shadow
    /// that is away.
    fn update(&mut self, mut ad: ClassAd) -> Result<(), Broken> {
        ad.insert_value("StarterIpAddr", self.startd.address().to_string());
        ads::vacated(&mut ad, &self.ending);
        self.delayed.add_to(&mut ad);
        if !self.is_away() {
            self.startd.update(&ad);
            self.tell(&Call::JobUpdate(&ad))?;
            self.delayed.told();
            return Ok(());
        }
        let mut lonely = ad.clone();
        lonely.insert_value("STARTER_DISCONNECTED_FROM_SUBMIT_NODE", true);
        self.startd.update(&lonely);
        if self.runs() {
            return Ok(());
        }
        self.tell(&Call::JobUpdate(&ad))?;
        self.delayed.told();
        Ok(())
    }

    /// The last words of a life that ended early; the exit code.
    fn broken(&mut self, broken: Broken) -> u8 {
        match broken {
            Broken::NotStarted => match self.not_started() {
                Ok(()) => EXIT_OK,
                Err(broken) => self.broken(broken),
            },
            Broken::Failed(failure) => self.failed(&failure),
            Broken::Missed(why) => match self.missed(&why) {
                Ok(()) => EXIT_OK,
                Err(broken) => self.broken(broken),
            },
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
        self.tell(&Call::JobExit(JobExit { status: 0, reason: reason::NOT_STARTED, ad: &ad }))
    }

    /// Tells the shadow why the job can't go on. It has nothing to say to that: a shadow of 25.14.1 waits
    /// ten seconds for this starter to be gone, and only then the job is held.
    fn failed(&mut self, failure: &Failure) -> u8 {
        tracing::error!("{}: {failure}", failure.step);
        let (code, subcode) = match failure.disposition {
            Disposition::Hold { code, subcode } => (code, subcode),
            Disposition::Elsewhere => (hold::STARTER_ERROR, 0),
        };
        if self.is_away() || self.lost.is_some() {
            // Nothing of it is needed while somebody is waited for who may hear it.
            self.stage = Stage::Quiet;
            let _ = self.desk.order(&Order::Finish);
        }
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

/// What is of no consequence for the job.
fn complain(end: Option<Failure>) {
    if let Some(failure) = end {
        tracing::error!("{failure}");
    }
}
