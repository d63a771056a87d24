//! The line to whichever shadow there is: the connection, and whether an answer is waited for.

use std::net::{IpAddr, TcpStream};

use condor_cedar::blocking::Stream;
use nix::poll::PollFd;

use crate::failure::Failure;
use crate::parent::shadow::{Lost, Shadow};
use crate::parent::startd::Release;
use crate::transfer::Peer;

/// The connection.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` while there is none.
    pub(super) shadow: Option<Shadow>,
    /// A message of the shadow is waited for.
    pub(super) asked: bool,
    /// It has come.
    pub(super) answered: bool,
    /// It broke, which nobody has taken note of yet.
    pub(super) lost: Option<Lost>,
}

impl Line {
    pub(super) fn new(shadow: Shadow) -> Self {
        Self { shadow: Some(shadow), asked: false, answered: false, lost: None }
    }

    /// What to wait for.
    pub(super) fn source(&self) -> Option<PollFd<'_>> {
        let shadow = self.shadow.as_ref().filter(|_| self.lost.is_none() && !self.answered);
        shadow.map(Shadow::source)
    }

    /// Moves what can be moved without waiting.
    pub(super) fn step(&mut self) {
        if self.lost.is_some() || self.answered {
            return;
        }
        let Some(shadow) = &mut self.shadow else { return };
        match shadow.step() {
            Ok(true) if !self.asked => self.lost = Some(unasked()),
            Ok(answered) => self.answered = answered,
            Err(lost) => self.lost = Some(lost),
        }
    }

    /// Another shadow is spoken to from now on, or none.
    pub(super) fn replace(&mut self, shadow: Option<Shadow>) {
        self.shadow = shadow;
        self.answered = false;
        self.lost = None;
    }
}

/// What a shadow says then would be taken for the answer to the next request.
pub(super) fn unasked() -> Lost {
    Lost("it spoke without being asked".to_owned())
}

/// What is known of the submit side.
#[derive(Debug, Default)]
pub(super) struct Submit {
    /// Where the shadow is.
    pub(super) host: Option<ShadowHost>,
    /// The shadow's, if it said so.
    pub(super) release: Option<Release>,
    /// The session for file transfers, and the shadow's address and key for them.
    pub(super) peer: Option<Box<Peer>>,
}

/// The machine that the shadow runs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShadowHost {
    pub(super) address: IpAddr,
    pub(super) is_local: bool,
}

impl ShadowHost {
    fn of(shadow: &TcpStream) -> Option<Self> {
        let (peer, own) = (shadow.peer_addr().ok()?, shadow.local_addr().ok()?);
        let address = peer.ip().to_canonical();
        Some(Self { address, is_local: peer.ip() == own.ip() || address.is_loopback() })
    }
}

/// Takes over the connection that the startd has begun.
pub(super) fn take_over(shadow: Stream<TcpStream>) -> Result<(Line, Submit), Failure> {
    let submit = Submit { host: ShadowHost::of(shadow.socket()), ..Submit::default() };
    Ok((Line::new(Shadow::new(shadow)?), submit))
}
