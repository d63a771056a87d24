//! JOB_SYSTEM_CALLS: which calls a job can't make. The calls are made in a form that the kernel
//! itself answers differently, so that a missing filter shows.

use std::collections::BTreeMap;

use cloister_tests::{Job, Machine, Ran};

const KEYS: &[&str] = &["keyctl"];
const MACHINE: &[&str] = &[
    "io_uring_setup",
    "userfaultfd",
    "bpf",
    "open_by_handle_at",
    "kexec_load",
    "syslog",
    "clock_settime",
    "tiocsti",
    "tiocsti-high",
];
const CONTAINERS: &[&str] =
    &["clone3", "setns", "open_tree", "mount_setattr", "unshare", "unshare-high", "clone"];
const PERFORMANCE: &[&str] = &["perf_event_open"];

/// Calls that every kernel answers by something else than the filter does.
const TELLING: [(&str, i32); 7] = [
    ("userfaultfd", libc::EINVAL),
    ("perf_event_open", libc::EINVAL),
    ("clone3", libc::EINVAL),
    ("setns", libc::EBADF),
    ("open_tree", libc::EINVAL),
    ("mount_setattr", libc::EINVAL),
    ("clone", libc::EINVAL),
];

fn answers(ran: &Ran) -> BTreeMap<&str, i32> {
    let calls = ran.ok().lines().filter_map(|line| line.strip_prefix("call "));
    calls.map(|line| line.split_once(' ').unwrap()).map(|(n, e)| (n, e.parse().unwrap())).collect()
}

#[test]
fn each_profile_refuses_its_own() {
    let Some(mut machine) = Machine::new() else { return };
    for (profile, refused) in [
        (None, &[KEYS, MACHINE, CONTAINERS, PERFORMANCE][..]),
        (Some("nested"), &[KEYS, MACHINE, PERFORMANCE]),
        (Some("debug"), &[KEYS, MACHINE, CONTAINERS]),
        (Some("keyrings"), &[KEYS]),
    ] {
        if let Some(profile) = profile {
            machine.set_knob("JOB_SYSTEM_CALLS", profile);
        }
        let ran = machine.run(&machine.hostile("calls"));
        let answers = answers(&ran);
        assert_eq!(answers.len(), 18, "{ran}");
        let refused = refused.concat();
        for call in &refused {
            let unknown = ["keyctl", "io_uring_setup", "clone3"].contains(call);
            let expected = if unknown { libc::ENOSYS } else { libc::EPERM };
            assert_eq!(answers[call], expected, "{profile:?} {call}\n{ran}");
        }
        for (call, errno) in TELLING {
            if !refused.contains(&call) {
                assert_eq!(answers[call], errno, "{profile:?} {call}\n{ran}");
            }
        }
        let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
        let word = applied.split(' ').any(|word| word == "seccomp");
        assert_eq!(word, profile != Some("keyrings"), "{applied}");
    }
}

#[test]
fn a_profile_that_there_is_not_stops_the_job() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("JOB_SYSTEM_CALLS", "all");
    let ran = machine.run(&Job::sh("echo ran"));
    assert!(ran.said.contains("JOB_SYSTEM_CALLS") && ran.said.contains("nested"), "{ran}");
    assert!(ran.code != Some(0) && !ran.output.contains("ran"), "{ran}");
}
