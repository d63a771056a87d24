//! The starter's own processes die, as under a kernel that is out of memory: the shadow is told, whoever
//! is left ends, and so does the job.

use crate::pool::files::{Deed, INPUT, OUTPUT};
use crate::pool::shadow::ULOG;
use crate::pool::{Setup, machine};

/// From the starter itself: the launcher, and what the launcher has forked.
const LAUNCHER: usize = 1;
const TRANSFER: usize = 2;
const INIT: usize = 2;

#[test]
fn the_launcher_while_the_job_runs() {
    let Some(machine) = machine() else { return };
    let mut claim = Setup::new("setsid sleep 1000 & echo > running; sleep 1000").start(&machine);
    claim.made(&machine, "running");
    claim.kill_descendant(&machine, LAUNCHER);
    claim.asked(ULOG);
    let ended = claim.end_as_a_startd(&machine).code(1).says(&["ERROR", "the launcher is gone"]);
    assert_eq!(ended.error().map(|(code, _)| code), Some(1007), "{ended}");
    assert!(ended.startd_knows() && ended.exit().is_none(), "{ended}");
}

#[test]
fn the_launcher_during_a_transfer() {
    for (number, fetching, delivering) in
        [(INPUT, Deed::Stall, Deed::Good), (OUTPUT, Deed::Good, Deed::Stall)]
    {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("head -c 300000 /dev/zero > result");
        (setup.fetching, setup.delivering) = (vec![fetching], vec![delivering]);
        let mut claim = setup.start(&machine);
        claim.transferring(number);
        claim.kill_descendant(&machine, LAUNCHER);
        claim.asked(ULOG);
        let ended = claim.end_as_a_startd(&machine).code(1).says(&["the launcher is gone"]);
        assert_eq!(ended.error().map(|(code, _)| code), Some(1007), "{ended}");
    }
}

#[test]
fn the_process_that_fetches() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("echo done");
    setup.fetching = vec![Deed::Stall];
    let mut claim = setup.start(&machine);
    claim.transferring(INPUT);
    claim.kill_descendant(&machine, TRANSFER);
    claim.asked(ULOG);
    let ended = claim.end(&machine).code(0).says(&["ERROR", "SIGKILL"]);
    assert_eq!(ended.error().map(|(code, _)| code), Some(1007), "{ended}");
}

/// Output is tried again by another one.
#[test]
fn the_process_that_delivers() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("head -c 300000 /dev/zero > result");
    setup.fetching = vec![Deed::Good];
    setup.delivering = vec![Deed::Stall];
    let mut claim = setup.start(&machine);
    claim.transferring(OUTPUT);
    claim.kill_descendant(&machine, TRANSFER);
    let ended = claim.end(&machine).code(0).says(&["WARNING", "SIGKILL", "once more"]);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    assert_eq!(ended.output("result").map(|bytes| bytes.len()), Some(300_000), "{ended}");
}

/// Process 1 of the job's namespace: with it goes the job, which isn't an end of its own. It runs again.
#[test]
fn the_init_of_the_job() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("USE_PID_NAMESPACES", "True");
    let mut claim = Setup::new("setsid sleep 1000 & echo > running; sleep 1000").start(&machine);
    claim.made(&machine, "running");
    claim.kill_descendant(&machine, INIT);
    claim.asked(ULOG);
    let ended = claim.end(&machine).code(0).says(&["ERROR", "init was killed"]);
    assert_eq!(ended.error().map(|(code, _)| code), Some(1007), "{ended}");
    assert_eq!(ended.exit(), None, "{ended}");
}
