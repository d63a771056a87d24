//! What the launcher checks in a plan before it carries it out. The supervisor reads what comes from
//! outside and may be in an attacker's hands; a plan of its may waste a job, never a machine.

mod mounts;

use std::path::{Component, Path};

use super::sandbox;
use crate::failure::{Failure, Step};
use crate::host;
use crate::knobs::Knobs;
use crate::plan::{Account, PidOne, Plan, Root, What, cgroup};

/// What the launcher knows itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// The account of the plan's name, as it has looked it up itself.
    pub(crate) account: &'a Account,
    /// Its own reading of the configuration.
    pub(crate) knobs: &'a Knobs,
    /// Whether it is root.
    pub(crate) privileged: bool,
    /// The supervisor's process number.
    pub(crate) supervisor: u32,
    /// The slot's name, if the starter has a slot.
    pub(crate) slot: Option<&'a str>,
    /// Whether the starter's caller gave the job, so that its files may be opened with the caller's
    /// rights.
    pub(crate) caller_is_submitter: bool,
}

/// Checks a plan against what the launcher knows.
pub(crate) fn plan(plan: &Plan, known: Known<'_>) -> Result<(), Failure> {
    let Known { account, knobs, privileged, supervisor, slot, caller_is_submitter } = known;
    let refuse = |why: &str| Err(Failure::host(Step::Plan, format!("plan refused: {why}")));
    if account != &plan.account {
        return refuse("its account isn't what this machine knows by that name");
    }
    if privileged && !may_be_asked_for(&plan.account.name, knobs) {
        return refuse("STARTER_ALLOW_RUNAS_OWNER is False, and its account is no slot account");
    }
    if privileged && (plan.account.ids.uid == 0 || plan.account.ids.gid == 0) {
        return refuse("its account is root");
    }
    let submitter = match &plan.files.submitter {
        Some(ids) => *ids == plan.account.ids,
        None => caller_is_submitter || !plan.files.transfer,
    };
    if !submitter {
        return refuse("its files would be opened with somebody else's rights");
    }
    if let Some(cgroup) = plan.together.cgroup()
        && !cgroup::is_own(&cgroup.name, knobs, slot, supervisor)
    {
        return refuse("its cgroup would be another slot's");
    }
    if plan.calls != knobs.job_system_calls {
        return refuse("its filter of system calls isn't JOB_SYSTEM_CALLS");
    }
    let own_numbers = plan.namespaces.pid != PidOne::Shared && host::numbers_by_namespace();
    if plan.limits.processes.is_some() && !own_numbers {
        return refuse("it would limit the machine's processes");
    }
    if plan.limits.oom_score_adj < 0 {
        return refuse("it would be spared when memory runs out");
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
        if !knobs.roots.iter().flatten().any(|known| known == root) {
            return refuse("its root isn't one of NAMED_CHROOT");
        }
        if !plan.namespaces.mount {
            return refuse("a named root needs a mount namespace");
        }
    }
    let targets = plan.mounts.iter().map(|mount| mount.target.as_path());
    // The whole machine can be read-only.
    let rules = plan.mounts.iter().filter(|mount| mount.what != What::ReadOnly);
    if !rules.map(|mount| mount.target.as_path()).all(plain) {
        return refuse("a mount target isn't a plain absolute path");
    }
    if plan.namespaces.mount && !targets.clone().any(|target| target == plan.sandbox.execute) {
        return refuse("other sandboxes would be in sight");
    }
    if plan.namespaces.mount { mounts::check(plan, knobs, privileged) } else { Ok(()) }
}

/// Whether an unprivileged peer may ask for this account at all. Where the admin has switched
/// running as the owner off for good, only the slot accounts are left.
fn may_be_asked_for(name: &str, knobs: &Knobs) -> bool {
    !knobs.starter_allow_runas_owner.never()
        || name == "nobody"
        || knobs.nobody_slot_user.as_deref() == Some(name)
        || knobs.slot_users.values().any(|user| user == name)
}

fn plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().skip(1).all(|part| matches!(part, Component::Normal(_)))
        && path != Path::new("/")
}

#[cfg(test)]
mod tests {
    use classad::ClassAd;

    use super::*;
    use crate::job::Job;
    use crate::knobs::roots::NamedRoot;
    use crate::plan::{Host, Inputs, Mount};
    use crate::sys::privilege::Ids;
    use crate::sys::seccomp::Profile;

    fn knobs() -> Knobs {
        Knobs::from_text(
            "EXECUTE = /var/lib/condor/execute\nNAMED_CHROOT = EL9=/roots/el9\n\
             NAMED_CHROOT_EL9_ROOT = overlay-scratch\nNAMED_CHROOT_EL9_BIND = /data:/d\n\
             JOB_HIDDEN_DIRECTORIES = /var/spool/condor /data/secret\n\
             JOB_READ_ONLY_DIRECTORIES = /\nJOB_READ_ONLY_EXCEPTIONS = /cvmfs\n",
        )
    }

    fn account() -> Account {
        let ids = Ids { uid: 1001, gid: 1001, groups: vec![1001] };
        Account { name: "alice".into(), ids, home: "/home/alice".into() }
    }

    /// What an honest supervisor sends of a job in a named root.
    fn honest() -> Plan {
        of_job("RequestedChroot = \"EL9\"\n")
    }

    fn of_job(more: &str) -> Plan {
        let text = format!(
            "Cmd = \"/bin/true\"\nIwd = \"/\"\nOwner = \"alice\"\nShouldTransferFiles = \"YES\"\n{more}"
        );
        let job =
            Job::from_ad(ClassAd::parse_old(text.as_str()).unwrap(), Path::new("/"), None).unwrap();
        let host = Host {
            privileged: true,
            user_namespaces: true,
            numbers_by_namespace: true,
            scopes: true,
            cgroups: crate::host::cgroups::Cgroups::None("none here".into()),
            pid: 77,
            name: "n".into(),
        };
        let machine = ClassAd::new();
        crate::plan::make(Inputs::new(&job, &knobs(), &host, account(), &machine)).unwrap()
    }

    fn check(plan: &Plan) -> Result<(), Failure> {
        let account = account();
        super::plan(
            plan,
            Known {
                account: &account,
                knobs: &knobs(),
                privileged: true,
                supervisor: 77,
                slot: None,
                caller_is_submitter: false,
            },
        )
    }

    type Lie = fn(&mut Plan);

    #[test]
    fn an_honest_plan_passes() {
        check(&honest()).unwrap();
        check(&of_job("")).unwrap();
    }

    #[test]
    fn a_hostile_supervisor_is_refused() {
        let root = |name: &str, path: &str| Root::Named(NamedRoot::new(name, Path::new(path)));
        let mount =
            |target: &str| Mount { target: target.into(), what: What::Memory, why: String::new() };
        let lies: [(&str, Lie); 18] = [
            ("root's ids", |p| p.account.ids.uid = 0),
            ("root's group", |p| p.account.ids.gid = 0),
            ("one more group", |p| p.account.ids.groups.push(0)),
            ("another account", |p| p.account.name = "bob".into()),
            ("root's files", |p| p.files.submitter = None),
            ("another's files", |p| {
                p.files.submitter = Some(Ids { uid: 0, gid: 0, groups: vec![] })
            }),
            ("another sandbox", |p| p.sandbox.slot = "dir_78".into()),
            ("a sandbox elsewhere", |p| p.sandbox.execute = "/etc".into()),
            ("a way out of the sandbox", |p| p.sandbox.slot = "../dir_77".into()),
            ("a directory outside", |p| p.sandbox.directories.push("../x".into())),
            ("a file outside", |p| p.sandbox.files.push(("../x".into(), vec![]))),
            ("an open sandbox", |p| p.sandbox.mode = 0o777),
            ("no namespace", |p| {
                p.namespaces.mount = false;
                p.namespaces.pid = PidOne::Shared;
            }),
            ("somebody's device", |p| {
                p.mounts.push(Mount {
                    target: "/dev".into(),
                    what: What::Devices { granted: vec!["sda".into()], machines_memory: false },
                    why: String::new(),
                });
            }),
            ("a limit for the machine", |p| {
                p.limits.processes = Some(9);
                p.namespaces.pid = PidOne::Shared;
            }),
            ("a wider filter", |p| p.calls = Profile::Keyrings),
            ("a user namespace", |p| p.namespaces.user = true),
            ("no death by memory", |p| p.limits.oom_score_adj = -1000),
        ];
        for (what, lie) in lies {
            let mut plan = honest();
            lie(&mut plan);
            assert!(check(&plan).is_err(), "{what} passed");
        }
        for lie in [root("EL9", "/home/alice/root"), root("EL10", "/roots/el9")] {
            assert!(check(&Plan { root: lie, ..honest() }).is_err());
        }
        for target in ["/", "relative", "/a/../b"] {
            let mut plan = honest();
            plan.mounts.push(mount(target));
            assert!(check(&plan).is_err(), "{target}");
        }
        assert!(check(&Plan { mounts: vec![], ..honest() }).is_err(), "EXECUTE uncovered");
    }

    /// What covers the machine is the launcher's business, whatever the supervisor thinks.
    #[test]
    fn no_cover_can_be_left_out_or_undone() {
        let without = |more: &str, path: &str| {
            let mut plan = of_job(more);
            let before = plan.mounts.len();
            plan.mounts.retain(|mount| mount.target != Path::new(path));
            assert!(plan.mounts.len() < before, "{path} isn't in the plan");
            check(&plan)
        };
        let named = "RequestedChroot = \"EL9\"\n";
        for path in
            ["/home/alice", "/var/spool/condor", "/data/secret", "/dev", "/sys", "/", "/cvmfs"]
        {
            assert!(without("", path).is_err(), "without {path}");
        }
        let layer = honest().sandbox.path().join(crate::plan::LAYER);
        for path in ["/home/alice", "/dev", "/sys", "/d/secret", layer.to_str().unwrap()] {
            assert!(without(named, path).is_err(), "without {path}");
        }
        let with = |more: &str, path: &str, what| {
            let mut plan = of_job(more);
            plan.mounts.push(Mount { target: path.into(), what, why: String::new() });
            check(&plan)
        };
        assert!(with("", "/etc", What::AsItIs).is_err(), "one more exception");
        assert!(with("", "/x", What::Bind(0)).is_err(), "a bind without a root");
        assert!(with(named, "/etc", What::Bind(0)).is_err(), "a bind elsewhere");
        assert!(with(named, "/d", What::Bind(1)).is_err(), "a bind that there is not");
        // What the job itself is in stays in sight, and only that.
        let mut plan = of_job("");
        plan.mounts.retain(|mount| mount.target != Path::new("/var/spool/condor"));
        plan.program.path = "/var/spool/condor/1/program".into();
        assert!(check(&plan).is_ok());
        plan.mounts.retain(|mount| mount.target != Path::new("/data/secret"));
        assert!(check(&plan).is_err());
    }
}
