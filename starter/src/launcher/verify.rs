//! What the launcher checks in a plan before it carries it out. The supervisor reads what comes from
//! outside and may be in an attacker's hands; a plan of its may waste a job, never a machine.

use std::path::{Component, Path};

use super::sandbox;
use crate::failure::{Failure, Step};
use crate::knobs::Knobs;
use crate::plan::{Account, Plan, Root, named_roots};

/// Checks a plan against what this process knows itself.
pub(crate) fn plan(
    plan: &Plan,
    account: Option<&Account>,
    knobs: &Knobs,
    privileged: bool,
    supervisor: u32,
) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::host(Step::Plan, format!("plan refused: {why}")));
    if account != Some(&plan.account) {
        return refuse("its account isn't the one that was looked up");
    }
    if privileged && (plan.account.ids.uid == 0 || plan.account.ids.gid == 0) {
        return refuse("its account is root");
    }
    if plan.files.submitter.as_ref().is_some_and(|ids| *ids != plan.account.ids) {
        return refuse("its files would be opened with somebody else's rights");
    }
    if privileged {
        sandbox::check(&plan.sandbox, &plan.account, &knobs.execute, supervisor)?;
        if plan.namespaces.user {
            return refuse("a user namespace isn't needed by root");
        }
        if knobs.per_job_namespaces && !plan.namespaces.mount {
            return refuse("it has no mount namespace");
        }
    }
    if let Root::Named(root) = &plan.root {
        let offered = named_roots(knobs.named_chroot.as_deref());
        if !offered.iter().flatten().any(|known| known == root) {
            return refuse("its root isn't one of NAMED_CHROOT");
        }
        if !plan.namespaces.mount {
            return refuse("a named root needs a mount namespace");
        }
    }
    let targets = plan.mounts.iter().map(|mount| mount.target.as_path());
    if !targets.clone().all(plain) {
        return refuse("a mount target isn't a plain absolute path");
    }
    if plan.namespaces.mount && !targets.clone().any(|target| target == plan.sandbox.execute) {
        return refuse("other sandboxes would be in sight");
    }
    Ok(())
}

fn plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().skip(1).all(|part| matches!(part, Component::Normal(_)))
        && path != Path::new("/")
}
