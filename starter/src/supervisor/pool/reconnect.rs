//! A job without its shadow: it runs on for the time of its lease, and a shadow that comes back takes
//! over where the last one was.
//!
//! The lease counts from the last answer, here and at the submit side, so that a job isn't started
//! elsewhere while it still runs here. A job without a lease ends with its connection, and so does one
//! that hasn't begun: nothing is lost with it.

use std::time::{Duration, Instant};

use classad::ClassAd;
use zeroize::Zeroizing;

use super::ending::How;
use super::{Broken, Pool, Stage};
use crate::failure::Failure;
use crate::job::{Job, When};
use crate::launcher::message::Order;
use crate::parent::shadow::{Call, Lost, SessionTexts};
use crate::parent::startd::{Newcomer, Release, Terms};

/// Updates in the time of a lease, at least: one that is lost leaves most of it.
const RENEWALS: u32 = 3;

/// What holds between the job and whichever shadow it has.
#[derive(Debug, Default)]
pub(super) struct Tie {
    /// How long a job goes on without a shadow; `None`: not at all.
    lease: Option<Duration>,
    /// The name of the claim's session.
    pub(super) session: Option<String>,
    /// Whether a job that is made to end still has something that only a shadow can take.
    output_of_evicted: bool,
    /// The last answer.
    heard: Option<Instant>,
    away: Option<Away>,
    newcomer: Option<Newcomer>,
}

#[derive(Clone, Copy, Debug)]
struct Away {
    since: Instant,
    until: Instant,
}

impl Tie {
    /// The shadow has answered.
    pub(super) fn hear(&mut self) {
        self.heard = Some(Instant::now());
    }

    /// When a job whose shadow is away has to end.
    pub(super) fn end(&self) -> Option<Instant> {
        self.away.map(|away| away.until)
    }

    /// The longest time between two updates, where the usual one is so long.
    pub(super) fn update_interval(&self, usual: Duration) -> Duration {
        let shortest = Duration::from_secs(1);
        self.lease.map_or(usual, |lease| usual.min((lease / RENEWALS).max(shortest)))
    }
}

impl Pool<'_> {
    /// The job is about to begin: from now on it isn't given up at once. `starter` is what the shadow
    /// was told of this starter.
    pub(super) fn tie(&mut self, job: &Job, starter: &ClassAd) {
        let Some((lease, session)) = job.lease.zip(self.tie.session.clone()) else { return };
        self.tie.lease = Some(lease);
        let when = job.transfer.as_ref().map(|transfer| transfer.when);
        self.tie.output_of_evicted = when == Some(When::ExitOrEvict);
        let starter = starter.clone();
        self.startd.let_shadows_return(Terms { session, job: job.global_id.clone(), starter });
    }

    /// Whether there is no shadow just now.
    pub(super) fn is_away(&self) -> bool {
        self.tie.away.is_some()
    }

    /// The connection with the shadow is of no more use. An error if the job doesn't go on without.
    pub(super) fn lose(&mut self, lost: Lost) -> Result<(), Broken> {
        self.line.lost = None;
        if self.is_away() {
            return Ok(());
        }
        let lease = self.tie.lease.filter(|_| self.is_worth_waiting());
        let (Some(lease), Some(heard)) = (lease, self.tie.heard) else { return Err(lost.into()) };
        // A shadow that is there still, but isn't heard any more, learns of it in this way.
        self.line.replace(None);
        let since = Instant::now();
        let until = heard + lease;
        tracing::warn!(
            "Lost connection to shadow, last activity was {} secs ago, waiting {} secs for \
             reconnect: {}",
            heard.elapsed().as_secs(),
            until.saturating_duration_since(since).as_secs(),
            lost.0
        );
        self.tie.away = Some(Away { since, until });
        Ok(())
    }

    /// Nobody waits for the end of a job that was asked for, unless there is output, or it is to be held:
    /// otherwise it would run into the same again. The job itself has the time that it was given.
    fn is_worth_waiting(&self) -> bool {
        match self.ending.how {
            None => true,
            Some(How::Soft) if self.ending.hold_told => self.runs(),
            Some(How::Soft) => {
                self.runs() || self.tie.output_of_evicted || self.ending.hold.is_some()
            }
            Some(How::Hard) => false,
        }
    }

    /// Takes note of a loss and of the end of a lease.
    pub(super) fn keep(&mut self) -> Result<(), Broken> {
        if let Some(lost) = self.line.lost.take() {
            self.lose(lost)?;
        }
        let Some(away) = self.tie.away else { return Ok(()) };
        let time = away.since.elapsed().as_secs();
        if self.tie.newcomer.is_some() {
            Ok(())
        } else if !self.is_worth_waiting() {
            Err(Lost(format!("it has been away for {time} seconds")).into())
        } else if away.until <= Instant::now() {
            let why = "No reconnect from shadow for";
            Err(Lost(format!("{why} {time} seconds, aborting job execution!")).into())
        } else {
            Ok(())
        }
    }

    /// Waits until there is a shadow, if there is none.
    pub(super) fn present(&mut self) -> Result<(), Broken> {
        loop {
            self.keep()?;
            self.welcome()?;
            if !self.is_away() {
                return Ok(());
            }
            self.wait(None)?;
        }
    }

    /// Takes note of a shadow that has come back.
    pub(super) fn meet(&mut self, newcomer: Newcomer) -> Result<(), Failure> {
        if !self.is_away() {
            self.line.lost = Some(Lost("another shadow takes over".to_owned()));
        }
        self.tie.newcomer = Some(newcomer);
        // It is the last one's transfer, and may take until somebody notices.
        if self.stage == Stage::Delivering {
            self.desk.order(&Order::Kill)?;
        }
        Ok(())
    }

    /// Whether a shadow has come back that hasn't taken over yet.
    pub(super) fn has_newcomer(&self) -> bool {
        self.tie.newcomer.is_some()
    }

    /// Lets a shadow that has come back take over, if there is one.
    pub(super) fn welcome(&mut self) -> Result<(), Broken> {
        while let Some(newcomer) = self.tie.newcomer.take() {
            match self.take_over(newcomer) {
                Err(Broken::Lost(lost)) => self.lose(lost)?,
                result => return result,
            }
        }
        Ok(())
    }

    fn take_over(&mut self, newcomer: Newcomer) -> Result<(), Broken> {
        let Newcomer { shadow, ad } = newcomer;
        let text = |name: &str| ad.eval_string(name);
        self.line.replace(Some(shadow));
        if let Some(away) = self.tie.away.take() {
            let time = away.since.elapsed().as_secs();
            tracing::info!("Recovered connection to shadow after {time} seconds");
        }
        self.tie.hear();
        if let Some(proxy) = &mut self.chirp.proxy {
            proxy.forget();
        }
        if let Some(address) = text("ShadowIpAddr") {
            tracing::info!("Communicating with shadow {address}");
        }
        let version = text("ShadowVersion");
        if let Some(release) = version.as_deref().and_then(Release::parse) {
            self.submit.release = Some(release);
        }
        let sessions = self.once(&Call::Sessions, &SessionTexts::read)?.map(|(_, both)| both);
        if let Some(peer) = &mut self.submit.peer {
            if let Ok([_, transfer]) = sessions {
                let claim = transfer.claim_id().map_err(super::assignment::unusable)?;
                peer.session = Zeroizing::new(claim.reveal().to_owned());
            } else {
                tracing::warn!("the shadow has no sessions for this starter");
            }
            match (text("TransferSocket"), text("TransferKey")) {
                (Some(socket), Some(key)) => {
                    peer.address = socket;
                    peer.key = Zeroizing::new(key);
                }
                _ => tracing::warn!("the shadow that has come back offers no transfer of files"),
            }
            if version.is_some() {
                peer.shadow_version = version;
            }
        }
        self.reopen_streams()
    }
}
