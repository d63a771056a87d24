//! condor_chirp: a job asks, over a socket of its own cell, for files and attributes at the submit side.
//!
//! One request is a line, the answer a number and perhaps bytes. The proxy only moves bytes and reads
//! lines; what a request needs of the shadow is the supervisor's to get. A client is heard again once
//! it has taken its last answer, so none can make this process hold more than a few buffers.

mod client;
mod delayed;
mod errors;
mod line;
mod proxy;
mod request;
mod rights;

pub(crate) use client::{Client, Heard, Work};
pub(crate) use delayed::Delayed;
pub(crate) use errors::{Fault, of_errno};
pub(crate) use proxy::Proxy;
pub(crate) use request::{Answer, Request};
pub(crate) use rights::Rights;

use condor_cedar::session::{ClaimId, SessionInfo};
use zeroize::Zeroizing;

use crate::failure::{Failure, Step};

/// Letters of a cookie.
const LETTERS: usize = 31;

/// The secret that lets a job's processes in, and no others: so many letters of four bits each.
pub(crate) fn cookie() -> Result<Zeroizing<String>, Failure> {
    let random = ClaimId::random(&SessionInfo::default())
        .map_err(|error| Failure::host(Step::Internal, format!("no random numbers: {error}")))?;
    let letter = |digit: u8| match digit {
        b'0'..=b'9' => char::from(b'a' + (digit - b'0')),
        other => char::from(other - b'a' + b'k'),
    };
    Ok(Zeroizing::new(random.secret().bytes().take(LETTERS).map(letter).collect()))
}

/// Whether a text has the form of a cookie.
pub(crate) fn is_cookie(text: &str) -> bool {
    text.len() == LETTERS && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_letters_and_differ() {
        let (one, other) = (cookie().unwrap(), cookie().unwrap());
        assert!(is_cookie(&one) && is_cookie(&other) && one != other);
        assert!(!is_cookie("") && !is_cookie(&"a".repeat(32)) && !is_cookie(&"A".repeat(31)));
    }
}
