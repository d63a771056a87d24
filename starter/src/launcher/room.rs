//! The rooms that a transfer's plugins run in: the job's cell as far as a program needs one that isn't
//! the job.
//!
//! A plugin of the machine is found in the machine's root, and its network is the machine's, whatever
//! the job has; so is the account's home, unless that is read-only for all. One that the job brings gets no more than the job.

use nix::sched::CloneFlags;

use super::view::{self, Places};
use super::{cell, network};
use crate::failure::{Context, Failure, Step};
use crate::plan::{Plan, Root, What};
use crate::sys::privilege;

/// Whose plugins run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The machine's.
    Site,
    /// The job's.
    Own,
}

/// The plan of a room, and the namespaces that it is made in.
pub(super) fn plan_of(plan: &Plan, whose: Whose, privileged: bool) -> (Plan, CloneFlags) {
    let mut plan = plan.clone();
    if whose == Whose::Site {
        if matches!(plan.root, Root::Named(_)) {
            plan.root = Root::Host;
        }
        plan.namespaces.net = false;
        // What a URL names in the account's home (file://) is the submitter's own.
        plan.mounts.retain(|mount| !matches!(mount.what, What::Home(_)));
    }
    // A plugin is in no cgroup of the job's.
    plan.mounts.retain(|mount| mount.what != What::Cgroup);
    let mut namespaces = cell::flags(&plan);
    // So that nothing is left of a plugin, also where the job shares the machine's numbers.
    if privileged || plan.namespaces.user {
        namespaces |= CloneFlags::CLONE_NEWPID;
    }
    (plan, namespaces)
}

/// Furnishes a room. Called in its namespaces.
pub(super) fn enter(plan: &Plan, places: Places) -> Result<(), Failure> {
    if plan.namespaces.net {
        network::loopback_up()?;
    }
    if plan.namespaces.mount {
        let named = matches!(plan.root, Root::Named(_));
        let root = places.root.filter(|_| named);
        let places = Places { root, for_job: true, ..places };
        cell::enter_view(plan, places)?;
        view::mount_processes(plan)?;
    } else if plan.namespaces.user {
        cell::map_own_ids(&plan.account.ids)?;
    }
    if rustix::process::geteuid().is_root() || plan.namespaces.user {
        privilege::empty_bounding_set().at(Step::Identity, "capability bounding set")?;
    }
    Ok(())
}
