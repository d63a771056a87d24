//! A starter that isn't root: as much isolation as such a process can have, and never less than was
//! demanded.

use std::fs;
use std::process::Command;

use cloister_tests::{ALICE, Job, Machine, NamedRoot, Ran};

use crate::field;

/// A machine whose EXECUTE belongs to the account that starts the starter.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.owned_by(ALICE);
    Some(machine)
}

fn run(machine: &Machine, job: &Job) -> Ran {
    machine.run_with(machine.starter_as(ALICE), job)
}

/// Whether an account may make user namespaces; says so where not.
fn user_namespaces(machine: &Machine) -> bool {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("unshare");
    command.args(["--user", "true"]).current_dir("/").uid(machine.number(ALICE));
    let can = command.stderr(std::process::Stdio::null()).status().unwrap().success();
    if !can {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        eprintln!("SKIPPED {test}: this machine gives accounts no user namespaces");
    }
    can
}

#[test]
fn a_user_namespace_brings_the_same_cell() {
    let Some(mut machine) = machine() else { return };
    if !user_namespaces(&machine) {
        return;
    }
    for (init, self_number) in [("True", "2"), ("False", "1")] {
        machine.set_knob("USE_PID_NAMESPACE_INIT", init);
        let script = "echo self $$; echo uid $(id -u); ls -A /tmp /dev/shm; ls -A $(dirname $(dirname $_CONDOR_SCRATCH_DIR)); \
                      echo x > /tmp/x; echo x > $_CONDOR_SCRATCH_DIR/x; cat /proc/self/status";
        let mut running = machine.start_with(machine.starter_as(ALICE), &Job::waiting(script));
        running.line("ready");
        let own = format!("dir_{}", running.pid());
        let ran = running.wait();
        let expected = [
            format!("self {self_number}"),
            format!("uid {}", machine.number(ALICE)),
            "/dev/shm:".to_owned(),
            String::new(),
            "/tmp:".to_owned(),
            own,
        ];
        assert_eq!(ran.ok().lines().take(6).collect::<Vec<_>>(), expected, "{ran}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(&ran.output, set), "0000000000000000", "{set}");
        }
        assert_eq!(field(&ran.output, "NoNewPrivs:"), "1");
        let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
        for word in ["mnt", "pid", "ipc", "uts", "cgroup", "user", "execute", "tmp", "shm", "nnp"] {
            assert!(applied.split(' ').any(|found| found == word), "{word}\n{ran}");
        }
        let missing = ran.ad.eval_string("IsolationNotApplied").unwrap_or_default();
        let known = |item: &str| item.starts_with("processes: ") || item.starts_with("home: ");
        assert!(missing.split("; ").all(known), "{ran}");
        machine.check_clean(&ran);
    }
}

#[test]
fn a_named_root_too() {
    let Some(mut machine) = machine() else { return };
    if !user_namespaces(&machine) {
        return;
    }
    let root = NamedRoot::offer(&mut machine, "tools");
    let before = root.listing();
    let script = "cat /etc/marker; echo self $$; echo x > /tmp/x; echo x > /dev/null; echo x > $_CONDOR_SCRATCH_DIR/x; \
                  echo x 2> /dev/null > /new || echo read only";
    for (init, number) in [("True", 2), ("False", 1)] {
        machine.set_knob("USE_PID_NAMESPACE_INIT", init);
        let ran = run(&machine, &Job::sh(script).set("RequestedChroot", "tools"));
        assert_eq!(ran.ok(), format!("of the named root\nself {number}\nread only\n"), "{ran}");
    }
    assert_eq!(root.listing(), before);
}

#[test]
fn a_root_that_others_could_change_is_refused_here_too() {
    let Some(mut machine) = machine() else { return };
    if !user_namespaces(&machine) {
        return;
    }
    let root = NamedRoot::offer(&mut machine, "tools");
    machine.give(&root.path, ALICE);
    let reason = run(&machine, &Job::sh("echo ran").set("RequestedChroot", "tools")).refused();
    assert!(reason.contains("chown root"), "{reason}");
}

#[test]
fn no_process_outlives_its_job() {
    let Some(machine) = machine() else { return };
    if !user_namespaces(&machine) {
        return;
    }
    assert_eq!(run(&machine, &machine.hostile("daemon")).ok(), "alive\nleft one behind\n");
}

#[test]
fn a_sandbox_that_is_hard_to_remove_is_removed() {
    let Some(machine) = machine() else { return };
    if !user_namespaces(&machine) {
        return;
    }
    let hostile = cloister_tests::hostile();
    let script = format!("cd $_CONDOR_SCRATCH_DIR && {} tree 5000", hostile.display());
    assert_eq!(run(&machine, &Job::sh(&script)).ok(), "planted\n");
}

/// A starter in a user namespace in which no other can be made.
fn without_namespaces(machine: &Machine) -> Command {
    let mut command = Command::new(cloister_tests::hostile());
    command.arg("without-user-namespaces").arg(machine.number(ALICE).to_string());
    command.arg(cloister_tests::starter());
    machine.with_config(command)
}

#[test]
fn without_user_namespaces_the_job_runs_and_the_result_says_what_it_lacked() {
    let Some(machine) = machine() else { return };
    let ran = machine
        .run_with(without_namespaces(&machine), &Job::sh("echo ran; ls -A $_CONDOR_SCRATCH_DIR"));
    assert_eq!(ran.ok().lines().next(), Some("ran"), "{ran}");
    let missing = ran.ad.eval_string("IsolationNotApplied").unwrap();
    for word in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        assert!(missing.contains(&format!("{word}: ")), "{word}\n{ran}");
    }
    assert!(missing.contains("user.max_user_namespaces"), "{ran}");
    let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
    for word in ["mnt", "pid", "execute", "tmp", "shm", "chroot"] {
        assert!(!applied.split(' ').any(|found| found == word), "{word}\n{ran}");
    }
}

#[test]
fn without_user_namespaces_no_process_outlives_its_job_either() {
    let Some(machine) = machine() else { return };
    let ran = machine.run_with(without_namespaces(&machine), &machine.hostile("daemon"));
    assert_eq!(ran.ok(), "alive\nleft one behind\n", "{ran}");
}

#[test]
fn what_was_demanded_and_can_not_be_had_stops_the_job() {
    let Some(mut machine) = machine() else { return };
    NamedRoot::offer(&mut machine, "tools");
    let job = || Job::sh("echo ran");
    let reason = machine
        .run_with(without_namespaces(&machine), &job().set("RequestedChroot", "tools"))
        .refused();
    assert!(reason.contains("a named root can't be had here"), "{reason}");
    for (knob, value, off) in [
        ("USE_PID_NAMESPACES", "True", "False"),
        ("NO_JOB_NETWORKING", "True", "False"),
        ("MOUNT_UNDER_SCRATCH", "/tmp", ""),
    ] {
        machine.set_knob(knob, value);
        let reason = machine.run_with(without_namespaces(&machine), &job()).refused();
        assert!(reason.contains(&format!("{knob} can't be had here")), "{reason}");
        machine.set_knob(knob, off);
    }
}

#[test]
fn root_refuses_what_its_own_configuration_rules_out() {
    let Some(machine) = Machine::new() else { return };
    let mut machine = machine.knob("PER_JOB_NAMESPACES", "False");
    let ran = machine.run(&Job::sh("echo ran"));
    assert_eq!(ran.ok(), "ran\n", "{ran}");
    assert!(
        ran.ad.eval_string("IsolationNotApplied").unwrap().contains("PER_JOB_NAMESPACES is False"),
        "{ran}"
    );
    NamedRoot::offer(&mut machine, "tools");
    let reason = machine.run(&Job::sh("echo ran").set("RequestedChroot", "tools")).refused();
    assert!(
        reason.contains("a named root can't be had here: PER_JOB_NAMESPACES is False"),
        "{reason}"
    );
    machine.set_knob("MOUNT_UNDER_SCRATCH", "/tmp");
    let reason = machine.run(&Job::sh("echo ran")).refused();
    assert!(reason.contains("MOUNT_UNDER_SCRATCH can't be had here"), "{reason}");
}

#[test]
fn execute_of_somebody_else_is_refused() {
    let Some(machine) = Machine::new() else { return };
    machine.give(&machine.path("log"), ALICE);
    let reason = run(&machine, &Job::sh("echo ran")).refused();
    assert!(reason.contains(&format!("{}", machine.execute().display())), "{reason}");
    assert!(reason.contains("(errno=13:"), "{reason}");
}

/// Where an admin wants no namespaces, none is made: not one for users either, in which the files of
/// root would seem nobody's.
#[test]
fn no_namespace_is_made_where_none_is_wanted() {
    let Some(mut machine) = Machine::new() else { return };
    machine.set_knob("PER_JOB_NAMESPACES", "False");
    machine.owned_by(ALICE);
    let job = Job::sh("for n in user mnt pid; do readlink /proc/self/ns/$n; done");
    let ran = machine.run_with(machine.starter_as(ALICE), &job);
    let own = ["user", "pid"].map(|name| fs::read_link(format!("/proc/self/ns/{name}")).unwrap());
    for namespace in own {
        assert!(ran.ok().contains(namespace.to_str().unwrap()), "{ran}");
    }
}
