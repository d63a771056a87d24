//! The owner of the job, who may look at it: a session that the schedd asks for and hands on.

use classad::ClassAd;
use condor_cedar::Error;
use condor_cedar::session::{ClaimId, Session, SessionInfo};
use zeroize::Zeroizing;

use super::commands::Manners;
use crate::version;

/// Whose job it is.
#[derive(Clone)]
pub(crate) struct Owner {
    /// The job ad's `User`.
    pub(crate) user: String,
    /// The claim's id, which shows that the schedd knows which job it speaks of.
    pub(crate) claim: Zeroizing<String>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({})", self.user)
    }
}

/// The answer to a request for a session, and the session.
pub(super) fn session(
    request: &ClassAd,
    manners: Manners<'_>,
) -> Result<(ClassAd, Option<Session>), Error> {
    let claim = request.eval_string("ClaimId").map(Zeroizing::new);
    let mut reply = ClassAd::new();
    let owner = manners.owner.filter(|owner| claim.as_ref() == Some(&owner.claim));
    let Some(owner) = owner else {
        tracing::warn!("a session for the job's owner was asked for with another claim");
        reply.insert_value("Result", false);
        reply.insert_value("ErrorString", "Job claim id does not match.");
        return Ok((reply, None));
    };
    let info = SessionInfo::aes(version::DIALECT);
    let claim = ClaimId::random(&info)?;
    let session = Session::of_owner(&claim, owner.user.clone())?;
    tracing::info!("made a session for {}", owner.user);
    reply.insert_value("Result", true);
    reply.insert_value("ClaimId", claim.reveal().to_owned());
    reply.insert_value("CondorVersion", version::CONDOR_VERSION);
    reply.insert_value("StarterIpAddr", manners.address.to_owned());
    Ok((reply, Some(session)))
}
