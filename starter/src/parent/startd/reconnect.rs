//! A shadow that comes back: one that takes the place of a shadow which is gone, or whose connection
//! is (`CA_RECONNECT_JOB`).
//!
//! The answer is the ad that once registered this starter; the connection then goes on as the channel
//! on which the shadow is asked.

use classad::ClassAd;

use crate::parent::shadow::Shadow;
use crate::version;

const RECONNECT: &str = "CA_RECONNECT_JOB";

/// What a shadow needs to come back.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The session of the claim, which is between this starter and its shadows only.
    pub(crate) session: String,
    /// `GlobalJobId` of the job.
    pub(crate) job: Option<String>,
    /// Who this starter is, as its first shadow was told.
    pub(crate) starter: ClassAd,
}

/// A shadow that has come back.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// The channel to it.
    pub(crate) shadow: Shadow,
    /// What it said of itself: `TransferSocket`, `TransferKey`, `ShadowVersion`, `ShadowIpAddr`.
    pub(crate) ad: ClassAd,
}

/// The answer to a command in an ad, and whether the sender is the job's shadow from now on.
pub(super) fn answer(ad: &ClassAd, terms: Option<&Terms>) -> (ClassAd, bool) {
    let command = ad.eval_string("Command").unwrap_or_default();
    let refused = if command != RECONNECT {
        Some(("InvalidRequest", format!("Starter does not support command ({command})")))
    } else if let Some(terms) = terms {
        // Shadows of 23.9.6 and 25.14.1 name the job to the startd only.
        let other = ad.eval_string("GlobalJobId").filter(|id| Some(id) != terms.job.as_ref());
        other.map(|id| ("Failure", format!("this starter does not run job {id}")))
    } else {
        Some(("InvalidState", "there is no job yet that a shadow could come back to".to_owned()))
    };
    let mut reply = ClassAd::new();
    let accepted = refused.is_none();
    match refused {
        None => {
            if let Some(terms) = terms {
                reply.update(&terms.starter);
            }
            // It was for the first shadow's policies; the answer is without (23.9.6 and 25.14.1).
            reply.remove("SlotAd");
            reply.insert_value("Result", "Success");
        }
        Some((result, why)) => {
            tracing::warn!("{command} refused: {why}");
            reply.insert_value("Result", result);
            reply.insert_value("ErrorString", why);
        }
    }
    reply.insert_value("MyType", "Reply");
    reply.insert_value("TargetType", "Command");
    reply.insert_value("CondorVersion", version::CONDOR_VERSION);
    reply.insert_value("CondorPlatform", version::CONDOR_PLATFORM);
    (reply, accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> ClassAd {
        let mut ad = ClassAd::new();
        ad.insert_value("Command", text.to_owned());
        ad
    }

    fn terms() -> Terms {
        let mut starter = ClassAd::new();
        starter.insert_value("StarterIpAddr", "<127.0.0.1:9618?sock=x>");
        starter.insert("SlotAd", ClassAd::new());
        Terms { session: "id".into(), job: Some("here#7.0#1".into()), starter }
    }

    #[test]
    fn a_shadow_gets_what_the_first_one_got() {
        let (reply, accepted) = answer(&command(RECONNECT), Some(&terms()));
        assert!(accepted);
        let text = |name| reply.eval_string(name).unwrap_or_default();
        assert_eq!(text("Result"), "Success");
        assert_eq!(text("StarterIpAddr"), "<127.0.0.1:9618?sock=x>");
        assert!(!reply.contains("SlotAd") && reply.contains("CondorVersion"));
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        let mut other = command(RECONNECT);
        other.insert_value("GlobalJobId", "here#8.0#1");
        for (ad, terms, result, why) in [
            (command(RECONNECT), None, "InvalidState", "no job yet"),
            (command("CA_SUSPEND"), Some(terms()), "InvalidRequest", "(CA_SUSPEND)"),
            (ClassAd::new(), Some(terms()), "InvalidRequest", "support"),
            (other, Some(terms()), "Failure", "here#8.0#1"),
        ] {
            let (reply, accepted) = answer(&ad, terms.as_ref());
            assert!(!accepted);
            assert_eq!(reply.eval_string("Result").as_deref(), Some(result));
            assert!(reply.eval_string("ErrorString").is_some_and(|text| text.contains(why)));
        }
        let mut same = command(RECONNECT);
        same.insert_value("GlobalJobId", "here#7.0#1");
        assert!(answer(&same, Some(&terms())).1);
    }
}
