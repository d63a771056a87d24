//! The life of a job in a pool: from the shadow's job ad to the report of its end.
//!
//! The shadow answers one request at a time, and may take its time; signals and the startd's orders
//! are taken into account whatever is being waited for. `wait` has that, this file the order of
//! events.
//!
//! The guidance of 25.x (request 305) isn't asked for: a shadow serves a starter that doesn't ask, and
//! one that asks too soon after its input has come is told to ask again in five seconds.

mod ads;
mod ending;
mod monitors;
mod streams;
mod wait;

use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use classad::ClassAd;
use condor_cedar::blocking::Stream;
use condor_cedar::session::{ClaimId, Session};
use zeroize::Zeroizing;

use self::ads::Figures;
use self::ending::{Ending, How};
use self::streams::Streamed;
use super::{Desk, describe, unexpected};
use crate::failure::{Disposition, Failure, Step, hold};
use crate::host::{self, run_as};
use crate::job::{Job, When};
use crate::knobs::Knobs;
use crate::launcher::message::{Order, Report, Status};
use crate::parent::shadow::{Call, JobExit, Lost, SessionTexts, Shadow};
use crate::parent::startd::{Machine, Release, Startd};
use crate::plan::{self, Host, Inputs, Plan, Sandbox, Stdio};
use crate::transfer::{Core, Delivered, Destination, Input, Output, Peer, Reach, Source};
use crate::version;

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

/// First release whose shadow takes files of a job that failed.
const FAILURE_FILES: Release = Release(24, 1);
/// How often a transfer of output is tried whose connection is lost, with pauses that begin with a
/// second and double each time: two minutes.
const DELIVERIES: u32 = 8;

/// Longest that the end of the job is kept from the shadow while the sandbox is removed.
const SETTLE: Duration = Duration::from_millis(20);

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
    /// The job's standard files that go over the shadow while it runs.
    streams: Vec<Streamed>,
    /// A message of the shadow is waited for.
    asked: bool,
    /// It has come.
    answered: bool,
    lost: Option<Lost>,
}

/// The machine that the shadow runs on.
#[derive(Clone, Copy, Debug)]
struct ShadowHost {
    address: IpAddr,
    is_local: bool,
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

/// What is taken back of an ended job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Its output.
    Output,
    /// Standard output and error, and what it listed for the case that it fails.
    OfFailure,
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

/// What the shadow has said that later steps need.
struct Assignment {
    job: Job,
    plan: Plan,
    shadow: Option<Release>,
    /// The session for file transfers, and the shadow's address and key for them.
    peer: Option<Box<Peer>>,
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
        self.figures = Some(Figures::new(pid));
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

    /// From the first request to the update that says what is set aside for the job. The sandbox is
    /// made meanwhile.
    fn assignment(&mut self) -> Result<Assignment, Broken> {
        let mut ad = self.call(&Call::JobInfo, |reply| reply.value::<ClassAd>())?;
        let machine = self.startd.machine()?;
        ad.update(&machine.overlay);
        let text = |name: &str| ad.eval_string(name);
        let shadow_version = text("ShadowVersion");
        let shadow = shadow_version.as_deref().and_then(Release::parse);
        if let Some(address) = text("ShadowIpAddr") {
            tracing::info!("Communicating with shadow {address}");
        }
        let address = self.startd.address().to_string();
        let sandbox = Sandbox::of(self.knobs, &self.host);
        let starter = ads::starter(&machine.slot, &address, &sandbox.path(), self.knobs, shadow);
        self.call(&Call::StarterInfo(&starter), |_| Ok(()))?;
        let transfer = self.sessions()?;
        let peer = match (text("TransferSocket"), text("TransferKey"), transfer) {
            (Some(socket), Some(key), Some(session)) => Some(Box::new(Peer {
                address: socket,
                session: Zeroizing::new(session.reveal().to_owned()),
                key: Zeroizing::new(key),
                version: version::CONDOR_VERSION.to_owned(),
                shadow_version,
                own_address: Some(address),
                client: format!("starter of {}", slot_name(&machine.slot)),
                timeout: u32::try_from(self.knobs.starter_upload_timeout).unwrap_or(300),
            })),
            _ => None,
        };
        let domain = Some(self.knobs.filesystem_domain.as_str());
        let job = Job::from_ad(ad, Path::new("/"), domain)?;
        tracing::info!("Starting a VANILLA universe job with ID: {}", job.id());
        let plan = self.plan(&job, &machine)?;
        self.desk.order(&Order::Prepare(Box::new(plan.clone())))?;
        self.fetch(&job, &plan, peer.as_deref())?;
        let mut first = ads::provisioned(&machine.slot, &plan);
        self.tell(&Call::JobUpdate(&first))?;
        first.insert_value("StarterIpAddr", self.startd.address().to_string());
        first.insert_value("CondorScratchDir", plan.sandbox.path().to_string_lossy().into_owned());
        self.startd.update(&first);
        Ok(Assignment { job, plan, shadow, peer })
    }

    /// Takes the sessions that the shadow has for this starter; gives that for file transfers. A
    /// shadow without such sessions has none (SEC_ENABLE_MATCH_PASSWORD_AUTHENTICATION).
    fn sessions(&mut self) -> Result<Option<ClaimId>, Broken> {
        let sessions = self.try_call(&Call::Sessions, SessionTexts::read)?;
        let Ok([reconnect, transfer]) = sessions else {
            tracing::warn!("the shadow has no sessions for this starter");
            return Ok(None);
        };
        let unusable = |error| {
            Failure::host(Step::Internal, format!("a session of the shadow can't be used: {error}"))
        };
        let claim = reconnect.claim_id().map_err(unusable)?;
        self.startd.add_session(Session::of_claim(&claim).map_err(unusable)?);
        Ok(Some(transfer.claim_id().map_err(unusable)?))
    }

    fn plan(&mut self, job: &Job, machine: &Machine) -> Result<Plan, Failure> {
        let name = slot_name(&machine.slot);
        let slot = name.split('@').next().unwrap_or_default();
        let choice = plan::choose_account(job, self.knobs, slot, &|| self.trusts_shadow())?;
        let account = run_as::account(&choice.name, self.host.privileged)?;
        if self.host.privileged {
            tracing::info!("running as {} ({})", choice.name, choice.why);
        }
        let plan = plan::make(Inputs {
            job,
            knobs: self.knobs,
            host: &self.host,
            submitter: Some(account.ids.clone()),
            account,
            machine: &machine.slot,
            slot,
            environment: &self.environment,
            stdio: [None, None, None],
            unnamed_output: Stdio::Null,
            pool: true,
        })?;
        tracing::info!("isolation: {}", plan.applied().join(" "));
        for item in &plan.not_applied {
            tracing::warn!("isolation not applied: {item}");
        }
        Ok(plan)
    }

    /// Whether the shadow may name accounts of this machine, where TRUST_UID_DOMAIN doesn't say so of
    /// all: one on this machine, or one whose host's name is in UID_DOMAIN.
    fn trusts_shadow(&self) -> bool {
        let Some(host) = self.shadow_host else { return false };
        if host.is_local && self.knobs.trust_local_uid_domain {
            return true;
        }
        let domain = &self.knobs.uid_domain;
        let name = host::names::name_of(host.address);
        let inside = name.as_deref().is_some_and(|name| host::names::is_in_domain(name, domain));
        if !inside {
            tracing::warn!(
                "the shadow's host {} ({}) isn't in UID_DOMAIN ({domain}), and TRUST_UID_DOMAIN is \
                 False: the job doesn't run as its owner",
                host.address,
                name.unwrap_or_else(|| "without a name".to_owned()),
            );
        }
        inside
    }

    /// Has the input fetched, as soon as there is a sandbox for it.
    fn fetch(&mut self, job: &Job, plan: &Plan, peer: Option<&Peer>) -> Result<(), Broken> {
        let Some(transfer) = &job.transfer else { return Ok(()) };
        let peer = peer.ok_or_else(|| {
            Failure::host(
                Step::Input,
                "the shadow offers no transfer of files: is SEC_ENABLE_MATCH_PASSWORD_AUTHENTICATION \
                 False there?",
            )
        })?;
        self.stop_if_asked()?;
        let name = job.cmd.file_name().map(|name| name.to_string_lossy().into_owned());
        let input =
            Input { sandbox: plan.sandbox.path(), program: name.filter(|_| transfer.executable) };
        self.stage = Stage::Fetching;
        Ok(self.desk.order(&Order::Fetch(Source::Shadow(Box::new(peer.clone()), input)))?)
    }

    /// Waits for the input.
    fn fetched(&mut self, job: &Job) -> Result<(), Broken> {
        if job.transfer.is_none() {
            return Ok(());
        }
        let report = self.report();
        self.stage = Stage::Quiet;
        // What was ended on purpose is no failure.
        self.stop_if_asked()?;
        match report? {
            Report::Fetched(stats) => {
                tracing::info!("input: {} files, {} bytes", stats.files, stats.bytes);
                Ok(())
            }
            other => Err(unexpected(&other).into()),
        }
    }

    /// Shadows of 23 and 24 keep AllowedExecuteDuration only if the job begins in a later second than
    /// they themselves did; this starter is quick enough for the same.
    fn not_too_soon(&mut self, job: &Job) -> Result<(), Broken> {
        let birth = job.ad.eval_i64("ShadowBday").and_then(|at| u64::try_from(at).ok());
        let (Some(birth), true) = (birth, job.ad.contains("AllowedExecuteDuration")) else {
            return Ok(());
        };
        // The clock that seconds are read from is some milliseconds behind.
        let second = Duration::from_millis(1050);
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(birth).saturating_add(second);
        let wait = later.duration_since(SystemTime::now()).unwrap_or_default();
        // A clock that is far from the shadow's doesn't stop a job.
        let end = Instant::now() + wait.min(Duration::from_secs(2));
        while Instant::now() < end {
            self.wait(Some(end))?;
            self.stop_if_asked()?;
        }
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

    /// What a job wants back that was made to end.
    fn wanted_of_evicted(&self, job: &Job) -> Option<Wanted> {
        let transfer = job.transfer.as_ref()?;
        let is_wanted = match (self.ending.how, transfer.when) {
            (Some(How::Hard), _) => false,
            (_, When::ExitOrEvict) => true,
            _ => self.ending.wants_final_output(),
        };
        is_wanted.then_some(Wanted::Output)
    }

    /// Brings output to the shadow; `None` if the job had to end at once meanwhile.
    fn deliver(&mut self, peer: &Peer, output: &Output) -> Result<Option<Delivered>, Broken> {
        let mut pause = Duration::from_secs(1);
        for turn in 1.. {
            if self.ending.how == Some(How::Hard) {
                break;
            }
            let destination = Destination::Shadow(Box::new(peer.clone()), output.clone());
            self.stage = Stage::Delivering;
            self.desk.order(&Order::Deliver(destination))?;
            let report = self.report();
            self.stage = Stage::Quiet;
            match report {
                Ok(Report::Delivered(delivered)) => {
                    let stats = delivered.stats;
                    tracing::info!("output: {} files, {} bytes", stats.files, stats.bytes);
                    for warning in &delivered.warnings {
                        tracing::warn!("output: {warning}");
                    }
                    return Ok(Some(delivered));
                }
                Ok(other) => return Err(unexpected(&other).into()),
                // What was ended on purpose is no failure.
                Err(Broken::Failed(_)) if self.ending.how == Some(How::Hard) => break,
                Err(Broken::Failed(failure))
                    if failure.disposition == Disposition::Elsewhere && turn < DELIVERIES =>
                {
                    tracing::warn!("{failure}; once more in {} s", pause.as_secs());
                    self.pause(pause)?;
                    pause *= 2;
                }
                Err(broken) => return Err(broken),
            }
        }
        tracing::warn!("output is left behind: the job has to end at once");
        Ok(None)
    }

    /// Lets time pass, unless the job has to end at once.
    fn pause(&mut self, time: Duration) -> Result<(), Broken> {
        let end = Instant::now() + time;
        while Instant::now() < end && self.ending.how != Some(How::Hard) {
            self.wait(Some(end))?;
            if let Some(lost) = self.lost.take() {
                return Err(lost.into());
            }
        }
        Ok(())
    }

    fn output(&self, job: &Job, plan: &Plan, pid: i32) -> Output {
        let transfer = job.transfer.clone().unwrap_or_default();
        let [_, out, err] = &job.stdio;
        let name = job.cmd.file_name().map(|name| name.to_string_lossy().into_owned());
        let cores = [format!("core.{pid}"), "core.2".into(), "core.1".into(), "core".into()];
        Output {
            sandbox: plan.sandbox.path(),
            list: transfer.output,
            standard: [
                out.is_some() && !job.streams[1],
                err.is_some() && out != err && !job.streams[2],
            ],
            program: name.filter(|_| transfer.executable),
            hidden: Vec::new(),
            earlier: job.spooled.iter().map(Into::into).collect(),
            preserve_paths: transfer.preserve_paths,
            is_final: true,
            core: Some(Core {
                found: cores.map(Into::into).to_vec(),
                name: format!("core.{}.{}", job.cluster, job.proc).into(),
            }),
            // As far as the job could see, with its own rights.
            reach: Reach::Account,
        }
    }

    /// Leaves the shadow the time to notice that its transfer is over, for which the sandbox's removal
    /// is long enough: one that hears of the job's end before that looks again only after a second
    /// (`attemptShutdown`, 23.9.6 and 25.14.1).
    fn settle(&mut self, transferred: bool) -> Result<(), Failure> {
        let until = Instant::now() + SETTLE;
        while transferred && !self.desk.is_gone() && Instant::now() < until {
            self.wait(Some(until))?;
        }
        Ok(())
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

/// What a job wants back that ended by itself.
fn wanted_of_ended(job: &Job, ended: Status, shadow: Option<Release>) -> Option<Wanted> {
    let transfer = job.transfer.as_ref()?;
    if transfer.when == When::Success && !job.succeeded(ended) {
        // Older shadows want nothing then.
        return shadow.is_some_and(|release| release >= FAILURE_FILES).then_some(Wanted::OfFailure);
    }
    Some(Wanted::Output)
}

fn slot_name(slot: &ClassAd) -> String {
    slot.eval_string("Name").unwrap_or_else(|| "slot1".to_owned())
}
