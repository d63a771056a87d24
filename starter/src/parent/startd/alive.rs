//! Signs of life: a startd that gets none for too long takes its starter for hung, and kills it.
//!
//! The loop that does everything else sends them, so they stop when it does. One that can't be sent
//! is tried again; the job knows nothing of it.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use condor_cedar::blocking::StreamError;
use condor_cedar::message::ChildAlive;
use condor_cedar::session::Session;
use condor_cedar::{Command, Sinful};
use nix::poll::PollFd;

use super::dial::{Caller, Dialed, Dialing};
use crate::parent::link::Link;

/// How long one sign of life may take.
const LIMIT: Duration = Duration::from_secs(20);
/// The wait before one that failed is tried again; it doubles up to the usual period.
const RETRY: Duration = Duration::from_secs(5);

/// When signs of life are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Seconds without one after which the startd kills; it is told.
    pub(super) patience: u32,
    /// Wait before the first.
    pub(super) first: Duration,
    /// From one to the next.
    pub(super) period: Duration,
}

impl Rhythm {
    /// By NOT_RESPONDING_TIMEOUT in seconds, the wait before the first, and a number that differs
    /// between starters, so that those of a machine don't all come at the same time: as stock has it,
    /// up to 5 % more or less, and a period of 30 s less than a third.
    pub(super) fn new(timeout: i64, first: i64, spread: u32) -> Self {
        let timeout = timeout.clamp(1, i64::from(i32::MAX) / 2);
        let patience =
            (timeout + timeout / 10 * i64::from(spread % 101) / 100 - timeout / 20).max(1);
        let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or_default());
        let period = seconds((patience / 3 - 30).max(1));
        let patience = u32::try_from(patience).unwrap_or(u32::MAX);
        Self { patience, first: seconds(first).min(period), period }
    }
}

/// Sends signs of life.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// The startd.
    to: Sinful,
    session: Session,
    /// This starter.
    from: Sinful,
    version: String,
    rhythm: Rhythm,
    next: Instant,
    attempt: Option<Attempt>,
    retry: Duration,
}

/// One sign of life on its way.
#[derive(Debug)]
struct Attempt {
    end: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Dialing(Dialing),
    Sending(Link),
}

/// Where it is after a turn.
enum Turn {
    On(Stage),
    Wait(Stage),
    Over,
}

impl KeepAlive {
    /// To the startd, in the session with it.
    pub(super) fn new(
        to: Sinful,
        from: Sinful,
        session: Session,
        version: String,
        rhythm: Rhythm,
    ) -> Self {
        let next = Instant::now() + rhythm.first;
        Self { to, session, from, version, rhythm, next, attempt: None, retry: RETRY }
    }

    /// The session with the parent.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What to wait for.
    pub(super) fn source(&self) -> Option<PollFd<'_>> {
        Some(match &self.attempt.as_ref()?.stage {
            Stage::Dialing(dialing) => dialing.source(),
            Stage::Sending(link) => PollFd::new(link.as_fd(), link.flags(false)),
        })
    }

    /// No sign of life for so long.
    #[cfg(test)]
    pub(super) fn postpone(&mut self, time: Duration) {
        self.next = Instant::now() + time;
    }

    /// When there is something to do, whatever the sockets do.
    pub(super) fn due(&self) -> Instant {
        self.attempt.as_ref().map_or(self.next, |attempt| attempt.end)
    }

    /// Does what can be done without waiting.
    pub(super) fn step(&mut self) {
        let now = Instant::now();
        let attempt = match self.attempt.take() {
            Some(attempt) => Ok(attempt),
            None if now < self.next => return,
            None => self.start(now),
        };
        match attempt.and_then(|attempt| self.advance(attempt, now)) {
            Ok(Some(attempt)) => self.attempt = Some(attempt),
            Ok(None) => {
                tracing::debug!("sent DC_CHILDALIVE to the startd");
                self.next = now + self.rhythm.period;
                self.retry = RETRY;
            }
            Err(error) => {
                let wait = self.retry.min(self.rhythm.period);
                let seconds = wait.as_secs();
                tracing::warn!("DC_CHILDALIVE to {}: {error}; again in {seconds} s", self.to);
                self.next = now + wait;
                self.retry *= 2;
                self.retry = self.retry.min(self.rhythm.period.max(RETRY));
            }
        }
    }

    fn start(&self, now: Instant) -> Result<Attempt, StreamError> {
        Ok(Attempt { end: now + LIMIT, stage: Stage::Dialing(Dialing::new(&self.to)?) })
    }

    /// `None`: it is on its way.
    fn advance(&self, attempt: Attempt, now: Instant) -> Result<Option<Attempt>, StreamError> {
        if attempt.end <= now {
            return Err(io::Error::from(ErrorKind::TimedOut).into());
        }
        let mut stage = attempt.stage;
        loop {
            match self.turn(stage)? {
                Turn::On(next) => stage = next,
                Turn::Wait(stage) => return Ok(Some(Attempt { stage, ..attempt })),
                Turn::Over => return Ok(None),
            }
        }
    }

    fn turn(&self, stage: Stage) -> Result<Turn, StreamError> {
        Ok(match stage {
            Stage::Dialing(dialing) => {
                let caller = Caller {
                    to: &self.to,
                    from: &self.from,
                    session: &self.session,
                    version: &self.version,
                    command: Command::ChildAlive,
                    limit: LIMIT,
                };
                match dialing.step(caller)? {
                    Dialed::Wait(dialing) => Turn::Wait(Stage::Dialing(dialing)),
                    Dialed::Done(mut link) => {
                        let pid = i32::try_from(std::process::id()).unwrap_or_default();
                        let max_hang = self.rhythm.patience;
                        let mut message = link.connection.writer();
                        message.value(&ChildAlive { pid, max_hang, lock_delay: 0.0 });
                        link.connection.send(&message)?;
                        Turn::On(Stage::Sending(link))
                    }
                }
            }
            Stage::Sending(mut link) => {
                if link.flush()? {
                    link.close();
                    Turn::Over
                } else {
                    Turn::Wait(Stage::Sending(link))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_stock() {
        let seconds = Duration::from_secs;
        let middle = Rhythm::new(3600, 0, 50);
        assert_eq!(middle, Rhythm { patience: 3600, first: seconds(0), period: seconds(1170) });
        assert_eq!(Rhythm::new(3600, 0, 0).patience, 3420);
        assert_eq!(Rhythm::new(3600, 0, 100).patience, 3780);
        // The first comes in time for a startd that began to count when it made this process.
        let short = Rhythm::new(10, 30, 7);
        assert_eq!((short.first, short.period), (seconds(1), seconds(1)));
        for timeout in [i64::MIN, 0, 1, i64::MAX] {
            let rhythm = Rhythm::new(timeout, i64::MAX, u32::MAX);
            assert!(rhythm.patience > 0 && rhythm.first <= rhythm.period);
            assert!(i32::try_from(rhythm.patience).is_ok(), "stock reads an int");
        }
    }
}
