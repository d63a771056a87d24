//! The life of a job in a pool: from the shadow's job ad to the report of its end.
//!
//! The shadow answers one request at a time, and may take its time; signals and the startd's orders
//! are taken into account whatever is being waited for. `wait` has that, `life` and `running`
//! the order of events, this file what they all use.
//!
//! The guidance of 25.x (request 305) is asked for only when input could not be fetched: a shadow serves
//! a starter that doesn't ask, and one that asks too soon after its input has come is told to ask again
//! in five seconds.

mod ads;
mod assignment;
mod checkpoint;
mod chirp;
mod contents;
mod counters;
mod credentials;
mod deferral;
mod disk;
mod early;
mod ending;
mod guidance;
mod hooks;
mod isolation;
mod life;
mod line;
pub(crate) mod local;
mod monitors;
mod output;
mod peek;
mod plugins;
pub(crate) mod reason;
mod reconnect;
mod rehearsal;
mod running;
mod scripts;
mod ssh;
mod streams;
mod user_log;
mod wait;

use std::net::TcpStream;

use classad::ClassAd;
use condor_cedar::blocking::Stream;

use self::ads::Figures;
use self::checkpoint::Checkpoints;
use self::ending::Ending;
use self::line::{Line, Submit};
use self::plugins::Plugins;
use self::reconnect::Tie;
use self::streams::Streamed;
use self::user_log::UserLog;
use super::Desk;
use crate::failure::{Failure, Step};
use crate::hooks::Chosen;
use crate::knobs::Knobs;
use crate::launcher::message::Order;
use crate::parent::shadow::{Call, Lost};
use crate::parent::startd::Startd;
use crate::plan::Host;
use crate::transfer::Delivered;

/// Exit codes, as a startd reads them.
const EXIT_OK: u8 = 0;
/// The starter could not do its work.
const EXIT_FAILED: u8 = 1;
/// The shadow is gone.
const EXIT_LOST: u8 = 2;
/// Something is so broken that the slot shall not be used again: since 24.5 the startd keeps its resources
/// back. Only said where an admin and a job ask for it.
const EXIT_BROKEN: u8 = 17;

/// What a supervisor in a pool works with.
pub(crate) struct Pool<'a> {
    desk: Desk,
    startd: Startd,
    line: Line,
    submit: Submit,
    tie: Tie,
    knobs: &'a Knobs,
    host: Host,
    /// The starter's own environment.
    environment: Vec<(String, String)>,
    ending: Ending,
    stage: Stage,
    figures: Option<Figures>,
    /// The programs that the admin has run around this job.
    hooks: Option<Chosen>,
    checkpoints: Checkpoints,
    plugins: Plugins,
    /// The slot is to be left as broken, for a test.
    breaks_slot: bool,
    /// The job is not to run just now.
    suspended: bool,
    /// `StarterUserLog`.
    log: Option<UserLog>,
    credentials: credentials::Held,
    /// The job's standard files that go over the shadow while it runs.
    streams: Vec<Streamed>,
    chirp: chirp::Service,
    /// The job's owner looks at its output.
    peeking: peek::Peeking,
    /// Or wants a shell in it.
    visits: ssh::Visits,
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
        let (line, submit) = line::take_over(shadow)?;
        Ok(Self {
            desk,
            startd,
            line,
            submit,
            tie: Tie::default(),
            knobs,
            host,
            environment,
            ending: Ending::default(),
            stage: Stage::Quiet,
            figures: None,
            hooks: None,
            checkpoints: Checkpoints::default(),
            plugins: Plugins::default(),
            breaks_slot: false,
            suspended: false,
            log: None,
            credentials: credentials::Held::default(),
            streams: Vec::new(),
            chirp: chirp::Service::new(knobs),
            peeking: peek::Peeking::default(),
            visits: ssh::Visits::default(),
        })
    }

    /// Runs the job of this slot; the exit code.
    pub(crate) fn run(mut self, slot: &str) -> u8 {
        let life = self.life();
        let left = self.left(&life);
        let code = match life {
            Ok(()) => EXIT_OK,
            Err(broken) => self.broken(broken),
        };
        self.count(slot, left);
        // Whatever runs still is ended by this.
        let gone = self.desk.order(&Order::Finish).and_then(|()| self.desk.gone());
        match gone {
            Ok(()) if code == EXIT_OK && self.breaks_slot => EXIT_BROKEN,
            Ok(()) => code,
            Err(failure) => {
                tracing::error!("{}: {failure}", failure.step);
                code.max(EXIT_FAILED)
            }
        }
    }

    /// Whether the job does.
    fn runs(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// Tells the shadow of an order to hold, once: now, or where the job is over the next one.
    fn tell_hold(&mut self) -> Result<(), Broken> {
        let Some(why) = self.ending.hold.clone().filter(|_| !self.ending.hold_told) else {
            return Ok(());
        };
        let failure = Failure::job(Step::Watch, why.code, why.subcode, why.text);
        let event = ads::error(&failure, why.code, why.subcode);
        self.call(&Call::UserLog(&event), |_| Ok(()))?;
        self.ending.hold_told = true;
        Ok(())
    }

    fn last_words(&self, delivered: Option<&Delivered>) -> ClassAd {
        let mut ad = self.figures.as_ref().map(Figures::last).unwrap_or_default();
        ad.insert_value("StarterIpAddr", self.startd.address().to_string());
        if let Some(delivered) = delivered {
            ad.insert_value("SpooledOutputFiles", delivered.spooled.join(","));
        }
        ads::vacated(&mut ad, &self.ending);
        self.chirp.delayed.add_to(&mut ad);
        ad
    }

    /// Sends an update to the shadow, and to the startd. One of a job that runs isn't kept for a shadow
    /// that is away.
    fn update(&mut self, mut ad: ClassAd) -> Result<(), Broken> {
        ad.insert_value("StarterIpAddr", self.startd.address().to_string());
        ads::vacated(&mut ad, &self.ending);
        self.chirp.delayed.add_to(&mut ad);
        if !self.is_away() {
            self.startd.update(&ad);
            self.tell(&Call::JobUpdate(&ad))?;
            self.chirp.delayed.told();
            return Ok(());
        }
        let mut lonely = ad.clone();
        lonely.insert_value("STARTER_DISCONNECTED_FROM_SUBMIT_NODE", true);
        self.startd.update(&lonely);
        if self.runs() {
            return Ok(());
        }
        self.tell(&Call::JobUpdate(&ad))?;
        self.chirp.delayed.told();
        Ok(())
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
