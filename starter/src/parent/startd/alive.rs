//! Signs of life: a startd that gets none for too long takes its starter for hung, and kills it.
//!
//! The loop that does everything else sends them, so they stop when it does. One that can't be sent
//! is tried again; the job knows nothing of it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use condor_cedar::blocking::StreamError;
use condor_cedar::handshake::{Opening, Progress, Request};
use condor_cedar::message::ChildAlive;
use condor_cedar::session::Session;
use condor_cedar::{Command, Error, Sinful, shared_port};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use crate::parent::link::{Input, Link};

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
    /// Addresses that haven't been tried.
    addresses: std::vec::IntoIter<SocketAddr>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Connecting(TcpStream),
    Opening(Link, Opening),
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
            Stage::Connecting(socket) => PollFd::new(socket.as_fd(), PollFlags::POLLOUT),
            Stage::Opening(link, _) => PollFd::new(link.as_fd(), link.flags(true)),
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
        let mut addresses = self.to.addresses().into_iter();
        let socket = next_socket(&mut addresses)?;
        Ok(Attempt { end: now + LIMIT, addresses, stage: Stage::Connecting(socket) })
    }

    /// `None`: it is on its way.
    fn advance(&self, mut attempt: Attempt, now: Instant) -> Result<Option<Attempt>, StreamError> {
        if attempt.end <= now {
            return Err(io::Error::from(ErrorKind::TimedOut).into());
        }
        let mut stage = attempt.stage;
        loop {
            match self.turn(stage, &mut attempt.addresses)? {
                Turn::On(next) => stage = next,
                Turn::Wait(stage) => return Ok(Some(Attempt { stage, ..attempt })),
                Turn::Over => return Ok(None),
            }
        }
    }

    fn turn(
        &self,
        stage: Stage,
        addresses: &mut std::vec::IntoIter<SocketAddr>,
    ) -> Result<Turn, StreamError> {
        Ok(match stage {
            Stage::Connecting(socket) => match connected(&socket) {
                Ok(true) => Turn::On(self.open(socket)?),
                Ok(false) => Turn::Wait(Stage::Connecting(socket)),
                Err(error) if addresses.len() == 0 => return Err(error.into()),
                Err(_) => Turn::On(Stage::Connecting(next_socket(addresses)?)),
            },
            Stage::Opening(mut link, opening) => {
                link.flush()?;
                match opening.poll(&mut link.connection)? {
                    Progress::Done(_) => {
                        let pid = i32::try_from(std::process::id()).unwrap_or_default();
                        let max_hang = self.rhythm.patience;
                        let mut message = link.connection.writer();
                        message.value(&ChildAlive { pid, max_hang, lock_delay: 0.0 });
                        link.connection.send(&message)?;
                        Turn::On(Stage::Sending(link))
                    }
                    Progress::Wait(opening) => match link.fill()? {
                        Input::Some => Turn::On(Stage::Opening(link, opening)),
                        Input::None => Turn::Wait(Stage::Opening(link, opening)),
                    },
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

    /// The connection is there: asks the shared port for the startd, and the startd for an ear.
    fn open(&self, socket: TcpStream) -> Result<Stage, StreamError> {
        socket.set_nodelay(true)?;
        let mut link = Link::new(socket)?;
        if let Some(id) = self.to.shared_port_id() {
            let request = shared_port::Request {
                id: id.to_owned(),
                client: format!("STARTER {}", self.from),
                deadline: u32::try_from(LIMIT.as_secs()).ok(),
            };
            request.send(&mut link.connection)?;
        }
        let request = Request {
            connected_to: Some(&self.to),
            own_address: Some(&self.from),
            ..Request::new(Command::ChildAlive, &self.session, &self.version)
        };
        let opening = request.send(&mut link.connection)?;
        Ok(Stage::Opening(link, opening))
    }
}

/// Begins to connect to the first address that isn't refused at once.
fn next_socket(addresses: &mut std::vec::IntoIter<SocketAddr>) -> Result<TcpStream, StreamError> {
    let mut last = None;
    for address in addresses {
        match begin(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => error.into(),
        None => {
            Error::Malformed { what: "sinful string", reason: "no address to connect to" }.into()
        }
    })
}

fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(family, SockType::Stream, flags, None)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a connection has come about.
fn connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
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
