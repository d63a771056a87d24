//! The encrypted state of a stream: one key, and nonces that count packets in each direction.

use super::digest::Digests;
use super::header::Header;
use crate::SessionKey;
use crate::crypto::gcm::{Gcm, NONCE, TAG};
use crate::crypto::random;
use crate::error::{Error, PeerMisbehaved, Result};

/// One direction of an encrypted stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direction {
    /// Packets so far.
    pub packets: u32,
    /// The initial vector, which the first packet carries. Without meaning before that.
    pub vector: [u8; NONCE],
    /// Whether a packet has confirmed the digests of the clear part.
    pub confirmed: bool,
}

impl Direction {
    const START: Self = Self { packets: 0, vector: [0; NONCE], confirmed: false };

    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = self.vector;
        if let Some(head) = nonce.first_chunk_mut::<4>() {
            *head = u32::from_be_bytes(*head).wrapping_add(self.packets).to_be_bytes();
        }
        nonce
    }

    /// Bytes that the next packet has besides its plain text.
    fn overhead(&self) -> usize {
        if self.packets == 0 { NONCE + TAG } else { TAG }
    }

    fn count(&mut self) -> Result<()> {
        // The last value is never used: another packet would repeat a nonce.
        match self.packets.checked_add(1) {
            Some(next) => self.packets = next,
            None => return Err(Error::CounterExhausted),
        }
        self.confirmed = true;
        Ok(())
    }

    fn exhausted(&self) -> bool {
        self.packets == u32::MAX
    }
}

/// Everything that is needed to go on with an encrypted stream in another process.
///
/// Only one process may: two that send under the same nonces give both messages away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// The key of both directions.
    pub key: SessionKey,
    /// What this side sends.
    pub send: Direction,
    /// What this side receives.
    pub receive: Direction,
    /// Digests of the clear part, needed as long as a direction hasn't confirmed them.
    pub digests: Digests,
}

impl StreamState {
    /// The start of an encrypted stream after a clear part with these digests.
    pub fn new(key: SessionKey, digests: Digests) -> Self {
        Self { key, send: Direction::START, receive: Direction::START, digests }
    }
}

/// A state at work.
pub(super) struct Protection {
    state: StreamState,
    gcm: Gcm,
    /// Set for reproducible streams.
    first_vector: Option<[u8; NONCE]>,
}

impl Protection {
    pub(super) fn new(state: StreamState, first_vector: Option<[u8; NONCE]>) -> Self {
        Self { gcm: Gcm::new(&state.key), state, first_vector }
    }

    pub(super) fn state(&self) -> &StreamState {
        &self.state
    }

    /// Bytes that the next sent packet has besides header and plain text: before and behind it.
    pub(super) fn overhead(&self) -> (usize, usize) {
        (self.state.send.overhead() - TAG, TAG)
    }

    /// Encrypts a packet where it is: header, room for the vector if it is due, plain text, room
    /// for the tag.
    pub(super) fn seal(&mut self, packet: &mut [u8], last: bool) -> Result<()> {
        const SHORT: Error = Error::Misused("a packet without room for its seal");
        let direction = &mut self.state.send;
        if direction.exhausted() {
            return Err(Error::CounterExhausted);
        }
        let (head, mut body) = packet.split_first_chunk_mut::<5>().ok_or(SHORT)?;
        let header = Header { last, length: body.len() }.to_bytes();
        *head = header;
        if direction.packets == 0 {
            direction.vector = match self.first_vector {
                Some(vector) => vector,
                None => random()?,
            };
            let (vector, rest) = body.split_first_chunk_mut().ok_or(SHORT)?;
            *vector = direction.vector;
            body = rest;
        }
        let (data, tag) = body.split_last_chunk_mut().ok_or(SHORT)?;
        let aad =
            Aad::new(header, direction, &self.state.digests.sent, &self.state.digests.received);
        *tag = self.gcm.seal(&direction.nonce(), aad.as_bytes(), data);
        direction.count()
    }

    /// Decrypts the body of a packet where it is; gives the place of the plain text in it.
    pub(super) fn open(
        &mut self,
        header: [u8; Header::LENGTH],
        body: &mut [u8],
    ) -> Result<std::ops::Range<usize>> {
        let direction = &mut self.state.receive;
        if direction.exhausted() {
            return Err(Error::CounterExhausted);
        }
        let overhead = direction.overhead();
        let short = PeerMisbehaved::ShortPacket(u32::try_from(body.len()).unwrap_or(u32::MAX));
        // One byte of text is the least that there is.
        if body.len() <= overhead {
            return Err(short.into());
        }
        let end = body.len() - TAG;
        let start = overhead - TAG;
        let (front, tag) = body.split_last_chunk_mut::<TAG>().ok_or(short)?;
        if direction.packets == 0 {
            direction.vector = *front.first_chunk().ok_or(short)?;
        }
        let aad =
            Aad::new(header, direction, &self.state.digests.received, &self.state.digests.sent);
        self.gcm
            .open(&direction.nonce(), aad.as_bytes(), &mut front[start..], tag)
            .map_err(|_| PeerMisbehaved::BadSeal)?;
        direction.count()?;
        Ok(start..end)
    }
}

/// What a seal covers besides the text: the header, and at first the digests, the sender's first.
struct Aad {
    bytes: [u8; 64 + Header::LENGTH],
    start: usize,
}

impl Aad {
    fn new(
        header: [u8; Header::LENGTH],
        direction: &Direction,
        senders: &[u8; 32],
        receivers: &[u8; 32],
    ) -> Self {
        let mut bytes = [0; 64 + Header::LENGTH];
        bytes[..32].copy_from_slice(senders);
        bytes[32..64].copy_from_slice(receivers);
        bytes[64..].copy_from_slice(&header);
        Self { bytes, start: if direction.confirmed { 64 } else { 0 } }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}
