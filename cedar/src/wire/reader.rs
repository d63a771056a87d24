//! Reads values out of one message, never beyond its end.

use super::{Codec, NULL_STRING, real};
use crate::error::{Error, PeerMisbehaved, Result};

/// Longest string that is accepted, bytes with the NUL: the limit of HTCondor 25.14.1.
pub const MAX_STRING: usize = 10_000_000;

/// The values of one message, from first to last.
///
/// Strings look different on an encrypted stream (a length before the bytes) and on a clear one, so
/// a reader knows on which it is.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    encrypted: bool,
}

impl<'a> Reader<'a> {
    /// A reader of a message that came encrypted or in the clear.
    pub fn new(message: &'a [u8], encrypted: bool) -> Self {
        Self { rest: message, encrypted }
    }

    /// Whether the message came encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left: file bytes have a message to themselves.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `length` bytes, as they are.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        self.take(length, "bytes")
    }

    /// A reader of the next `length` bytes alone.
    pub fn sub(&mut self, length: usize) -> Result<Reader<'a>> {
        Ok(Reader { rest: self.take(length, "a part")?, encrypted: self.encrypted })
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        match self.take(1, "a byte")? {
            [byte] => Ok(*byte),
            _ => Err(Error::Truncated("a byte")),
        }
    }

    /// An integer: every integer type travels in 8 bytes.
    pub fn i64(&mut self) -> Result<i64> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated("an integer"))?;
        self.rest = rest;
        Ok(i64::from_be_bytes(*bytes))
    }

    /// An integer that has to fit into 32 bits, as 23.9.6 checks it.
    pub fn i32(&mut self, what: &'static str) -> Result<i32> {
        self.integer(what)
    }

    /// An integer of any narrower type; `what` it stands for is said when it doesn't fit.
    pub fn integer<T: TryFrom<i64>>(&mut self, what: &'static str) -> Result<T> {
        let value = self.i64()?;
        T::try_from(value).map_err(|_| PeerMisbehaved::BadInteger { what, value }.into())
    }

    /// A real.
    pub fn f64(&mut self) -> Result<f64> {
        let fraction = self.i64()?;
        Ok(real::join(fraction, self.i64()?))
    }

    /// A string, without its NUL. That one is absent counts as a fault.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        self.nullable_string()?.ok_or_else(|| PeerMisbehaved::NullString.into())
    }

    /// A string, without its NUL, or `None` for one that is absent: answers about configuration
    /// values tell an undefined one that way.
    pub fn nullable_string(&mut self) -> Result<Option<&'a [u8]>> {
        if self.encrypted { self.counted_string() } else { self.terminated_string() }
    }

    fn counted_string(&mut self) -> Result<Option<&'a [u8]>> {
        let length = self.i64()?;
        let Ok(length) = usize::try_from(length) else {
            return Err(PeerMisbehaved::BadInteger { what: "length", value: length }.into());
        };
        within("string", length, MAX_STRING)?;
        let bytes = self.take(length, "a string")?;
        match bytes {
            [NULL_STRING, ..] => Ok(None),
            // What is behind an inner NUL can't be seen by a peer in C either.
            _ => match bytes.iter().position(|b| *b == 0) {
                Some(end) => Ok(Some(&bytes[..end])),
                None => Err(PeerMisbehaved::BadString.into()),
            },
        }
    }

    fn terminated_string(&mut self) -> Result<Option<&'a [u8]>> {
        if let [NULL_STRING, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(None);
        }
        let end = self.rest.iter().position(|b| *b == 0).ok_or(Error::Truncated("a string"))?;
        within("string", end, MAX_STRING)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(Some(text))
    }

    /// A value with a layout of its own.
    pub fn value<T: Codec>(&mut self) -> Result<T> {
        T::read(self)
    }

    /// A value that is all there is left.
    pub fn only<T: Codec>(mut self) -> Result<T> {
        let value = T::read(&mut self)?;
        self.finish()?;
        Ok(value)
    }

    /// The end of the message: something left is a fault.
    pub fn finish(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(PeerMisbehaved::TrailingBytes(more).into()),
        }
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Checks a length that a peer announced.
pub(crate) fn within(what: &'static str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    Err(Error::TooLarge { what, length: length as u64, limit: limit as u64 })
}
