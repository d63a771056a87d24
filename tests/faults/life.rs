//! A whole life where everybody does what they should, with startd and shadow of both versions.

use std::fs;

use cloister_tests::ALICE;
use nix::sys::signal::Signal;

use crate::pool::files::{INPUT, OUTPUT};
use crate::pool::shadow::{
    BEGIN_EXECUTION, EVENT, JOB_EXIT, JOB_INFO, JOB_UPDATE, SESSIONS, STARTER_INFO,
};
use crate::pool::startd::Order;
use crate::pool::{Event, NEW, OLD, Setup, machine};

/// The order of things as HTCondor's own starter has it (23.9.6 and 25.14.1).
const ORDER: [i64; 11] = [
    JOB_INFO,
    STARTER_INFO,
    SESSIONS,
    JOB_UPDATE,
    INPUT as i64,
    BEGIN_EXECUTION,
    JOB_UPDATE,
    EVENT,
    JOB_UPDATE,
    OUTPUT as i64,
    JOB_EXIT,
];

#[test]
fn everything_comes_in_its_order() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("cat data; echo oops >&2; cp data result; exit 3");
        setup.release = release;
        setup.input = vec![("data".to_owned(), b"input\n".to_vec()), ("none".into(), Vec::new())];
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        let ended = claim.end(&machine).code(0);
        let order: Vec<i64> = ended
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Asked(request) => Some(request.number),
                Event::Files(number) => Some(i64::from(*number)),
                _ => None,
            })
            .collect();
        assert_eq!(order, ORDER, "{release}\n{ended}");
        assert_eq!(ended.exit(), Some((3 << 8, 100)), "{ended}");
        assert_eq!(ended.output("_condor_stdout").as_deref(), Some(&b"input\n"[..]), "{ended}");
        assert_eq!(ended.output("_condor_stderr").as_deref(), Some(&b"oops\n"[..]), "{ended}");
        assert_eq!(ended.output("result").as_deref(), Some(&b"input\n"[..]), "{ended}");
        let updates: Vec<_> = ended
            .asked()
            .filter(|request| request.number == JOB_UPDATE)
            .map(|request| request.ad.clone())
            .collect();
        assert!(updates[0].contains("CpusProvisioned"), "{ended}");
        assert_eq!(updates[1].eval_string("JobState").as_deref(), Some("Running"));
        assert_eq!(updates[1].contains("ToE"), release == OLD, "{ended}");
        assert_eq!(updates[2].eval_string("JobState").as_deref(), Some("Exited"));
        assert_eq!(updates[2].eval_i64("ExitCode"), Some(3));
        assert!(ended.startd_knows(), "{ended}");
        let errors = ended.log.lines().any(|line| line.contains("ERROR"));
        assert!(!errors, "{ended}");
    }
}

/// A startd of 23 ends every job with SIGQUIT while the starter cleans up, and with SIGTERM after that.
#[test]
fn signals_during_the_last_steps_change_nothing() {
    for turn in 0..6 {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("echo done");
        setup.release = OLD;
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        std::thread::sleep(std::time::Duration::from_millis(turn));
        claim.startd.order(Order::Signal(Signal::SIGQUIT));
        claim.startd.order(Order::Signal(Signal::SIGTERM));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
        assert!(ended.output("_condor_stdout").is_some(), "{ended}");
    }
}

/// Processes that nobody waits for, in sessions of their own.
#[test]
fn processes_that_a_job_leaves_are_ended() {
    let Some(machine) = machine() else { return };
    let script =
        "for n in 1 2 3; do setsid sleep 1000 </dev/null >/dev/null 2>&1 & done; echo started";
    let mut claim = Setup::new(script).start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    assert_eq!(ended.output("_condor_stdout").as_deref(), Some(&b"started\n"[..]), "{ended}");
}

/// Links and absolute paths lead where they led for the job: not to a neighbour's sandbox, though the
/// account is the same, and to its own /tmp.
#[test]
fn output_is_taken_from_where_the_job_saw_it() {
    for (release, listed) in [(OLD, false), (NEW, false), (OLD, true), (NEW, true)] {
        let Some(machine) = machine() else { return };
        let neighbour = machine.execute().join("dir_1");
        let secret = neighbour.join("secret");
        fs::create_dir(&neighbour).unwrap();
        fs::write(&secret, "secret\n").unwrap();
        machine.give(&secret, ALICE);
        machine.give(&neighbour, ALICE);
        let mut setup = Setup::new(&format!(
            "ln -s {} leak; ln -s ../dir_1/secret up; ln -s ../../dir_1/secret up2; \
             ln -s /etc/passwd ok; echo own > /tmp/own",
            secret.display()
        ));
        setup.release = release;
        if listed {
            setup.job = vec![("TransferOutput", "/tmp/own".into())];
        }
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        // The neighbour goes with what else is left.
        let ended = claim.end_as_a_startd(&machine).code(0);
        if listed {
            assert_eq!(ended.output("own").as_deref(), Some(&b"own\n"[..]), "{ended}");
        } else {
            assert!(ended.output("ok").is_some_and(|text| !text.is_empty()), "{ended}");
            for name in ["leak", "up", "up2"] {
                assert_eq!(ended.output(name), None, "{name}: {ended}");
            }
        }
    }
}

/// A job that takes the rights to its directory from itself has output all the same.
#[test]
fn output_is_taken_from_a_directory_that_the_job_has_closed() {
    let Some(machine) = machine() else { return };
    let mut claim = Setup::new("echo x > result; mkdir d; chmod 000 d .; exit 3").start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((3 << 8, 100)), "{ended}");
    assert_eq!(ended.output("result").as_deref(), Some(&b"x\n"[..]), "{ended}");
}
