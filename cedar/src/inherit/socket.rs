//! One socket: descriptor, peer, and how far its encryption has come.

use std::fmt::Write as _;

use super::{Fields, malformed};
use crate::crypto::hex;
use crate::error::{Result, Unsupported};
use crate::session::Method;
use crate::stream::{Digests, Direction, StreamState};
use crate::{Connection, SessionKey, Sinful};

/// Longest name of a peer, and longest version, that is accepted, bytes.
const MAX_TEXT: usize = 4096;
/// Longest key of an old cipher that is accepted, hexadecimal digits.
const MAX_KEY: usize = 1024;

/// What an inherited socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// CEDAR streams (TCP, or a local socket).
    Stream,
    /// UDP.
    Datagram,
}

/// What an inherited socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// It has an address.
    Bound,
    /// It has a peer.
    Connected,
    /// See [`InheritedSocket::listening`].
    Special,
    /// Any other of HTCondor's states.
    Unknown(i32),
}

impl SocketState {
    fn number(self) -> i32 {
        match self {
            Self::Bound => 2,
            Self::Connected => 3,
            Self::Special => 6,
            Self::Unknown(number) => number,
        }
    }
}

/// The encryption of an inherited socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crypto {
    /// There is no key.
    Clear,
    /// AES: encrypted for good.
    Aes(Box<StreamState>),
    /// An old cipher, which this crate can't go on with.
    Old(Method),
}

/// An inherited socket, from the fields of HTCondor's serialized form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InheritedSocket {
    /// Stream or datagram.
    pub kind: SocketKind,
    /// The descriptor's number.
    pub fd: i32,
    /// What it does.
    pub state: SocketState,
    /// Seconds an operation may take; 0 is no limit.
    pub timeout: u32,
    /// Whether the peers tried to authenticate.
    pub tried_authentication: bool,
    /// Who the peer is; empty if that isn't known.
    pub user: String,
    /// The peer's `$CondorVersion: ...$`; empty if that isn't known.
    pub peer_version: String,
    /// Whether it is a listening socket.
    pub listening: bool,
    /// The peer's address, if it has one.
    pub peer: Option<Sinful>,
    /// Its encryption.
    pub crypto: Crypto,
}

impl InheritedSocket {
    pub(super) fn parse(text: &str, kind: SocketKind) -> Result<Self> {
        let mut fields = Fields::new(text);
        let fd = fields.integer()?;
        if fd < 0 {
            return Err(malformed("a negative descriptor"));
        }
        let state = match fields.integer()? {
            2 => SocketState::Bound,
            3 => SocketState::Connected,
            6 => SocketState::Special,
            other => SocketState::Unknown(other),
        };
        let timeout = fields.integer()?;
        let tried_authentication = fields.flag()?;
        let (user, version) = (fields.integer::<usize>()?, fields.integer::<usize>()?);
        if user > MAX_TEXT || version > MAX_TEXT {
            return Err(malformed("a name or version that is too long"));
        }
        let user = fields.counted(user)?.to_owned();
        // Blanks would end the socket in the list.
        let peer_version = fields.counted(version)?.replace('_', " ");
        let listening = fields.integer::<i32>()? == 1;
        let peer = match fields.text()? {
            "" => None,
            address => Some(address.parse()?),
        };
        let crypto = match kind {
            SocketKind::Stream => crypto(&mut fields)?,
            // Whatever follows is of no use: there is no encryption of datagrams here.
            SocketKind::Datagram => Crypto::Clear,
        };
        if kind == SocketKind::Stream {
            fields.finish()?;
        }
        Ok(Self {
            kind,
            fd,
            state,
            timeout,
            tried_authentication,
            user,
            peer_version,
            listening,
            peer,
            crypto,
        })
    }

    /// The stream to go on with on this socket. Fails if its cipher isn't AES.
    pub fn connection(&self) -> Result<Connection> {
        match &self.crypto {
            Crypto::Clear => Ok(Connection::new()),
            Crypto::Aes(state) => Ok(Connection::resume((**state).clone())),
            Crypto::Old(method) => Err(Unsupported::Cipher(method.to_string()).into()),
        }
    }

    /// The serialized form, with the key.
    ///
    /// An old cipher has no state here, so the form of a socket with one stands for a clear one.
    pub fn reveal(&self) -> String {
        let mut text = format!(
            "{}*{}*{}*{}*{}*{}*{}*{}*{}*",
            self.fd,
            self.state.number(),
            self.timeout,
            u8::from(self.tried_authentication),
            self.user.len(),
            self.peer_version.len(),
            self.user,
            self.peer_version.replace(' ', "_"),
            u8::from(self.listening),
        );
        if let Some(peer) = &self.peer {
            text.push_str(&peer.to_string());
        }
        text.push('*');
        match (self.kind, &self.crypto) {
            (SocketKind::Datagram, _) => {}
            (_, Crypto::Aes(state)) => reveal_aes(&mut text, state),
            (_, Crypto::Clear | Crypto::Old(_)) => text.push_str("0*0*0*0*0*0*0*"),
        }
        text
    }
}

fn crypto(fields: &mut Fields<'_>) -> Result<Crypto> {
    let key_digits: usize = fields.integer()?;
    if key_digits > MAX_KEY {
        return Err(malformed("a key that is too long"));
    }
    if key_digits == 0 {
        digests(fields)?;
        skip_mac(fields)?;
        return Ok(Crypto::Clear);
    }
    let protocol: i32 = fields.integer()?;
    // Whether encryption is on: with AES it always is.
    let _enabled = fields.flag()?;
    if protocol != 3 {
        fields.counted(key_digits)?;
        digests(fields)?;
        skip_mac(fields)?;
        return Ok(Crypto::Old(match protocol {
            1 => Method::Blowfish,
            2 => Method::TripleDes,
            other => Method::Unknown(other.to_string()),
        }));
    }
    let mut counters = fields.hex::<40>()?;
    // A C structure, in the byte order of the machine.
    let number = |at: usize| {
        let bytes = counters[at..].first_chunk().copied().unwrap_or_default();
        u32::from_ne_bytes(bytes)
    };
    let (sent, received) = (number(0), number(4));
    let vector = |at: usize| counters[at..].first_chunk().copied().unwrap_or_default();
    let (send_vector, receive_vector) = (vector(8), vector(24));
    let key = SessionKey::from_bytes(fields.hex()?);
    zeroize::Zeroize::zeroize(&mut counters);
    let state = digests(fields)?;
    skip_mac(fields)?;
    Ok(Crypto::Aes(Box::new(StreamState {
        key,
        send: Direction { packets: sent, vector: send_vector, confirmed: state.send_confirmed },
        receive: Direction {
            packets: received,
            vector: receive_vector,
            confirmed: state.receive_confirmed,
        },
        digests: state.digests,
    })))
}

struct DigestState {
    send_confirmed: bool,
    receive_confirmed: bool,
    digests: Digests,
}

fn digests(fields: &mut Fields<'_>) -> Result<DigestState> {
    let (final_sent, final_received) = (fields.flag()?, fields.flag()?);
    let (send_confirmed, receive_confirmed) = (fields.flag()?, fields.flag()?);
    let bytes = match fields.integer::<usize>()? {
        0 => [0; 64],
        64 => fields.hex()?,
        _ => return Err(malformed("digests of another length")),
    };
    // A digest that wasn't final when the socket was handed down is one of nothing: the clear part
    // went over it in another process.
    let digest = |at: usize, is_final: bool| match bytes[at..].first_chunk() {
        Some(digest) if is_final => *digest,
        _ => [0; 32],
    };
    Ok(DigestState {
        send_confirmed,
        receive_confirmed,
        digests: Digests { sent: digest(0, final_sent), received: digest(32, final_received) },
    })
}

/// Only old ciphers have a key for authentication codes.
fn skip_mac(fields: &mut Fields<'_>) -> Result<()> {
    let digits: usize = fields.integer()?;
    if digits > MAX_KEY {
        return Err(malformed("a key that is too long"));
    }
    if digits > 0 {
        fields.counted(digits)?;
    }
    Ok(())
}

fn reveal_aes(text: &mut String, state: &StreamState) {
    let upper = |bytes: &[u8]| hex(bytes).to_ascii_uppercase();
    let counters = [
        &state.send.packets.to_ne_bytes()[..],
        &state.receive.packets.to_ne_bytes(),
        &state.send.vector,
        &state.receive.vector,
    ]
    .concat();
    let digests = [state.digests.sent, state.digests.received].concat();
    // Writing to a string doesn't fail.
    let _ = write!(
        text,
        "64*3*1*{}*{}*1*1*{}*{}*64*{}*0*",
        upper(&counters),
        upper(state.key.as_bytes()),
        u8::from(state.send.confirmed),
        u8::from(state.receive.confirmed),
        upper(&digests),
    );
}
