//! Jobs that checkpoint themselves: what goes wrong between two runs in one sandbox.

use std::path::Path;

use cloister_tests::{Machine, NamedRoot};

use crate::pool::files::{Deed, OUTPUT};
use crate::pool::shadow::{self, BEGIN_EXECUTION, EVENT, JOB_UPDATE};
use crate::pool::startd::Order;
use crate::pool::{Ended, Event, NEW, OLD, Setup};

/// A job that needs three runs, and whose checkpoint is a file `result`, of some size.
const THREE_RUNS: &str = "count=$(($(head -n 1 result 2>/dev/null || echo 0) + 1)); \
                          { echo $count; head -c 100000 /dev/zero; } > result; \
                          echo run $count; [ $count -ge 3 ] || exit 85";
/// A job that waits for the signal to save itself, and then for another one.
const PATIENT: &str = "if [ -e result ]; then exit 0; fi; trap 'echo > result; exit 85' USR2; \
                       trap 'exit 4' TERM; sleep 1000 & echo > running; wait; exit 6";

/// A machine whose startd isn't asked after each checkpoint.
fn machine() -> Option<Machine> {
    Some(crate::pool::machine()?.knob("CHECK_REACTIVATE_AFTER_CHECKPOINT", "False"))
}

fn setup(release: &'static str, script: &str) -> Setup {
    let mut setup = Setup::new(script);
    setup.release = release;
    setup.job = vec![
        ("WantFTOnCheckpoint", true.into()),
        ("SuccessCheckpointExitCode", 85_i64.into()),
        ("TransferCheckpoint", "result".into()),
        ("CheckpointNumber", 4_i64.into()),
    ];
    setup
}

fn wants_signal(release: &'static str, script: &str) -> Setup {
    let mut setup = setup(release, script);
    setup.job.push(("WantCheckpointSignal", true.into()));
    setup.job.push(("CheckpointSig", "SIGUSR2".into()));
    setup
}

/// The events about checkpoints, with their numbers.
fn checkpoints(ended: &Ended) -> Vec<(String, i64)> {
    let number = |request: &shadow::Request| request.ad.eval_i64("CheckpointNumber");
    ended
        .asked()
        .filter(|request| request.number == EVENT)
        .filter_map(|request| Some((request.ad.eval_string("EventType")?, number(request)?)))
        .collect()
}

fn runs(ended: &Ended) -> usize {
    ended.requests().iter().filter(|number| **number == BEGIN_EXECUTION).count()
}

fn run(setup: Setup) -> Option<(Machine, Ended)> {
    let machine = machine()?;
    let ended = setup.start(&machine).end(&machine);
    Some((machine, ended))
}

#[test]
fn a_job_goes_on_where_it_was() {
    for release in [OLD, NEW] {
        let Some((_machine, ended)) = run(setup(release, THREE_RUNS)) else { return };
        let ended = ended.code(0);
        assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
        assert_eq!((runs(&ended), ended.transfers(OUTPUT)), (3, 3), "{ended}");
        let good = |number| ("SuccessfulCheckpoint".to_owned(), number);
        assert_eq!(checkpoints(&ended), [good(5), good(6)], "{ended}");
        let out = ended.output("_condor_stdout").unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "run 1\nrun 2\nrun 3\n", "{ended}");
        let told = ended.asked().filter(|request| {
            request.number == JOB_UPDATE && request.ad.get("NewlyCommittedTime").is_some()
        });
        assert_eq!(told.count(), 2, "{ended}");
    }
}

/// The startd is asked whether the claim may be used again, and never answers: a yes, as it was before
/// there was the question.
#[test]
fn a_startd_that_never_answers() {
    let Some(machine) = crate::pool::machine() else { return };
    let script = "[ ! -e result ] || exit 0; echo > result; exit 85";
    let ended = setup(NEW, script).start(&machine).end(&machine).code(0);
    let ended = ended.says(&["should restart failed: timed out"]);
    assert_eq!((runs(&ended), ended.exit()), (2, Some((0, 100))), "{ended}");
}

/// A connection that is lost is no reason to stop: the next checkpoint may get through.
#[test]
fn a_checkpoint_that_is_lost() {
    for deed in [Deed::Close, Deed::HalfAFile, Deed::NoAck, Deed::Garbage, Deed::NoKey] {
        let mut setup = setup(NEW, THREE_RUNS);
        setup.delivering = vec![deed];
        let Some((_machine, ended)) = run(setup) else { return };
        let ended = ended.code(0).says(&["Failed to transfer checkpoint"]);
        assert_eq!(ended.exit(), Some((0, 100)), "{deed:?}\n{ended}");
        assert_eq!(runs(&ended), 3, "{deed:?}\n{ended}");
        let expected = [("FailedCheckpoint".to_owned(), 5), ("SuccessfulCheckpoint".to_owned(), 6)];
        assert_eq!(checkpoints(&ended), expected, "{deed:?}\n{ended}");
    }
}

#[test]
fn a_checkpoint_that_is_refused_or_not_there() {
    let mut refused = setup(NEW, THREE_RUNS);
    refused.delivering = vec![Deed::Refuse];
    let absent = setup(OLD, "exit 85");
    for setup in [refused, absent] {
        let Some((_machine, ended)) = run(setup) else { return };
        let ended = ended.code(0);
        let (code, text) = ended.error().expect("an error event");
        assert_eq!(code, 36, "{ended}");
        assert!(text.starts_with("Starter failed to upload checkpoint: "), "{ended}");
        assert_eq!((runs(&ended), ended.exit()), (1, None), "{ended}");
        assert_eq!(checkpoints(&ended), [("FailedCheckpoint".to_owned(), 5)], "{ended}");
    }
}

#[test]
fn the_shadow_dies_in_the_middle() {
    for (number, nth) in [(EVENT, 1), (JOB_UPDATE, 2), (EVENT, 2), (BEGIN_EXECUTION, 2)] {
        for deed in [shadow::Deed::Close, shadow::Deed::CloseAfter] {
            let mut setup = setup(NEW, THREE_RUNS);
            setup.shadow = Some((number, nth, deed));
            let Some((_machine, ended)) = run(setup) else { return };
            let ended = ended.code(2);
            assert!(runs(&ended) <= 2, "{number} {deed:?}\n{ended}");
        }
    }
}

/// An order to end at once doesn't wait for a checkpoint.
#[test]
fn orders_in_the_middle() {
    let Some(machine) = machine() else { return };
    let mut hard = setup(NEW, THREE_RUNS);
    hard.delivering = vec![Deed::Stall];
    let mut claim = hard.start(&machine);
    claim.transferring(OUTPUT);
    claim.startd.order(Order::Vacate(1009, false));
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit().map(|(_, reason)| reason), Some(107), "{ended}");
    assert_eq!(runs(&ended), 1, "{ended}");
}

#[test]
fn a_checkpoint_by_order() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut claim = wants_signal(release, PATIENT).start(&machine);
        claim.made(&machine, "running");
        // The second one is for nothing.
        claim.startd.order(Order::Raise(104));
        claim.startd.order(Order::Raise(104));
        claim.until("output", |event| matches!(event, Event::Output(_)));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
        assert_eq!(checkpoints(&ended), [("SuccessfulCheckpoint".to_owned(), 5)], "{ended}");
    }
}

#[test]
fn a_promise_that_is_broken() {
    let Some(machine) = machine() else { return };
    let script = "trap 'exit 3' USR2; sleep 1000 & echo > running; wait";
    let claim = wants_signal(NEW, script).start(&machine);
    claim.made(&machine, "running");
    claim.startd.order(Order::Raise(104));
    let ended = claim.end(&machine).code(0);
    let (code, text) = ended.error().expect("an error event");
    assert_eq!((code, ended.transfers(OUTPUT)), (36, 0), "{ended}");
    assert!(text.ends_with("exit code 85, actual exit status was with exit code 3."), "{ended}");
}

/// A job that didn't ask for it isn't sent a signal; one that is evicted while it saves itself is evicted.
#[test]
fn orders_that_mean_something_else() {
    let Some(machine) = machine() else { return };
    let claim = setup(NEW, PATIENT).start(&machine);
    claim.made(&machine, "running");
    claim.startd.order(Order::Raise(104));
    claim.startd.order(Order::Vacate(1009, true));
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((4 << 8, 107)), "{ended}");

    let slow = "trap 'sleep 1000' USR2; trap 'exit 4' TERM; sleep 1000 & echo > running; wait";
    let slow = format!("{slow}; wait");
    let claim = wants_signal(NEW, &slow).start(&machine);
    claim.made(&machine, "running");
    claim.startd.order(Order::Raise(104));
    claim.startd.order(Order::Vacate(1009, false));
    let ended = claim.end(&machine).code(0);
    assert_eq!((ended.exit(), ended.error()), (Some((9, 107)), None), "{ended}");
}

/// It doesn't go to the spool instead.
#[test]
fn a_place_that_nobody_can_store_at() {
    for destination in ["x://y", "/no/url"] {
        let mut setup = setup(NEW, THREE_RUNS);
        setup.job.push(("CheckpointDestination", destination.into()));
        setup.job.push(("GlobalJobId", "here#7.0#1".into()));
        let Some((_machine, ended)) = run(setup) else { return };
        let ended = ended.code(0);
        let (code, text) = ended.error().expect("an error event");
        assert_eq!((code, runs(&ended)), (36, 1), "{ended}");
        assert!(text.starts_with("Starter failed to upload checkpoint: "), "{ended}");
        assert_eq!(checkpoints(&ended), [("FailedCheckpoint".to_owned(), 5)], "{ended}");
        assert!(ended.output("result").is_none(), "{ended}");
    }
}

/// A checkpoint from a place of its own is checked by its list, which came through the shadow.
#[test]
fn a_checkpoint_that_came_back_wrong() {
    let sum = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0";
    let mut setup = setup(NEW, "exit 0");
    setup.job.push(("CheckpointDestination", "x://y".into()));
    let list = format!("{sum} *result\n{sum} *_condor_checkpoint_MANIFEST.0003\n");
    setup.input = vec![("_condor_checkpoint_MANIFEST.0003".into(), list.into_bytes())];
    let Some((_machine, ended)) = run(setup) else { return };
    let ended = ended.code(0);
    assert_eq!(checkpoints(&ended), [("InvalidCheckpointDownload".to_owned(), 3)], "{ended}");
    let (code, text) = ended.error().expect("an error event");
    assert_eq!((code, text.as_str()), (1007, "Invalid MANIFEST file, aborting."), "{ended}");
    assert_eq!(runs(&ended), 0, "{ended}");
}

/// Each run has a proxy of its own, which the file tells it of: in each layout, network and root.
#[test]
fn each_run_has_a_chirp_proxy() {
    const SCRIPT: &str = r#"bash -c '
read host port cookie <"$_CONDOR_CHIRP_CONFIG" || exit 9
run=1; [ ! -e result ] || run=2
exec 3<>/dev/tcp/$host/$port
printf "cookie %s\nset_job_attr_delayed ChirpRun$run 1\n" "$cookie" >&3
read -r a <&3; read -r b <&3; echo "$a $b" >>said; echo "$cookie" >>cookies
exec 3>&-; [ $run = 1 ] || exit 0
echo >result; exit 85
'"#;
    for (release, nested, network, root) in [
        (OLD, "False", true, false),
        (NEW, "True", true, false),
        (OLD, "False", false, true),
        (NEW, "True", false, true),
        (NEW, "True", true, true),
        (NEW, "False", false, false),
    ] {
        let case = format!("nested {nested}, network {network}, root {root}");
        let Some(machine) = machine() else { return };
        let mut machine = machine.knob("STARTER_NESTED_SCRATCH", nested);
        if !network {
            machine.set_knob("NO_JOB_NETWORKING", "True");
        }
        let mut setup = setup(release, SCRIPT);
        if root {
            NamedRoot::offer(&mut machine, "Tools").add_program(Path::new("/bin/bash"), "bin/bash");
            setup.job.push(("RequestedChroot", "Tools".into()));
        }
        setup.job.push(("TransferCheckpoint", "result,said,cookies".into()));
        let ended = setup.start(&machine).end(&machine).code(0);
        assert_eq!((runs(&ended), ended.exit()), (2, Some((0, 100))), "{case}\n{ended}");
        assert_eq!(ended.output("said").as_deref(), Some(&b"0 0\n0 0\n"[..]), "{case}\n{ended}");
        let cookies = String::from_utf8(ended.output("cookies").unwrap()).unwrap();
        let (first, second) = cookies.trim().split_once('\n').unwrap();
        assert_ne!(first, second, "{case}");
        for name in ["ChirpRun1", "ChirpRun2"] {
            assert!(ended.asked().any(|request| request.ad.contains(name)), "{case}\n{ended}");
        }
    }
}
