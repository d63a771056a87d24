//! A job that waits for its time: what happens to it meanwhile.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::pool::machine;
use nix::sys::signal::Signal;

use crate::pool::shadow::{BEGIN_EXECUTION, JOB_EXIT, JOB_UPDATE};
use crate::pool::startd::Order;
use crate::pool::{NEW, OLD, Setup};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn setup(release: &'static str, later: i64) -> Setup {
    let mut setup = Setup::new("date +%s > seen");
    setup.release = release;
    setup.job = vec![("DeferralTime", (now() + later).into())];
    setup
}

#[test]
fn it_begins_on_time_whatever_is_configured_anew() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let time = now() + 3;
        let mut claim = setup(release, 3).start(&machine);
        claim.asked(JOB_UPDATE);
        claim.startd.order(Order::Signal(Signal::SIGHUP));
        claim.startd.order(Order::Raise(1));
        let ended = claim.end(&machine).code(0);
        let seen = String::from_utf8(ended.output("seen").unwrap()).unwrap();
        let seen: i64 = seen.trim().parse().unwrap();
        assert!((time..time + 5).contains(&seen), "{seen} for {time}\n{ended}");
    }
}

#[test]
fn it_is_ended_like_any_other_and_never_ran() {
    for (release, order) in [
        (OLD, Order::Signal(Signal::SIGTERM)),
        (OLD, Order::Signal(Signal::SIGQUIT)),
        (NEW, Order::Vacate(1009, true)),
        (NEW, Order::Vacate(1009, false)),
    ] {
        let Some(machine) = machine() else { return };
        let mut claim = setup(release, 600).start(&machine);
        claim.asked(JOB_UPDATE);
        claim.startd.order(order);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit().map(|(_, reason)| reason), Some(108), "{order:?}\n{ended}");
        assert!(!ended.requests().contains(&BEGIN_EXECUTION), "{ended}");
    }
}

#[test]
fn its_time_is_over() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let ended = setup(release, -5).start(&machine).end(&machine).code(0);
        assert_eq!(ended.exit(), Some((-1, 114)), "{ended}");
        assert!(ended.startd_knows() && ended.requests().last() == Some(&JOB_EXIT), "{ended}");
        ended.says(&["missed its execution time", "late here"]);
    }
}
