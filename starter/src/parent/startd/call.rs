//! One connection that came in, from the local socket it is passed through to the answer.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use condor_cedar::blocking::StreamError;
use condor_cedar::blocking::endpoint::Passing;
use condor_cedar::handshake::{Acceptor, Progress, Server};
use condor_cedar::{Command, Error, Refused};
use nix::poll::{PollFd, PollFlags};

use super::commands::{self, Carried, Manners, Then};
use super::orders::Asked;
use super::reconnect::Newcomer;
use crate::parent::link::{Input, Link};
use crate::parent::shadow::Shadow;

/// Longest payload of a command, bytes. Real ones have some hundred.
const MAX_PAYLOAD: usize = 64 * 1024;
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
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// Who is there, for the log.
    peer: String,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The shared port is to bring the connection.
    Passed(Passing),
    /// Which command is wanted, and under which session?
    Opening(Link, Acceptor),
    /// The command's values.
    Payload(Link, Command),
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
        Ok(Self { deadline, peer: "the shared port".to_owned(), phase })
    }

    /// A connection to this starter's own port.
    pub(super) fn direct(socket: TcpStream, deadline: Instant) -> std::io::Result<Self> {
        let peer = name(&socket);
        Ok(Self { deadline, peer, phase: open(socket)? })
    }

    /// Whether nobody has shown yet that they have a session's key, and so may be shown the door
    /// when many knock.
    pub(super) fn is_stranger(&self) -> bool {
        !matches!(self.phase, Phase::Leaving(_))
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
            Phase::Leaving(link) => PollFd::new(link.as_fd(), link.flags(false)),
        }
    }

    /// Does what can be done without waiting. `None`: the connection is over.
    pub(super) fn step(
        self,
        server: Server<'_>,
        manners: Manners<'_>,
        heard: &mut Heard,
    ) -> Option<Self> {
        let Self { deadline, mut peer, mut phase } = self;
        if deadline <= Instant::now() {
            tracing::warn!("{peer}: nothing more came in time; closing");
            return None;
        }
        let mut reads = READS;
        loop {
            match turn(phase, &mut peer, &mut reads, server, manners, heard) {
                Ok(Turn::On(next)) => phase = next,
                Ok(Turn::Wait(phase)) => return Some(Self { deadline, peer, phase }),
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
