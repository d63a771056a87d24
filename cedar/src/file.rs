//! File bodies: a mode, a size, and the bytes in chunks that are a message each.
//!
//! | message | values |
//! |---|---|
//! | mode | permission bits; in file transfers only |
//! | size | bytes to come, bytes in a chunk at most |
//! | chunk | bytes, nothing else; as many messages as it takes |
//! | end | 666, if there are no bytes |

use crate::error::{PeerMisbehaved, Result};
use crate::wire::{Codec, within};
use crate::{Reader, Writer};

/// Bytes in a chunk, as HTCondor sends it.
pub const CHUNK: usize = 256 * 1024;
/// Largest chunk that is accepted, bytes: it has to fit into a message.
pub const MAX_CHUNK: u64 = 4 * 1024 * 1024;

/// Ends the body of an empty file.
const EMPTY: i64 = 666;
/// In place of a mode: there is no such file.
const MISSING: i64 = 1 << 24;

/// The first message of a body in a file transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Permission bits, 0 to 0o777.
    Permissions(u16),
    /// Nothing is known about the permissions: leave them alone.
    Unknown,
    /// The sender couldn't read the file: an empty body follows, and no file is to be made of it.
    Missing,
}

impl Codec for Mode {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::Permissions(bits) => to.i64(bits & 0o777),
            Self::Unknown => to.i64(0),
            Self::Missing => to.i64(MISSING),
        };
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        match from.i64()? {
            0 => Ok(Self::Unknown),
            MISSING => Ok(Self::Missing),
            // Senders before 25 may leave bits of the type in.
            value => match u16::try_from(value & 0o777) {
                Ok(bits) if (0..1 << 24).contains(&value) => Ok(Self::Permissions(bits)),
                _ => Err(PeerMisbehaved::BadInteger { what: "file mode", value }.into()),
            },
        }
    }
}

/// The message before the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of a chunk at most.
    pub chunk: u64,
}

impl Size {
    /// A file of so many bytes, in chunks of 256 KiB.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, chunk: CHUNK as u64 }
    }

    /// What stands for a file that can't be read.
    pub const NONE: Self = Self { bytes: 0, chunk: 1 };
}

impl Codec for Size {
    fn encode(&self, to: &mut Writer) {
        for value in [self.bytes, self.chunk] {
            to.i64(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let bytes = from.integer("file size")?;
        let chunk: u64 = from.integer("chunk size")?;
        if chunk == 0 {
            return Err(PeerMisbehaved::BadInteger { what: "chunk size", value: 0 }.into());
        }
        let length = usize::try_from(chunk).unwrap_or(usize::MAX);
        within("chunk", length, usize::try_from(MAX_CHUNK).unwrap_or(usize::MAX))?;
        Ok(Self { bytes, chunk })
    }
}

/// The mark behind the size of an empty file.
///
/// In a file transfer it is a message; in an answer to [`Command::Peek`](crate::Command::Peek) the
/// next value follows in the same message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyMark;

impl Codec for EmptyMark {
    fn encode(&self, to: &mut Writer) {
        to.i64(EMPTY);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        match from.i64()? {
            EMPTY => Ok(Self),
            _ => Err(PeerMisbehaved::Unexpected("the end of an empty file").into()),
        }
    }
}

/// Receives the messages behind the size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    size: Size,
    remaining: u64,
    done: bool,
}

impl Body {
    /// The body of a file of that size.
    pub fn new(size: Size) -> Self {
        Self { size, remaining: size.bytes, done: false }
    }

    /// Whether everything is there.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The bytes of the file in the next message.
    pub fn chunk<'a>(&mut self, mut message: Reader<'a>) -> Result<&'a [u8]> {
        if self.done {
            return Err(PeerMisbehaved::Unexpected("anything but a file's bytes").into());
        }
        if self.size.bytes == 0 {
            message.only::<EmptyMark>()?;
            self.done = true;
            return Ok(&[]);
        }
        let bytes = message.rest();
        let length = bytes.len() as u64;
        if length == 0 || length > self.size.chunk.min(self.remaining) {
            return Err(PeerMisbehaved::FileChunk(bytes.len()).into());
        }
        self.remaining -= length;
        self.done = self.remaining == 0;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn read<T: Codec>(values: &[i64]) -> Result<T> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        Reader::new(&bytes, true).only()
    }

    #[test]
    fn modes() {
        for mode in [Mode::Permissions(0o644), Mode::Unknown, Mode::Missing] {
            let mut message = Writer::new(true);
            message.value(&mode);
            assert_eq!(Reader::new(message.as_bytes(), true).only(), Ok(mode));
        }
        assert_eq!(read(&[0x81a4]), Ok(Mode::Permissions(0o644)));
        let fault = PeerMisbehaved::BadInteger { what: "file mode", value: -1 };
        assert_eq!(read::<Mode>(&[-1]), Err(fault.into()));
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(read(&[5, 262_144]), Ok(Size::new(5)));
        assert!(matches!(read::<Size>(&[5, 1 << 40]), Err(Error::TooLarge { .. })));
        assert!(read::<Size>(&[-1, 262_144]).is_err());
        assert!(read::<Size>(&[5, 0]).is_err());
    }

    #[test]
    fn chunks_add_up() {
        let mut body = Body::new(Size { bytes: 5, chunk: 3 });
        let mut chunk = |bytes: &'static [u8]| body.chunk(Reader::new(bytes, true));
        assert_eq!(chunk(b"abcd"), Err(PeerMisbehaved::FileChunk(4).into()));
        assert_eq!(chunk(b"abc"), Ok(&b"abc"[..]));
        assert_eq!(chunk(b"def"), Err(PeerMisbehaved::FileChunk(3).into()));
        assert_eq!(chunk(b""), Err(PeerMisbehaved::FileChunk(0).into()));
        assert_eq!(chunk(b"de"), Ok(&b"de"[..]));
        assert!(chunk(b"f").is_err());
        assert!(body.is_done());
    }

    #[test]
    fn an_empty_file_has_a_mark() {
        let mut body = Body::new(Size::new(0));
        assert!(body.chunk(Reader::new(&665i64.to_be_bytes(), true)).is_err());
        assert_eq!(body.chunk(Reader::new(&666i64.to_be_bytes(), true)), Ok(&[][..]));
        assert!(body.is_done());
    }
}
