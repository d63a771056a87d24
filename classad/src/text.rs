//! Byte strings: what ClassAd strings and attribute names are made of.
//!
//! HTCondor passes bytes through without looking at their encoding, and a job's arguments or
//! paths need not be UTF-8. [`Text`] therefore holds bytes, is cheap to clone, and converts to
//! `str` only where the caller asks for it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// An immutable, cheaply cloned string of bytes, usually but not necessarily UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes, as they were written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text, with U+FFFD in place of bytes that are not UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Equality as attribute names have it: ASCII letters of either case are the same.
    pub fn eq_ignore_case(&self, other: impl AsRef<[u8]>) -> bool {
        self.0.eq_ignore_ascii_case(other.as_ref())
    }
}

/// Byte order with ASCII letters folded, as `strcasecmp` has it in the C locale.
pub(crate) fn cmp_ignore_case(a: &[u8], b: &[u8]) -> Ordering {
    let fold = |s: &'_ u8| s.to_ascii_lowercase();
    a.iter().map(fold).cmp(b.iter().map(fold))
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Text(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text(Arc::from(bytes))
    }
}

impl From<Cow<'_, [u8]>> for Text {
    fn from(bytes: Cow<'_, [u8]>) -> Self {
        Text(Arc::from(bytes.as_ref()))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(Arc::from(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(Arc::from(text.into_bytes()))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Text::from(text.as_str())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        let text = Text::from(&[0x61, 0xff][..]);
        assert_eq!(text.as_bytes(), [0x61, 0xff]);
        assert_eq!(text.to_str(), None);
        assert_eq!(text.to_string_lossy(), "a\u{fffd}");
    }

    #[test]
    fn case_folds_ascii_only() {
        assert_eq!(cmp_ignore_case(b"aB", b"Ab"), Ordering::Equal);
        assert_eq!(cmp_ignore_case(b"a_", b"aB"), Ordering::Less);
        assert!(!Text::from("é").eq_ignore_case("É"));
    }
}
