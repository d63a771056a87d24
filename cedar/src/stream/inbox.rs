//! Takes the stream apart: bytes in, whole messages out.
//!
//! There is one buffer. Packets are decrypted where they lie, and the text of the second and later
//! packets of a message is moved up to that of the first, so that a message is one piece. Nothing is
//! allocated for a packet or a message, once the buffer has its size.

use std::ops::Range;

use super::digest::Transcript;
use super::header::{Header, MAX_PACKET};
use super::protection::Protection;
use crate::error::{Error, Result};
use crate::wire::within;

/// The least room that is made for more bytes.
const SMALL: usize = 4096;

/// What is known to have been received.
#[derive(Default)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    /// The text of the current message, as far as it is there.
    message: Range<usize>,
    /// Whether that is all of it.
    complete: bool,
    /// Bytes behind it that haven't been looked at.
    raw: Range<usize>,
    /// What the buffer doesn't shrink below.
    keep: usize,
    /// The error that ended it all.
    broken: Option<Error>,
}

/// How the next packet is to be read.
pub(super) enum Layer<'a> {
    Clear(&'a mut Transcript),
    Encrypted(&'a mut Protection),
}

impl Inbox {
    /// Room for bytes of the peer.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.message.is_empty() && self.raw.is_empty() && !self.complete {
            self.message = 0..0;
            self.raw = 0..0;
            if self.buffer.len() > self.keep.max(16 * SMALL) {
                self.buffer = Vec::new();
            }
        }
        // The buffer grows as it gets full, not as a header promises. It is tidied up only if that
        // gains enough, or peers that send little at a time would have much moved for it.
        let wanted = SMALL.max(self.keep / 4).max(self.buffer.len() / 8);
        let wasted = self.raw.end - self.message.len() - self.raw.len();
        if self.buffer.len() - self.raw.end < wanted && wasted >= wanted {
            self.compact();
        }
        if self.buffer.len() - self.raw.end < wanted {
            self.grow((self.buffer.len() * 2).max(self.raw.end + wanted).max(self.keep));
        }
        &mut self.buffer[self.raw.end..]
    }

    /// Makes the buffer larger. A new one comes from the system as zeros that take no memory before
    /// they are written to: most of a large buffer never is, on a stream of little.
    fn grow(&mut self, length: usize) {
        let mut buffer = vec![0; length];
        buffer[..self.raw.end].copy_from_slice(&self.buffer[..self.raw.end]);
        self.buffer = buffer;
    }

    /// Moves everything to the front.
    fn compact(&mut self) {
        let message = self.message.len();
        if message > 0 {
            self.buffer.copy_within(self.message.clone(), 0);
        }
        self.message = 0..message;
        let raw = self.raw.len();
        self.buffer.copy_within(self.raw.clone(), message);
        self.raw = message..message + raw;
    }

    /// The first `count` bytes of the space have been filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.raw.end = self.raw.end.saturating_add(count).min(self.buffer.len());
    }

    /// Puts bytes in by copying.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.filled(count);
            bytes = &bytes[count..];
        }
    }

    /// How many bytes the current packet lacks; of one that hasn't begun, those of the header.
    pub(super) fn missing(&self) -> usize {
        let raw = &self.buffer[self.raw.clone()];
        let total = match raw.first_chunk().map(|header| Header::parse(*header)) {
            Some(Ok(header)) => Header::LENGTH + header.length,
            Some(Err(_)) => 0,
            None => Header::LENGTH,
        };
        total.saturating_sub(raw.len())
    }

    /// Bytes that were received and not looked at.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.raw.clone()]
    }

    /// Whether a message has begun and isn't complete.
    pub(super) fn is_partial(&self) -> bool {
        !self.complete && self.message.len() + self.raw.len() > 0
    }

    /// The message that `advance` found.
    pub(super) fn message(&self) -> &[u8] {
        if self.complete { &self.buffer[self.message.clone()] } else { &[] }
    }

    pub(super) fn keep(&mut self, bytes: usize) {
        self.keep = bytes.min(4 * MAX_PACKET);
    }

    /// Drops the current message and puts the next one together. False: more bytes are needed.
    pub(super) fn advance(&mut self, layer: Layer<'_>, limit: usize) -> Result<bool> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let result = self.assemble(layer, limit);
        if let Err(error) = &result {
            // Text that failed its check is nobody's business, nor is what came before.
            *self = Self { broken: Some(error.clone()), ..Self::default() };
        }
        result
    }

    fn assemble(&mut self, mut layer: Layer<'_>, limit: usize) -> Result<bool> {
        if self.complete {
            self.complete = false;
            self.message = self.raw.start..self.raw.start;
        }
        while !self.complete {
            let raw = &mut self.buffer[self.raw.clone()];
            let Some((head, rest)) = raw.split_first_chunk_mut::<{ Header::LENGTH }>() else {
                return Ok(false);
            };
            let header = Header::parse(*head)?;
            let Some(body) = rest.get_mut(..header.length) else { return Ok(false) };
            let text = match &mut layer {
                Layer::Clear(transcript) => {
                    transcript.add(head);
                    transcript.add(body);
                    0..header.length
                }
                Layer::Encrypted(protection) => protection.open(*head, body)?,
            };
            within("message", self.message.len() + text.len(), limit)?;
            let start = self.raw.start + Header::LENGTH;
            let text = start + text.start..start + text.end;
            if self.message.is_empty() {
                self.message = text;
            } else {
                let length = text.len();
                self.buffer.copy_within(text, self.message.end);
                self.message.end += length;
            }
            self.raw.start = start + header.length;
            self.complete = header.last;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_byte_take_memory_for_one_byte() {
        let mut inbox = Inbox::default();
        let mut transcript = Transcript::default();
        let packet = [0, 0, 0, 0, 1, 7];
        for _ in 0..200_000 {
            inbox.feed(&packet);
            let layer = Layer::Clear(&mut transcript);
            assert_eq!(inbox.advance(layer, 1 << 20), Ok(false));
        }
        assert_eq!(inbox.message.len(), 200_000);
        assert!(inbox.buffer.len() < 1 << 20, "{}", inbox.buffer.len());
    }

    #[test]
    fn a_large_message_leaves_no_large_buffer() {
        let mut inbox = Inbox::default();
        let mut transcript = Transcript::default();
        let mut advance = |inbox: &mut Inbox| inbox.advance(Layer::Clear(&mut transcript), 1 << 20);
        let mut packet = vec![1; 5 + 0x01_0101];
        packet[1] = 0;
        inbox.feed(&packet);
        assert_eq!(advance(&mut inbox), Ok(true));
        assert_eq!(inbox.message().len(), 0x01_0101);
        assert_eq!(advance(&mut inbox), Ok(false));
        inbox.space();
        assert!(inbox.buffer.len() <= SMALL);
    }
}
