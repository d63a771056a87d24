//! Who the job is, what it may do, and what it holds when it starts.

use std::process::Command;

use cloister_tests::{ALICE, Job, Machine};

use crate::{field, in_every_cell};

fn status() -> Job {
    Job::program("/bin/cat").arg("/proc/self/status")
}

#[test]
fn every_id_is_the_accounts() {
    in_every_cell(|machine, _, cell| {
        let ran = machine.run(&status());
        let number = machine.number(ALICE).to_string();
        for name in ["Uid:", "Gid:"] {
            let ids: Vec<&str> = field(ran.ok(), name).split('\t').collect();
            assert_eq!(ids, [number.as_str(); 4], "{name} {cell}");
        }
        let mut groups: Vec<u32> =
            field(ran.ok(), "Groups:").split(' ').map(|group| group.parse().unwrap()).collect();
        groups.sort_unstable();
        assert_eq!(groups, machine.groups(ALICE), "{cell}");
    });
}

fn without_rights(text: &str, what: &str) {
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(text, set), "0000000000000000", "{set} {what}");
    }
    assert_eq!(field(text, "NoNewPrivs:"), "1", "{what}");
}

#[test]
fn no_capability_is_in_any_set_and_none_can_be_had() {
    in_every_cell(|machine, _, cell| without_rights(machine.run(&status()).ok(), cell));
}

/// Inheritable capabilities survive a change of ids; a daemon may have been started with them.
#[test]
fn inheritable_capabilities_of_the_starter_are_not_inherited() {
    let Some(machine) = Machine::new() else { return };
    let mut starter = Command::new("setpriv");
    starter.args(["--inh-caps=+chown,+net_raw", "--ambient-caps=+chown,+net_raw"]);
    starter.arg(machine.starter().get_program());
    let ran = machine.run_with(machine.with_config(starter), &status());
    without_rights(ran.ok(), "with inheritable capabilities");
}

#[test]
fn set_uid_programs_give_nothing() {
    let Some(machine) = Machine::new() else { return };
    let id = machine.install(std::path::Path::new("/usr/bin/id"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o6755);
    std::fs::set_permissions(&id, mode).unwrap();
    let script = format!("{id} -u; {id} -g", id = id.display());
    let number = machine.number(ALICE);
    assert_eq!(machine.run(&Job::sh(&script)).ok(), format!("{number}\n{number}\n"));
}

#[test]
fn init_has_no_rights_either() {
    let Some(machine) = Machine::new() else { return };
    let mut running = machine.start(&Job::waiting(""));
    running.line("ready");
    let all = machine.processes();
    let pid = |parent: i32| all.iter().find(|process| process.parent == parent).unwrap().pid;
    let init = pid(pid(running.pid()));
    let text = std::fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    without_rights(&text, "init");
    let daemon = machine.daemon().to_string();
    assert_eq!(field(&text, "Uid:").split('\t').collect::<Vec<_>>(), [daemon.as_str(); 4]);
    running.wait().ok();
}

#[test]
fn the_supervisor_has_given_up_root_for_good() {
    let Some(machine) = Machine::new() else { return };
    let mut running = machine.start(&Job::waiting(""));
    running.line("ready");
    let text = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let daemon = machine.daemon().to_string();
    for name in ["Uid:", "Gid:"] {
        assert_eq!(field(&text, name).split('\t').collect::<Vec<_>>(), [daemon.as_str(); 4]);
    }
    assert_eq!(field(&text, "Groups:"), "");
    assert_eq!(field(&text, "CapPrm:"), "0000000000000000");
    assert_eq!(field(&text, "NoNewPrivs:"), "1");
    running.wait().ok();
}

#[test]
fn descriptors_are_the_standard_three() {
    in_every_cell(|machine, _, cell| {
        // The starter itself is given two that it must not hand on.
        let mut starter = Command::new("/bin/sh");
        starter.args(["-c", "exec 7</etc/passwd 9</; exec \"$@\"", "sh"]);
        starter.arg(machine.starter().get_program());
        let ran = machine.run_with(machine.with_config(starter), &machine.hostile("descriptors"));
        let numbers: Vec<&str> =
            ran.ok().lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{cell}\n{ran}");
        assert!(ran.output.starts_with("0 /dev/null\n"), "{cell}\n{ran}");
    });
}

#[test]
fn the_session_keyring_is_new_and_empty() {
    let Some(machine) = Machine::new() else { return };
    if !std::path::Path::new("/proc/keys").exists() {
        eprintln!("SKIPPED the_session_keyring_is_new_and_empty: the kernel has no keyrings");
        return;
    }
    // The job's own keyrings are those it may view; nothing of the starter's is among them.
    let ran = machine.run(&Job::sh("grep -c _ses < /proc/keys; grep 'keyring *_ses' < /proc/keys"));
    let keyrings: Vec<&str> = ran.output.lines().filter(|line| line.contains("_ses")).collect();
    assert_eq!(keyrings.len(), 1, "{ran}");
    assert!(keyrings[0].ends_with("_ses: empty"), "{ran}");
}
