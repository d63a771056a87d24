//! The startd that forked this process: what it hands down, what it asks for, and what it is told.
//!
//! Everything runs in the caller's poll loop: [`Startd::sources`] and [`Startd::due`] say what to wait
//! for, and [`Startd::step`] does what can be done without waiting.

mod alive;
mod call;
mod commands;
mod dial;
mod door;
mod inherited;
mod orders;
mod owner;
mod reactivate;
mod reconnect;
mod updates;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::Server;
use condor_cedar::inherit::{Inherit, PrivateInherit};
use condor_cedar::session::{ClaimId, Session, Sessions};
use condor_cedar::{Connection, Sinful};
use nix::poll::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use zeroize::Zeroizing;

use crate::failure::{Failure, Step};
use crate::knobs::Knobs;
use crate::parent::link::wait;
use alive::{KeepAlive, Rhythm};
use call::{Call, Heard};
use commands::Manners;
use door::Door;
pub(crate) use orders::{Asked, Peek, Proxy, Why};
pub(crate) use owner::Owner;
use reactivate::Question;
pub(crate) use reconnect::{Newcomer, Terms};
pub(crate) use updates::Machine;
use updates::Updates;

/// How long a connection may take for its command: that of stock's handlers.
const LIFE: Duration = Duration::from_secs(20);
/// Connections at a time.
const MAX_CALLS: usize = 32;
/// How long the startd may take for the slot's ads, which it sends before it forks.
const MACHINE: Duration = Duration::from_secs(60);
/// How long the secrets may take, which are sent together with them; a job can do without.
const SECRETS: Duration = Duration::from_secs(5);

/// A release of HTCondor, as far as it matters: first and second number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(pub(crate) u32, pub(crate) u32);

impl Release {
    /// First release whose startd vacates with command 1500, and hands down the claim's secrets.
    const NEW: Self = Self(24, 1);
    /// First release whose startd says whether it would have a claim used again.
    const REACTIVATES: Self = Self(25, 5);
    /// First release that is known to color slots for a starter.
    const COLORS: Self = Self(25, 14);

    /// From "25.14.1", or `$CondorVersion: 25.14.1 2026-10-16 ... $`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("$CondorVersion:").unwrap_or(text).trim_start();
        let mut numbers = text.split(['.', ' ', '$']).map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// The startd.
#[derive(Debug)]
pub(crate) struct Startd {
    release: Option<Release>,
    address: Sinful,
    /// Where the startd is.
    home: Sinful,
    /// The claim, from a startd that hands it down.
    claim: Option<ClaimId>,
    question: Option<Question>,
    sessions: Sessions,
    /// This starter's `$CondorVersion: ...$`.
    version: String,
    /// What tools tell restarts by.
    instance: [u8; 16],
    door: Door,
    calls: Vec<Call>,
    life: Duration,
    updates: Updates,
    alive: KeepAlive,
    /// Readable when the parent process is gone.
    parent: Option<OwnedFd>,
    orphan: bool,
    owner: Option<Owner>,
    /// What a shadow needs to come back.
    terms: Option<Terms>,
    /// One that has.
    newcomer: Option<Newcomer>,
}

impl Startd {
    /// Takes over what `CONDOR_INHERIT` and `CONDOR_PRIVATE_INHERIT` stand for, once. `version` is this
    /// starter's `$CondorVersion: ...$`.
    ///
    /// What is forked afterwards should drop its copy, which does nothing but close descriptors.
    ///
    /// The stream to the shadow goes on where the startd left it, on a socket that blocks. There is
    /// none for jobs that have no shadow.
    pub(crate) fn take_over(
        inherit: &str,
        private: &str,
        knobs: &Knobs,
        version: &str,
    ) -> Result<(Self, Option<Stream<TcpStream>>), Failure> {
        let inherit: Inherit = inherited::parse(inherit)?;
        let private: PrivateInherit = inherited::parse(private)?;
        let (sessions, session) = inherited::sessions(&private)?;
        let (parent, orphan) = watch(inherit.parent_pid);
        let sockets = inherited::sockets(inherit)?;
        let timeout = knobs.starter_not_responding_timeout.unwrap_or(knobs.not_responding_timeout);
        let release = session.info.version.as_deref().and_then(Release::parse);
        // An old startd begins to count with the first sign of life, and stock sends it at once.
        let first = match release {
            Some(release) if release >= Release::NEW => knobs.starter_first_childalive_delay,
            _ => 0,
        };
        let rhythm = Rhythm::new(timeout, first, std::process::id());
        let (to, from) = (sockets.parent.clone(), sockets.address.clone());
        let startd = Self {
            release,
            home: sockets.parent,
            claim: None,
            question: None,
            sessions,
            instance: instance(),
            door: sockets.door,
            calls: Vec::new(),
            life: LIFE,
            updates: Updates::new(sockets.updates)
                .map_err(|error| Failure::os(Step::Internal, "update socket", &error))?,
            alive: KeepAlive::new(to, from, session, version.to_owned(), rhythm),
            parent,
            orphan,
            owner: None,
            terms: None,
            newcomer: None,
            address: sockets.address,
            version: version.to_owned(),
        };
        tracing::info!("DaemonCore: command socket at {}", startd.address);
        Ok((startd, sockets.shadow))
    }

    /// What the startd says of the slot. Waits for it, but not for ever; it is there already, unless
    /// the machine is very busy. Called once.
    pub(crate) fn machine(&mut self) -> Result<Machine, Failure> {
        let ads = self.updates.machine(MACHINE).map_err(|error| {
            Failure::host(Step::Internal, format!("the machine ad of the startd: {error}"))
        })?;
        if self.release.is_none() {
            let version = ads.machine.eval_string("CondorVersion");
            self.release = version.as_deref().and_then(Release::parse);
        }
        let mut secrets = None;
        if self.is_new() {
            match self.updates.secrets(SECRETS) {
                Ok(Some(ad)) => {
                    let claim = ad.eval_string("ClaimId").map(Zeroizing::new);
                    self.claim = claim.and_then(|claim| claim.parse().ok());
                    secrets = Some(ad);
                }
                Ok(None) => tracing::warn!("the startd sent no secrets of the claim"),
                Err(error) => tracing::warn!("secrets of the claim: {error}"),
            }
        }
        Ok(Machine { slot: ads.machine, overlay: ads.overlay, secrets })
    }

    /// Where this starter takes commands: its `StarterIpAddr`.
    pub(crate) fn address(&self) -> &Sinful {
        &self.address
    }

    /// The session with the parent.
    pub(crate) fn session(&self) -> &Session {
        self.alive.session()
    }

    /// Whether the startd speaks as 25 does: it vacates with a command, and not with signals. One that
    /// doesn't say is taken for an old one, until its ad tells more.
    pub(crate) fn is_new(&self) -> bool {
        self.release.is_some_and(|release| release >= Release::NEW)
    }

    /// Begins to ask whether the claim may be used again; false: there is nothing to ask, or no way.
    pub(crate) fn ask_whether_to_go_on(&mut self) -> bool {
        let knows = self.release.is_some_and(|release| release >= Release::REACTIVATES);
        let Some(claim) = self.claim.clone().filter(|_| knows) else { return false };
        match Question::new(claim, &self.home) {
            Ok(question) => {
                self.question = Some(question);
                true
            }
            Err(error) => {
                tracing::warn!("Unable to ask the startd whether the job should restart: {error}");
                false
            }
        }
    }

    /// The answer, once: whether the claim is closing.
    pub(crate) fn is_closing(&mut self) -> Option<bool> {
        let answer = self.question.as_ref()?.answer()?;
        self.question = None;
        Some(answer)
    }

    /// The startd's release, if it said so.
    #[cfg(test)]
    fn release(&self) -> Option<Release> {
        self.release
    }

    /// Lets the holder of a session in, as far as the session reaches.
    pub(crate) fn add_session(&mut self, session: Session) {
        self.sessions.insert(session);
    }

    /// Answers whoever has brought a proxy.
    pub(crate) fn proxy_is_placed(&mut self, done: bool) {
        let calls = std::mem::take(&mut self.calls);
        self.calls = calls.into_iter().map(|call| call.proxy_is_placed(done)).collect();
    }

    /// From now on a shadow may come back to the job, on these terms.
    pub(crate) fn let_shadows_return(&mut self, terms: Terms) {
        self.terms = Some(terms);
    }

    /// The shadow that has come back last, once.
    pub(crate) fn newcomer(&mut self) -> Option<Newcomer> {
        self.newcomer.take()
    }

    /// What to wait for.
    pub(crate) fn sources(&self) -> Vec<PollFd<'_>> {
        let parent = self.parent.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        self.door
            .sources()
            .chain(self.calls.iter().map(Call::source))
            .chain(self.updates.source())
            .chain(self.alive.source())
            .chain(self.question.as_ref().and_then(Question::source))
            .chain(parent)
            .collect()
    }

    /// When [`step`](Self::step) is to be called at the latest, whatever the sources do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let calls = self.calls.iter().map(|call| call.deadline);
        let orphan = self.orphan.then(Instant::now);
        let question = self.question.as_ref().and_then(Question::due);
        calls.chain(self.door.due()).chain([self.alive.due()]).chain(orphan).chain(question).min()
    }

    /// Does everything that can be done without waiting; gives what the startd asks for, oldest first.
    pub(crate) fn step(&mut self) -> Vec<Asked> {
        let mut heard = Heard::default();
        let gone =
            |fd: &OwnedFd| wait(fd.as_fd(), PollFlags::POLLIN, Instant::now()).unwrap_or(true);
        if std::mem::take(&mut self.orphan) || self.parent.as_ref().is_some_and(gone) {
            self.parent = None;
            tracing::warn!("the parent process is gone");
            heard.asked.push(Asked::ParentGone);
        }
        let calls = &mut self.calls;
        self.door.step(self.life, |call| admit(calls, call));
        let server =
            Server { sessions: &self.sessions, version: &self.version, commands: commands::level };
        let vacates = self.release.is_some_and(|release| release >= Release::NEW);
        let (owner, terms) = (self.owner.as_ref(), self.terms.as_ref());
        let address = &self.address.to_string();
        let manners = Manners { instance: &self.instance, vacates, owner, address, call: 0, terms };
        for call in std::mem::take(&mut self.calls) {
            self.calls.extend(call.step(server, manners, &mut heard));
        }
        self.updates.step();
        self.alive.step();
        if let Some(question) = self.question.take() {
            self.question = Some(question.step(&self.home, &self.address, &self.version));
        }
        if heard.newcomer.is_some() {
            self.newcomer = heard.newcomer;
        }
        let (sessions, asked): (Vec<_>, _) =
            heard.asked.into_iter().partition(|asked| matches!(asked, Asked::Owner(_)));
        for asked in sessions {
            if let Asked::Owner(session) = asked {
                self.sessions.insert(*session);
            }
        }
        asked
    }

    /// Whose job it is: who may see its output.
    pub(crate) fn set_owner(&mut self, owner: Owner) {
        self.owner = Some(owner);
    }

    /// Answers a connection that waits, if it does still.
    pub(crate) fn answer(
        &mut self,
        call: u64,
        mut write: impl FnMut(&mut Connection) -> Result<(), condor_cedar::Error>,
    ) {
        self.calls.iter_mut().for_each(|waiting| waiting.answer(call, &mut write));
    }

    /// Gives the last answer to a connection that waits, which then is the caller's.
    pub(crate) fn hand_over(&mut self, call: u64, ad: &ClassAd) -> Option<TcpStream> {
        let place = self.calls.iter().position(|waiting| waiting.is(call))?;
        match self.calls.remove(place).hand_over(ad) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!("handing a connection over: {error}");
                None
            }
        }
    }

    /// Tells the startd something about the job, without what is private. Never waits, and never
    /// fails: a startd that doesn't listen is no reason to do anything else with the job.
    pub(crate) fn update(&mut self, ad: &ClassAd) {
        self.updates.send(ad);
    }

    /// Puts attributes into the ads of the startd's slots, as `colors_of_SLOT`, until the claim is idle.
    /// Without an effect in older releases.
    pub(crate) fn color(&mut self, ad: &ClassAd) {
        if self.release.is_none_or(|release| release < Release::COLORS) {
            return;
        }
        match self.updates.color(ad) {
            Ok(Some(answer)) if answer.eval_bool("Result") == Some(true) => {}
            Ok(Some(answer)) => {
                let why = answer.eval_string("ErrorString").unwrap_or_default();
                tracing::warn!("the startd doesn't color its slots: {why}");
            }
            Ok(None) => tracing::warn!("the startd doesn't say whether it colors its slots"),
            Err(error) => tracing::warn!("the startd doesn't color its slots: {error}"),
        }
    }

    /// The last update, after which the startd takes the slot back. May take two seconds.
    pub(crate) fn finish(&mut self, ad: &ClassAd) {
        self.updates.finish(ad);
    }
}

/// Takes one more connection. When there are too many the oldest of those that nobody knows goes: who
/// has something to say says it in a few milliseconds.
fn admit(calls: &mut Vec<Call>, call: Call) {
    if calls.len() >= MAX_CALLS {
        let oldest = calls.iter().position(Call::is_stranger).unwrap_or_default();
        tracing::warn!("too many connections; closing {}", calls[oldest].peer());
        calls.remove(oldest);
    }
    calls.push(call);
}

/// Something to watch the parent process by, and whether it is gone already. The kernel can't be
/// asked for a signal instead: that ends with a change of the user.
fn watch(startd: i32) -> (Option<OwnedFd>, bool) {
    // A parent in another PID namespace has no number here, and can't be watched.
    let Some(parent) = getppid() else { return (None, false) };
    let watched = pidfd_open(parent, PidfdFlags::empty());
    // Who is an orphan already belongs to init. In a container the startd may be process 1 itself. If
    // it became one just now, the number may be another's.
    let orphan = getppid() != Some(parent) || parent == Pid::INIT && startd != 1;
    match watched {
        Ok(fd) => (Some(fd), orphan),
        Err(error) => {
            tracing::warn!("can't watch the parent process: {error}");
            (None, orphan)
        }
    }
}

fn instance() -> [u8; 16] {
    // Not a secret; it only has to be another one in another process.
    let number = RandomState::new().build_hasher().finish();
    let mut digits = [b'0'; 16];
    for (digit, byte) in digits.iter_mut().zip(format!("{number:016x}").bytes()) {
        *digit = byte;
    }
    digits
}

#[cfg(test)]
mod tests;
