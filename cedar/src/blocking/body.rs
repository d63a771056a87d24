//! File bodies over a socket.

use std::io::{self, Read, Write};

use super::{Result, Stream, StreamError};
use crate::file::{Body, CHUNK, EmptyMark, Size};

/// Bytes that are read from the socket at a time while a file comes in.
const BULK: usize = 1024 * 1024;

/// A file that was received to its end.
#[derive(Debug)]
pub struct Received {
    /// Its bytes.
    pub bytes: u64,
    /// Why the bytes could not be written, from some point on. The stream is in step all the same.
    pub trouble: Option<io::Error>,
}

impl<S: Read + Write> Stream<S> {
    /// Sends a body of `bytes` bytes: size, chunks, and the mark of an empty file.
    ///
    /// A source that ends early is an error that ends the stream too: the size has been announced.
    pub fn send_body(&mut self, bytes: u64, source: &mut impl Read) -> Result<()> {
        let mut head = self.writer();
        head.value(&Size::new(bytes));
        self.connection.send(&head)?;
        if bytes == 0 {
            return self.send_value(&EmptyMark);
        }
        let mut left = bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            self.connection.send_filled::<StreamError>(length, |space| {
                source.read_exact(space)?;
                Ok(space.len())
            })?;
            self.flush()?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Receives a body of at most `limit` bytes: size, chunks, and the mark of an empty file.
    pub fn receive_body(&mut self, limit: u64, sink: &mut impl Write) -> Result<Received> {
        let size: Size = self.receive_value()?;
        if size.bytes > limit {
            return Err(crate::Error::TooLarge { what: "file", length: size.bytes, limit }.into());
        }
        if size.bytes > CHUNK as u64 {
            self.connection.set_buffer(BULK);
        }
        let mut body = Body::new(size);
        let mut trouble = None;
        while !body.is_done() {
            let bytes = body.chunk(self.receive()?)?;
            // The rest has to be read whatever happens, or nothing can be said any more.
            if trouble.is_none() {
                trouble = sink.write_all(bytes).err();
            }
        }
        self.connection.set_buffer(0);
        Ok(Received { bytes: size.bytes, trouble })
    }
}
