//! What passed in the clear before encryption began, so that nobody can have changed it.

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// Clear bytes in one direction that may precede encryption. Real handshakes have less than 2 KiB;
/// HTCondor stops hashing at 1 MiB, and what it would do beyond can't be relied on.
const LIMIT: usize = 1024 * 1024;

/// SHA-256 of one direction so far.
#[derive(Clone, Default)]
pub(super) struct Transcript {
    hash: Sha256,
    length: usize,
}

impl Transcript {
    /// Adds a part of a packet as it is on the wire.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        // Streams that never get encrypted needn't be hashed for ever.
        if self.length <= LIMIT {
            self.hash.update(bytes);
        }
        self.length = self.length.saturating_add(bytes.len());
    }

    /// The digest; zeros, and not the hash of nothing, if nothing passed.
    pub(super) fn digest(&self) -> Result<[u8; 32]> {
        match self.length {
            0 => Ok([0; 32]),
            1..=LIMIT => Ok(self.hash.clone().finalize().into()),
            _ => Err(Error::TooLarge {
                what: "handshake",
                length: self.length as u64,
                limit: LIMIT as u64,
            }),
        }
    }
}

/// Both directions, seen from this side.
#[derive(Clone, Default)]
pub(super) struct Transcripts {
    pub(super) sent: Transcript,
    pub(super) received: Transcript,
}

/// Both digests, when encryption has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the packets that this side sent in the clear.
    pub sent: [u8; 32],
    /// Of the packets that this side received in the clear.
    pub received: [u8; 32],
}

impl Transcripts {
    pub(super) fn digests(&self) -> Result<Digests> {
        Ok(Digests { sent: self.sent.digest()?, received: self.received.digest()? })
    }
}
