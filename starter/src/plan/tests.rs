//! Plans for jobs and configurations of all kinds, made without root and without doing anything.

use std::path::Path;
use std::sync::LazyLock;

use classad::ClassAd;

use super::*;
use crate::failure::Disposition;
use crate::job::Job;
use crate::knobs::Knobs;
use crate::sys::seccomp::Profile;

pub(crate) fn job(lines: &str) -> Job {
    let text = format!("Cmd = \"/bin/true\"\nIwd = \"/home/alice\"\nOwner = \"alice\"\n{lines}");
    Job::from_ad(ClassAd::parse_old(text.as_str()).unwrap(), Path::new("/"), None).unwrap()
}

pub(crate) fn knobs() -> Knobs {
    knobs_with("")
}

/// The daemons have no directories but EXECUTE.
fn knobs_with(lines: &str) -> Knobs {
    Knobs::from_text(&format!(
        "EXECUTE = /var/lib/condor/execute\nJOB_HIDDEN_DIRECTORIES = /run/user\n{lines}"
    ))
}

fn host() -> Host {
    Host {
        privileged: true,
        user_namespaces: true,
        numbers_by_namespace: true,
        scopes: true,
        cgroups: Cgroups::None("none here".into()),
        pid: 77,
        name: "node1".into(),
    }
}

fn plan_on(host: &Host, job: &Job, knobs: &Knobs) -> Result<Plan, crate::failure::Failure> {
    let machine = ClassAd::new();
    make(inputs(job, knobs, host, &machine))
}

/// The starter's own.
fn environment() -> &'static [(String, String)] {
    static VARIABLES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        [("LANG", "C"), ("CONDOR_INHERIT", "x")].map(|(n, v)| (n.into(), v.into())).into()
    });
    &VARIABLES
}

fn inputs<'a>(job: &'a Job, knobs: &'a Knobs, host: &'a Host, machine: &'a ClassAd) -> Inputs<'a> {
    let ids = Ids { uid: 1001, gid: 1001, groups: vec![1001, 50] };
    Inputs {
        job,
        knobs,
        host,
        account: Account { name: "alice".into(), ids: ids.clone(), home: "/home/alice".into() },
        machine,
        slot: "slot1_2",
        environment: environment(),
        stdio: [None, None, None],
        unnamed_output: Stdio::Null,
        pool: false,
        submitter: Some(ids),
    }
}

pub(crate) fn plan(job: &Job, knobs: &Knobs) -> Plan {
    plan_on(&host(), job, knobs).unwrap()
}

/// Some plan or other, for tests elsewhere.
pub(crate) fn any() -> Plan {
    plan(&job(""), &knobs())
}

fn targets(plan: &Plan) -> Vec<&str> {
    plan.mounts.iter().map(|mount| mount.target.to_str().unwrap()).collect()
}

fn variable<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    plan.program.environment.iter().find_map(|variable| {
        std::str::from_utf8(variable).unwrap().strip_prefix(name)?.strip_prefix('=')
    })
}

#[test]
fn the_default_cell() {
    let plan = plan(&job(""), &knobs());
    assert_eq!(
        targets(&plan),
        ["/dev", "/sys", "/tmp", "/var/tmp", "/run/lock", "/run/user"]
            .into_iter()
            .chain(["/var/lib/condor/execute", "/proc"])
            .collect::<Vec<_>>()
    );
    assert_eq!(plan.limits.processes, Some(1536));
    assert_eq!(plan.calls, Profile::Default);
    assert_eq!(plan.namespaces.pid, PidOne::Init);
    assert!(plan.namespaces.ipc && plan.namespaces.uts && plan.namespaces.cgroup);
    assert!(!plan.namespaces.user && !plan.namespaces.net);
    assert_eq!(plan.sandbox.path(), Path::new("/var/lib/condor/execute/dir_77/scratch"));
    assert_eq!(plan.root, Root::Host);
    assert!(plan.not_applied.len() == 1 && plan.not_applied[0].starts_with("home: "));
    assert_eq!(variable(&plan, "TMPDIR"), Some("/tmp"));
}

#[test]
fn the_flat_layout_of_23() {
    let knobs = Knobs { starter_nested_scratch: false, ..knobs() };
    let plan = plan(&job("ShouldTransferFiles = \"YES\"\n"), &knobs);
    assert_eq!(plan.sandbox.path(), Path::new("/var/lib/condor/execute/dir_77"));
    assert_eq!(plan.program.path, Path::new("/var/lib/condor/execute/dir_77/true"));
    assert_eq!(plan.program.directory, plan.sandbox.path());
}

#[test]
fn private_directories_are_a_list_or_an_expression() {
    let with = |text: &str| Knobs { mount_under_scratch: Some(text.into()), ..knobs() };
    let expression = "ifThenElse(WantBig =?= true, \"/big /tmp\", \"/tmp\")";
    let plan_of = |lines: &str, text: &str| plan(&job(lines), &with(text));
    assert_eq!(targets(&plan_of("WantBig = true\n", expression))[2..4], ["/big", "/tmp"]);
    assert_eq!(targets(&plan_of("", expression))[2..4], ["/tmp", "/run/lock"]);
    // What is below a private directory is private already.
    let nested = plan_of("", "/tmp/inner,/tmp,/tmpfoo");
    assert_eq!(targets(&nested)[2..4], ["/tmp", "/tmpfoo"]);
    assert!(nested.sandbox.directories.contains(&"scratch/tmp/inner".into()));
    for bad in ["/", "tmp", "/tmp/../etc", "/var/lib/condor/execute/x", "1 + 1", "(", "NoSuchAttr"]
    {
        let failure = plan_on(&host(), &job(""), &with(bad)).unwrap_err();
        assert_eq!(failure.disposition, Disposition::Elsewhere, "{bad}");
        assert!(failure.message.starts_with("MOUNT_UNDER_SCRATCH"), "{failure}");
    }
}

#[test]
fn execute_below_a_private_directory_is_still_found() {
    let knobs = Knobs { execute: "/tmp/execute".into(), ..knobs() };
    let plan = plan(&job(""), &knobs);
    assert_eq!(targets(&plan)[2..4], ["/tmp", "/var/tmp"]);
    assert!(plan.sandbox.directories.contains(&"scratch/tmp/execute".into()));
}

#[test]
fn what_stock_has_not_among_the_jobs_data_is_beside_it() {
    let places = |privileged, nested| {
        let knobs = Knobs { starter_nested_scratch: nested, ..knobs() };
        let host = Host { privileged, ..host() };
        let (job, machine) = (job("ShouldTransferFiles = \"YES\"\n"), ClassAd::new());
        let plan = make(Inputs { pool: true, ..inputs(&job, &knobs, &host, &machine) }).unwrap();
        ["/tmp", "/home/alice"].map(|target| match what(&plan, target) {
            Some(What::Private(path) | What::Home(path)) => path.display().to_string(),
            other => panic!("{target}: {other:?}"),
        })
    };
    assert_eq!(places(true, true), ["scratch/tmp", "user/_condor_home"]);
    assert_eq!(places(false, true), ["user/tmp", "user/_condor_home"]);
    assert_eq!(places(true, false), ["tmp", "_condor_home"]);
}

#[test]
fn a_root_by_name_or_a_hold() {
    let knobs = knobs_with("NAMED_CHROOT = SL7=/chroot/sl7, EL9=/cvmfs/el9\n");
    let named = plan(&job("RequestedChroot = \"el9\"\n"), &knobs);
    assert!(matches!(&named.root, Root::Named(root) if root.path == Path::new("/cvmfs/el9")));
    assert!(targets(&named).contains(&"/dev") && targets(&named).contains(&"/proc"));
    assert!(named.applied().contains(&"chroot"));
    let by_path = plan(&job("RequestedChroot = \"/chroot/sl7/\"\n"), &knobs);
    assert!(matches!(&by_path.root, Root::Named(root) if root.name == "SL7"));
    for unknown in ["EL10", "/chroot", "EL", "../chroot/sl7"] {
        let lines = format!("RequestedChroot = \"{unknown}\"\n");
        let failure = plan_on(&host(), &job(&lines), &knobs).unwrap_err();
        assert_eq!(failure.disposition, Disposition::Hold { code: 6, subcode: 2 });
        assert!(failure.message.contains("offers: SL7 EL9"), "{failure}");
    }
}

#[test]
fn nothing_is_dropped_silently() {
    let off = |lines: &str| knobs_with(&format!("PER_JOB_NAMESPACES = False\n{lines}\n"));
    let plan = plan(&job(""), &off(""));
    assert_eq!(plan.not_applied.len(), 6);
    assert!(plan.mounts.is_empty() && plan.namespaces.pid == PidOne::Shared);
    assert_eq!(variable(&plan, "TMPDIR"), Some("/var/lib/condor/execute/dir_77/scratch"));
    let demands = [
        "USE_PID_NAMESPACES = True",
        "MOUNT_UNDER_SCRATCH = /tmp",
        "NO_JOB_NETWORKING = True",
        "JOB_READ_ONLY_DIRECTORIES = /",
    ];
    for demand in demands {
        assert!(plan_on(&host(), &job(""), &off(demand)).is_err(), "{demand}");
    }
    let knobs = off("NAMED_CHROOT = a=/a");
    assert!(plan_on(&host(), &job("RequestedChroot = \"a\"\n"), &knobs).is_err());
}

#[test]
fn without_root_a_user_namespace_or_a_report() {
    let mut host = Host { privileged: false, ..host() };
    assert!(plan_on(&host, &job(""), &knobs()).unwrap().namespaces.user);
    host.user_namespaces = false;
    let plan = plan_on(&host, &job(""), &knobs()).unwrap();
    assert!(!plan.namespaces.mount && plan.not_applied[0].contains("user namespaces are off"));
}

#[test]
fn the_environment_and_who_wins_in_it() {
    let knobs = Knobs {
        starter_job_environment: Some("\"A=admin B=admin BATCH_SYSTEM=x\"".into()),
        job_inherits_starter_environment: Some("True".into()),
        starter_num_threads_env_vars: vec!["OMP_NUM_THREADS".into(), "MKL_NUM_THREADS".into()],
        ..knobs()
    };
    let lines = "Environment = \"B=job TMPDIR=/x MKL_NUM_THREADS=1 S=#CoNdOrScRaTcHdIr#/y\"\n\
                 RequestCpus = 4\n";
    let plan = plan(&job(lines), &knobs);
    assert_eq!(variable(&plan, "A"), Some("admin"));
    assert_eq!(variable(&plan, "B"), Some("job"));
    assert_eq!(variable(&plan, "BATCH_SYSTEM"), Some("HTCondor"));
    assert_eq!(variable(&plan, "TMPDIR"), Some("/tmp"));
    assert_eq!(variable(&plan, "OMP_NUM_THREADS"), Some("4"));
    assert_eq!(variable(&plan, "MKL_NUM_THREADS"), Some("1"));
    assert_eq!(variable(&plan, "S"), Some("/var/lib/condor/execute/dir_77/scratch/y"));
    assert_eq!(variable(&plan, "LANG"), Some("C"));
    assert_eq!(variable(&plan, "CONDOR_INHERIT"), None);
    assert_eq!(variable(&plan, "_CONDOR_SLOT"), Some("slot1_2"));
    assert_eq!(variable(&plan, "HOME"), Some("/home/alice"));
}

#[test]
fn standard_files_with_and_without_transfer() {
    let lines = "In = \"in.txt\"\nOut = \"out\"\nErr = \"/logs/err\"\n";
    let direct = plan(&job(lines), &knobs()).program.stdio;
    assert_eq!(direct[0], Stdio::File("/home/alice/in.txt".into()));
    assert_eq!(direct[2], Stdio::File("/logs/err".into()));
    let moved = plan(&job(&format!("{lines}ShouldTransferFiles = \"YES\"\n")), &knobs());
    let scratch = Path::new("/var/lib/condor/execute/dir_77/scratch");
    assert_eq!(moved.program.stdio[0], Stdio::File(scratch.join("in.txt")));
    assert_eq!(moved.program.stdio[1], Stdio::File(scratch.join("_condor_stdout")));
    assert!(moved.files.remaps.contains(&("_condor_stderr".into(), "/logs/err".into())));
    let same = plan(&job("Out = \"o\"\nErr = \"o\"\n"), &knobs()).program.stdio;
    assert_eq!(same[2], Stdio::SameAsOutput);
}

#[test]
fn a_job_may_start_in_another_directory() {
    let lines = "Cmd = \"bin/x\"\nRemoteIwd = \"/data\"\n";
    let direct = plan(&job(lines), &knobs());
    assert_eq!(direct.program.directory, Path::new("/data"));
    assert_eq!(direct.program.path, Path::new("/data/bin/x"));
    assert_eq!(variable(&direct, "_CONDOR_JOB_IWD"), Some("/data"));
    let scratch = Path::new("/var/lib/condor/execute/dir_77/scratch");
    let lines = format!("{lines}In = \"i\"\nShouldTransferFiles = \"YES\"\n");
    let moved = plan(&job(&lines), &knobs());
    assert_eq!(moved.program.directory, Path::new("/data"));
    assert_eq!(moved.program.path, scratch.join("x"));
    assert_eq!(moved.program.stdio[0], Stdio::File(scratch.join("i")));
}

#[test]
fn a_wrapper_goes_in_front() {
    let knobs = Knobs { user_job_wrapper: Some("/opt/wrap".into()), ..knobs() };
    let plan = plan(&job("Arguments = \"a 'b c'\"\n"), &knobs);
    assert_eq!(plan.program.path, Path::new("/opt/wrap"));
    assert_eq!(plan.program.arguments, [&b"/bin/true"[..], b"a", b"b c"]);
}

#[test]
fn limits_follow_the_stock_rules() {
    let nice = |text: &str| {
        let knobs = Knobs { job_renice_increment: Some(text.into()), ..knobs() };
        plan(&job("Prio = 7\n"), &knobs).limits.nice
    };
    assert_eq!([nice("5"), nice("Prio"), nice("99"), nice("-3"), nice("x y")], [5, 7, 19, 0, 10]);
    assert_eq!(plan(&job(""), &knobs()).limits.core, Some(0));
    assert_eq!(plan(&job("CoreSize = -1\n"), &knobs()).limits.core, None);
    let knobs = Knobs { starter_rlimit_as: Some("TARGET.RequestMemory".into()), ..knobs() };
    assert_eq!(plan(&job("RequestMemory = 3\n"), &knobs).limits.address_space, Some(3 << 20));
}

#[test]
fn a_slot_has_cpus_of_its_own() {
    let with = |lines: &str, slot: &str| {
        let knobs = knobs_with(&format!("ENFORCE_CPU_AFFINITY = True\n{lines}"));
        Limits::new(&job(""), &knobs, &ClassAd::new(), slot, &host()).cpus
    };
    assert_eq!(with("STARTD_ASSIGNED_AFFINITY = 0 , 2, 1\n", "slot1_7"), [0, 2, 1]);
    assert_eq!(with("SLOT3_CPU_AFFINITY = 4,5\nSLOT3_1_CPU_AFFINITY = 6\n", "slot3_1"), [6]);
    assert_eq!(with("SLOT3_CPU_AFFINITY = 4,5\n", "slot3_1"), [4, 5]);
    assert!(with("SLOT3_CPU_AFFINITY = x, 99999999\n", "slot3").is_empty());
    assert_eq!(
        [with("", "slot3"), with("", "slot1_2"), with("", "other")],
        [vec![2], vec![], vec![]]
    );
    assert!(plan(&job(""), &knobs()).limits.cpus.is_empty());
}

#[test]
fn the_account_is_never_root() {
    let choose = |lines: &str, knobs: &Knobs, trusted| {
        choose_account(&job(lines), knobs, "slot1_3", &|| trusted)
    };
    let base = knobs();
    assert_eq!(choose("", &base, true).unwrap().name, "alice");
    assert_eq!(choose("OsUser = \"bob\"\n", &base, true).unwrap().name, "bob");
    assert_eq!(choose("", &base, false).unwrap().name, "nobody");
    assert_eq!(choose("RunAsOwner = false\n", &base, true).unwrap().name, "nobody");
    assert_eq!(choose("UidDomain = \"other\"\n", &base, true).unwrap().name, "nobody");
    assert!(choose("OsUser = \"root\"\n", &base, true).is_err());
    let slot = Knobs {
        starter_allow_runas_owner: crate::knobs::types::Condition("False".into()),
        slot_users: [("SLOT1_3".to_owned(), "slotty".to_owned())].into(),
        nobody_slot_user: Some("root".into()),
        ..knobs()
    };
    assert_eq!(choose("", &slot, true).unwrap().name, "slotty");
    let grouped = "PrimaryUnixGroup = \"lab\"\n";
    assert_eq!(choose(grouped, &base, true).unwrap().group.as_deref(), Some("lab"));
    assert_eq!(choose(grouped, &slot, true).unwrap().group, None);
    let only_root = Knobs { slot_users: Default::default(), ..slot };
    assert_eq!(choose("", &only_root, true).unwrap().name, "nobody");
}

#[test]
fn a_plan_survives_its_way_to_the_launcher_and_prints() {
    let plan = plan(&job("ShouldTransferFiles = \"YES\"\nTransferInput = \"a/,b\"\n"), &knobs());
    let bytes = postcard::to_stdvec(&plan).unwrap();
    assert_eq!(postcard::from_bytes::<Plan>(&bytes).unwrap(), plan);
    let text = plan.to_string();
    for line in [
        "account    alice (uid 1001, gid 1001, groups 1001 50)",
        "mount      /tmp <- sandbox/scratch/tmp",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

fn what<'a>(plan: &'a Plan, target: &str) -> Option<&'a What> {
    plan.mounts.iter().find(|mount| mount.target == Path::new(target)).map(|mount| &mount.what)
}

#[test]
fn the_home_is_the_jobs_own_unless_it_needs_the_machines() {
    let moved = "ShouldTransferFiles = \"YES\"\n";
    let of = |lines: &str, knobs: &str| plan(&job(&format!("{moved}{lines}")), &knobs_with(knobs));
    let private = of("", "");
    assert_eq!(what(&private, "/home/alice"), Some(&What::Home("scratch/_condor_home".into())));
    assert!(private.sandbox.directories.contains(&"scratch/_condor_home".into()));
    assert!(private.not_applied.is_empty() && private.applied().contains(&"home"));
    let read_only = of("", "JOB_HOME = read-only\n");
    assert_eq!(what(&read_only, "/home/alice"), Some(&What::HomeReadOnly));
    assert_eq!(what(&of("", "JOB_HOME = machine\n"), "/home/alice"), None);
    assert_eq!(what(&of("", "JOB_STOCK_VIEW = True\n"), "/home/alice"), None);
    for (lines, knobs, why) in [
        ("Cmd = \"/home/alice/x\"\nTransferExecutable = false\n", "", "the job's program is in it"),
        ("RemoteIwd = \"/home/alice/x\"\n", "", "working directory is in it"),
        ("", "BIN = /home/alice/condor/bin\n", "BIN is in it"),
        ("ShouldTransferFiles = \"NO\"\nIwd = \"/data\"\n", "", "no files are moved"),
    ] {
        let plan = of(lines, knobs);
        assert_eq!(what(&plan, "/home/alice"), None);
        assert!(plan.not_applied.iter().any(|item| item.contains(why)), "{:?}", plan.not_applied);
        assert!(!plan.applied().contains(&"home") && plan.to_string().contains(why));
    }
    // EXECUTE and a private directory in the home are found in the new one.
    let inside = of("", "EXECUTE = /home/alice/execute\nMOUNT_UNDER_SCRATCH = /home/alice/tmp\n");
    for dir in ["scratch/_condor_home/execute", "scratch/_condor_home/tmp"] {
        assert!(inside.sandbox.directories.contains(&dir.into()), "{:?}", inside.sandbox);
    }
    let order = targets(&inside);
    let at = |target: &str| order.iter().position(|known| *known == target).unwrap();
    assert!(at("/home/alice") < at("/home/alice/tmp"));
    assert!(at("/home/alice") < at("/home/alice/execute"));
}

/// Where others of the account can be talked to, and what is kept of them.
#[test]
fn what_belongs_to_the_account_elsewhere_is_hidden() {
    let knobs = Knobs::from_text("EXECUTE = /var/lib/condor/execute\n");
    for dir in [
        "/run/user",
        "/run/dbus",
        "/run/systemd/journal",
        "/var/mail",
        "/var/crash",
        "/var/lib/systemd/coredump",
    ] {
        assert!(knobs.hidden.iter().any(|hidden| hidden == Path::new(dir)), "{dir}");
    }
}

#[test]
fn nothing_of_the_jobs_is_hidden() {
    let knobs = "LOG = /pool/log\nSPOOL = /pool/spool\nLOCK = /pool/log/lock\n\
                 JOB_HIDDEN_DIRECTORIES = LOG SPOOL LOCK NO_SUCH_KNOB /run/user\n";
    let with = |lines: &str, more: &str| plan(&job(lines), &knobs_with(&format!("{knobs}{more}")));
    let moved = "ShouldTransferFiles = \"YES\"\n";
    let usual = with(moved, "");
    let hidden = |plan: &Plan| -> Vec<String> {
        let hidden = plan.mounts.iter().filter(|mount| mount.what == What::Hidden);
        hidden.map(|mount| mount.target.display().to_string()).collect()
    };
    assert_eq!(hidden(&usual), ["/pool/log", "/pool/spool", "/run/user"]);
    for (lines, more, why) in [
        ("Iwd = \"/pool/spool/1\"\nOut = \"x\"\n", "", "/pool/spool/1"),
        (&*format!("{moved}Cmd = \"/pool/spool/x\"\nTransferExecutable = false\n"), "", "program"),
        (moved, "EXECUTE = /pool/spool/execute\n", "EXECUTE is in it"),
    ] {
        let plan = with(lines, more);
        assert_eq!(hidden(&plan), ["/pool/log", "/run/user"]);
        assert!(plan.not_applied.iter().any(|item| item.contains(why)), "{:?}", plan.not_applied);
    }
    assert!(hidden(&with(moved, "JOB_HIDDEN_DIRECTORIES =\n")).is_empty());
    let stock = plan(&job(moved), &Knobs::from_text("EXECUTE = /e\nJOB_STOCK_VIEW = True\n"));
    assert_eq!(targets(&stock), ["/tmp", "/var/tmp", "/dev/shm", "/e", "/proc"]);
    assert_eq!(stock.calls, Profile::Keyrings);
}

#[test]
fn devices_are_granted_by_name_and_gpus_by_the_slot() {
    let with = |knobs: &str, machine: &str| {
        let ids = Ids { uid: 1001, gid: 1001, groups: vec![] };
        let plan = make(Inputs {
            job: &job(""),
            knobs: &knobs_with(knobs),
            host: &host(),
            account: Account { name: "alice".into(), ids, home: "/home/alice".into() },
            machine: &ClassAd::parse_old(machine).unwrap(),
            slot: "slot1",
            environment: &[],
            stdio: [None, None, None],
            unnamed_output: Stdio::Null,
            pool: false,
            submitter: None,
        });
        match what(&plan.unwrap(), "/dev") {
            Some(What::Devices { granted, machines_memory }) => {
                (granted.join(" "), *machines_memory)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with("", ""), ("infiniband".into(), false));
    let gpus = "MachineResources = \"GPUs\"\nAssignedGPUs = \"GPU-1\"\n";
    assert_eq!(with("", gpus), ("infiniband nvidia* dri kfd".into(), false));
    let knobs = "JOB_DEVICES = fuse, net/tun\nMOUNT_PRIVATE_DEV_SHM = False\n";
    assert_eq!(with(knobs, ""), ("fuse net/tun".into(), true));
}

#[test]
fn ancestors_are_told_only_where_they_are_needed() {
    let of = |knobs: &str| {
        let (job, knobs) = (job(""), knobs_with(knobs));
        let ids = Ids { uid: 1001, gid: 1001, groups: vec![] };
        let plan = make(Inputs {
            job: &job,
            knobs: &knobs,
            host: &host(),
            account: Account { name: "alice".into(), ids, home: "/home/alice".into() },
            machine: &ClassAd::new(),
            slot: "slot1",
            environment: &[("_CONDOR_ANCESTOR_1".into(), "2:3:4".into())],
            stdio: [None, None, None],
            unnamed_output: Stdio::Null,
            pool: false,
            submitter: None,
        });
        variable(&plan.unwrap(), "_CONDOR_ANCESTOR_1").is_some()
    };
    assert!(!of(""));
    assert!(of("USE_PID_NAMESPACES = False\n") && of("JOB_STOCK_VIEW = True\n"));
}

#[test]
fn a_job_has_the_isolation_it_demands_or_does_not_run() {
    let with = |words: &str, knobs: &str| {
        let lines = format!("MinIsolation = \"{words}\"\n");
        plan_on(&host(), &job(&lines), &knobs_with(knobs))
    };
    for met in ["", "mnt pid", "Seccomp, dev,shm"] {
        assert!(with(met, "").is_ok(), "{met}");
    }
    for (words, knobs) in
        [("net", ""), ("mnt nonsense", ""), ("pid", "USE_PID_NAMESPACES = False\n"), ("home", "")]
    {
        let failure = with(words, knobs).unwrap_err();
        assert!(matches!(failure.disposition, Disposition::Hold { code: 6, .. }), "{failure:?}");
        assert!(failure.message.starts_with("MinIsolation demands "), "{failure}");
        assert!(failure.message.contains("node1"), "{failure}");
    }
    assert!(with("net", "NO_JOB_NETWORKING = True\n").is_ok());
}
