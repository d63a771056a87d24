//! `starter check`, and the look at roots while a startd runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use classad::ClassAd;
use cloister_tests::{Machine, NamedRoot};

struct Said {
    code: Option<i32>,
    output: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n{}", self.code, self.output)
    }
}

fn check(machine: &Machine, arguments: &[&str]) -> Said {
    let output = machine.starter().arg("check").args(arguments).output().unwrap();
    Said { code: output.status.code(), output: String::from_utf8(output.stdout).unwrap() }
}

fn code(ran: &Said) -> i32 {
    ran.code.unwrap_or_else(|| panic!("no exit code\n{ran}"))
}

/// Grade and id of each finding.
fn findings(ran: &Said) -> Vec<(String, String, String)> {
    let list: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    let text = |object: &serde_json::Value, name: &str| object[name].as_str().unwrap().to_owned();
    let list = list.as_array().unwrap().iter();
    list.map(|one| (text(one, "id"), text(one, "grade"), text(one, "found"))).collect()
}

#[test]
fn each_fault_has_an_id_and_the_exit_code_tells_the_worst() {
    let Some(mut machine) = Machine::new() else { return };
    let root = NamedRoot::offer(&mut machine, "tools");
    let ran = check(&machine, &["tools"]);
    assert_eq!(code(&ran), 1, "mount points are missing: {ran}");
    for dir in ["proc", "dev", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.path.join(dir)).unwrap();
    }
    let ran = check(&machine, &["TOOLS", "--json"]);
    assert_eq!(code(&ran), 0, "{ran}");
    assert!(findings(&ran).iter().all(|(_, grade, _)| grade == "ok"), "{ran}");
    fs::create_dir(machine.path("empty")).unwrap();
    let faults = [
        ("NAMED_CHROOT_tools_BIND", "$(BASE)/gone", "root-binds"),
        ("NAMED_CHROOT_tools_BIND", "$(BASE)/execute/x?", "root-apart"),
        ("NAMED_CHROOT_tools_ROOT", "rw", "root-knobs"),
        ("NAMED_CHROOT", "tools=$(BASE)/empty", "root-empty"),
        ("NAMED_CHROOT", "tools=$(BASE)/gone", "root-path"),
        ("NAMED_CHROOT", "other=$(BASE)/roots/tools", "named-root"),
    ];
    for (knob, value, id) in faults {
        let before = format!("tools={}", root.path.display());
        machine.set_knob(knob, value);
        let ran = check(&machine, &["tools", "--json"]);
        assert_eq!(code(&ran), 2, "{value}: {ran}");
        let found = findings(&ran);
        let failed: Vec<_> = found.iter().filter(|(_, grade, _)| grade == "fail").collect();
        assert!(failed.len() == 1 && failed[0].0 == id, "{value}: {ran}");
        machine.set_knob(knob, if knob == "NAMED_CHROOT" { &before } else { "" });
    }
    machine.set_knob("NAMED_CHROOT_DEFAULT", "none");
    let ran = check(&machine, &["--json"]);
    assert!(findings(&ran).iter().any(|(id, grade, _)| id == "default-root" && grade == "fail"));
    for arguments in [&["--frob"][..], &["--as", "alice"], &["--classad", "tools"]] {
        assert_eq!(code(&check(&machine, arguments)), 64, "{arguments:?}");
    }
}

#[test]
fn a_deep_look_finds_files_that_others_can_change() {
    let Some(mut machine) = Machine::new() else { return };
    let root = NamedRoot::offer(&mut machine, "tools");
    let of_files = |ran: &Said| {
        let found = findings(ran);
        found.into_iter().find(|(id, ..)| id == "root-files").map(|(_, grade, text)| (grade, text))
    };
    assert_eq!(of_files(&check(&machine, &["tools", "--json"])), None);
    let (grade, _) = of_files(&check(&machine, &["tools", "--deep", "--json"])).unwrap();
    assert_eq!(grade, "ok");
    fs::set_permissions(root.path.join("bin/ls"), Permissions::from_mode(0o777)).unwrap();
    let (grade, text) = of_files(&check(&machine, &["tools", "--deep", "--json"])).unwrap();
    assert!(grade == "warn" && text.contains("such as /bin/ls"), "{text}");
}

#[test]
fn a_command_is_run_in_each_root_as_any_job_is() {
    let Some(mut machine) = Machine::new() else { return };
    let _root = NamedRoot::offer(&mut machine, "tools");
    let script = "test $(id -un) = alice && cat /etc/marker";
    let ran = check(&machine, &["--json", "--exec", script, "--as", "alice"]);
    let of_run: Vec<_> = findings(&ran).into_iter().filter(|(id, ..)| id == "run").collect();
    assert_eq!(of_run.len(), 2, "{ran}");
    // The machine has no such file.
    assert!(of_run[0].1 == "fail" && of_run[0].2.contains("/etc/marker"), "{ran}");
    assert!(of_run[1].1 == "ok" && of_run[1].2.contains("(mnt pid ipc"), "{ran}");
    machine.check_clean(&ran);
}

#[test]
fn a_monitor_takes_back_what_is_no_longer_so() {
    let Some(mut machine) = Machine::new() else { return };
    let root = NamedRoot::offer(&mut machine, "tools");
    let ad = |ran: &Said| {
        assert_eq!(code(ran), 0, "{ran}");
        ClassAd::parse_old(ran.output.as_str()).unwrap()
    };
    let names = [
        "NamedChroots",
        "edChroot",
        "NamedChroot",
        "OfflineNamedChroots",
        "tools_ChrootOfflineReason",
        "tools_ChrootSystem",
        "tools_ChrootRevision",
        "tools_ChrootWriting",
    ];
    let good = ad(&check(&machine, &["--classad"]));
    assert_eq!(good.eval_string("NamedChroots").as_deref(), Some("tools"));
    assert!(good.eval("tools_ChrootOfflineReason").is_undefined());
    fs::rename(&root.path, machine.path("away")).unwrap();
    let bad = ad(&check(&machine, &["--classad"]));
    assert!(bad.eval("NamedChroots").is_undefined());
    assert_eq!(bad.eval_string("NamedChroot").as_deref(), Some("root"));
    assert_eq!(bad.eval_string("OfflineNamedChroots").as_deref(), Some("tools"));
    // Each look says something of every name, in place of what the startd has.
    for name in names {
        assert!(good.contains(name) && bad.contains(name), "{name}");
    }
    fs::rename(machine.path("away"), &root.path).unwrap();
    // A root in which the command fails isn't offered.
    let failing = ad(&check(&machine, &["--classad", "--exec", "exit 3"]));
    let reason = failing.eval_string("tools_ChrootOfflineReason").unwrap();
    assert!(reason.contains("exit code 3"), "{reason}");
}
