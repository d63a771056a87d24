//! The state machine on a socket, for programs that wait.
//!
//! Programs with an event loop use [`Connection`] itself, and of this module only [`endpoint`] and
//! [`listen`].

mod body;
pub mod endpoint;
pub mod listen;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::handshake::{Acceptor, Established, Incoming, Progress, Request, Server};
use crate::shared_port;
use crate::wire::Codec;
use crate::{Connection, Reader, Sinful, Writer};

pub use body::Received;

/// What can go wrong on a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The system says so; a time-out is [`io::ErrorKind::WouldBlock`] or
    /// [`io::ErrorKind::TimedOut`].
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer, or this side, broke the protocol.
    #[error(transparent)]
    Protocol(#[from] Error),
    /// The peer closed the connection.
    #[error("the peer closed the connection{}", if *partial { " inside of a message" } else { "" })]
    Closed {
        /// Whether a message was cut in two.
        partial: bool,
    },
}

/// Short for results on sockets.
pub type Result<T> = std::result::Result<T, StreamError>;

/// A socket with a CEDAR stream on it. Time-outs are those set on the socket.
#[derive(Debug)]
pub struct Stream<S> {
    connection: Connection,
    socket: S,
}

impl Stream<TcpStream> {
    /// Connects to a daemon, through its shared port if it is behind one; `client` is this side's
    /// name in the logs there. Addresses are tried one after the other until the time is over.
    ///
    /// Host names aren't looked up: HTCondor's addresses are numbers.
    pub fn connect(to: &Sinful, client: &str, time: Duration) -> Result<Self> {
        let end = Instant::now() + time;
        let mut last = None;
        for address in to.addresses() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => return Self::connected(socket, to, client, end),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => error.into(),
            None if to.addresses().is_empty() => {
                Error::Malformed { what: "sinful string", reason: "no address to connect to" }
                    .into()
            }
            None => io::Error::from(io::ErrorKind::TimedOut).into(),
        })
    }

    fn connected(socket: TcpStream, to: &Sinful, client: &str, end: Instant) -> Result<Self> {
        socket.set_nodelay(true)?;
        let mut stream = Self::new(socket);
        if let Some(id) = to.shared_port_id() {
            let left = end.saturating_duration_since(Instant::now()).as_secs().max(1);
            let request = shared_port::Request {
                id: id.to_owned(),
                client: client.to_owned(),
                deadline: u32::try_from(left).ok(),
            };
            request.send(&mut stream.connection)?;
            stream.flush()?;
        }
        Ok(stream)
    }
}

impl<S: Read + Write> Stream<S> {
    /// A new stream on a socket.
    pub fn new(socket: S) -> Self {
        Self::with_connection(Connection::new(), socket)
    }

    /// A stream that began elsewhere.
    pub fn with_connection(connection: Connection, socket: S) -> Self {
        Self { connection, socket }
    }

    /// The state machine.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// Both.
    pub fn into_parts(self) -> (Connection, S) {
        (self.connection, self.socket)
    }

    /// A message to be written for this stream.
    pub fn writer(&self) -> Writer {
        self.connection.writer()
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Writer) -> Result<()> {
        self.connection.send(message)?;
        self.flush()
    }

    /// Sends a message of one value.
    pub fn send_value(&mut self, value: &impl Codec) -> Result<()> {
        let mut message = self.writer();
        message.value(value);
        self.send(&message)
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> Result<()> {
        while !self.connection.pending().is_empty() {
            match self.socket.write(self.connection.pending()) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(count) => self.connection.advanced(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.socket.flush()?)
    }

    /// Receives the next message.
    pub fn receive(&mut self) -> Result<Reader<'_>> {
        while !self.connection.receive()? {
            self.fill()?;
        }
        Ok(self.connection.message())
    }

    /// Receives a message of one value.
    pub fn receive_value<T: Codec>(&mut self) -> Result<T> {
        Ok(self.receive()?.only()?)
    }

    /// Reads from the socket, once.
    fn fill(&mut self) -> Result<()> {
        loop {
            match self.socket.read(self.connection.space()) {
                Ok(0) => {
                    return Err(StreamError::Closed { partial: self.connection.is_partial() });
                }
                Ok(count) => {
                    self.connection.filled(count);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts a command as a client.
    pub fn open(&mut self, request: &Request<'_>) -> Result<Established> {
        let mut opening = request.send(&mut self.connection)?;
        self.flush()?;
        loop {
            match opening.poll(&mut self.connection)? {
                Progress::Done(established) => return Ok(established),
                Progress::Wait(waiting) => opening = waiting,
            }
            self.fill()?;
        }
    }

    /// Lets a client start a command.
    pub fn accept(&mut self, server: Server<'_>) -> Result<Incoming> {
        let mut acceptor = Acceptor::new(&mut self.connection);
        loop {
            match acceptor.poll(&mut self.connection, server) {
                Ok(Progress::Done(incoming)) => {
                    self.flush()?;
                    return Ok(incoming);
                }
                Ok(Progress::Wait(waiting)) => acceptor = waiting,
                Err(error) => {
                    // The peer may be gone; the error that matters is the other one.
                    let _ = self.flush();
                    return Err(error.into());
                }
            }
            self.fill()?;
        }
    }
}

#[cfg(test)]
mod tests;
