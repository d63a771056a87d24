//! The job against the machine: what needs no victim. Tried in every kind of cell, and once by root without
//! one, where every attempt that the kernel knows leads to something.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use cloister_tests::{Job, Machine, NamedRoot, hostile};

use crate::outcome;

/// What is tried in a cell and by root alone.
const BY_BOTH: [&str; 20] = [
    "raw-socket",
    "packet-socket",
    "host-socket",
    "crypto-socket",
    "rare-socket",
    "watch-accesses",
    "kernel-log",
    "hard-link",
    "ads",
    "set-uid",
    "device",
    "lease",
    "init",
    "signal-init",
    "trace-init",
    "namespace-of-init",
    "homes",
    "sockets",
    "priorities",
    "io-priorities",
];

/// What root would do harm with.
const IN_CELLS: [&str; 5] =
    ["kernel-symbols", "kernel-memory", "cgroup", "kernel-settings", "kernel-objects"];

/// The places that a job may write to beside what the site shares: gone with it.
const LEFT: &str = "left-by-a-job";

/// A machine on which somebody listens in the daemons' directories, and the facts of it.
fn machine() -> Option<(Machine, Vec<UnixListener>, Vec<String>)> {
    let machine = Machine::new()?;
    fs::create_dir(machine.path("spool")).unwrap();
    let listen = |dir: &str| {
        let path = machine.path(dir).join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        listener
    };
    let listeners = ["log", "spool", "home/alice"].map(listen);
    fs::write(machine.path("foreign"), "root's").unwrap();
    let facts = [("foreign", "foreign"), ("homes", "home"), ("top", "")];
    let facts = facts.map(|(name, path)| format!("{name}={}", machine.path(path).display()));
    Some((machine.knob("SPOOL", "$(BASE)/spool"), listeners.into(), facts.into()))
}

fn in_cell(knobs: &[(&str, &str)], named: bool) {
    let Some((mut machine, _listeners, facts)) = machine() else { return };
    for (knob, value) in knobs {
        machine.set_knob(knob, value);
    }
    if named {
        NamedRoot::offer(&mut machine, "tools");
        machine.put_all_jobs_in("tools");
    }
    let job = facts.iter().fold(machine.hostile("surface"), |job, fact| job.arg(fact));
    let job: Job = job
        .arg(format!("name={LEFT}"))
        .set("ShouldTransferFiles", "YES")
        .set("TransferExecutable", false)
        .set("Iwd", machine.path("out").to_str().unwrap());
    let ran = machine.run(&job);
    for probe in BY_BOTH.iter().chain(&IN_CELLS) {
        let outcome = outcome(ran.ok(), probe);
        assert!(outcome.starts_with("blocked"), "{knobs:?} {named}: {probe}: {outcome}\n{ran}");
    }
    // Files could be put somewhere, and are nowhere now but in the directory that all share.
    let count: u32 = ran.line("left-behind ").parse().unwrap();
    assert!(count > 4, "{ran}");
    let shared = machine.path("out").join(LEFT);
    for line in ran.output.lines().filter_map(|line| line.strip_prefix("left ")) {
        let path = std::path::Path::new(line).join(LEFT);
        assert!(path == shared || !path.exists(), "{} is left\n{ran}", path.display());
    }
    machine.check_clean(&ran);
}

#[test]
fn in_the_default_cell() {
    in_cell(&[], false);
}

#[test]
fn as_process_1() {
    in_cell(&[("USE_PID_NAMESPACE_INIT", "False")], false);
}

#[test]
fn in_a_named_root() {
    in_cell(&[], true);
}

#[test]
fn with_a_flat_sandbox() {
    in_cell(&[("STARTER_NESTED_SCRATCH", "False")], false);
}

/// In a PID namespace, whose process 1 is no init of a machine.
#[test]
fn every_attempt_can_succeed() {
    let Some((machine, _listeners, facts)) = machine() else { return };
    let sandbox = machine.execute().join("dir_1");
    fs::create_dir(&sandbox).unwrap();
    for name in [".job.ad", ".machine.ad"] {
        fs::write(sandbox.join(name), "").unwrap();
    }
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
        "\"$@\"; :",
        "sh",
    ]);
    command.arg(hostile()).arg("surface").args(facts);
    command.env("_CONDOR_SCRATCH_DIR", &sandbox).env("HOME", machine.path("home/alice"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for probe in BY_BOTH {
        let outcome = outcome(&text, probe);
        // Not in every kernel.
        let unknown = ["host-socket", "crypto-socket", "rare-socket"].contains(&probe)
            && (outcome.contains("not supported") || outcome.contains("none"));
        assert!(outcome.starts_with("open") || unknown, "{probe}: {outcome}\n{text}");
    }
}
