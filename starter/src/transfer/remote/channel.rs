//! The connection to a shadow: how it is opened, how long it waits, and what its faults mean.

use std::net::TcpStream;
use std::time::Duration;

use classad::ClassAd;
use condor_cedar::blocking::{Stream, StreamError};
use condor_cedar::handshake::Request;
use condor_cedar::session::{ClaimId, Session};
use condor_cedar::{Codec, Command, PeerMisbehaved, Reader, Sinful, Writer};

use super::Peer;
use crate::failure::Failure;
use crate::sys::socket;
use crate::transfer::fault::Direction;

/// What waits to be sent is sent when it has become this much: a few large writes instead of many
/// small ones, be it one file or a thousand.
const BATCH: usize = 256 * 1024;
/// What is read from the socket at a time, at most; shadows send packets of 4 KiB.
const READ: usize = 1024 * 1024;
/// While so much of a file is known to come, a read waits for it: woken for every packet, this side
/// would spend more time on waking up than on the bytes.
const WAIT_FOR: i32 = 128 * 1024;
/// Longest that the shadow is given to close the connection when all is said.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest that a shadow may announce to be silent.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A conversation about the files of one direction.
#[derive(Debug)]
pub(super) struct Channel {
    stream: Stream<TcpStream>,
    direction: Direction,
    /// The message in the making.
    message: Writer,
    /// Seconds without a byte after which the shadow is given up.
    pub(super) timeout: u32,
    /// The same, for the time being.
    waiting: Duration,
    /// Bytes that a read from the socket waits for.
    waits_for: i32,
    /// This side's IP address, for HTCondor's texts.
    pub(super) own: String,
    /// The other side's address, as HTCondor's texts have it: `<ip:port>`.
    pub(super) shadow: String,
}

impl Channel {
    /// Connects, starts the command and shows the key of the transfer.
    pub(super) fn open(peer: &Peer, direction: Direction) -> Result<Self, Failure> {
        let address: Sinful = peer
            .address
            .parse()
            .map_err(|error| direction.host(format!("TransferSocket {}: {error}", peer.address)))?;
        let claim: Result<ClaimId, _> = peer.session.parse();
        let session = claim
            .and_then(|claim| Session::of_claim(&claim))
            .map_err(|error| direction.host(format!("the shadow's session: {error}")))?;
        let time = Duration::from_secs(peer.timeout.max(1).into());
        let unreachable = |error: StreamError| {
            direction.host(format!("no connection to the shadow at {}: {error}", peer.address))
        };
        let mut stream = Stream::connect(&address, &peer.client, time).map_err(unreachable)?;
        let socket = stream.socket();
        socket.set_write_timeout(Some(time)).map_err(|error| unreachable(error.into()))?;
        socket.set_read_timeout(Some(time)).map_err(|error| unreachable(error.into()))?;
        let ip = |address: std::io::Result<std::net::SocketAddr>| {
            address.map_err(|error| unreachable(error.into()))
        };
        let own = ip(socket.local_addr())?.ip().to_string();
        let shadow = format!("<{}>", ip(socket.peer_addr())?);
        let command = match direction {
            Direction::In => Command::FileTransferUpload,
            Direction::Out => Command::FileTransferDownload,
        };
        let own_address: Option<Sinful> =
            peer.own_address.as_ref().and_then(|address| address.parse().ok());
        let request = Request {
            connected_to: Some(&address),
            own_address: own_address.as_ref(),
            ..Request::new(command, &session, &peer.version)
        };
        stream.open(&request).map_err(|error| lost(direction, &shadow, time, &error))?;
        if direction == Direction::In {
            stream.connection().set_buffer(READ);
        }
        let message = stream.writer();
        let timeout = peer.timeout.max(1);
        let mut channel =
            Self { stream, direction, message, timeout, waiting: time, waits_for: 1, own, shadow };
        channel.queue(|message| {
            message.string(peer.key.as_bytes());
        })?;
        Ok(channel)
    }

    /// Waits until the shadow's process that moved the files has ended, which closes the connection:
    /// after the last ack nothing else is due.
    ///
    /// A shadow that hears of the next step before that has its events in the wrong order, and one
    /// that hears of the end of the job looks again only after a second (23.9.6 and 25.14.1).
    pub(super) fn farewell(&mut self) {
        // Whatever comes instead of the end, the files are where they belong.
        if self.wait(Some(FAREWELL)).is_ok() {
            let _ = self.stream.receive();
        }
    }

    /// Which way files go.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Sets how long the shadow may be silent; `None`: as long as usual.
    pub(super) fn wait(&mut self, time: Option<Duration>) -> Result<(), Failure> {
        let usual = Duration::from_secs(self.timeout.into());
        let time = time.unwrap_or(usual).clamp(Duration::from_secs(1), LONGEST);
        if time != self.waiting {
            let set = self.stream.socket().set_read_timeout(Some(time));
            set.map_err(|error| self.lost(&error.into()))?;
            self.waiting = time;
        }
        Ok(())
    }

    /// Says that so many bytes at least will come behind the next message, so that reads can be
    /// large.
    pub(super) fn expect(&mut self, bytes: u64) -> Result<(), Failure> {
        let much = bytes >= u64::from(WAIT_FOR.unsigned_abs());
        let waits_for = if much { WAIT_FOR } else { 1 };
        if waits_for != self.waits_for {
            let set = socket::wait_for(self.stream.socket(), waits_for);
            set.map_err(|error| self.lost(&error.into()))?;
            self.waits_for = waits_for;
        }
        Ok(())
    }

    /// Puts a message where it waits to be sent.
    pub(super) fn queue(&mut self, fill: impl FnOnce(&mut Writer)) -> Result<(), Failure> {
        self.message.clear();
        fill(&mut self.message);
        let queued = self.stream.connection().send(&self.message);
        queued.map_err(|error| self.lost(&error.into()))?;
        self.batch()
    }

    /// Puts an integer where it waits to be sent.
    pub(super) fn queue_int(&mut self, value: i64) -> Result<(), Failure> {
        self.queue(|message| {
            message.i64(value);
        })
    }

    /// Puts one packet of at most `length` bytes of a file where it waits to be sent; `fill` writes
    /// it in place and says how much it is. What `fill` fails with is returned in the inner result.
    pub(super) fn queue_chunk<E>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Result<usize, E>, Failure> {
        let mut broken = None;
        let filled = self.stream.connection().send_filled::<condor_cedar::Error>(length, |space| {
            Ok(fill(space).unwrap_or_else(|error| {
                broken = Some(error);
                0
            }))
        });
        let count = filled.map_err(|error| self.lost(&error.into()))?;
        self.batch()?;
        Ok(broken.map_or(Ok(count), Err))
    }

    /// Sends, if it is worth a system call.
    fn batch(&mut self) -> Result<(), Failure> {
        if self.stream.connection().pending().len() < BATCH { Ok(()) } else { self.flush() }
    }

    /// Sends everything that waits.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.stream.flush().map_err(|error| self.lost(&error))
    }

    /// Receives a message, and takes a value out of it that `read` finds.
    pub(super) fn receive<T>(
        &mut self,
        read: impl FnOnce(Reader<'_>) -> condor_cedar::Result<T>,
    ) -> Result<T, Failure> {
        let value = match self.stream.receive() {
            Ok(message) => read(message).map_err(StreamError::from),
            Err(error) => Err(error),
        };
        value.map_err(|error| self.lost(&error))
    }

    /// Receives a message of one value.
    pub(super) fn receive_value<T: Codec>(&mut self) -> Result<T, Failure> {
        self.receive(|message| message.only())
    }

    /// Receives an integer.
    pub(super) fn receive_int(&mut self) -> Result<i64, Failure> {
        self.receive(int)
    }

    /// Receives an ad, where a shadow that doesn't know the key of the transfer says 0.
    pub(super) fn receive_first_ad(&mut self) -> Result<ClassAd, Failure> {
        let ad =
            self.receive(
                |message| {
                    if is_refusal(&message) { Ok(None) } else { message.only().map(Some) }
                },
            )?;
        ad.ok_or_else(|| self.refused())
    }

    /// The shadow has answered with 0 to the key of the transfer.
    pub(super) fn refused(&self) -> Failure {
        self.direction.host(format!("the shadow at {} does not know the TransferKey", self.shadow))
    }

    /// The shadow has sent what it must not.
    pub(super) fn misbehaved(&self, what: impl std::fmt::Display) -> Failure {
        self.direction.host(format!("the shadow at {} misbehaved: {what}", self.shadow))
    }

    fn lost(&self, error: &StreamError) -> Failure {
        lost(self.direction, &self.shadow, self.waiting, error)
    }
}

/// What a shadow says to a wrong key, where more than a number is due.
pub(super) fn is_refusal(message: &Reader<'_>) -> bool {
    message.clone().rest() == [0; 8]
}

/// A message of one integer.
pub(super) fn int(mut message: Reader<'_>) -> condor_cedar::Result<i64> {
    let value = message.i64()?;
    message.finish()?;
    Ok(value)
}

/// Whatever becomes of a connection, the job is not to blame for it.
fn lost(direction: Direction, shadow: &str, waiting: Duration, error: &StreamError) -> Failure {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    let details = match error {
        StreamError::Io(error) if matches!(error.kind(), TimedOut | WouldBlock) => {
            format!("the shadow at {shadow} was silent for {} s", waiting.as_secs())
        }
        StreamError::Protocol(condor_cedar::Error::Peer(PeerMisbehaved::BadSeal)) => {
            format!("the shadow at {shadow} has another key for the session")
        }
        StreamError::Protocol(error) => {
            format!("conversation with the shadow at {shadow}: {error}")
        }
        error => format!("connection to the shadow at {shadow} lost: {error}"),
    };
    direction.host(details)
}
