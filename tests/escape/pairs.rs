//! The pair in cells.

use cloister_tests::{ALICE, Job, Machine, NamedRoot, Ran, Running};

use crate::{BY_NUMBER, PROBES, kernel_has_scopes, outcome};

const SHARED_NUMBERS: &str = "shared process numbers";
const HIDDEN: &str = "HIDDEN=SECRET-of-the-victim";

/// Victim and attacker, after both have ended.
struct Pair {
    victim: Ran,
    attacker: Ran,
}

/// Starts the victim, lets the attacker do its work, and ends the victim.
fn pair(machine: &Machine, start: impl Fn(&Job) -> Running) -> Pair {
    let name = format!("victim-{}", machine.daemon());
    let job = machine.hostile("victim").arg(&name).set("Environment", HIDDEN).fed();
    let mut victim = start(&job);
    let sandbox = victim.line("ready");
    let memory = victim.line("memory");
    // Its number on the machine, which no attacker could know.
    let alice = machine.number(ALICE);
    let of_it = |process: &cloister_tests::Process| {
        process.uid == alice && process.command.contains("hostile victim")
    };
    let pid = machine.processes().into_iter().find(of_it).unwrap().pid;
    let facts = [
        format!("name={name}"),
        format!("pid={pid}"),
        format!("sandbox={sandbox}"),
        format!("execute={}", machine.execute().display()),
        format!("memory={memory}"),
    ];
    let job = facts.iter().fold(machine.hostile("attacker"), |job, fact| job.arg(fact));
    let attacker = start(&job).wait();
    let victim = victim.wait();
    machine.check_clean(&victim);
    Pair { victim, attacker }
}

fn check(pair: &Pair, cell: &str) {
    let Pair { victim, attacker } = pair;
    let output = attacker.ok();
    for probe in PROBES {
        let outcome = outcome(output, probe);
        let network = ["abstract-socket", "datagram"].contains(&probe);
        if network && !cell.contains("NO_JOB_NETWORKING") && !kernel_has_scopes() {
            eprintln!("SKIPPED {probe}: this kernel has no Landlock scopes");
            continue;
        }
        if cell == SHARED_NUMBERS && BY_NUMBER.contains(&probe) {
            continue;
        }
        assert!(outcome.starts_with("blocked"), "{cell}: {probe}: {outcome}\n{attacker}");
    }
    // The account's keyring has a test of its own, below.
    let mut lines = output.lines().filter(|line| !line.starts_with("probe user-key"));
    assert!(!lines.any(|line| line.contains("SECRET-")), "{cell}\n{attacker}");
    assert!(!output.contains("FOUND"), "{cell}\n{attacker}");
    unharmed(victim, cell);
}

/// The victim's own account of what was done to it.
fn unharmed(victim: &Ran, cell: &str) {
    let output = victim.ok();
    for failed in ["ipc-failed", "INJECTED"] {
        assert!(!output.contains(failed), "{cell}\n{victim}");
    }
    for (what, expected) in [
        ("signals", "0"),
        ("datagrams", "none"),
        ("files", "as before"),
        ("secret", "as before"),
        ("memory-content", "as before"),
        ("ipc", "segment SECRET-of-the-victim semaphore 42 messages 1 queue 1"),
    ] {
        assert_eq!(victim.line(&format!("{what} ")), expected, "{cell}\n{victim}");
    }
}

/// Runs the pair under the given knobs.
fn in_cell(knobs: &[(&str, &str)], named: bool) {
    let Some(mut machine) = Machine::new() else { return };
    for (knob, value) in knobs {
        machine.set_knob(knob, value);
    }
    if named {
        NamedRoot::offer(&mut machine, "tools");
        machine.put_all_jobs_in("tools");
    }
    let pair = pair(&machine, |job| machine.start(job));
    check(&pair, &format!("{knobs:?} {named}"));
}

#[test]
fn below_an_init() {
    in_cell(&[], false);
}

#[test]
fn as_process_1() {
    in_cell(&[("USE_PID_NAMESPACE_INIT", "False")], false);
}

#[test]
fn with_a_flat_sandbox() {
    in_cell(&[("STARTER_NESTED_SCRATCH", "False")], false);
}

#[test]
fn in_a_named_root() {
    in_cell(&[], true);
}

#[test]
fn in_a_named_root_as_process_1_with_a_flat_sandbox() {
    in_cell(&[("USE_PID_NAMESPACE_INIT", "False"), ("STARTER_NESTED_SCRATCH", "False")], true);
}

#[test]
fn without_networking() {
    in_cell(&[("NO_JOB_NETWORKING", "True")], false);
}

#[test]
fn with_sandboxes_open_to_the_world() {
    in_cell(&[("JOB_EXECDIR_PERMISSIONS", "world")], false);
}

/// Scopes keep processes apart that share their numbers. Without them the kernel lets processes of one
/// account reach each other; files, IPC and keys stay apart.
fn where_process_numbers_are_shared(named: bool) {
    let Some(machine) = Machine::new() else { return };
    let mut machine = machine.knob("USE_PID_NAMESPACES", "False");
    if named {
        NamedRoot::offer(&mut machine, "tools");
        machine.put_all_jobs_in("tools");
    }
    let pair = pair(&machine, |job| machine.start(job));
    if kernel_has_scopes() {
        return check(&pair, SHARED_NUMBERS);
    }
    let attacker = &pair.attacker;
    let first = PROBES.iter().position(|probe| *probe == "see-process").unwrap();
    let last = PROBES.iter().position(|probe| *probe == "any-segment").unwrap();
    for probe in PROBES[..first].iter().chain(&PROBES[last..]) {
        let outcome = outcome(&attacker.output, probe);
        let network = ["abstract-socket", "datagram"].contains(probe);
        assert!(network || outcome.starts_with("blocked"), "{probe}: {outcome}\n{attacker}");
    }
}

#[test]
fn with_shared_process_numbers() {
    where_process_numbers_are_shared(false);
}

#[test]
fn in_a_named_root_with_shared_process_numbers() {
    where_process_numbers_are_shared(true);
}

/// Machines with roots for other purposes have a /proc in each of them, which shows everything.
#[test]
fn a_second_proc_of_the_machine_shows_the_job_nothing() {
    let Some(machine) = Machine::new() else { return };
    let proc = machine.path("other-root/proc");
    std::fs::create_dir_all(&proc).unwrap();
    let none: Option<&str> = None;
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("proc"), &proc, Some("proc"), flags, none).unwrap();
    let mut victim = machine.start(&Job::waiting("").set("Environment", HIDDEN));
    victim.line("ready");
    let script = format!(
        "echo tried; for dir in {}/[0-9]*; do cat $dir/environ && ls $dir/root/ && ls $dir/cwd/; done",
        proc.display()
    );
    let attacker = machine.start(&Job::sh(&script)).wait();
    let victim = victim.wait();
    nix::mount::umount2(&proc, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert!(attacker.output.starts_with("tried"), "{attacker}");
    assert!(!attacker.output.contains("SECRET-"), "{attacker}");
    machine.check_clean(&victim);
}

#[test]
fn of_starters_without_root() {
    let Some(machine) = Machine::new() else { return };
    machine.owned_by(ALICE);
    let mut probe = machine.starter_as(ALICE);
    probe.arg("check");
    if Running::command(&machine, probe).said.contains("user namespaces are off") {
        eprintln!(
            "SKIPPED of_starters_without_root: this machine gives accounts no user namespaces"
        );
        return;
    }
    let pair = pair(&machine, |job| machine.start_with(machine.starter_as(ALICE), job));
    check(&pair, "user namespace");
}

/// The account's own keyring is one per account and user namespace, not per session.
#[test]
fn the_accounts_keyring_is_no_way_either() {
    let Some(machine) = Machine::new() else { return };
    let Pair { attacker, .. } = pair(&machine, |job| machine.start(job));
    let outcome = outcome(attacker.ok(), "user-key");
    assert!(outcome.starts_with("blocked"), "{outcome}\n{attacker}");
}
