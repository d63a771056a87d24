//! Keys and the cipher.

pub(crate) mod gcm;
mod key;

pub use key::SessionKey;

use rustix::rand::GetRandomFlags;

use crate::error::{Error, Result};

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    const { assert!(N <= 256, "what the system gives in one piece") };
    let mut bytes = [0; N];
    // So few are always given at once, except when a signal comes before the system has any at all.
    // The `getrandom` crate finds no such call in a static program, and opens two devices instead.
    loop {
        match rustix::rand::getrandom(&mut bytes[..], GetRandomFlags::empty()) {
            Ok(count) if count == N => return Ok(bytes),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Error::NoRandom),
        }
    }
}

/// Hexadecimal digits, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// The bytes that hexadecimal digits of either case stand for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0x0f, 0xa0]), "0fa0");
        assert_eq!(unhex("0FA0").unwrap(), [0x0f, 0xa0]);
        assert_eq!(unhex("0fa"), None);
        assert_eq!(unhex("+f"), None);
    }
}
