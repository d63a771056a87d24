//! Collects the values of one message.

use super::{Codec, NULL_STRING, real};

/// One message in the making.
///
/// Get one from [`Connection::writer`](crate::Connection::writer), for it has to know whether the
/// stream is encrypted.
#[derive(Debug, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
    encrypted: bool,
}

impl Writer {
    /// An empty message for a stream that is encrypted or in the clear.
    pub fn new(encrypted: bool) -> Self {
        Self { bytes: Vec::new(), encrypted }
    }

    /// Whether the message is for an encrypted stream.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Starts over; the memory is kept for the next message.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The message so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// An integer of any type.
    pub fn i64(&mut self, value: impl Into<i64>) -> &mut Self {
        self.bytes.extend(value.into().to_be_bytes());
        self
    }

    /// A size: HTCondor's are signed too.
    pub fn size(&mut self, value: usize) -> &mut Self {
        self.i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// A real.
    pub fn f64(&mut self, value: f64) -> &mut Self {
        let (fraction, exponent) = real::split(value);
        self.i64(fraction).i64(exponent)
    }

    /// Bytes as they are, without a length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A string. A NUL byte ends it, as it ends every string of HTCondor.
    pub fn string(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        let text = text.iter().position(|b| *b == 0).map_or(text, |end| &text[..end]);
        if self.encrypted {
            self.size(text.len() + 1);
        }
        self.bytes(text).u8(0)
    }

    /// The string that is absent.
    pub fn null_string(&mut self) -> &mut Self {
        if self.encrypted {
            self.size(1);
        }
        self.u8(NULL_STRING)
    }

    /// A value with a layout of its own.
    pub fn value<T: Codec>(&mut self, value: &T) -> &mut Self {
        value.encode(self);
        self
    }
}
