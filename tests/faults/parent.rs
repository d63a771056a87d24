//! A startd that is gone: nobody wants the job any more, and nobody would clean up.

use crate::pool::machine;

use nix::sys::signal::Signal;

use crate::pool::files::{Deed, INPUT, OUTPUT};
use crate::pool::shadow::{BEGIN_EXECUTION, JOB_INFO};
use crate::pool::startd::Order;
use crate::pool::{Ended, NEW, OLD, Setup, Updates, shadow};

fn setup(script: &str) -> Setup {
    let mut setup = Setup::new(script);
    setup.proxy = true;
    setup
}

const GONE: &str = "the parent process is gone";

fn check(ended: Ended, reason: Option<i64>) {
    let ended = ended.code(0).says(&[GONE]);
    assert_eq!(ended.exit().map(|(_, reason)| reason), reason, "{ended}");
}

#[test]
fn before_there_is_a_job() {
    let Some(machine) = machine() else { return };
    let mut setup = setup("echo done");
    setup.shadow = Some((JOB_INFO, 1, shadow::Deed::Stall));
    let mut claim = setup.start(&machine);
    claim.asked(JOB_INFO);
    claim.startd_dies();
    check(claim.end(&machine), None);
}

#[test]
fn while_input_is_on_its_way() {
    let Some(machine) = machine() else { return };
    let mut setup = setup("echo done");
    setup.fetching = vec![Deed::Stall];
    let mut claim = setup.start(&machine);
    claim.transferring(INPUT);
    claim.startd_dies();
    check(claim.end(&machine), Some(108));
}

#[test]
fn while_the_job_runs() {
    let Some(machine) = machine() else { return };
    let script = "trap '' TERM; setsid sleep 1000 & echo > running; while :; do sleep 1000; done";
    let mut claim = setup(script).start(&machine);
    claim.made(&machine, "running");
    claim.startd_dies();
    check(claim.end(&machine), Some(107));
}

#[test]
fn while_output_is_on_its_way() {
    let Some(machine) = machine() else { return };
    let mut setup = setup("head -c 300000 /dev/zero > result");
    setup.fetching = vec![Deed::Good];
    setup.delivering = vec![Deed::Stall];
    let mut claim = setup.start(&machine);
    claim.transferring(OUTPUT);
    claim.startd_dies();
    check(claim.end(&machine), Some(107));
}

#[test]
fn and_so_is_the_shadow() {
    let Some(machine) = machine() else { return };
    let mut setup = setup("echo > running; sleep 1000");
    setup.shadow = Some((BEGIN_EXECUTION, 1, shadow::Deed::Stall));
    let mut claim = setup.start(&machine);
    claim.asked(BEGIN_EXECUTION);
    claim.startd_dies();
    check(claim.end(&machine), None);
}

/// What a starter has to know of its slot doesn't come.
#[test]
fn no_ads_of_the_slot() {
    for (deed, words) in [
        (Updates::Close, "closed"),
        (Updates::Half, "closed"),
        (Updates::Garbage, "peer"),
        (Updates::Huge, "4294967295 exceeds the limit"),
    ] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("echo done");
        setup.updates = deed;
        let mut claim = setup.start(&machine);
        claim.asked(shadow::ULOG);
        claim.startd.order(Order::Signal(Signal::SIGTERM));
        let ended = claim.end(&machine).code(0).says(&["ERROR", "machine ad of the startd", words]);
        let (code, text) = ended.error().unwrap();
        assert!(code == 1007 && text.contains(words), "{deed:?}: {code} {text}");
    }
}

/// A startd that doesn't want to know is no reason to do anything else with the job.
#[test]
fn nobody_reads_updates() {
    for release in [OLD, NEW] {
        for deed in [Updates::CloseAfter, Updates::Deaf] {
            let Some(machine) = machine() else { return };
            let mut setup = Setup::new("sleep 1; echo done");
            (setup.release, setup.updates) = (release, deed);
            let ended = setup.start(&machine).end(&machine).code(0);
            assert_eq!(ended.exit(), Some((0, 100)), "{deed:?}\n{ended}");
            assert!(ended.output("_condor_stdout").is_some(), "{deed:?}\n{ended}");
        }
    }
}
