//! The key of a session, derived from the text that peers were told.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// An AES-256 key. It isn't shown by `Debug`, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey(Zeroizing<[u8; Self::LENGTH]>);

impl SessionKey {
    /// Bytes in a key.
    pub const LENGTH: usize = 32;

    /// A key as it is: from an inherited socket.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key that belongs to the secret part of a claim id: the *text* counts, hexadecimal digits
    /// or not. A shared secret of a key agreement becomes a key the same way.
    ///
    /// HKDF-SHA256 with salt `htcondor` and info `keygen` (HTCondor 23.9.6 and 25.14.1).
    pub fn derive(secret: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        // One block of output is never too long.
        let expanded =
            Hkdf::<Sha256>::new(Some(b"htcondor"), secret).expand(b"keygen", key.as_mut());
        debug_assert!(expanded.is_ok(), "32 bytes are a valid length");
        Self(key)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}
