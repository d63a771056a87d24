//! Fields with a `*` behind each.

use super::malformed;
use crate::crypto::unhex;
use crate::error::Result;

/// The fields that are left.
pub(super) struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next field.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let (field, rest) = self.rest.split_once('*').ok_or_else(|| malformed("too few fields"))?;
        self.rest = rest;
        Ok(field)
    }

    /// The next field, which has a known length and may hold anything.
    pub(super) fn counted(&mut self, length: usize) -> Result<&'a str> {
        const WRONG: &str = "a field of another length than it says";
        let field = self.rest.get(..length).ok_or_else(|| malformed(WRONG))?;
        self.rest = self.rest[length..].strip_prefix('*').ok_or_else(|| malformed(WRONG))?;
        Ok(field)
    }

    /// The next field, an integer.
    pub(super) fn integer<T: TryFrom<i64>>(&mut self) -> Result<T> {
        let number = self.text()?.parse::<i64>().ok().and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| malformed("a field that is no number, or out of range"))
    }

    /// The next field, 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool> {
        Ok(self.integer::<i64>()? != 0)
    }

    /// The next field, `N` bytes as hexadecimal digits.
    pub(super) fn hex<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = unhex(self.text()?).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| malformed("a field that isn't hexadecimal, or of another length"))
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed("too many fields")) }
    }
}
