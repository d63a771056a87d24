//! Security sessions: a key that two daemons share, and what it is good for.

mod claim_id;
mod info;
mod level;
mod table;

pub use claim_id::ClaimId;
pub use info::{Method, SessionInfo};
pub use level::{Level, Levels};
pub use table::Sessions;

use crate::SessionKey;
use crate::error::Result;

/// Identity of the peer in the session with the parent process.
pub const PARENT: &str = "condor@parent";
/// Identity of peers that belong to the same HTCondor installation on this machine.
pub const FAMILY: &str = "condor@family";
/// Identity of the submitting side in a session of a claim.
pub const SUBMIT_SIDE: &str = "submit-side@matchsession";

/// A session that was set up without negotiation: both sides were told its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name on the wire.
    pub id: String,
    /// The key of every stream in it.
    pub key: SessionKey,
    /// Who the peer is when it comes as a client.
    pub peer: String,
    /// What such a peer may do.
    pub levels: Levels,
    /// What was agreed on.
    pub info: SessionInfo,
}

impl Session {
    /// The session a claim id stands for, with whom and how far. Fails if AES isn't among its
    /// methods.
    pub fn new(claim: &ClaimId, peer: impl Into<String>, levels: Levels) -> Result<Self> {
        let info = claim.session_info()?;
        info.require_aes()?;
        Ok(Self {
            id: claim.session_id().to_owned(),
            key: SessionKey::derive(claim.secret().as_bytes()),
            peer: peer.into(),
            levels,
            info,
        })
    }

    /// The session with the daemon that started this one.
    pub fn parent(claim: &ClaimId) -> Result<Self> {
        Self::new(claim, PARENT, Levels::ALL)
    }

    /// The session of all daemons of this machine.
    pub fn family(claim: &ClaimId) -> Result<Self> {
        Self::new(claim, FAMILY, Levels::ALL)
    }

    /// The session of a claim, or of the file transfers that belong to one.
    pub fn of_claim(claim: &ClaimId) -> Result<Self> {
        Self::new(claim, SUBMIT_SIDE, Level::Daemon.levels())
    }

    /// The session that was made for the owner of a job, who is known as `user`.
    pub fn of_owner(claim: &ClaimId, user: impl Into<String>) -> Result<Self> {
        Self::new(claim, user, Level::Read.levels())
    }
}
