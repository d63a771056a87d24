//! Which account runs a job: the stock starter's rules, with names only. Numbers come later, from
//! the launcher's own look-up.

use crate::failure::{Failure, Step};
use crate::job::Job;
use crate::knobs::Knobs;

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountChoice {
    /// Name of the account.
    pub(crate) name: String,
    /// Name of the group that it runs in, where that isn't the account's first one.
    pub(crate) group: Option<String>,
    /// The rule that led to it, for the log.
    pub(crate) why: &'static str,
}

/// Decides for a starter that runs as root. `trusted` is asked, if nothing else decides, whether
/// whoever sent the job may name accounts of this machine. Never chooses root: the launcher refuses uid 0 and gid 0 once more.
pub(crate) fn choose_account(
    job: &Job,
    knobs: &Knobs,
    slot: &str,
    trusted: &dyn Fn() -> bool,
) -> Result<AccountChoice, Failure> {
    if let Some(choice) = as_owner(job, knobs, trusted)? {
        return Ok(choice);
    }
    let slot_user = knobs.slot_users.get(&slot.to_ascii_uppercase()).cloned();
    let (name, why) = match (slot_user, &knobs.nobody_slot_user) {
        (Some(name), _) => (name, "SLOT<n>_USER"),
        (None, Some(name)) => (name.clone(), "NOBODY_SLOT_USER"),
        (None, None) => ("nobody".to_owned(), "no slot account is configured"),
    };
    if name == "root" {
        return Ok(AccountChoice {
            name: "nobody".into(),
            group: None,
            why: "root is refused as slot account",
        });
    }
    Ok(AccountChoice { name, group: None, why })
}

fn as_owner(
    job: &Job,
    knobs: &Knobs,
    trusted: &dyn Fn() -> bool,
) -> Result<Option<AccountChoice>, Failure> {
    if !job.run_as_owner || !knobs.starter_allow_runas_owner.allows(&job.ad) {
        return Ok(None);
    }
    // Without a submitter (a job described at the command line) there is nobody to run as.
    let Some(owner) = &job.owner else { return Ok(None) };
    let same_domain = match &job.uid_domain {
        Some(domain) => domain.eq_ignore_ascii_case(&knobs.uid_domain),
        None => true,
    };
    if !same_domain || !(knobs.trust_uid_domain || trusted()) {
        return Ok(None);
    }
    if owner == "root" {
        return Err(Failure::host(
            Step::Account,
            "the job's owner is root, which never runs a job: submit it from another account",
        ));
    }
    Ok(Some(AccountChoice {
        name: owner.clone(),
        group: job.primary_group.clone(),
        why: "the submitting user",
    }))
}
