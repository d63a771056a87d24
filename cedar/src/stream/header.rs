//! The five bytes before every packet.

use crate::error::{PeerMisbehaved, Result};
use crate::wire::within;

/// Most bytes behind a header: the limit of HTCondor 23.9.6 and 25.14.1.
pub const MAX_PACKET: usize = 1024 * 1024;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether the packet is the last one of its message.
    pub(super) last: bool,
    /// Bytes behind the header: a seal and an initial vector count, too.
    pub(super) length: usize,
}

impl Header {
    /// Bytes of a header.
    pub(super) const LENGTH: usize = 5;

    /// Takes a header apart, and refuses what no peer may send.
    pub(super) fn parse(bytes: [u8; Self::LENGTH]) -> Result<Self> {
        let [end, length @ ..] = bytes;
        // HTCondor sends 0 and 1, and takes anything up to 10 for 1.
        if end > 10 {
            return Err(PeerMisbehaved::EndFlag(end).into());
        }
        let length = u32::from_be_bytes(length);
        if length == 0 {
            return Err(PeerMisbehaved::ShortPacket(0).into());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        within("packet", length, MAX_PACKET)?;
        Ok(Self { last: end != 0, length })
    }

    /// The bytes of the header. The length is one that `parse` accepts.
    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [a, b, c, d] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        [u8::from(self.last), a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn limits_are_those_of_htcondor() {
        assert_eq!(Header::parse([1, 0, 0, 0, 8]), Ok(Header { last: true, length: 8 }));
        assert_eq!(Header::parse([10, 0, 16, 0, 0]), Ok(Header { last: true, length: 1 << 20 }));
        assert_eq!(Header::parse([11, 0, 0, 0, 8]), Err(PeerMisbehaved::EndFlag(11).into()));
        assert_eq!(Header::parse([0, 0, 0, 0, 0]), Err(PeerMisbehaved::ShortPacket(0).into()));
        let too_large = Error::TooLarge { what: "packet", length: (1 << 20) + 1, limit: 1 << 20 };
        assert_eq!(Header::parse([1, 0, 16, 0, 1]), Err(too_large));
        let header = Header { last: false, length: 0x01_02_03 };
        assert_eq!(Header::parse(header.to_bytes()), Ok(header));
    }
}
