//! A shadow whose server for files misbehaves.

use crate::pool::machine;
use cloister_tests::Machine;
use nix::sys::signal::Signal;

use crate::pool::files::{Deed, INPUT, OUTPUT};
use crate::pool::shadow::{JOB_EXIT, ULOG};
use crate::pool::startd::Order;
use crate::pool::{Ended, Setup};

/// What goes wrong, and words for it.
const FAULTS: [(Deed, &str); 7] = [
    (Deed::Close, "lost"),
    (Deed::NoSession, "session"),
    (Deed::NoKey, "does not know the TransferKey"),
    (Deed::HalfAFile, "lost"),
    (Deed::Garbage, "peer"),
    (Deed::Huge, "4294967295 exceeds the limit"),
    (Deed::Stall, "was silent for 1 s"),
];

/// A job with some output.
const SCRIPT: &str = "echo done; head -c 300000 /dev/zero > result";

fn impatient() -> Option<Machine> {
    Some(machine()?.knob("STARTER_UPLOAD_TIMEOUT", "1"))
}

#[test]
fn input_that_does_not_come() {
    for (deed, words) in FAULTS {
        let Some(machine) = impatient() else { return };
        let mut setup = Setup::new("echo done");
        setup.fetching = vec![deed];
        let mut claim = setup.start(&machine);
        claim.asked(ULOG);
        let ended = claim.end(&machine).code(0).says(&["ERROR", "input files", words]);
        let (code, text) = ended.error().unwrap();
        assert!(text.contains(words), "{deed:?}: {text}");
        assert_eq!(code, 1007, "{deed:?}: the job isn't to blame\n{ended}");
        assert!(ended.exit().is_none(), "the job never ran\n{ended}");
    }
}

#[test]
fn input_that_the_shadow_has_not_got_holds_the_job() {
    let Some(machine) = impatient() else { return };
    let mut setup = Setup::new("echo done");
    setup.fetching = vec![Deed::Refuse];
    let mut claim = setup.start(&machine);
    claim.asked(ULOG);
    let ended = claim.end(&machine).code(0);
    let (code, text) = ended.error().unwrap();
    assert!(code == 13 && text.contains("no such file"), "{code} {text}");
}

/// A connection that breaks takes no output with it: it is brought again.
#[test]
fn output_is_delivered_at_the_second_attempt() {
    for (deed, words) in FAULTS.into_iter().chain([(Deed::NoAck, "lost")]) {
        let Some(machine) = impatient() else { return };
        let mut setup = Setup::new(SCRIPT);
        setup.fetching = vec![Deed::Good];
        setup.delivering = vec![deed];
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        let ended = claim.end(&machine).code(0).says(&[words, "once more"]);
        assert_eq!(ended.exit(), Some((0, 100)), "{deed:?}\n{ended}");
        let result = ended.output("result").unwrap_or_default();
        assert!(result == vec![0; 300_000], "{deed:?}: {} bytes", result.len());
        let attempts = if deed == Deed::NoSession { 1 } else { 2 };
        assert_eq!(ended.transfers(OUTPUT), attempts, "{deed:?}");
    }
}

/// A shadow that is gone for some seconds is found again.
#[test]
fn attempts_are_not_made_all_at_once() {
    let Some(machine) = impatient() else { return };
    let mut setup = Setup::new("echo done");
    setup.delivering = vec![Deed::Close; 3];
    setup.fetching = vec![Deed::Good];
    let start = std::time::Instant::now();
    let mut claim = setup.start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert!(start.elapsed() >= std::time::Duration::from_secs(3), "{ended}");
    assert_eq!((ended.transfers(OUTPUT), ended.exit()), (4, Some((0, 100))), "{ended}");
}

#[test]
fn output_that_the_shadow_can_not_store_holds_the_job() {
    let Some(machine) = impatient() else { return };
    let mut setup = Setup::new("echo done");
    setup.fetching = vec![Deed::Good];
    setup.delivering = vec![Deed::Refuse];
    let mut claim = setup.start(&machine);
    claim.asked(ULOG);
    let ended = claim.end(&machine).code(0);
    let (code, text) = ended.error().unwrap();
    assert!(code == 12 && text.contains("no space left"), "{code} {text}");
    assert_eq!(ended.transfers(OUTPUT), 1, "an answer is an answer\n{ended}");
}

fn gives_up(order: Order) -> Option<Ended> {
    let machine = impatient()?;
    let mut setup = Setup::new("echo done");
    setup.fetching = vec![Deed::Good];
    setup.delivering = vec![Deed::Close; 100];
    let mut claim = setup.start(&machine);
    claim.transferring(OUTPUT);
    claim.startd.order(order);
    Some(claim.end(&machine).code(0))
}

/// Between two attempts an order to end is heard.
#[test]
fn an_order_ends_the_attempts() {
    let Some(ended) = gives_up(Order::Signal(Signal::SIGQUIT)) else { return };
    assert!(ended.transfers(OUTPUT) < 5, "{ended}");
    assert_eq!(ended.exit().map(|(_, reason)| reason), Some(107), "{ended}");
}

/// In the middle of a transfer, too.
#[test]
fn an_order_ends_a_transfer() {
    for deed in [(INPUT, 108), (OUTPUT, 107)] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new(SCRIPT);
        let stalled = if deed.0 == INPUT { &mut setup.fetching } else { &mut setup.delivering };
        stalled.push(Deed::Stall);
        if deed.0 == OUTPUT {
            setup.fetching = vec![Deed::Good];
        }
        let mut claim = setup.start(&machine);
        claim.transferring(deed.0);
        std::thread::sleep(std::time::Duration::from_millis(200));
        claim.startd.order(Order::Signal(Signal::SIGQUIT));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit().map(|(_, reason)| reason), Some(deed.1), "{ended}");
    }
}
