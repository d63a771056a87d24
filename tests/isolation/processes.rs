//! Process numbers, /proc, and the other namespaces.

use std::fs;

use cloister_tests::{Job, Machine};

use crate::{field, in_every_cell};

#[test]
fn the_job_is_below_a_small_init() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&Job::sh("echo self $$; echo visible $(cd /proc && ls -d [0-9]*)"));
    assert_eq!(ran.ok().lines().next(), Some("self 2"), "{ran}");
    // The subshell and ls are the job's own.
    let visible: Vec<&str> = ran.line("visible").split(' ').collect();
    assert_eq!(visible[..2], ["1", "2"], "{ran}");
    assert!(visible.len() <= 4, "{ran}");
}

#[test]
fn the_job_is_process_1_where_the_admin_wants_no_init() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("USE_PID_NAMESPACE_INIT", "False");
    let ran = machine.run(&Job::sh("echo self $$; echo visible $(cd /proc && ls -d [0-9]*)"));
    assert_eq!(ran.ok().lines().next(), Some("self 1"), "{ran}");
    let visible: Vec<&str> = ran.line("visible").split(' ').collect();
    assert_eq!(visible[0], "1", "{ran}");
    assert!(visible.len() <= 3, "{ran}");
}

#[test]
fn the_job_has_a_number_of_the_machine_where_the_admin_wants_no_namespace() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("USE_PID_NAMESPACES", "False");
    let mut running = machine.start(&Job::waiting("echo self $$"));
    running.line("ready");
    let ran = running.wait();
    ran.ok();
    machine.check_clean(&ran);
    let pid = ran.ad.eval_i64("JobPid").unwrap();
    assert_eq!(ran.line("self"), pid.to_string(), "{ran}");
    assert!(pid > 2, "{ran}");
}

#[test]
fn the_result_ad_has_the_number_that_the_machine_sees() {
    let Some(mut machine) = Machine::new() else { return };
    for init in ["True", "False"] {
        machine.set_knob("USE_PID_NAMESPACE_INIT", init);
        let machine_pids = |running: &cloister_tests::Running| {
            let all = cloister_tests::processes();
            let launcher = all.iter().find(|process| process.parent == running.pid()).unwrap().pid;
            let init = all.iter().find(|process| process.parent == launcher).unwrap().pid;
            all.iter().find(|process| process.parent == init).unwrap().pid
        };
        let mut running = machine.start(&Job::waiting(""));
        running.line("ready");
        let pid = machine_pids(&running);
        let ran = running.wait();
        ran.ok();
        assert_eq!(ran.ad.eval_i64("JobPid"), Some(i64::from(pid)), "init {init}\n{ran}");
    }
}

/// Also for a job that has ended before anybody could ask the kernel for its number.
#[test]
fn the_quickest_job_has_a_number_too() {
    let Some(machine) = Machine::new() else { return };
    for _ in 0..20 {
        let ran = machine.run(&Job::program("/bin/true"));
        ran.ok();
        assert!(ran.ad.eval_i64("JobPid").unwrap() > 1, "{ran}");
    }
}

#[test]
fn init_reaps_what_the_job_leaves_to_it() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&machine.hostile("orphans").arg("50"));
    assert_eq!(ran.ok(), "all reaped\n", "{ran}");
}

#[test]
fn init_can_not_be_looked_into_or_killed_by_the_job() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&Job::sh(
        "kill -9 1; kill -TERM 1; cat /proc/1/environ; readlink /proc/1/exe; ls /proc/1/fd/ /proc/1/root/; \
         cat /proc/1/maps; echo still here",
    ));
    assert_eq!(ran.ok(), "still here\n", "{ran}");
}

/// The links of a process's namespaces are equal where it shares them.
#[test]
fn namespaces_are_the_jobs_own() {
    in_every_cell(|machine, _, cell| {
        let names = ["mnt", "pid", "ipc", "uts", "cgroup", "net"];
        let script: String =
            names.map(|name| format!("echo {name} $(readlink /proc/self/ns/{name});")).concat();
        let ran = machine.run(&Job::sh(&script));
        ran.ok();
        let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
        let shared_pid = cell.starts_with("shared");
        for name in names {
            let ours = fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap();
            let theirs = ran.line(&format!("{name} "));
            let shared = name == "net" || (name == "pid" && shared_pid);
            assert!(theirs.starts_with(name), "{cell}\n{ran}");
            assert_eq!(ours.to_string_lossy() == theirs, shared, "{name}, {cell}\n{ran}");
            assert_eq!(
                applied.split(' ').any(|word| word == name),
                !shared,
                "{name}, {cell}\n{ran}"
            );
        }
    });
}

#[test]
fn two_jobs_share_no_namespace_but_the_network() {
    let Some(machine) = Machine::new() else { return };
    let look = "for name in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$name; done";
    let mut first = machine.start(&Job::waiting(look));
    first.line("ready");
    let second = machine.start(&Job::sh(look)).wait();
    let first = first.wait();
    for name in second.ok().lines() {
        assert!(!first.ok().contains(name), "{name}\n{first}");
    }
    machine.check_clean(&second);
}

#[test]
fn without_networking_there_is_a_loopback_of_the_jobs_own() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("NO_JOB_NETWORKING", "True");
    let ran = machine.run(&Job::sh(
        "readlink /proc/self/ns/net; cat /proc/self/net/dev; cat /proc/self/net/fib_trie",
    ));
    let ours = fs::read_link("/proc/thread-self/ns/net").unwrap();
    assert!(!ran.ok().contains(&*ours.to_string_lossy()), "{ran}");
    let interfaces = ran.output.lines().filter(|line| line.contains(": ")).count();
    assert_eq!(interfaces, 1, "{ran}");
    // An interface that is up has its address in the routing table.
    assert!(ran.output.contains("127.0.0.1"), "{ran}");
}

#[test]
fn the_host_name_is_the_machines() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&Job::sh("cat /proc/sys/kernel/hostname"));
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(ran.ok(), name);
}

#[test]
fn the_job_leads_a_session_without_a_terminal() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&Job::sh("cat /proc/$$/stat"));
    // pid (name) state ppid pgrp session tty
    let words: Vec<&str> = ran.ok().split(' ').collect();
    assert_eq!((words[0], words[4], words[5], words[6]), ("2", "2", "2", "0"), "{ran}");
}

#[test]
fn signals_are_as_a_program_expects_them() {
    let Some(machine) = Machine::new() else { return };
    let script = "trap '' INT PIPE HUP QUIT USR1 CHLD; exec \"$@\"";
    let mut ignoring = std::process::Command::new("/bin/sh");
    ignoring.args(["-c", script, "sh"]).arg(machine.starter().get_program());
    let mut ignoring = machine.with_config(ignoring);
    // The two that the C library keeps for itself, and passes on as they are when it starts programs.
    let ignore_reserved = || {
        for number in [32, 33] {
            // SIG_IGN, no flags, no restorer, no mask: the kernel's own layout.
            let action: [u64; 4] = [1, 0, 0, 0];
            let none = std::ptr::null_mut::<libc::c_void>();
            // SAFETY: the kernel reads the action, which outlives the call.
            let answer = unsafe {
                libc::syscall(libc::SYS_rt_sigaction, number, action.as_ptr(), none, 8_usize)
            };
            if answer != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut ignoring, ignore_reserved) };
    let ran = machine.run_with(ignoring, &Job::program("/bin/cat").arg("/proc/self/status"));
    for name in ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:"] {
        let set = u64::from_str_radix(field(ran.ok(), name), 16).unwrap();
        assert_eq!(set, 0, "{name}\n{ran}");
    }
}

/// What keeps jobs apart doesn't keep the processes of one apart: ranks of a parallel program read each other's
/// memory, debuggers trace.
#[test]
fn processes_of_one_job_reach_each_other() {
    let knobs = ["", "USE_PID_NAMESPACE_INIT", "USE_PID_NAMESPACES", "NO_JOB_NETWORKING"];
    // Where the machine lets only ancestors trace, it does so in jobs.
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    for knob in knobs {
        let Some(mut machine) = Machine::new() else { return };
        if !knob.is_empty() {
            machine.set_knob(knob, if knob.starts_with("NO") { "True" } else { "False" });
        }
        let ran = machine.run(&machine.hostile("brothers"));
        if ["", "0\n"].contains(&scope.as_str()) {
            let all = "memory true\ndescriptor true\nsocket true\ntrace true\nsignal true\n";
            assert_eq!(ran.ok(), all, "{knob}");
        } else {
            assert!(ran.ok().contains("socket true\n"), "{knob}\n{ran}");
        }
    }
}
