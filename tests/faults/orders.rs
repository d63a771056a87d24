//! The startd's orders, in the words of both versions, at every stage of a job's life.

use std::io::Write as _;
use std::net::TcpStream;

use crate::pool::machine;
use nix::sys::signal::Signal;

use crate::pool::files::{Deed, INPUT, OUTPUT};
use crate::pool::shadow::{JOB_EXIT, JOB_UPDATE, STARTER_INFO, ULOG};
use crate::pool::startd::Order;
use crate::pool::{Event, NEW, OLD, Setup};

const SOFT: [(&str, Order); 4] = [
    (OLD, Order::Signal(Signal::SIGTERM)),
    (OLD, Order::Raise(15)),
    (NEW, Order::Raise(102)),
    (NEW, Order::Vacate(1009, true)),
];
const HARD: [(&str, Order); 4] = [
    (OLD, Order::Signal(Signal::SIGQUIT)),
    (OLD, Order::Raise(3)),
    (NEW, Order::Raise(103)),
    (NEW, Order::Vacate(1009, false)),
];

/// A job that says goodbye if it is asked to end.
const POLITE: &str =
    "trap 'echo bye > bye; exit 5' TERM; sleep 1000 & echo > running; wait; echo woken; exit 6";

fn setup(release: &'static str, script: &str) -> Setup {
    let mut setup = Setup::new(script);
    setup.release = release;
    setup
}

#[test]
fn while_the_job_runs() {
    for (soft, (release, order)) in
        SOFT.map(|one| (true, one)).into_iter().chain(HARD.map(|one| (false, one)))
    {
        let Some(machine) = machine() else { return };
        let claim = setup(release, POLITE).start(&machine);
        claim.made(&machine, "running");
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        let status = if soft { 5 << 8 } else { 9 };
        assert_eq!(ended.exit(), Some((status, 107)), "{order:?}\n{ended}");
        assert_eq!(ended.transfers(OUTPUT), 0, "{order:?}: nothing was to be delivered\n{ended}");
        assert!(ended.startd_knows(), "{ended}");
    }
}

/// A job that wants its files back when it is evicted gets them, if there is time.
#[test]
fn output_of_an_evicted_job() {
    for (soft, (release, order)) in
        SOFT.map(|one| (true, one)).into_iter().chain(HARD.map(|one| (false, one)))
    {
        let Some(machine) = machine() else { return };
        let mut setup = setup(release, POLITE);
        setup.job = vec![("WhenToTransferOutput", "ON_EXIT_OR_EVICT".into())];
        let claim = setup.start(&machine);
        claim.made(&machine, "running");
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        let bye = ended.output("bye");
        assert_eq!(bye.as_deref(), soft.then_some(&b"bye\n"[..]), "{order:?}\n{ended}");
        assert_eq!(ended.exit().map(|(_, reason)| reason), Some(107), "{ended}");
    }
}

#[test]
fn while_input_is_on_its_way() {
    for (release, order) in SOFT.into_iter().chain(HARD) {
        let Some(machine) = machine() else { return };
        let mut setup = setup(release, POLITE);
        setup.fetching = vec![Deed::Stall];
        let mut claim = setup.start(&machine);
        claim.transferring(INPUT);
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((0, 108)), "{order:?}: it never ran\n{ended}");
        assert!(ended.startd_knows(), "{ended}");
    }
}

/// The job is over by then: its output is brought home before the starter leaves.
#[test]
fn while_output_is_on_its_way() {
    for (release, order) in SOFT {
        let Some(machine) = machine() else { return };
        let machine = machine.knob("STARTER_UPLOAD_TIMEOUT", "1");
        let mut setup = setup(release, "head -c 300000 /dev/zero > result");
        setup.fetching = vec![Deed::Good];
        setup.delivering = vec![Deed::Stall];
        let mut claim = setup.start(&machine);
        claim.transferring(OUTPUT);
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((0, 100)), "{order:?}\n{ended}");
        assert_eq!(ended.output("result").map(|bytes| bytes.len()), Some(300_000), "{ended}");
    }
}

/// The order comes between the job's own end and the transfer of what it has made.
#[test]
fn just_after_the_jobs_own_end() {
    for (release, order) in SOFT {
        let Some(machine) = machine() else { return };
        let mut claim = setup(release, "echo done; echo > running; exit 4").start(&machine);
        claim.made(&machine, "running");
        // The second update is that of the end.
        let mut updates = 0;
        claim.until("the end of the job", |event| {
            if let Event::Asked(request) = event {
                updates += usize::from(request.number == JOB_UPDATE);
            }
            updates == 2
        });
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((4 << 8, 100)), "{order:?}\n{ended}");
        assert!(ended.output("_condor_stdout").is_some(), "{order:?}\n{ended}");
    }
}

/// A job that doesn't want to end is killed once its time is over, and all that comes later changes
/// nothing.
#[test]
fn orders_that_come_again_and_again() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("SHUTDOWN_GRACEFUL_TIMEOUT", "1");
    let script = "trap '' TERM; echo > running; while :; do sleep 1000; done";
    let mut claim = setup(OLD, script).start(&machine);
    claim.made(&machine, "running");
    for _ in 0..5 {
        claim.startd.order(Order::Signal(Signal::SIGTERM));
        claim.startd.order(Order::Raise(102));
    }
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((9, 107)), "{ended}");
}

/// The time for a job to end isn't that for its output, which may take longer.
#[test]
fn a_long_transfer_after_a_soft_order() {
    let Some(machine) = machine() else { return };
    let machine =
        machine.knob("SHUTDOWN_GRACEFUL_TIMEOUT", "1").knob("STARTER_UPLOAD_TIMEOUT", "3");
    let mut setup = setup(OLD, &format!("head -c 300000 /dev/zero > result; {POLITE}"));
    setup.job = vec![("WhenToTransferOutput", "ON_EXIT_OR_EVICT".into())];
    setup.fetching = vec![Deed::Good];
    setup.delivering = vec![Deed::Stall];
    let claim = setup.start(&machine);
    claim.made(&machine, "running");
    claim.startd.order(Order::Signal(Signal::SIGTERM));
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((5 << 8, 107)), "{ended}");
    assert_eq!(ended.output("result").map(|bytes| bytes.len()), Some(300_000), "{ended}");
}

#[test]
fn suspended_and_continued_twice_each() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut claim = setup(release, POLITE).start(&machine);
        claim.made(&machine, "running");
        let mut expected = Vec::new();
        for (number, state) in [(100, "Suspended"), (101, "Running")] {
            claim.startd.order(Order::Raise(number));
            claim.startd.order(Order::Raise(number));
            expected.push(state);
            claim.until(state, |event| {
                matches!(event, Event::Asked(request)
                if request.ad.eval_string("JobState").as_deref() == Some(state))
            });
        }
        claim.startd.order(Order::Raise(100));
        // A suspended job can be ended.
        claim.startd.order(Order::Signal(Signal::SIGTERM));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((5 << 8, 107)), "{ended}");
        let states: Vec<_> =
            ended.asked().filter_map(|request| request.ad.eval_string("JobState")).collect();
        assert!(states.starts_with(&["Suspended".into(), "Running".into()]), "{states:?}");
    }
}

/// A job that is to be suspended before it has begun is so from its beginning.
#[test]
fn suspended_before_it_runs() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut claim = setup(release, "sleep 1; exit 4").start(&machine);
        claim.asked(STARTER_INFO);
        claim.startd.order(Order::Raise(100));
        let state = |state: &'static str| {
            move |event: &Event| {
                matches!(event, Event::Asked(request)
                    if request.ad.eval_string("JobState").as_deref() == Some(state))
            }
        };
        claim.until("suspended", state("Suspended"));
        claim.startd.order(Order::Raise(101));
        claim.until("going on", state("Exited"));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit(), Some((4 << 8, 100)), "{ended}");
    }
}

/// To a startd of 23 command 1500 is an order to hold, to one of 25 if the code says so.
#[test]
fn holds() {
    for (release, code) in [(OLD, 21), (OLD, 1009), (NEW, 21)] {
        for soft in [true, false] {
            let Some(machine) = machine() else { return };
            let mut claim = setup(release, POLITE).start(&machine);
            claim.made(&machine, "running");
            claim.startd.order(Order::Vacate(code, soft));
            claim.asked(ULOG);
            let ended = claim.end(&machine).code(0);
            let (told, text) = ended.error().unwrap();
            assert_eq!((told, text.as_str()), (i64::from(code), "Claim deactivated"), "{ended}");
            assert!(ended.exit().is_none(), "the shadow is leaving already\n{ended}");
            assert!(ended.startd_knows(), "{ended}");
        }
    }
}

/// A job is held that hasn't begun, and one isn't that is over.
#[test]
fn holds_before_and_after_the_job() {
    for (release, late) in [(OLD, false), (NEW, false), (OLD, true), (NEW, true)] {
        let Some(machine) = machine() else { return };
        let machine = machine.knob("STARTER_UPLOAD_TIMEOUT", "1");
        let mut setup = setup(release, "echo done");
        setup.fetching = vec![if late { Deed::Good } else { Deed::Stall }];
        setup.delivering = vec![Deed::Close];
        let mut claim = setup.start(&machine);
        claim.transferring(if late { OUTPUT } else { INPUT });
        claim.startd.order(Order::Vacate(21, true));
        let ended = claim.end(&machine).code(0);
        if late {
            assert_eq!((ended.exit(), ended.error()), (Some((0, 100)), None), "{ended}");
            assert!(ended.output("_condor_stdout").is_some(), "{ended}");
        } else {
            assert_eq!(ended.error().map(|(code, _)| code), Some(21), "{ended}");
            assert_eq!(ended.exit(), None, "{ended}");
        }
    }
}

/// Strangers at the door of the starter: it serves the job, and whoever has a right to be served.
#[test]
fn strangers() {
    let Some(machine) = machine() else { return };
    let claim = setup(NEW, POLITE).start(&machine);
    claim.made(&machine, "running");
    let mut open: Vec<TcpStream> = Vec::new();
    for turn in 0..60 {
        let mut stranger = claim.startd.connect();
        let words: &[u8] = match turn % 5 {
            0 => b"GET / HTTP/1.1\r\n\r\n",
            1 => &[1, 0xff, 0xff, 0xff, 0xff, 0, 0],
            2 => &[0; 64],
            3 => &[1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0xea, 0x6a],
            _ => b"",
        };
        let _ = stranger.write_all(words);
        open.push(stranger);
    }
    claim.startd.order(Order::Vacate(1009, true));
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((5 << 8, 107)), "{ended}");
}
