//! Opening a conversation: a client names a session and a command, both sides turn to the session's
//! key, and the command's own messages follow.

mod client;
mod server;

use base64ct::{Base64, Encoding as _};
use classad::ClassAd;

pub use client::{Established, Opening, Request};
pub use server::{Acceptor, Caller, Incoming, Server};

use crate::crypto::random;
use crate::error::{PeerMisbehaved, Result};

/// Longest message before a peer has shown that it has a key, bytes. Real ones have about 600.
pub const MAX_HANDSHAKE: usize = 64 * 1024;

const AUTHORIZED: &str = "AUTHORIZED";
const SID_NOT_FOUND: &str = "SID_NOT_FOUND";

/// How far a handshake has come.
#[derive(Debug)]
pub enum Progress<W, D> {
    /// A message of the peer is needed: read more bytes, and poll again.
    Wait(W),
    /// It is over.
    Done(D),
}

/// Something that makes the clear part of every conversation another one, so that seals of one are
/// of no use in the next.
fn nonce() -> Result<String> {
    Ok(Base64::encode_string(&random::<33>()?))
}

fn text(ad: &ClassAd, name: &'static str) -> Result<String> {
    ad.eval_string(name).ok_or_else(|| PeerMisbehaved::Missing(name).into())
}

#[cfg(test)]
mod tests;
