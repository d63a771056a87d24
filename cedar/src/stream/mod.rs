//! A connection as a state machine: what to read from a socket goes in, what to write comes out.

mod digest;
mod header;
mod inbox;
mod outbox;
mod protection;

use std::fmt;

pub use digest::Digests;
use digest::Transcripts;
pub use header::MAX_PACKET;
use inbox::Inbox;
use outbox::Outbox;
use protection::Protection;
pub use protection::{Direction, StreamState};

use crate::error::{Error, Result};
use crate::{Reader, SessionKey, Writer};

/// Longest message that is accepted unless [`Connection::set_limit`] says otherwise, bytes. The
/// largest of real messages are job ads, with some hundred KiB.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// One side of a CEDAR stream, without the socket.
///
/// The caller moves bytes: from the socket into [`space`](Self::space), followed by
/// [`filled`](Self::filled), and from [`pending`](Self::pending) to the socket, followed by
/// [`advanced`](Self::advanced). Messages are found by [`receive`](Self::receive) and queued by
/// [`send`](Self::send).
///
/// ```
/// use condor_cedar::{Connection, SessionKey};
///
/// let (mut client, mut server) = (Connection::new(), Connection::new());
/// let key = SessionKey::derive(b"a secret that both know");
/// client.encrypt(key.clone())?;
/// server.encrypt(key)?;
///
/// let mut question = client.writer();
/// question.i64(60008).string("how are you?");
/// client.send(&question)?;
///
/// // The network.
/// server.feed(client.pending());
/// client.advanced(client.pending().len());
///
/// assert!(server.receive()?);
/// let mut question = server.message();
/// assert_eq!(question.i64()?, 60008);
/// assert_eq!(question.string()?, b"how are you?");
/// question.finish()?;
/// # Ok::<(), condor_cedar::Error>(())
/// ```
pub struct Connection {
    inbox: Inbox,
    outbox: Outbox,
    layer: Layer,
    limit: usize,
}

enum Layer {
    /// Nobody has a key yet, or ever will.
    Clear(Box<Transcripts>),
    /// Encrypted in both directions, for good.
    Encrypted(Box<Protection>),
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A new stream, in the clear.
    pub fn new() -> Self {
        Self::with_layer(Layer::Clear(Box::default()))
    }

    /// An encrypted stream that another process began.
    pub fn resume(state: StreamState) -> Self {
        Self::with_layer(Layer::Encrypted(Box::new(Protection::new(state, None))))
    }

    fn with_layer(layer: Layer) -> Self {
        Self { inbox: Inbox::default(), outbox: Outbox::default(), layer, limit: MAX_MESSAGE }
    }

    /// Sets how long a message may be, bytes. Before a peer is known it should be little.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// How long a message may be, bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Has a buffer of so many bytes held ready, for a stream that carries much: a read from the
    /// socket can then get many packets. At most 4 MiB; 0 is the default.
    pub fn set_buffer(&mut self, bytes: usize) {
        self.inbox.keep(bytes);
    }

    /// Whether messages are encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.layer, Layer::Encrypted(_))
    }

    /// Encrypts everything from here on, in both directions: bytes that were received but not yet
    /// looked at count as encrypted.
    pub fn encrypt(&mut self, key: SessionKey) -> Result<()> {
        self.start_encryption(key, None)
    }

    /// The same with a given initial vector, for streams that have to be reproducible: recorded
    /// conversations, and tests. A vector must never serve twice under one key.
    pub fn encrypt_with_vector(&mut self, key: SessionKey, vector: [u8; 16]) -> Result<()> {
        self.start_encryption(key, Some(vector))
    }

    fn start_encryption(&mut self, key: SessionKey, vector: Option<[u8; 16]>) -> Result<()> {
        let Layer::Clear(transcripts) = &self.layer else {
            return Err(Error::Misused("a stream is encrypted only once"));
        };
        let state = StreamState::new(key, transcripts.digests()?);
        self.layer = Layer::Encrypted(Box::new(Protection::new(state, vector)));
        Ok(())
    }

    /// Forgets what has passed so far: the first message to a shared port isn't part of the
    /// conversation behind it. Without effect on an encrypted stream.
    pub fn forget_transcript(&mut self) {
        if let Layer::Clear(transcripts) = &mut self.layer {
            **transcripts = Transcripts::default();
        }
    }

    /// The state of encryption, for another process to go on with; `None` in the clear.
    ///
    /// Bytes that are [`pending`](Self::pending) or [`unread`](Self::unread) aren't part of it.
    pub fn state(&self) -> Option<&StreamState> {
        match &self.layer {
            Layer::Clear(_) => None,
            Layer::Encrypted(protection) => Some(protection.state()),
        }
    }

    /// Where bytes of the peer have to go. Never empty.
    pub fn space(&mut self) -> &mut [u8] {
        self.inbox.space()
    }

    /// Says that the first `count` bytes of the space have been filled.
    pub fn filled(&mut self, count: usize) {
        self.inbox.filled(count);
    }

    /// Puts bytes of the peer in by copying.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.inbox.feed(bytes);
    }

    /// How many bytes the current packet still lacks. Who may not read beyond a packet, because
    /// something else than CEDAR follows, reads no more than that.
    pub fn missing(&self) -> usize {
        self.inbox.missing()
    }

    /// Bytes that were received and don't belong to a message yet.
    pub fn unread(&self) -> &[u8] {
        self.inbox.unread()
    }

    /// Whether an end of the stream here would cut a message in two.
    pub fn is_partial(&self) -> bool {
        self.inbox.is_partial()
    }

    /// Drops the message that was received last, and looks for the next one. False: more bytes
    /// are needed. An error ends the stream.
    pub fn receive(&mut self) -> Result<bool> {
        let layer = match &mut self.layer {
            Layer::Clear(transcripts) => inbox::Layer::Clear(&mut transcripts.received),
            Layer::Encrypted(protection) => inbox::Layer::Encrypted(protection),
        };
        self.inbox.advance(layer, self.limit)
    }

    /// The message that was received last; empty if there is none.
    pub fn message(&self) -> Reader<'_> {
        Reader::new(self.inbox.message(), self.is_encrypted())
    }

    /// A message to be written for this stream.
    pub fn writer(&self) -> Writer {
        Writer::new(self.is_encrypted())
    }

    /// Queues a message. One without a byte is no message: nothing is sent.
    pub fn send(&mut self, message: &Writer) -> Result<()> {
        if message.is_encrypted() != self.is_encrypted() {
            return Err(Error::Misused("the message was written for another kind of stream"));
        }
        self.send_bytes(message.as_bytes())
    }

    /// Queues a message of bytes.
    pub fn send_bytes(&mut self, message: &[u8]) -> Result<()> {
        self.outbox.message(outgoing(&mut self.layer), message)
    }

    /// Queues a message of one packet which `fill` puts where it will be encrypted and sent from,
    /// and whose length it gives. The space has `length` bytes, and 256 KiB at most. Gives the
    /// length; nothing is sent if that is 0.
    pub fn send_filled<E: From<Error>>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.send_part(length, true, fill)
    }

    /// The same for a packet that need not be the last one of its message. A message must not be
    /// left without its last packet.
    pub fn send_part<E: From<Error>>(
        &mut self,
        length: usize,
        last: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.outbox.packet(&mut outgoing(&mut self.layer), length, last, fill)
    }

    /// What is to be written to the socket.
    pub fn pending(&self) -> &[u8] {
        self.outbox.pending()
    }

    /// Says that the first `count` pending bytes have been written.
    pub fn advanced(&mut self, count: usize) {
        self.outbox.advance(count);
    }
}

fn outgoing(layer: &mut Layer) -> outbox::Layer<'_> {
    match layer {
        Layer::Clear(transcripts) => outbox::Layer::Clear(&mut transcripts.sent),
        Layer::Encrypted(protection) => outbox::Layer::Encrypted(protection),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("encrypted", &self.is_encrypted())
            .field("pending", &self.pending().len())
            .field("unread", &self.unread().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
