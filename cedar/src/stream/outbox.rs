//! Puts the stream together: messages in, bytes out.

use super::digest::Transcript;
use super::header::{Header, MAX_PACKET};
use super::protection::Protection;
use crate::error::Result;

/// Plain bytes in a packet. HTCondor sends 4 KiB at a time and takes up to 1 MiB; larger packets cost
/// both sides less.
pub(super) const PACKET: usize = 256 * 1024;
const _: () = assert!(PACKET + 32 <= MAX_PACKET);

/// What is to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    /// Room that doesn't shrink while a stream is busy, so that no packet has to clear it first.
    buffer: Vec<u8>,
    /// What of it has been sent.
    sent: usize,
    /// Where the last packet ends.
    end: usize,
}

/// How the next packet is to be written.
pub(super) enum Layer<'a> {
    Clear(&'a mut Transcript),
    Encrypted(&'a mut Protection),
}

impl Outbox {
    /// A message, in as many packets as it takes. Nothing at all, if it has no bytes.
    pub(super) fn message(&mut self, mut layer: Layer<'_>, message: &[u8]) -> Result<()> {
        let mut chunks = message.chunks(PACKET).peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            let fill = |space: &mut [u8]| {
                space.copy_from_slice(chunk);
                Ok::<_, crate::Error>(chunk.len())
            };
            self.packet(&mut layer, chunk.len(), last, fill)?;
        }
        Ok(())
    }

    /// A packet of at most `length` bytes that `fill` writes in place and counts. None, if it counts
    /// none.
    pub(super) fn packet<E: From<crate::Error>>(
        &mut self,
        layer: &mut Layer<'_>,
        length: usize,
        last: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if self.sent == self.end {
            self.sent = 0;
            self.end = 0;
        }
        let start = self.end;
        let (before, behind) = match layer {
            Layer::Clear(_) => (0, 0),
            Layer::Encrypted(protection) => protection.overhead(),
        };
        let text = start + Header::LENGTH + before;
        let length = length.min(PACKET);
        let most = text + length + behind;
        if self.buffer.len() < most {
            self.buffer.resize(most, 0);
        }
        let count = fill(&mut self.buffer[text..text + length])?.min(length);
        if count == 0 {
            return Ok(0);
        }
        let end = text + count + behind;
        let packet = &mut self.buffer[start..end];
        match layer {
            Layer::Clear(transcript) => {
                packet[..Header::LENGTH]
                    .copy_from_slice(&Header { last, length: count }.to_bytes());
                transcript.add(packet);
            }
            Layer::Encrypted(protection) => protection.seal(packet, last)?,
        }
        self.end = end;
        Ok(count)
    }

    /// What is to be written to the socket.
    pub(super) fn pending(&self) -> &[u8] {
        &self.buffer[self.sent..self.end]
    }

    /// The first `count` bytes of it have been written.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.end);
        // An idle stream keeps no memory to speak of.
        if self.sent == self.end && self.buffer.capacity() > PACKET * 4 {
            *self = Self::default();
        }
    }
}
