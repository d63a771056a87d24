//! A plain submit description as a job: the common commands, without a schedd.

use std::path::Path;

use classad::ClassAd;

use crate::failure::Failure;

/// Whether a text is a submit description: it has a `queue` statement.
pub(crate) fn looks_like_one(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).lines().any(|line| {
        line.trim_start().split_ascii_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case("queue"))
    })
}

/// Stub
pub(crate) fn read(_name: &str, _text: &[u8], _here: Option<&Path>) -> Result<ClassAd, Failure> {
    Err(Failure::host(crate::failure::Step::JobAd, "stub"))
}
