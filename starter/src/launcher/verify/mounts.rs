//! The mounts of a plan: all that this machine's configuration has every job get must be among them, and
//! nothing may be that undoes it.

use std::path::Path;

use crate::failure::{Failure, Step};
use crate::knobs::Knobs;
use crate::plan::{GPUS, Mount, Plan, Root, What, binds, expected, writing};

/// Checks them. What a job's own program, directory and files keep in sight is told by the plan, as it
/// is the job that has them.
pub(super) fn check(plan: &Plan, knobs: &Knobs, privileged: bool) -> Result<(), Failure> {
    let refuse = |why: String| Err(Failure::host(Step::Plan, format!("plan refused: {why}")));
    let has = |target: &Path, is: &dyn Fn(&What) -> bool| {
        plan.mounts.iter().any(|mount| mount.target == target && is(&mount.what))
    };
    for mount in expected(plan, knobs, privileged) {
        if !has(&mount.target, &|what| *what == mount.what) {
            return refuse(format!("{} ({}) is missing", mount.target.display(), mount.why));
        }
    }
    if let Root::Named(root) = &plan.root {
        for mount in binds(root, &knobs.hidden) {
            if !has(&mount.target, &|what| *what == mount.what) {
                return refuse(format!("{} ({}) is missing", mount.target.display(), mount.why));
            }
        }
    }
    let named = matches!(plan.root, Root::Named(_));
    let devices = has(Path::new("/dev"), &|what| matches!(what, What::Devices { .. }));
    if !devices && (named || knobs.job_private_dev) {
        return refuse("it leaves the machine's /dev in sight".to_owned());
    }
    if !has(Path::new("/sys"), &|what| *what == What::System) && (named || !knobs.job_stock_view) {
        return refuse("it leaves the machine's /sys as it is".to_owned());
    }
    rules(plan, knobs).or_else(refuse)?;
    for mount in &plan.mounts {
        let fits = match &mount.what {
            What::Devices { granted, machines_memory } => {
                may_have(granted, &plan.root, knobs)
                    && (!machines_memory || !knobs.mount_private_dev_shm)
            }
            What::Bind(index) => match &plan.root {
                Root::Host => false,
                Root::Named(root) => {
                    root.binds.get(*index).is_some_and(|bind| bind.target == mount.target)
                }
            },
            _ => true,
        };
        if !fits {
            return refuse(format!(
                "{} isn't what this machine gives jobs",
                mount.target.display()
            ));
        }
    }
    Ok(())
}

/// What can't be written must be all of JOB_READ_ONLY_DIRECTORIES, with no other exceptions.
fn rules(plan: &Plan, knobs: &Knobs) -> Result<(), String> {
    let ours = writing(knobs, &plan.root);
    let rule = |mount: &&Mount| matches!(mount.what, What::ReadOnly | What::AsItIs);
    let theirs = plan.mounts.iter().filter(rule);
    let same = theirs.map(|mount| (mount.target.as_path(), &mount.what));
    if same.eq(ours.iter().map(|(target, what, _)| (*target, what))) {
        return Ok(());
    }
    Err("what is read-only isn't JOB_READ_ONLY_DIRECTORIES".to_owned())
}

fn may_have(granted: &[String], root: &Root, knobs: &Knobs) -> bool {
    let list = match root {
        Root::Named(root) => root.devices.as_ref().unwrap_or(&knobs.job_devices),
        Root::Host => &knobs.job_devices,
    };
    granted.iter().all(|name| list.contains(name) || GPUS.contains(&name.as_str()))
}
