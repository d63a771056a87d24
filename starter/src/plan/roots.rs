//! The root that a job gets, and what of the machine is in it.

use std::path::{Path, PathBuf};

use classad::{ClassAd, Value};

use super::{Mount, Root, What};
use crate::failure::{Failure, Step, hold};
use crate::job::Job;
use crate::knobs::Knobs;
use crate::knobs::roots::{NamedRoot, Writing};

/// The sandbox's directory for what a job writes to its root. Never output.
pub(crate) const LAYER: &str = "_condor_root";

/// The root for this job. A name that isn't offered is the job's fault and never falls back.
pub(super) fn choose(
    job: &Job,
    knobs: &Knobs,
    slot: &ClassAd,
    machine: &str,
) -> Result<Root, Failure> {
    let Some(wanted) = job.root.as_deref() else { return by_default(job, knobs, slot) };
    if wanted.eq_ignore_ascii_case("root") {
        return Ok(Root::Host);
    }
    let path_form = Path::new(wanted);
    let path_form = path_form.is_absolute().then(|| path_form.components().collect::<PathBuf>());
    let found = knobs.roots.iter().flatten().find(|root| {
        root.is_named(wanted) || path_form.as_ref().is_some_and(|path| root.path == *path)
    });
    if let Some(root) = found {
        return allowed(root, job, knobs, slot);
    }
    let unusable = |root: &&crate::knobs::roots::Unusable| {
        root.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
    };
    if let Some(root) = knobs.roots.iter().filter_map(|root| root.as_ref().err()).find(unusable) {
        let why = format!("named root {wanted} can't be used: {}", root.why);
        return Err(Failure::host(Step::Root, why));
    }
    let offered: Vec<&str> = knobs.roots.iter().flatten().map(|root| root.name.as_str()).collect();
    let offer = if offered.is_empty() {
        "no named roots; an admin sets them with NAMED_CHROOT".to_owned()
    } else {
        offered.join(" ")
    };
    Err(Failure::job(
        Step::Root,
        hold::FAILED_TO_CREATE_PROCESS,
        libc::ENOENT,
        format!("RequestedChroot {wanted:?} is not offered by {machine} (offers: {offer})"),
    ))
}

fn by_default(job: &Job, knobs: &Knobs, slot: &ClassAd) -> Result<Root, Failure> {
    let Some(name) = knobs.named_chroot_default.as_deref().map(str::trim) else {
        return Ok(Root::Host);
    };
    let root = knobs.roots.iter().flatten().find(|root| root.is_named(name)).ok_or_else(|| {
        let why = format!("NAMED_CHROOT_DEFAULT: {name} is not one of NAMED_CHROOT: correct one");
        Failure::host(Step::Root, why)
    })?;
    allowed(root, job, knobs, slot)
}

/// The root, if this job may have it and nothing stands in its way.
fn allowed(root: &NamedRoot, job: &Job, knobs: &Knobs, slot: &ClassAd) -> Result<Root, Failure> {
    root.apart_from(&knobs.execute, &knobs.hidden).map_err(|why| Failure::host(Step::Root, why))?;
    if let Some(text) = &root.allow {
        let value = classad::Expr::parse_old(text).map(|expr| expr.eval_in_match(slot, &job.ad));
        let yes = match value {
            Ok(Value::Bool(yes)) => yes,
            Ok(Value::Int(number)) => number != 0,
            _ => false,
        };
        if !yes {
            return Err(Failure::job(
                Step::Root,
                hold::FAILED_TO_CREATE_PROCESS,
                libc::EACCES,
                format!(
                    "root {} is not for this job: it doesn't meet {} ({text})",
                    root.name,
                    root.knob("ALLOW")
                ),
            ));
        }
    }
    Ok(Root::Named(root.clone()))
}

/// What is bound into a root, and what of that is kept out of sight: the daemons' directories, which
/// may lie below.
pub(crate) fn binds(root: &NamedRoot, hidden: &[PathBuf]) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for (index, bind) in root.binds.iter().enumerate() {
        mounts.push(Mount {
            target: bind.target.clone(),
            what: What::Bind(index),
            why: root.knob("BIND"),
        });
        for dir in hidden {
            let Ok(below) = dir.strip_prefix(&bind.source) else { continue };
            mounts.push(Mount {
                target: bind.target.join(below),
                what: What::Hidden,
                why: "JOB_HIDDEN_DIRECTORIES".to_owned(),
            });
        }
    }
    mounts
}

/// Directories of the sandbox that a root needs, the top one first.
pub(super) fn directories(root: &Root) -> Vec<PathBuf> {
    match root {
        Root::Named(NamedRoot { writing: Writing::InScratch, .. }) => {
            ["", "upper", "work"].map(|name| Path::new(LAYER).join(name)).to_vec()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: &str = "EXECUTE = /execute\nNAMED_CHROOT = EL9=/roots/el9, Old=/roots/old\n\
                         NAMED_CHROOT_Old_ALLOW = TARGET.AcctGroup =!= \"students\" && Cpus > 1\n";

    fn choose(ad: &str, knobs: &str) -> Result<Root, Failure> {
        let text = format!("Cmd = \"/bin/true\"\nIwd = \"/\"\nOwner = \"alice\"\n{ad}");
        let job = Job::from_ad(ClassAd::parse_old(text.as_str()).unwrap(), Path::new("/"), None);
        let slot = ClassAd::parse_old("Cpus = 2\n").unwrap();
        let knobs = Knobs::from_text(&format!("{ROOTS}{knobs}"));
        super::choose(&job.unwrap(), &knobs, &slot, "node1")
    }

    fn name(root: Result<Root, Failure>) -> String {
        match root.unwrap() {
            Root::Host => "the machine's".to_owned(),
            Root::Named(root) => root.name,
        }
    }

    #[test]
    fn a_default_root_is_for_jobs_that_ask_for_none() {
        let knob = "NAMED_CHROOT_DEFAULT = el9\n";
        assert_eq!(name(choose("", "")), "the machine's");
        assert_eq!(name(choose("", knob)), "EL9");
        assert_eq!(name(choose("RequestedChroot = \"root\"\n", knob)), "the machine's");
        assert_eq!(name(choose("RequestedChroot = \"old\"\n", knob)), "Old");
        let failure = choose("", "NAMED_CHROOT_DEFAULT = EL10\n").unwrap_err();
        assert!(failure.message.contains("EL10 is not one of NAMED_CHROOT"), "{failure}");
    }

    #[test]
    fn who_may_not_have_a_root_is_held_and_told_why() {
        let wish = "RequestedChroot = \"Old\"\n";
        assert_eq!(name(choose(wish, "")), "Old");
        let failure = choose(&format!("{wish}AcctGroup = \"students\"\n"), "").unwrap_err();
        let code = hold::FAILED_TO_CREATE_PROCESS;
        let held = crate::failure::Disposition::Hold { code, subcode: libc::EACCES };
        assert_eq!(failure.disposition, held);
        assert!(failure.message.contains("NAMED_CHROOT_Old_ALLOW"), "{failure}");
    }

    #[test]
    fn a_root_whose_knobs_are_wrong_sends_the_job_elsewhere() {
        let wish = "RequestedChroot = \"EL9\"\n";
        let failure = choose(wish, "NAMED_CHROOT_EL9_ROOT = rw\n").unwrap_err();
        assert_eq!(failure.disposition, crate::failure::Disposition::Elsewhere);
        assert!(failure.message.contains("NAMED_CHROOT_EL9_ROOT: rw"), "{failure}");
    }

    #[test]
    fn the_daemons_directories_stay_out_of_sight() {
        let knobs = Knobs::from_text(
            "EXECUTE = /execute\nNAMED_CHROOT = A=/a\nNAMED_CHROOT_A_BIND = /var:/v:rw\n\
             JOB_HIDDEN_DIRECTORIES = /var/spool/condor-of-a-test /opt/x\n",
        );
        let mounts = binds(knobs.roots[0].as_ref().unwrap(), &knobs.hidden);
        let list: Vec<_> =
            mounts.iter().map(|mount| (mount.target.to_str().unwrap(), &mount.what)).collect();
        assert_eq!(list, [("/v", &What::Bind(0)), ("/v/spool/condor-of-a-test", &What::Hidden)]);
    }
}
