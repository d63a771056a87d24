//! A shadow is lost, and another comes back, or doesn't: the job runs once, to its end, or ends with
//! its lease.

use std::thread::sleep;
use std::time::{Duration, Instant};

use cloister_tests::Machine;
use nix::sys::signal::Signal;

use crate::pool::files::{Deed as FileDeed, INPUT, OUTPUT};
use crate::pool::shadow::{
    BEGIN_EXECUTION, CLOSE, Deed, EVENT, JOB_EXIT, JOB_INFO, JOB_UPDATE, SESSIONS, STARTER_INFO,
    WRITE,
};
use crate::pool::startd::Order;
use crate::pool::{Back, Claim, Ended, Event, In, NEW, OLD, Setup, machine};

/// A job with a lease.
fn leased(script: &str, seconds: i64) -> Setup {
    let mut setup = Setup::new(script);
    setup.job = vec![("JobLeaseDuration", seconds.into())];
    setup
}

fn failing(mut setup: Setup, number: i64, nth: usize, deed: Deed) -> Setup {
    setup.shadow = Some((number, nth, deed));
    setup
}

/// Waits until the connections with so many shadows have ended.
#[track_caller]
fn lost(claim: &mut Claim, count: usize) {
    let mut seen = 0;
    claim.until("the end of a shadow", |event| {
        seen += usize::from(matches!(event, Event::ShadowClosed));
        seen >= count
    });
}

#[track_caller]
fn comes_back(claim: &mut Claim, back: &Back) {
    let reply = claim.shadow_returns(back).unwrap();
    assert_eq!(reply.eval_string("Result").as_deref(), Some("Success"), "{reply}");
    assert!(reply.contains("StarterIpAddr") && reply.contains("HasReconnect"), "{reply}");
}

/// The job ran once, and everything of it came to a shadow.
#[track_caller]
fn all_is_well(claim: Claim, machine: &Machine) -> Ended {
    let ended = claim.end(machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    assert_eq!(ended.output("_condor_stdout").as_deref(), Some(&b"done\n"[..]), "{ended}");
    let count = |number| ended.requests().iter().filter(|request| **request == number).count();
    for number in [JOB_INFO, STARTER_INFO, BEGIN_EXECUTION] {
        assert_eq!(count(number), 1, "request {number}\n{ended}");
    }
    assert!(count(SESSIONS) >= 2, "{ended}");
    ended
}

#[test]
fn it_comes_back_while_the_job_runs() {
    for release in [OLD, NEW] {
        let Some(mut machine) = machine() else { return };
        machine.set_knob("STARTER_INITIAL_UPDATE_INTERVAL", "1");
        machine.set_knob("STARTER_UPDATE_INTERVAL", "1");
        let setup = leased("sleep 5; echo done", 60);
        let setup = Setup { release, ..setup };
        let mut claim = failing(setup, BEGIN_EXECUTION, 1, Deed::CloseAfter).start(&machine);
        lost(&mut claim, 1);
        claim.until("an update for the startd alone", |event| match event {
            Event::Update(update) => {
                update.ad.eval_bool("STARTER_DISCONNECTED_FROM_SUBMIT_NODE") == Some(true)
            }
            _ => false,
        });
        comes_back(&mut claim, &Back::new());
        let ended = all_is_well(claim, &machine).says(&["Recovered connection to shadow"]);
        // It hears of the job while that runs.
        let requests = ended.requests();
        let again = requests.iter().rposition(|number| *number == SESSIONS).unwrap();
        let exit = requests.iter().position(|number| *number == EVENT).unwrap();
        let updates = requests[again..exit].iter().filter(|number| **number == JOB_UPDATE);
        assert!(updates.count() > 1, "{ended}");
    }
}

/// At each request after the start of the job, in each way.
#[test]
fn it_comes_back_whatever_went_wrong() {
    let deeds =
        [Deed::Close, Deed::Half, Deed::Garbage, Deed::WrongType, Deed::CloseAfter, Deed::Stall];
    for deed in deeds {
        for (number, nth) in [(JOB_UPDATE, 2), (EVENT, 1), (JOB_UPDATE, 3), (JOB_EXIT, 1)] {
            if (number, deed) == (JOB_EXIT, Deed::CloseAfter) {
                continue;
            }
            let Some(mut machine) = machine() else { return };
            if deed == Deed::Stall {
                machine.set_knob("STARTER_UPLOAD_TIMEOUT", "1");
            }
            let mut claim = failing(leased("echo done", 60), number, nth, deed).start(&machine);
            lost(&mut claim, 1);
            comes_back(&mut claim, &Back::new());
            all_is_well(claim, &machine).says(&["Lost connection to shadow"]);
        }
    }
}

/// The second one does no better than the first; the third does.
#[test]
fn it_comes_back_and_fails_again() {
    for (number, deed) in [
        (SESSIONS, Deed::Close),
        (SESSIONS, Deed::Garbage),
        (SESSIONS, Deed::WrongType),
        (JOB_UPDATE, Deed::Close),
        (EVENT, Deed::Half),
        (JOB_EXIT, Deed::Close),
    ] {
        let Some(machine) = machine() else { return };
        let setup = failing(leased("echo done", 60), EVENT, 1, Deed::Close);
        let mut claim = setup.start(&machine);
        lost(&mut claim, 1);
        // This one comes when the job has ended long ago.
        sleep(Duration::from_secs(1));
        let again = if number == JOB_UPDATE { EVENT } else { number };
        comes_back(&mut claim, &Back::failing(again, deed));
        lost(&mut claim, 2);
        comes_back(&mut claim, &Back::new());
        all_is_well(claim, &machine);
    }
}

#[test]
fn it_is_lost_in_the_middle_of_the_output() {
    // As long as the first one's server is asked, it fails.
    for deed in [FileDeed::HalfAFile, FileDeed::Close, FileDeed::Garbage, FileDeed::NoAck] {
        let Some(machine) = machine() else { return };
        let mut setup = failing(leased("echo done", 60), JOB_UPDATE, 3, Deed::CloseAfter);
        setup.delivering = vec![deed; 20];
        let mut claim = setup.start(&machine);
        lost(&mut claim, 1);
        comes_back(&mut claim, &Back::new());
        all_is_well(claim, &machine);
    }
}

/// The old one has fallen silent in the middle of a file, and nobody has noticed.
#[test]
fn another_comes_while_output_is_on_its_way() {
    let Some(machine) = machine() else { return };
    let mut setup = leased("echo done", 60);
    setup.delivering = vec![FileDeed::Stall; 20];
    let mut claim = setup.start(&machine);
    claim.transferring(OUTPUT);
    comes_back(&mut claim, &Back::new());
    lost(&mut claim, 1);
    all_is_well(claim, &machine).says(&["another shadow takes over"]);
}

#[test]
fn another_comes_though_the_last_one_is_there() {
    let Some(machine) = machine() else { return };
    let mut claim = leased("echo > ready; sleep 3; echo done", 60).start(&machine);
    claim.made(&machine, "ready");
    comes_back(&mut claim, &Back::new());
    lost(&mut claim, 1);
    comes_back(&mut claim, &Back::new());
    lost(&mut claim, 2);
    all_is_well(claim, &machine);
}

/// The last step before the job begins: whether that shadow has told anybody isn't known.
#[test]
fn it_is_lost_when_the_job_is_about_to_begin() {
    for deed in [Deed::Close, Deed::Garbage] {
        let Some(machine) = machine() else { return };
        let setup = failing(leased("echo done", 60), BEGIN_EXECUTION, 1, deed);
        let mut claim = setup.start(&machine);
        lost(&mut claim, 1);
        comes_back(&mut claim, &Back::new());
        let ended = claim.end(&machine).code(0);
        let begun = ended.requests().iter().filter(|number| **number == BEGIN_EXECUTION).count();
        assert_eq!((ended.exit(), begun), (Some((0, 100)), 2), "{ended}");
    }
}

#[test]
fn the_lease_ends() {
    for script in ["sleep 1000", "echo done"] {
        for (number, nth) in [(BEGIN_EXECUTION, 1), (EVENT, 1)] {
            if script != "echo done" && number == EVENT {
                continue;
            }
            let Some(machine) = machine() else { return };
            let setup = failing(leased(script, 2), number, nth, Deed::CloseAfter);
            let start = Instant::now();
            let ended = setup.start(&machine).end(&machine).code(2);
            let time = start.elapsed();
            assert!(time >= Duration::from_millis(1900), "{time:?}\n{ended}");
            assert!(ended.exit().is_none() && ended.transfers(OUTPUT) == 0, "{ended}");
            ended.says(&["No reconnect from shadow", "aborting job execution!"]);
        }
    }
}

/// A lease that is too short for the usual updates is renewed by more of them.
#[test]
fn a_short_lease_is_renewed() {
    let Some(machine) = machine() else { return };
    let setup = leased("sleep 12; echo done", 3);
    let mut claim = setup.start(&machine);
    claim.asked(EVENT);
    let ended = claim.end(&machine).code(0);
    let updates = ended.requests().iter().filter(|number| **number == JOB_UPDATE).count();
    assert!(updates > 4, "{ended}");
}

/// Nothing is lost with a job that hasn't begun.
#[test]
fn it_is_lost_before_the_job_begins() {
    for number in [JOB_INFO, STARTER_INFO, SESSIONS, JOB_UPDATE] {
        let Some(machine) = machine() else { return };
        let claim = failing(leased("echo done", 600), number, 1, Deed::Close).start(&machine);
        claim.end(&machine).code(2).says(&["lost the connection with the shadow"]);
    }
}

#[test]
fn a_job_without_a_lease_is_ended() {
    for lease in [0, -1] {
        let Some(machine) = machine() else { return };
        let setup = failing(leased("sleep 1000", lease), BEGIN_EXECUTION, 1, Deed::CloseAfter);
        setup.start(&machine).end(&machine).code(2).says(&["lost the connection"]);
    }
}

/// Who isn't the job's shadow doesn't become it, and doesn't disturb it.
#[test]
fn strangers_are_turned_away() {
    let Some(machine) = machine() else { return };
    let setup = failing(
        leased("echo > ready; sleep 3; echo done", 60),
        BEGIN_EXECUTION,
        1,
        Deed::CloseAfter,
    );
    let mut claim = setup.start(&machine);
    lost(&mut claim, 1);
    claim.made(&machine, "ready");
    for session in [In::Family, In::Parent] {
        let stranger = Back { session, ..Back::new() };
        assert!(claim.shadow_returns(&stranger).is_err(), "{session:?}");
    }
    for garbage in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[1, 0xff, 0xff, 0xff, 0xff], &[0; 64]]
    {
        let stranger = Back { garbage: Some(garbage), ..Back::new() };
        assert!(claim.shadow_returns(&stranger).is_err(), "{garbage:?}");
    }
    let mut refused = |back: Back, result: &str| {
        let reply = claim.shadow_returns(&back).unwrap();
        assert_eq!(reply.eval_string("Result").as_deref(), Some(result), "{reply}");
        assert!(reply.contains("ErrorString"), "{reply}");
    };
    refused(Back { job: Some("pool.test#8.0#1"), ..Back::new() }, "Failure");
    refused(Back { command: "CA_SUSPEND_CLAIM", ..Back::new() }, "InvalidRequest");
    comes_back(&mut claim, &Back { job: Some("pool.test#7.0#1"), ..Back::new() });
    all_is_well(claim, &machine).says(&["PERMISSION DENIED", "CA_CMD"]);
}

#[test]
fn there_is_nothing_to_come_back_to() {
    let Some(machine) = machine() else { return };
    let mut setup = leased("echo done", 60);
    setup.fetching = vec![FileDeed::Stall];
    let mut claim = setup.start(&machine);
    claim.transferring(INPUT);
    let reply = claim.shadow_returns(&Back::new()).unwrap();
    assert_eq!(reply.eval_string("Result").as_deref(), Some("InvalidState"), "{reply}");
    claim.startd.order(Order::Signal(Signal::SIGQUIT));
    claim.end(&machine).code(0);
}

/// An order to end counts, whoever is away: the job has the time that it is given, and no more.
#[test]
fn an_order_to_end_while_it_is_away() {
    for (order, least) in [
        (Order::Signal(Signal::SIGQUIT), 0),
        (Order::Vacate(1009, false), 0),
        (Order::Signal(Signal::SIGTERM), 2),
        (Order::Vacate(1010, true), 2),
    ] {
        let Some(machine) = machine() else { return };
        let script = "trap 'sleep 2; exit 1' TERM; echo > ready; while :; do sleep 0.1; done";
        let setup = failing(leased(script, 600), BEGIN_EXECUTION, 1, Deed::CloseAfter);
        let mut claim = setup.start(&machine);
        lost(&mut claim, 1);
        claim.made(&machine, "ready");
        let start = Instant::now();
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        let time = start.elapsed();
        assert!(time >= Duration::from_secs(least), "{time:?}\n{ended}");
        assert!(time < Duration::from_secs(20), "{time:?}\n{ended}");
    }
}

/// An order to hold isn't lost with the shadow: the next one is told, or the lease ends.
#[test]
fn it_is_held_while_it_is_away() {
    let polite = "trap 'exit 1' TERM; echo > ready; while :; do sleep 0.1; done";
    for (release, back) in [(OLD, true), (NEW, true), (NEW, false)] {
        let Some(machine) = machine() else { return };
        let setup = Setup { release, ..leased(polite, if back { 60 } else { 4 }) };
        let mut claim = failing(setup, BEGIN_EXECUTION, 1, Deed::CloseAfter).start(&machine);
        lost(&mut claim, 1);
        claim.made(&machine, "ready");
        claim.startd.order(Order::Vacate(21, true));
        // The job is over long before anybody comes.
        sleep(Duration::from_secs(1));
        if back {
            comes_back(&mut claim, &Back::new());
        }
        let ended = claim.end(&machine).code(0);
        let told = back.then(|| (21, "Claim deactivated".to_owned()));
        assert_eq!((ended.error(), ended.exit()), (told, None), "{ended}");
    }
}

/// What an evicted job wants back waits for a shadow.
#[test]
fn it_is_evicted_while_it_is_away() {
    let Some(machine) = machine() else { return };
    let script = "trap 'echo kept > kept; exit 1' TERM; echo > ready; while :; do sleep 0.1; done";
    let mut setup = failing(leased(script, 60), BEGIN_EXECUTION, 1, Deed::CloseAfter);
    setup.job.push(("WhenToTransferOutput", "ON_EXIT_OR_EVICT".into()));
    let mut claim = setup.start(&machine);
    lost(&mut claim, 1);
    claim.made(&machine, "ready");
    claim.startd.order(Order::Vacate(1010, true));
    sleep(Duration::from_secs(1));
    comes_back(&mut claim, &Back::new());
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.output("kept").as_deref(), Some(&b"kept\n"[..]), "{ended}");
    assert_eq!(ended.exit().map(|(_, reason)| reason), Some(107), "{ended}");
}

/// Three clients of a job's chirp proxy: with the first one's bytes the shadow is lost, the second had a
/// file open there, and the third opens one at the next shadow, which gives it the same number.
const WRITERS: &str = r#"bash -c '
read host port cookie <"$_CONDOR_CHIRP_CONFIG" || exit 9
for n in 3 4 5; do
    eval "exec $n<>/dev/tcp/$host/$port"; printf "cookie %s\n" "$cookie" >&$n; read -r l <&$n
done
for n in 3 4; do printf "open f w 420\n" >&$n; read -r old <&$n; read -r stat <&$n; done
printf "write $old 16\nopen here w 420\n" >&3; read -r a <&3 || a=gone
printf "open f w 420\n" >&5; read -r new <&5; read -r stat <&5
printf "write $old 3\nold" >&4; read -r b <&4
printf "write $new 3\nnew" >&5; read -r c <&5
echo "$old $a $new $b $c" >said
exec 4>&-
'; echo done"#;

/// What was open at the last shadow isn't at this one, where its number is some other file's.
#[test]
fn nothing_is_open_at_the_next_one() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup { release, ..leased(WRITERS, 60) };
        setup.job.push(("WantIOProxy", true.into()));
        let mut claim = failing(setup, WRITE, 1, Deed::Close).start(&machine);
        lost(&mut claim, 1);
        comes_back(&mut claim, &Back::new());
        let ended = all_is_well(claim, &machine);
        let said = ended.output("said").map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(said.as_deref(), Some("7 gone 7 -12 3\n"), "{ended}");
        let mut written = ended.asked().filter_map(|request| request.ad.eval_string("Written"));
        assert_eq!(written.next_back().as_deref(), Some("new"), "{ended}");
        // That of the third client.
        let closed = ended.requests().iter().filter(|number| **number == CLOSE).count();
        assert!(closed <= 1, "{ended}");
    }
}
