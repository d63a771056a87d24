//! Limits and usage by cgroup: for a guest with a whole tree of cgroup v2 (`tests/vm/test`). Elsewhere
//! these tests say so and pass.
//!
//! After each run it is checked that no process, no sandbox, no mount and no cgroup is left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloister_tests::{ALICE, Job, Machine, NamedRoot, Ran, hostile, starter, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Needs more memory than it may have: a shell's variable that doubles.
const GROW: &str = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done";

/// The cgroups in a directory.
fn groups(base: &Path) -> Vec<PathBuf> {
    let Ok(list) = fs::read_dir(base) else { return Vec::new() };
    list.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// The cgroup of the one job that runs.
fn the_group(base: &Path) -> PathBuf {
    let groups = groups(base);
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups[0].clone()
}

fn read(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).unwrap().trim().to_owned()
}

fn run(machine: &Machine, base: &Path, job: &Job) -> Ran {
    let ran = machine.run(job);
    assert!(groups(base).is_empty(), "{:?}\n{ran}", groups(base));
    ran
}

/// Fails unless the job ran, was killed for its memory and is held for that.
#[track_caller]
fn held_for_memory(ran: &Ran, limit: i64) {
    let is = (ran.ad.eval_i64("HoldReasonCode"), ran.ad.eval_i64("HoldReasonSubCode"));
    assert_eq!(is, (Some(34), Some(102)), "{ran}");
    let reason = ran.ad.eval_string("HoldReason").unwrap();
    let start = format!(
        "Job has gone over cgroup memory limit of {limit} megabytes. Last measured usage: "
    );
    let end = " megabytes.  Consider resubmitting with a higher request_memory.";
    let peak = reason.strip_prefix(&start).and_then(|rest| rest.strip_suffix(end));
    let peak: i64 = peak.unwrap_or_else(|| panic!("{reason}")).parse().unwrap();
    assert!((limit * 9 / 10..=limit).contains(&peak), "{reason}");
}

#[test]
fn a_job_has_a_cgroup_of_its_own_with_limits_and_sees_no_other() {
    for (knob, value) in [
        ("USE_PID_NAMESPACES", "True"),
        ("USE_PID_NAMESPACES", "False"),
        ("USE_PID_NAMESPACE_INIT", "False"),
    ] {
        for named in [false, true] {
            let Some((mut machine, base)) = Machine::with_cgroups() else { return };
            machine.set_knob(knob, value);
            machine.set_knob("CGROUP_LOW_MEMORY_LIMIT", "RequestMemory / 2");
            let _root = named.then(|| NamedRoot::offer(&mut machine, "tools"));
            if named {
                machine.put_all_jobs_in("tools");
            }
            let script = "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/*/; cd /sys/fs/cgroup; \
                          cat memory.max memory.swap.max memory.low memory.high memory.oom.group cpu.weight pids.max; \
                          grep -q $$ cgroup.procs && echo inside; \
                          for file in cgroup.procs memory.max cgroup.kill; do echo 1 2>&- >$file || echo no $file; done";
            let job = Job::waiting(script).set("RequestMemory", 100_i64).set("RequestCpus", 3_i64);
            let mut running = machine.start(&job);
            running.line("ready");
            let group = the_group(&base);
            assert_eq!(read(&group, "memory.max"), (100 << 20).to_string());
            let ran = running.wait();
            let expected = [
                "0::/",
                "104857600",
                "0",
                "52428800",
                "max",
                "1",
                "300",
                "2560",
                "inside",
                "no cgroup.procs",
                "no memory.max",
                "no cgroup.kill",
            ];
            let lines: Vec<_> =
                ran.ok().lines().filter(|line| !line.starts_with("ready")).collect();
            assert_eq!(lines[..lines.len() - 1], expected, "{knob} {value} {named}\n{ran}");
            let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
            assert!(applied.split(' ').any(|word| word == "limits"), "{ran}");
            machine.check_clean(&ran);
            assert!(groups(&base).is_empty(), "{knob} {value} {named}");
        }
    }
}

#[test]
fn a_job_that_needs_more_memory_than_it_has_is_held() {
    for pids in ["True", "False"] {
        let Some((machine, base)) = Machine::with_cgroups() else { return };
        let machine = machine.knob("USE_PID_NAMESPACES", pids);
        let job = Job::sh(GROW).set("RequestMemory", 40_i64);
        held_for_memory(&run(&machine, &base, &job), 40);
        // Also if it is a child that grows, and its parent would go on.
        let job = Job::sh(&format!("sh -c '{GROW}'; echo went on; sleep 100"))
            .set("RequestMemory", 40_i64);
        let ran = run(&machine, &base, &job);
        held_for_memory(&ran, 40);
        assert!(!ran.output.contains("went on"), "{ran}");
    }
}

#[test]
fn a_job_below_its_limit_is_not_held_for_the_machines_lack() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("CGROUP_MEMORY_LIMIT_POLICY", "none");
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("memory.max"), (60 << 20).to_string()).unwrap();
    let ran = run(&machine, &base, &Job::sh(GROW).set("RequestMemory", 4000_i64));
    assert_eq!(
        ran.ad.eval_string("VacateReason").as_deref(),
        Some("Worker node is out of memory"),
        "{ran}"
    );
    assert!(!ran.ad.contains("HoldReason"), "{ran}");
}

#[test]
fn memory_by_policy() {
    let Some((mut machine, base)) = Machine::with_cgroups() else { return };
    for (policy, expected) in
        [("soft", "max 67108864 max"), ("none", "max max max"), ("custom", "134217728 33554432 0")]
    {
        machine.set_knob("CGROUP_MEMORY_LIMIT_POLICY", policy);
        machine.set_knob("CGROUP_HARD_MEMORY_LIMIT_EXPR", "2 * RequestMemory");
        machine.set_knob("CGROUP_SOFT_MEMORY_LIMIT_EXPR", "RequestMemory / 2");
        let script = "cd /sys/fs/cgroup; echo $(cat memory.max memory.high memory.swap.max)";
        let ran = run(&machine, &base, &Job::sh(script).set("RequestMemory", 64_i64));
        assert_eq!(ran.ok().trim(), expected, "{policy}");
    }
}

#[test]
fn files_that_are_read_are_no_memory_of_the_job() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let job = Job::sh("cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* > /dev/null 2>&1; echo over")
        .set("RequestMemory", 24_i64);
    let ran = run(&machine, &base, &job);
    assert_eq!(ran.ok(), "over\n");
    assert!(ran.ad.eval_i64("MemoryUsage").unwrap() < 24, "{ran}");
}

#[test]
fn processes_have_a_limit() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("CGROUP_PIDS_LIMIT", "20 * RequestCpus");
    let bomb = "i=0; while [ $i -lt 100 ]; do sleep 100 > /dev/null 2>&1 & i=$((i+1)); done; echo all of them";
    // What comes after it has no process left to be made.
    let script = format!(
        "sh -c '{bomb}' 2> /dev/null; cd /sys/fs/cgroup; read now < pids.current; read event < pids.events; echo $now $event"
    );
    let ran = run(&machine, &base, &Job::sh(&script).set("RequestCpus", 1_i64));
    let words: Vec<u32> =
        ran.ok().split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(words.len() == 2 && (18..=20).contains(&words[0]) && words[1] > 0, "{ran}");
}

#[test]
fn what_was_asked_for_and_can_not_be_had_is_refused() {
    let Some((machine, _)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("BASE_CGROUP", "");
    let job = Job::sh("cat /proc/self/cgroup");
    let ran = machine.run(&job);
    assert!(!ran.ad.eval_string("AssignedIsolation").unwrap().contains("limits"), "{ran}");
    ran.ok();
    let machine = machine.knob("CGROUP_PIDS_LIMIT", "20");
    assert!(machine.run(&job).refused().contains("CGROUP_PIDS_LIMIT"));
}

/// Many processes at once, some of them nobody's children any more, each with its part.
/// A job may spread its processes over its CPUs as it likes, and over no others.
#[test]
fn a_job_stays_on_its_cpus() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("ENFORCE_CPU_AFFINITY", "True");
    let script = "taskset -p 3 $$ >&2; grep Cpus_allowed_list /proc/self/status; nproc";
    let ran = run(&machine, &base, &Job::sh(script));
    assert_eq!(ran.ok(), "Cpus_allowed_list:\t0\n1\n", "{ran}");
    let machine = machine.knob("STARTD_ASSIGNED_AFFINITY", "900,901");
    assert!(run(&machine, &base, &Job::sh("nproc")).ok().starts_with(['1', '2']));
}

#[test]
fn usage_is_that_of_all_processes() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("CGROUP_POLLING_INTERVAL", "1");
    let part = "a=xxxxxxxxxxxxxxxx; i=0; while [ $i -lt 20 ]; do a=$a$a; i=$((i+1)); done; sleep 3";
    let script =
        format!("for n in 1 2 3; do setsid sh -c '{part}' & done; sleep 5 & wait $!; echo over");
    let ran = run(&machine, &base, &Job::sh(&script).set("RequestMemory", 300_i64));
    ran.ok();
    // 16 MiB of text in each, at least once.
    let memory = ran.ad.eval_i64("MemoryUsage").unwrap();
    assert!((48..300).contains(&memory), "{memory}\n{ran}");
    let cpu = ran.ad.eval_f64("RemoteUserCpu").unwrap() + ran.ad.eval_f64("RemoteSysCpu").unwrap();
    assert!(cpu > 0.2, "{cpu}\n{ran}");
}

/// Where no PID namespace ends with init, launcher and init may be killed at once: the supervisor ends what
/// is left.
#[test]
fn nothing_is_left_when_launcher_and_init_are_killed() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("USE_PID_NAMESPACES", "False");
    let script =
        format!("{} daemon; setsid sleep 1000 & echo ready; sleep 1000", hostile().display());
    let mut running = machine.start(&Job::sh(&script));
    running.line("ready");
    let launcher = child(running.pid());
    let init = child(launcher);
    for (pid, signal) in
        [(init, Signal::SIGSTOP), (launcher, Signal::SIGKILL), (init, Signal::SIGKILL)]
    {
        kill(Pid::from_raw(pid), signal).unwrap();
    }
    let ran = running.wait();
    assert!(ran.said.contains("launcher is gone"), "{ran}");
    wait_until("the end of all processes", || machine.processes().is_empty());
    run(&machine, &base, &Job::program("/bin/true")).ok();
}

fn child(parent: i32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    text.trim().parse().unwrap()
}

/// The same with the supervisor: the next start in its slot ends what is left.
#[test]
fn nothing_is_left_of_a_starter_that_was_killed_with_all_that_watches() {
    let Some((machine, base)) = Machine::with_cgroups() else { return };
    let machine = machine.knob("USE_PID_NAMESPACES", "False");
    let script =
        format!("{} daemon; setsid sleep 1000 & echo ready; sleep 1000", hostile().display());
    let mut running = machine.start(&Job::sh(&script));
    running.line("ready");
    let group = the_group(&base);
    let supervisor = running.pid();
    let launcher = child(supervisor);
    let init = child(launcher);
    // Init can't notice that its launcher goes.
    for (pid, signal) in
        [(init, Signal::SIGSTOP), (launcher, Signal::SIGKILL), (init, Signal::SIGKILL)]
    {
        kill(Pid::from_raw(pid), signal).unwrap();
    }
    drop(running);
    assert!(
        !read(&group, "cgroup.procs").is_empty(),
        "something should be left for the next start"
    );
    run(&machine, &base, &Job::program("/bin/true")).ok();
    wait_until("the end of all processes", || machine.processes().is_empty());
}

/// A starter of alice's, in a cgroup that was given to her as systemd does it (Delegate).
#[test]
fn a_starter_without_root_where_cgroups_are_delegated() {
    let Some((mut machine, _)) = Machine::with_cgroups() else { return };
    machine.owned_by(ALICE);
    let number = machine.number(ALICE);
    let delegated = PathBuf::from(format!("/sys/fs/cgroup/system.slice/delegated-{number}"));
    let daemons = delegated.join("daemons");
    fs::write("/sys/fs/cgroup/system.slice/cgroup.subtree_control", "+memory +pids +cpu +io")
        .unwrap();
    fs::create_dir_all(&daemons).unwrap();
    for path in ["", "cgroup.procs", "cgroup.subtree_control", "daemons", "daemons/cgroup.procs"] {
        machine.give(&delegated.join(path), ALICE);
    }
    let start = |machine: &Machine| {
        let mut command = machine.with_config(Command::new("/bin/sh"));
        command.arg("-c").arg(format!(
            "echo $$ >{}/cgroup.procs && exec setpriv --reuid={number} --regid={number} --clear-groups {} \"$@\"",
            daemons.display(),
            starter().display()
        ));
        command.arg("sh");
        command
    };
    let job = Job::sh(
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/pids.max",
    )
    .set("RequestMemory", 100_i64);
    // As with the stock starter it has to be asked for.
    let ran = machine.run_with(start(&machine), &job);
    assert!(!ran.ad.eval_string("AssignedIsolation").unwrap().contains("limits"), "{ran}");
    machine.set_knob("CREATE_CGROUP_WITHOUT_ROOT", "True");
    let base = delegated.join(
        fs::read_to_string(machine.path("condor_config"))
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("BASE_CGROUP = "))
            .unwrap(),
    );
    let ran = machine.run_with(start(&machine), &job);
    assert_eq!(ran.ok(), "0::/\n104857600\n1536\n", "{ran}");
    let ran = machine.run_with(start(&machine), &Job::sh(GROW).set("RequestMemory", 40_i64));
    held_for_memory(&ran, 40);
    assert!(groups(&base).is_empty());
}
