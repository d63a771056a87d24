//! One connection that came in, from the local socket it is passed through to the answer.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::StreamError;
use condor_cedar::blocking::endpoint::Passing;
use condor_cedar::file::{Body, Size};
use condor_cedar::handshake::{Acceptor, Progress, Server};
use condor_cedar::{Command, Connection, Error, PeerMisbehaved, Refused};
use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::commands::{self, Carried, Manners, Then};
use super::orders::{Asked, Proxy};
use super::reconnect::Newcomer;
use crate::parent::link::{Input, Link};
use crate::parent::shadow::Shadow;

/// Longest payload of a command, bytes. Real ones have some hundred.
const MAX_PAYLOAD: usize = 64 * 1024;
/// Longest proxy, and longest message of one.
const MAX_PROXY: usize = 1 << 20;
/// How long an answer may take that fits into the socket of anybody who listens.
const PATIENCE: Duration = Duration::from_secs(1);
/// Reads of one connection in a row, before the others have their turn.
const READS: usize = 32;

/// What connections have brought.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Wishes, oldest first.
    pub(super) asked: Vec<Asked>,
    /// The last shadow that has come.
    pub(super) newcomer: Option<Newcomer>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Call {
    /// To find it again.
    number: u64,
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// Who is there, for the log.
    peer: String,
    phase: Phase,
    /// What was waited for is pending.
    answered: bool,
}

#[derive(Debug)]
enum Phase {
    /// The shared port is to bring the connection.
    Passed(Passing),
    /// Which command is wanted, and under which session?
    Opening(Link, Acceptor),
    /// The command's values.
    Payload(Link, Command),
    /// Somebody else makes the answer.
    Waiting(Link),
    /// A proxy, as far as it has come.
    Proxy(Link, Option<Body>, Zeroizing<Vec<u8>>),
    /// It is being put in its place.
    Placing(Link),
    /// The answer goes out.
    Leaving(Link),
}

/// Where a connection is after a turn.
enum Turn {
    /// The next step can be tried.
    On(Phase),
    /// The peer has to do something.
    Wait(Phase),
    Over,
}

impl Call {
    /// A connection of the shared port, which brings another one.
    pub(super) fn passed(socket: UnixStream, deadline: Instant) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let phase = Phase::Passed(Passing::new(socket));
        Ok(Self {
            number: number(),
            deadline,
            peer: "the shared port".to_owned(),
            phase,
            answered: false,
        })
    }

    /// A connection to this starter's own port.
    pub(super) fn direct(socket: TcpStream, deadline: Instant) -> std::io::Result<Self> {
        let peer = name(&socket);
        Ok(Self { number: number(), deadline, peer, phase: open(socket)?, answered: false })
    }

    /// Whether nobody has shown yet that they have a session's key, and so may be shown the door
    /// when many knock.
    pub(super) fn is_stranger(&self) -> bool {
        !matches!(self.phase, Phase::Leaving(_) | Phase::Waiting(_) | Phase::Placing(_))
    }

    /// Who is there, for the log.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// What to wait for.
    pub(super) fn source(&self) -> PollFd<'_> {
        match &self.phase {
            Phase::Passed(passing) => PollFd::new(passing.socket().as_fd(), PollFlags::POLLIN),
            Phase::Opening(link, _) | Phase::Payload(link, _) => {
                PollFd::new(link.as_fd(), link.flags(true))
            }
            Phase::Proxy(link, ..) => PollFd::new(link.as_fd(), link.flags(true)),
            Phase::Waiting(link) | Phase::Leaving(link) | Phase::Placing(link) => {
                PollFd::new(link.as_fd(), link.flags(false))
            }
        }
    }

    /// Answers it, if it is this one that waits.
    pub(super) fn answer(
        &mut self,
        number: u64,
        write: &mut dyn FnMut(&mut Connection) -> Result<(), Error>,
    ) {
        if self.number != number {
            return;
        }
        let Phase::Waiting(link) = &mut self.phase else { return };
        match write(&mut link.connection) {
            Ok(()) => self.answered = true,
            Err(error) => tracing::warn!("{}: {error}", self.peer),
        }
    }

    /// Gives the last answer, after which the connection is somebody else's.
    pub(super) fn hand_over(self, ad: &ClassAd) -> Result<TcpStream, StreamError> {
        let Phase::Waiting(mut link) = self.phase else {
            return Err(StreamError::Closed { partial: false });
        };
        let mut message = link.connection.writer();
        message.value(ad);
        link.connection.send(&message)?;
        link.flush_until(Instant::now() + PATIENCE)?;
        let socket = TcpStream::from(link.as_fd().try_clone_to_owned()?);
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Whether it has this number.
    pub(super) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// A proxy is in its place, or isn't: whoever waits for that is told so.
    pub(super) fn proxy_is_placed(self, done: bool) -> Self {
        let Phase::Placing(mut link) = self.phase else { return self };
        let mut reply = link.connection.writer();
        reply.i64(i64::from(done));
        // Without an answer the sender takes it for failed.
        let _ = link.connection.send(&reply);
        Self { phase: Phase::Leaving(link), ..self }
    }

    /// Does what can be done without waiting. `None`: the connection is over.
    pub(super) fn step(
        self,
        server: Server<'_>,
        manners: Manners<'_>,
        heard: &mut Heard,
    ) -> Option<Self> {
        let Self { number, deadline, mut peer, mut phase, answered } = self;
        let manners = Manners { call: number, ..manners };
        if answered && let Phase::Waiting(link) = phase {
            phase = Phase::Leaving(link);
        }
        if deadline <= Instant::now() {
            tracing::warn!("{peer}: nothing more came in time; closing");
            return None;
        }
        let mut reads = READS;
        loop {
            match turn(phase, &mut peer, &mut reads, server, manners, heard) {
                Ok(Turn::On(next)) => phase = next,
                Ok(Turn::Wait(phase)) => {
                    return Some(Self { number, deadline, peer, phase, answered: false });
                }
                Ok(Turn::Over) => return None,
                Err(error) => {
                    complain(&peer, &error);
                    return None;
                }
            }
        }
    }
}

/// One step of a connection.
fn turn(
    phase: Phase,
    peer: &mut String,
    reads: &mut usize,
    server: Server<'_>,
    manners: Manners<'_>,
    heard: &mut Heard,
) -> Result<Turn, StreamError> {
    Ok(match phase {
        Phase::Passed(mut passing) => match passing.receive() {
            Ok(socket) => {
                *peer = name(&socket);
                Turn::On(open(socket)?)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Turn::Wait(Phase::Passed(passing))
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(StreamError::Closed { partial: false });
            }
            Err(error) => return Err(error.into()),
        },
        Phase::Opening(mut link, acceptor) => match acceptor.poll(&mut link.connection, server) {
            Ok(Progress::Done(incoming)) => {
                let then = commands::begin(incoming, &mut link, manners)?;
                link.flush()?;
                Turn::On(match then {
                    Then::Payload(command) => Phase::Payload(link, command),
                    Then::File => {
                        link.connection.set_limit(MAX_PROXY);
                        Phase::Proxy(link, None, Zeroizing::default())
                    }
                    Then::Leave => Phase::Leaving(link),
                })
            }
            Ok(Progress::Wait(acceptor)) => match read(&mut link, reads)? {
                Input::Some => Turn::On(Phase::Opening(link, acceptor)),
                Input::None => Turn::Wait(Phase::Opening(link, acceptor)),
            },
            Err(error) => {
                // A peer may hear that its session doesn't exist; if it can't, so be it.
                let _ = link.flush();
                link.close();
                return Err(error.into());
            }
        },
        Phase::Payload(mut link, command) => {
            link.flush()?;
            if link.connection.receive()? {
                match commands::carry_out(command, &mut link, manners)? {
                    // What changes nothing at once is answered by somebody else.
                    Carried::Asked(Some(asked @ (Asked::Peek(_) | Asked::Ssh(_)))) => {
                        heard.asked.push(asked);
                        Turn::Wait(Phase::Waiting(link))
                    }
                    Carried::Asked(asked) => {
                        heard.asked.extend(asked);
                        Turn::On(Phase::Leaving(link))
                    }
                    Carried::Shadow(ad) => {
                        link.flush()?;
                        tracing::info!("Accepted request to reconnect from {peer}");
                        heard.newcomer = Some(Newcomer { shadow: Shadow::returned(link), ad });
                        Turn::Over
                    }
                }
            } else {
                match read(&mut link, reads)? {
                    Input::Some => Turn::On(Phase::Payload(link, command)),
                    Input::None => Turn::Wait(Phase::Payload(link, command)),
                }
            }
        }
        Phase::Waiting(link) => Turn::Wait(Phase::Waiting(link)),
        Phase::Proxy(mut link, body, mut bytes) => {
            link.flush()?;
            if link.connection.receive()? {
                match proxy(body, &link, &mut bytes)? {
                    body if body.is_done() => {
                        heard.asked.push(Asked::Proxy(Proxy(bytes)));
                        Turn::Wait(Phase::Placing(link))
                    }
                    body => Turn::On(Phase::Proxy(link, Some(body), bytes)),
                }
            } else {
                match read(&mut link, reads)? {
                    Input::Some => Turn::On(Phase::Proxy(link, body, bytes)),
                    Input::None => Turn::Wait(Phase::Proxy(link, body, bytes)),
                }
            }
        }
        Phase::Placing(link) => Turn::Wait(Phase::Placing(link)),
        Phase::Leaving(mut link) => {
            if link.flush()? {
                link.close();
                Turn::Over
            } else {
                Turn::Wait(Phase::Leaving(link))
            }
        }
    })
}

/// Another one for each connection.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Takes the next message of a file: its size, then its bytes.
fn proxy(body: Option<Body>, link: &Link, bytes: &mut Vec<u8>) -> Result<Body, StreamError> {
    let message = link.connection.message();
    let Some(mut body) = body else {
        let size: Size = { message }.only()?;
        if size.bytes > MAX_PROXY as u64 {
            let error = PeerMisbehaved::Unexpected("a proxy of more than a MiB");
            return Err(Error::from(error).into());
        }
        return Ok(Body::new(size));
    };
    bytes.extend_from_slice(body.chunk(message)?);
    Ok(body)
}

/// A connection of a client, about which nothing is known.
fn open(socket: TcpStream) -> std::io::Result<Phase> {
    let mut link = Link::new(socket)?;
    link.connection.set_limit(MAX_PAYLOAD);
    let acceptor = Acceptor::new(&mut link.connection);
    Ok(Phase::Opening(link, acceptor))
}

/// Reads, unless this connection has had its share.
fn read(link: &mut Link, reads: &mut usize) -> Result<Input, StreamError> {
    match reads.checked_sub(1) {
        Some(left) => {
            *reads = left;
            link.fill()
        }
        // What is in the socket wakes the loop again.
        None => Ok(Input::None),
    }
}

fn name(socket: &TcpStream) -> String {
    match socket.peer_addr() {
        Ok(address) => format!("<{address}>"),
        Err(_) => "somebody".to_owned(),
    }
}

/// The one line about a connection that came to nothing.
fn complain(peer: &str, error: &StreamError) {
    match error {
        StreamError::Protocol(Error::Refused(Refused::UnknownCommand(number))) => {
            tracing::info!(
                "Received TCP command ({number}) (UNREGISTERED COMMAND!) from {peer}; closing"
            );
        }
        StreamError::Protocol(Error::Refused(Refused::Level(number))) => {
            let command = Command::from(*number);
            tracing::warn!("PERMISSION DENIED to {peer} for {command}; closing");
        }
        // Somebody looked whether there is somebody.
        StreamError::Closed { partial: false } => tracing::debug!("{peer}: {error}"),
        error => tracing::warn!("{peer}: {error}; closing"),
    }
}
