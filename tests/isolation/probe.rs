//! What a startd is told by `-classad`, and which logs there are.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use classad::ClassAd;
use cloister_tests::{ALICE, Job, Machine, NamedRoot, Running};

use crate::dead::DeadMount;

/// The lines as a startd reads them: each has to fit its buffer and to be an assignment.
fn probe(mut starter: Command) -> ClassAd {
    let output = starter.arg("-classad").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(text.ends_with('\n'), "{text:?}");
    let mut ad = ClassAd::new();
    for line in text.lines() {
        assert!(line.len() < 1023, "{} bytes: {line}", line.len());
        let one = ClassAd::parse_old(line).unwrap();
        assert_eq!(one.len(), 1, "{line}");
        ad.update(&one);
    }
    assert_eq!(ad.len(), text.lines().count(), "a name twice: {text}");
    ad
}

fn log(machine: &Machine) -> String {
    fs::read_to_string(machine.path("log/StarterLog.testing")).unwrap_or_default()
}

#[test]
fn only_what_is_true_is_said() {
    let Some(mut machine) = Machine::new() else { return };
    let ad = probe(machine.starter());
    let true_here = [
        "IsDaemonCore",
        "HasCloister",
        "HasFileTransfer",
        "HasJobDeferral",
        "HasJobNetworking",
        "HasOsUser",
        "HasReconnect",
        "HasSelfCheckpointTransfers",
    ];
    for name in true_here {
        assert_eq!(ad.eval_bool(name), Some(true), "{name}");
    }
    for name in
        ["HasTDP", "HasSshd", "HasTransferInputRemaps", "NamedChroots", "CloisterOfflineReason"]
    {
        assert!(!ad.contains(name), "{name}");
    }
    let version = ad.eval_string("CondorVersion").unwrap();
    assert!(version.starts_with("$CondorVersion: 25.") && version.ends_with(" $"), "{version}");
    let job = machine.run(&Job::sh("true"));
    let given = ad.eval_string("CloisterIsolation").unwrap().replace(',', " ");
    assert_eq!(job.ad.eval_string("AssignedIsolation").as_deref(), Some(given.as_str()));
    assert_eq!(log(&machine), "", "nothing is wrong, so there is no log");

    machine.set_knob("NO_JOB_NETWORKING", "True");
    machine.set_knob("USE_PID_NAMESPACES", "False");
    let ad = probe(machine.starter());
    assert_eq!(ad.eval_bool("HasJobNetworking"), Some(false));
    let isolation = ad.eval_string("CloisterIsolation").unwrap();
    assert!(isolation.contains("net") && !isolation.contains("pid"), "{isolation}");
}

#[test]
fn a_root_is_offered_only_if_jobs_can_use_it() {
    let Some(mut machine) = Machine::new() else { return };
    let good = NamedRoot::make(machine.path("roots/good"));
    let path = |name: &str| machine.path(&format!("roots/{name}"));
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
    symlink(&good.path, path("link")).unwrap();
    let items = [
        format!("Good={}", good.path.display()),
        format!("Gone={}", path("gone").display()),
        format!("Empty={}", path("empty").display()),
        format!("Open={}", path("open").display()),
        format!("Link={}", path("link").display()),
        format!("Execute={}", machine.execute().display()),
        "9bad=/x".to_owned(),
    ];
    machine.set_knob("NAMED_CHROOT", &items.join(", "));
    let ad = probe(machine.starter());
    for (name, value) in [
        ("NamedChroots", "Good"),
        ("edChroot", "Good"),
        ("NamedChroot", "root,Good"),
        ("OfflineNamedChroots", "Gone,Empty,Open,Link,Execute"),
    ] {
        assert_eq!(ad.eval_string(name).as_deref(), Some(value), "{name}");
    }
    let log = log(&machine);
    for (name, words) in [
        ("Gone", "errno=2"),
        ("Empty", "is its file system mounted?"),
        ("Open", "chmod go-w"),
        ("Link", "symbolic link"),
        ("Execute", "lie within each other"),
    ] {
        let reason = ad.eval_string(format!("{name}_ChrootOfflineReason")).unwrap();
        assert!(reason.contains(words), "{reason}");
        assert!(log.contains(&format!("named root {name} is not offered: ")), "{log}");
    }
    assert!(log.contains("9bad"), "{log}");
    assert!(machine.run(&Job::sh("true").set("RequestedChroot", "Good")).ok().is_empty());
}

#[test]
fn a_dead_file_system_holds_up_neither_startd_nor_other_roots() {
    let Some(mut machine) = Machine::new() else { return };
    let good = NamedRoot::make(machine.path("roots/good"));
    let dead = machine.path("roots/dead");
    fs::create_dir(&dead).unwrap();
    let items = [("A", &good.path), ("Dead", &dead), ("B", &good.path)];
    let items = items.map(|(name, path)| format!("{name}={}", path.display()));
    machine.set_knob("NAMED_CHROOT", &items.join(", "));
    let Some(mount) = DeadMount::on(&dead) else { return };
    let begun = Instant::now();
    let mut starter = machine.starter();
    let mut child = starter.arg("-classad").stdout(Stdio::piped()).spawn().unwrap();
    // As a startd does: to the end of the output, which a child left behind must not hold open.
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(mount);
    let ad = ClassAd::parse_old(&text).unwrap();
    assert_eq!(ad.eval_string("NamedChroots").as_deref(), Some("A,B"), "{text}");
    let reason = ad.eval_string("Dead_ChrootOfflineReason").unwrap();
    assert!(reason.contains("no answer within 2 s"), "{reason}");
}

#[test]
fn where_no_job_can_run_the_ad_says_why_and_attracts_none() {
    let Some(mut machine) = Machine::new() else { return };
    machine.set_knob("PER_JOB_NAMESPACES", "False");
    machine.set_knob("USE_PID_NAMESPACES", "True");
    let ad = probe(machine.starter());
    let reason = ad.eval_string("CloisterOfflineReason").unwrap();
    assert!(reason.contains("USE_PID_NAMESPACES can't be had here"), "{reason}");
    assert!(!ad.contains("HasFileTransfer") && !ad.contains("HasCloister"));

    machine.set_knob("STARTER_NESTED_SCRATCH", "maybe");
    let ad = probe(machine.starter());
    let reason = ad.eval_string("CloisterOfflineReason").unwrap();
    assert!(
        reason.contains("STARTER_NESTED_SCRATCH") && reason.contains("condor_config:"),
        "{reason}"
    );

    let mut none = machine.starter();
    none.env("CONDOR_CONFIG", "/no/such/file");
    assert!(probe(none).contains("CloisterOfflineReason"));
}

#[test]
fn an_account_can_ask_too() {
    let Some(machine) = Machine::new() else { return };
    machine.owned_by(ALICE);
    let ad = probe(machine.starter_as(ALICE));
    assert!(ad.contains("HasCloister") || ad.contains("CloisterOfflineReason"));
}

fn run(machine: &Machine, arguments: &[&str]) -> cloister_tests::Ran {
    let mut starter = machine.starter();
    starter.args(arguments);
    Running::command(machine, starter)
}

#[test]
fn each_slot_has_a_log_that_tools_can_read() {
    let Some(machine) = Machine::new() else { return };
    let mut starter = machine.starter();
    starter.args(["-f", "-a", "slot1_1", "-header", "(7.0) "]);
    machine.run_with(starter, &Job::sh("true")).ok();
    let file = machine.path("log/StarterLog.slot1_1");
    let log = fs::read_to_string(&file).unwrap();
    let parts = [
        " (CONDOR_STARTER) STARTING UP\n",
        " ** PID = ",
        " Starting a VANILLA universe job with ID: ",
        "Create_Process succeeded, pid=",
        "Process exited, pid=",
        " (condor_STARTER) pid ",
        " EXITING WITH STATUS 0\n",
    ];
    let mut rest = log.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing in\n{log}"));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(rest, "", "nothing follows the end");
    assert!(log.lines().all(|line| line.contains("(pid:") && line.contains(") (7.0) ")), "{log}");
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (machine.daemon(), 0o644));
}

#[test]
fn slot_types_and_slot_names_reach_the_configuration() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine
        .knob("STARTER_LOG", "$(LOG)/Own.$(STARTER_SLOT_NAME)")
        .knob("slot_type_1.STARTER_DEBUG", "D_CAT");
    let mut starter = machine.starter();
    starter.args(["-f", "-local-name", "slot_type_1", "-a", "7.0", "-slot-name", "slot1_1"]);
    machine.run_with(starter, &Job::sh("true")).ok();
    let log = fs::read_to_string(machine.path("log/Own.slot1_1.7.0")).unwrap();
    assert!(log.contains(" (D_ALWAYS) ** Configuration: subsystem:STARTER local:slot_type_1 "));
}

#[test]
fn a_log_is_rotated_between_starters_and_within_one() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MAX_STARTER_LOG", "1500").knob("STARTER_DEBUG", "D_FULLDEBUG");
    for _ in 0..4 {
        machine.run(&Job::sh("true")).ok();
    }
    let old = fs::read_to_string(machine.path("log/StarterLog.old")).unwrap();
    let new = fs::read_to_string(machine.path("log/StarterLog")).unwrap();
    assert!(old.contains("Saving log file to ") && new.contains("Now in new log file "), "{new}");
    assert_eq!(fs::metadata(machine.path("log/StarterLog.old")).unwrap().uid(), machine.daemon());
}

#[test]
fn without_a_log_no_job_runs_as_with_stock() {
    let Some(machine) = Machine::new() else { return };
    fs::write(machine.path("job.ad"), "Cmd = \"/bin/true\"\nOwner = \"alice\"\n").unwrap();
    let ad = machine.path("job.ad").display().to_string();
    let elsewhere = machine.path("target");
    File::create(&elsewhere).unwrap().write_all(b"precious\n").unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o666)).unwrap();
    let link = machine.path("log/StarterLog.x");
    symlink(&elsewhere, &link).unwrap();
    let alice = machine.number(ALICE);
    std::os::unix::fs::lchown(&link, Some(alice), Some(alice)).unwrap();
    let ran = run(&machine, &["-f", "-a", "x", "-job-input-ad", &ad]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.said.contains("symbolic link"), "{ran}");
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious\n");
}

#[test]
fn a_claim_leaves_the_reason_in_the_slots_log() {
    let Some(machine) = Machine::new() else { return };
    let ran = run(&machine, &["-f", "-a", "slot1", "127.0.0.1"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let log = fs::read_to_string(machine.path("log/StarterLog.slot1")).unwrap();
    assert!(log.contains("ERROR: internal: no CONDOR_INHERIT in the environment"), "{log}");
    assert!(log.ends_with(" EXITING WITH STATUS 1\n"), "{log}");
}

/// Writes a plugin, and lists it.
fn plugins(machine: &mut Machine, texts: &[&str]) {
    let mut list = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = machine.path(&format!("plugin{number}"));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        list.push(path.display().to_string());
    }
    machine.set_knob("FILETRANSFER_PLUGINS", &list.join(" "));
}

#[test]
fn plugins_say_which_urls_they_are_for() {
    let Some(mut machine) = Machine::new() else { return };
    let who = machine.path("out/who");
    let one = format!(
        "[ \"$*\" = -classad ] || exit 1; id -u > {}; echo 'SupportedMethods = \"https,a\"'\n\
         echo 'StartdAttrs = \"Site,HasCloister\"'; echo 'Site = \"x\"'; echo 'HasCloister = False'\n\
         echo 'a_proxy = \"p:1\"'",
        who.display()
    );
    plugins(&mut machine, &[&one, "echo oops >&2; echo 'SupportedMethods = \"b\"'"]);
    let ad = probe(machine.starter());
    let text = |name: &str| ad.eval_string(name).unwrap_or_default();
    assert_eq!(text("HasFileTransferPluginMethods"), "a,b,https,s3,gs");
    assert_eq!((text("Site"), text("a_proxy")), ("x".to_owned(), "p:1".to_owned()));
    assert_eq!(ad.eval_bool("HasCloister"), Some(true));
    assert_eq!(ad.eval_bool("HasJobTransferPlugins"), Some(true));
    assert_eq!(fs::read_to_string(&who).unwrap().trim(), machine.daemon().to_string());

    machine.set_knob("STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS", "TARGET.Owner == \"bob\"");
    machine.set_knob("A_TEST_URL", "a://x");
    let ad = probe(machine.starter());
    let text = |name: &str| ad.eval_string(name).unwrap_or_default();
    assert_eq!(text("HasFileTransferPluginMethods"), "b,https,s3,gs");
    assert_eq!(text("OfflineFileTransferPluginMethods"), "a");
    assert!(ad.contains("HasDisableUserTransferPlugins"));
    assert!(fs::read_dir(machine.execute()).unwrap().next().is_none(), "the test leaves something");

    machine.set_knob("ENABLE_URL_TRANSFERS", "False");
    let ad = probe(machine.starter());
    assert!(!ad.contains("HasFileTransferPluginMethods") && !ad.contains("HasJobTransferPlugins"));
}

/// A startd waits for the probe.
#[test]
fn no_plugin_keeps_the_startd_waiting() {
    let Some(mut machine) = Machine::new() else { return };
    machine.set_knob("FILETRANSFER_PLUGIN_CLASSAD_TIMEOUT", "1");
    let hung =
        "trap '' TERM INT HUP; echo 'SupportedMethods = \"hung\"'; setsid sleep 1000 & sleep 1000";
    plugins(
        &mut machine,
        &[
            hung,
            hung,
            "exec yes",
            "kill -9 $$",
            "exit 3",
            "head -c 100000 /dev/urandom",
            "sleep 1000 & echo 'SupportedMethods = \"good\"'",
        ],
    );
    let begun = Instant::now();
    let ad = probe(machine.starter());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(ad.eval_string("HasFileTransferPluginMethods").as_deref(), Some("good"));
    assert!(machine.processes().is_empty(), "{:?}", machine.processes());
    let log = log(&machine);
    assert!(log.contains("plugin0 -classad after 1 s, ignoring"), "{log}");
    assert_eq!(log.matches("plugin").count(), 6, "{log}");
}
