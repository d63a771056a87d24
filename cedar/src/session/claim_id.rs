//! Claim ids: the name of a session, what was agreed on, and the secret, in one string.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::SessionInfo;
use crate::crypto::{hex, random};
use crate::error::{Error, Result};
use crate::wire::within;

/// Longest claim id that is accepted, bytes.
const MAX_CLAIM_ID: usize = 64 * 1024;

/// `session id#[session info]secret`.
///
/// The last `#` ends the session id, which holds others itself when it is a claim's:
/// `<address>#start time#number`. `Debug` and `Display` leave the secret out; its memory is wiped
/// when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimId {
    text: Zeroizing<String>,
    /// Where the session id ends.
    hash: usize,
    /// Where the secret starts.
    secret: usize,
}

impl ClaimId {
    /// Puts a claim id together.
    pub fn new(session_id: &str, info: &str, secret: &str) -> Result<Self> {
        Zeroizing::new(format!("{session_id}#{info}{secret}")).parse()
    }

    /// A claim id for a new session with a random name and key, as for the owner of a job.
    pub fn random(info: &SessionInfo) -> Result<Self> {
        let id = hex(&random::<24>()?);
        let key = Zeroizing::new(random::<32>()?);
        let secret = Zeroizing::new(hex(key.as_ref()));
        Self::new(&id, &info.to_string(), &secret)
    }

    /// The name of the session: public, as it goes over the wire in the clear.
    pub fn session_id(&self) -> &str {
        &self.text[..self.hash]
    }

    /// The text between the brackets, with them; empty if there is none.
    pub fn info_text(&self) -> &str {
        self.text.get(self.hash + 1..self.secret).unwrap_or_default()
    }

    /// What was agreed on for the session.
    pub fn session_info(&self) -> Result<SessionInfo> {
        self.info_text().parse()
    }

    /// The secret part.
    pub fn secret(&self) -> &str {
        &self.text[self.secret..]
    }

    /// The whole claim id, secret and all.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The address of the startd, if the session is a claim's.
    pub fn address(&self) -> Option<&str> {
        let id = self.session_id();
        id.starts_with('<').then(|| id.split_inclusive('>').next()).flatten()
    }
}

impl FromStr for ClaimId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        within("claim id", text.len(), MAX_CLAIM_ID)?;
        let malformed = |reason| Error::Malformed { what: "claim id", reason };
        let hash = text.rfind('#').ok_or_else(|| malformed("no '#'"))?;
        let private = &text[hash + 1..];
        let info = match private.starts_with('[') {
            true => {
                private.rfind(']').ok_or_else(|| malformed("no ']' behind the session info"))? + 1
            }
            false => 0,
        };
        if hash == 0 || info == private.len() {
            return Err(malformed("no session id, or no key"));
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), hash, secret: hash + 1 + info })
    }
}

impl fmt::Display for ClaimId {
    /// As HTCondor logs it: without info and secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#...", self.session_id())
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hash_and_the_last_bracket_count() {
        let claim: ClaimId = "<1.2.3.4:5?a=b>#99#1#[A=\"x\";][B=\"y\";]k3y".parse().unwrap();
        assert_eq!(claim.session_id(), "<1.2.3.4:5?a=b>#99#1");
        assert_eq!(claim.info_text(), "[A=\"x\";][B=\"y\";]");
        assert_eq!(claim.secret(), "k3y");
        assert_eq!(claim.address(), Some("<1.2.3.4:5?a=b>"));
        assert_eq!(format!("{claim:?}"), "ClaimId(<1.2.3.4:5?a=b>#99#1#...)");
        let claim: ClaimId = "family:00ff#k3y".parse().unwrap();
        assert_eq!((claim.session_id(), claim.info_text()), ("family:00ff", ""));
        assert_eq!(claim.address(), None);
    }

    #[test]
    fn what_has_no_key_is_refused() {
        for text in ["", "a", "#", "a#", "#b", "a#[x]", "a#[x"] {
            let parsed = text.parse::<ClaimId>();
            assert!(matches!(parsed, Err(Error::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn random_ones_differ_and_are_hexadecimal() {
        let info = SessionInfo::default();
        let (a, b) = (ClaimId::random(&info).unwrap(), ClaimId::random(&info).unwrap());
        assert_ne!(a, b);
        assert_eq!((a.session_id().len(), a.secret().len()), (48, 64));
        assert_eq!(a.session_info().unwrap(), info);
    }
}
