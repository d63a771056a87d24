//! What can go wrong between two peers, as values that can be compared.

use classad::ParseErrorKind;

/// Why a stream, a message or an address can't be used any further.
///
/// Whatever a peer sends, the answer is one of these, never a panic. All of them are final for the
/// stream they happened on: there is no way to find the start of the next message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The message ends inside of a value.
    #[error("the message ends before the end of {0}")]
    Truncated(&'static str),
    /// Something is longer than this side accepts.
    #[error("{what} of {length} exceeds the limit of {limit}")]
    TooLarge {
        /// What it is: "packet", "message", "string", "ad".
        what: &'static str,
        /// How long or many the peer says, bytes or items.
        length: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The peer broke the protocol.
    #[error("the peer misbehaved: {0}")]
    Peer(#[from] PeerMisbehaved),
    /// The peer wants what this implementation doesn't have.
    #[error("not supported: {0}")]
    Unsupported(#[from] Unsupported),
    /// The peer, or this side, doesn't let the other in.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// A text with a grammar of its own doesn't follow it.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// The kind of text: "sinful string", "claim id", "inherited socket".
        what: &'static str,
        /// What is wrong with it, without any secret that may be in it.
        reason: &'static str,
    },
    /// One of several items in a text can't be used.
    #[error("{what}, item {item}: {error}")]
    Item {
        /// The text: the name of an environment variable.
        what: &'static str,
        /// Which item, the first being 1. One that is missing at the end counts, too.
        item: usize,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// An attribute whose expression can't be parsed.
    #[error("attribute {name}: {reason}")]
    Expression {
        /// The attribute.
        name: String,
        /// What the parser says.
        reason: ParseErrorKind,
    },
    /// This side used the stream in a way that the protocol has no room for.
    #[error("misused: {0}")]
    Misused(&'static str),
    /// A direction of the stream ran out of nonces, after 2^32 - 1 packets.
    #[error("too many packets under one key")]
    CounterExhausted,
    /// The system has no random numbers.
    #[error("no random numbers")]
    NoRandom,
}

/// What a peer may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A packet without a byte in it, or too short for its seal.
    #[error("a packet of {0} bytes")]
    ShortPacket(u32),
    /// An end flag that is not 0 to 10.
    #[error("a packet with end flag {0}")]
    EndFlag(u8),
    /// A packet that doesn't decrypt: another key, a changed byte, or a packet lost.
    #[error("a packet with a wrong seal")]
    BadSeal,
    /// A message with something left when all its values were read.
    #[error("{0} bytes too many in a message")]
    TrailingBytes(usize),
    /// An integer outside the range of what it stands for.
    #[error("{value} is no {what}")]
    BadInteger {
        /// What it should stand for.
        what: &'static str,
        /// What was sent.
        value: i64,
    },
    /// A string with a length that can't be, or without its NUL.
    #[error("a malformed string")]
    BadString,
    /// A string that is absent (NULL) where a value is needed.
    #[error("a string that is absent")]
    NullString,
    /// A line of an ad without a name and `=`.
    #[error("an attribute without a name")]
    NoAttribute,
    /// An ad of the handshake that holds more than literals.
    #[error("an expression where only a literal is allowed")]
    NotLiteral,
    /// An attribute is missing, or of another type.
    #[error("no {0} in an ad")]
    Missing(&'static str),
    /// A number of file bytes that doesn't fit the announced one.
    #[error("{0} bytes of a file in one message")]
    FileChunk(usize),
    /// Something else where a fixed value is demanded.
    #[error("not what has to follow: {0}")]
    Unexpected(&'static str),
}

/// What is in use somewhere, but not here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// A cipher other than AES. Set `SEC_DEFAULT_CRYPTO_METHODS` to a list with AES in it.
    #[error("cipher {0}; only AES is supported, see SEC_DEFAULT_CRYPTO_METHODS")]
    Cipher(String),
    /// A peer that wants to negotiate a session.
    #[error("negotiation of a new session")]
    Negotiation,
    /// A release of HTCondor, or an option, from before 23.0.
    #[error("{0}")]
    Old(&'static str),
}

/// Why a command isn't carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The server doesn't know the session: it was restarted, or the session expired.
    #[error("no such session")]
    UnknownSession,
    /// The command isn't one of this server.
    #[error("no such command: {0}")]
    UnknownCommand(i32),
    /// The session doesn't reach far enough for the command.
    #[error("command {0} is not allowed in this session")]
    Level(i32),
    /// Another answer than AUTHORIZED.
    #[error("the server says {0}")]
    Answer(String),
}

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
