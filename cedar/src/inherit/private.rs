//! The sessions that a parent hands down.

use std::str::FromStr;

use super::MAX_INHERIT;
use crate::error::{Error, Result};
use crate::session::ClaimId;
use crate::wire::within;

/// The environment variable with the sessions: it holds secrets.
pub const PRIVATE_VARIABLE: &str = "CONDOR_PRIVATE_INHERIT";

/// `CONDOR_PRIVATE_INHERIT`: ` SessionKey:claim-id FamilySessionKey:claim-id`, either of which may
/// be missing. Other entries are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrivateInherit {
    /// The session with the parent.
    pub parent: Option<ClaimId>,
    /// The session of all daemons of this machine, unless `SEC_USE_FAMILY_SESSION` is false.
    pub family: Option<ClaimId>,
}

impl FromStr for PrivateInherit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        within(PRIVATE_VARIABLE, text.len(), MAX_INHERIT)?;
        let mut inherit = Self::default();
        for (n, item) in text.split_ascii_whitespace().enumerate() {
            let parse = |claim: &str| {
                claim.parse().map_err(|error| Error::Item {
                    what: PRIVATE_VARIABLE,
                    item: n + 1,
                    error: Box::new(error),
                })
            };
            if let Some(claim) = item.strip_prefix("SessionKey:") {
                inherit.parent = Some(parse(claim)?);
            } else if let Some(claim) = item.strip_prefix("FamilySessionKey:") {
                inherit.family = Some(parse(claim)?);
            }
        }
        Ok(inherit)
    }
}
