//! A connection to the startd, made without waiting: through the shared port, to the point where the
//! startd has an ear for a command.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use condor_cedar::blocking::StreamError;
use condor_cedar::handshake::{Opening, Progress, Request};
use condor_cedar::session::Session;
use condor_cedar::{Command, Error, Sinful, shared_port};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use crate::parent::link::{Input, Link};

/// Who calls whom, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) to: &'a Sinful,
    pub(super) from: &'a Sinful,
    pub(super) session: &'a Session,
    pub(super) version: &'a str,
    pub(super) command: Command,
    /// How long the shared port may take.
    pub(super) limit: Duration,
}

/// A connection on its way.
#[derive(Debug)]
pub(super) struct Dialing {
    /// Addresses that haven't been tried.
    addresses: std::vec::IntoIter<SocketAddr>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Connecting(TcpStream),
    Opening(Box<Link>, Opening),
}

/// What a turn has brought.
pub(super) enum Dialed {
    /// The peer has to do something.
    Wait(Dialing),
    /// The command's values can be sent.
    Done(Link),
}

impl Dialing {
    pub(super) fn new(to: &Sinful) -> Result<Self, StreamError> {
        let mut addresses = to.addresses().into_iter();
        let socket = next_socket(&mut addresses)?;
        Ok(Self { addresses, stage: Stage::Connecting(socket) })
    }

    /// What to wait for.
    pub(super) fn source(&self) -> PollFd<'_> {
        match &self.stage {
            Stage::Connecting(socket) => PollFd::new(socket.as_fd(), PollFlags::POLLOUT),
            Stage::Opening(link, _) => PollFd::new(link.as_fd(), link.flags(true)),
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn step(mut self, caller: Caller<'_>) -> Result<Dialed, StreamError> {
        loop {
            match self.stage {
                Stage::Connecting(socket) => match connected(&socket) {
                    Ok(true) => self.stage = caller.open(socket)?,
                    Ok(false) => {
                        self.stage = Stage::Connecting(socket);
                        return Ok(Dialed::Wait(self));
                    }
                    Err(error) if self.addresses.len() == 0 => return Err(error.into()),
                    Err(_) => {
                        self.stage = Stage::Connecting(next_socket(&mut self.addresses)?);
                    }
                },
                Stage::Opening(mut link, opening) => {
                    link.flush()?;
                    match opening.poll(&mut link.connection)? {
                        Progress::Done(_) => return Ok(Dialed::Done(*link)),
                        Progress::Wait(opening) => {
                            let input = link.fill()?;
                            self.stage = Stage::Opening(link, opening);
                            if input == Input::None {
                                return Ok(Dialed::Wait(self));
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Caller<'_> {
    /// The connection is there: asks the shared port for the startd, and the startd for an ear.
    fn open(&self, socket: TcpStream) -> Result<Stage, StreamError> {
        socket.set_nodelay(true)?;
        let mut link = Link::new(socket)?;
        if let Some(id) = self.to.shared_port_id() {
            let request = shared_port::Request {
                id: id.to_owned(),
                client: format!("STARTER {}", self.from),
                deadline: u32::try_from(self.limit.as_secs()).ok(),
            };
            request.send(&mut link.connection)?;
        }
        let request = Request {
            connected_to: Some(self.to),
            own_address: Some(self.from),
            ..Request::new(self.command, self.session, self.version)
        };
        let opening = request.send(&mut link.connection)?;
        Ok(Stage::Opening(Box::new(link), opening))
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
