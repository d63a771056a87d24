//! The question whether the startd would have its claim used again (`REACTIVATE_CLAIM_CHECK`, 25.5 and
//! after). An answer that never comes is a yes: before there was the question, nobody asked.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::StreamError;
use condor_cedar::session::{ClaimId, Session};
use condor_cedar::{Command, Sinful};
use nix::poll::PollFd;
use std::os::fd::AsFd;

use super::dial::{Caller, Dialed, Dialing};
use crate::parent::link::{Input, Link};

/// How long the startd may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The question on its way.
#[derive(Debug)]
pub(super) struct Question {
    claim: ClaimId,
    session: Session,
    end: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Dialing(Dialing),
    /// Asked.
    Answer(Link),
    /// Whether the claim is closing.
    Done(bool),
}

impl Question {
    /// To the startd at this address.
    pub(super) fn new(claim: ClaimId, to: &Sinful) -> Result<Self, StreamError> {
        let session = Session::of_claim(&claim)?;
        let stage = Stage::Dialing(Dialing::new(to)?);
        Ok(Self { claim, session, end: Instant::now() + LIMIT, stage })
    }

    /// The answer, if there is one.
    pub(super) fn answer(&self) -> Option<bool> {
        match self.stage {
            Stage::Done(closing) => Some(closing),
            _ => None,
        }
    }

    /// What to wait for.
    pub(super) fn source(&self) -> Option<PollFd<'_>> {
        match &self.stage {
            Stage::Dialing(dialing) => Some(dialing.source()),
            Stage::Answer(link) => Some(PollFd::new(link.as_fd(), link.flags(true))),
            Stage::Done(_) => None,
        }
    }

    /// When there is something to do, whatever the socket does.
    pub(super) fn due(&self) -> Option<Instant> {
        self.answer().is_none().then_some(self.end)
    }

    /// Does what can be done without waiting.
    pub(super) fn step(mut self, to: &Sinful, from: &Sinful, version: &str) -> Self {
        let (stage, session, claim) = (self.stage, &self.session, &self.claim);
        let late = self.end <= Instant::now();
        let command = Command::ReactivateClaimCheck;
        let caller = Caller { to, from, session, version, command, limit: LIMIT };
        self.stage = advance(stage, caller, claim, late).unwrap_or_else(|error| {
            tracing::warn!(
                "Attempt to check if this checkpointed job should restart failed: {error}"
            );
            Stage::Done(false)
        });
        self
    }
}

fn advance(
    mut stage: Stage,
    caller: Caller<'_>,
    claim: &ClaimId,
    late: bool,
) -> Result<Stage, StreamError> {
    loop {
        stage = match stage {
            Stage::Done(closing) => return Ok(Stage::Done(closing)),
            _ if late => return Err(io::Error::from(ErrorKind::TimedOut).into()),
            Stage::Dialing(dialing) => match dialing.step(caller)? {
                Dialed::Wait(dialing) => return Ok(Stage::Dialing(dialing)),
                Dialed::Done(mut link) => {
                    let mut message = link.connection.writer();
                    message.string(claim.reveal());
                    link.connection.send(&message)?;
                    Stage::Answer(link)
                }
            },
            Stage::Answer(mut link) => {
                link.flush()?;
                if link.connection.receive()? {
                    let ad: ClassAd = link.connection.message().only()?;
                    link.close();
                    Stage::Done(ad.eval_bool("Start") == Some(false))
                } else if link.fill()? == Input::None {
                    return Ok(Stage::Answer(link));
                } else {
                    Stage::Answer(link)
                }
            }
        };
    }
}
