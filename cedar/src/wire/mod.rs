//! Values inside a message: how they are read and written.

mod ad;
mod reader;
mod real;
mod writer;

pub(crate) use ad::handshake_ad;
pub use ad::{MAX_ATTRIBUTES, MAX_HANDSHAKE_ATTRIBUTES};
pub(crate) use reader::within;
pub use reader::{MAX_STRING, Reader};
pub use writer::Writer;

use crate::Result;

/// A value with a fixed layout inside a message.
pub trait Codec: Sized {
    /// Appends the value.
    fn encode(&self, to: &mut Writer);
    /// Reads the value; what follows it stays in the reader.
    fn read(from: &mut Reader<'_>) -> Result<Self>;
}

/// The byte that stands for an absent string.
const NULL_STRING: u8 = 0xad;

#[cfg(test)]
mod tests;
