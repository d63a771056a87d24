//! A shadow that misbehaves on the channel for requests, at every request of a job's life.

use crate::pool::machine;
use nix::sys::signal::Signal;

use crate::pool::shadow::{
    BEGIN_EXECUTION, Deed, EVENT, JOB_EXIT, JOB_INFO, JOB_UPDATE, SESSIONS, STARTER_INFO, ULOG,
};
use crate::pool::startd::Order;
use crate::pool::{Ended, Setup};

/// Every request of a quick job, with which one of its kind it is.
const STEPS: [(i64, usize); 9] = [
    (JOB_INFO, 1),
    (STARTER_INFO, 1),
    (SESSIONS, 1),
    (JOB_UPDATE, 1),
    (BEGIN_EXECUTION, 1),
    (JOB_UPDATE, 2),
    (EVENT, 1),
    (JOB_UPDATE, 3),
    (JOB_EXIT, 1),
];

/// A quick job whose shadow does something wrong, at every step; what came of each.
fn at_every_step(deed: Deed, knobs: &[(&str, &str)], mut check: impl FnMut(Ended, i64)) {
    for (number, nth) in STEPS {
        let Some(mut machine) = machine() else { return };
        for (name, value) in knobs {
            machine.set_knob(name, value);
        }
        let mut setup = Setup::new("echo done");
        setup.shadow = Some((number, nth, deed));
        let mut claim = setup.start(&machine);
        claim.asked(number);
        check(claim.end(&machine), number);
    }
}

const LOST: &str = "lost the connection with the shadow";

#[test]
fn it_closes() {
    at_every_step(Deed::Close, &[], |ended, _| {
        ended.code(2).says(&[LOST, "closed"]);
    });
}

#[test]
fn it_closes_in_the_middle_of_an_answer() {
    at_every_step(Deed::Half, &[], |ended, _| {
        ended.code(2).says(&[LOST, "closed"]);
    });
}

#[test]
fn it_dies_once_it_has_answered() {
    at_every_step(Deed::CloseAfter, &[], |ended, number| {
        // Nobody is asked for anything after the last request.
        let code = if number == JOB_EXIT { 0 } else { 2 };
        let ended = ended.code(code);
        if code != 0 {
            ended.says(&[LOST]);
        }
    });
}

#[test]
fn it_sends_garbage() {
    at_every_step(Deed::Garbage, &[], |ended, _| {
        ended.code(2).says(&[LOST, "peer"]);
    });
}

#[test]
fn it_announces_4_gib() {
    at_every_step(Deed::Huge, &[], |ended, _| {
        ended.code(2).says(&[LOST, "4294967295 exceeds the limit"]);
    });
}

#[test]
fn it_answers_something_else() {
    at_every_step(Deed::WrongType, &[], |ended, number| {
        ended.code(2).says(&[LOST, "its answer to", name(number)]);
    });
}

#[test]
fn it_answers_twice() {
    at_every_step(Deed::Twice, &[], |ended, number| {
        // After the last request nobody listens.
        if number == JOB_EXIT {
            ended.code(0);
        } else {
            ended.code(2).says(&[LOST]);
        }
    });
}

#[test]
fn it_falls_silent() {
    let knobs = [("STARTER_UPLOAD_TIMEOUT", "1")];
    at_every_step(Deed::Stall, &knobs, |ended, number| {
        ended.code(2).says(&[LOST, "no answer to", name(number), "in 1 s"]);
    });
}

/// Who has to end the job in a hurry doesn't wait for an answer that may never come.
#[test]
fn an_order_to_end_counts_though_it_is_silent() {
    for (number, nth) in STEPS {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("echo done");
        setup.shadow = Some((number, nth, Deed::Stall));
        let mut claim = setup.start(&machine);
        let mut seen = 0;
        claim.until("the request", |event| {
            if let crate::pool::Event::Asked(request) = event {
                seen += usize::from(request.number == number);
            }
            seen == nth
        });
        claim.startd.order(Order::Signal(Signal::SIGQUIT));
        let ended = claim.end(&machine).code(0).says(&["no answer to", name(number)]);
        assert!(ended.log.contains("asked to: Hard"), "{ended}");
    }
}

/// An errno is an answer. Where the job can't go on without what was asked for, the shadow is told so,
/// and has the starter ended.
#[test]
fn it_refuses_a_request() {
    for (number, nth) in STEPS {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("echo done");
        setup.shadow = Some((number, nth, Deed::Errno(13)));
        let mut claim = setup.start(&machine);
        match number {
            // There negative numbers are no errors, and an errno after one is nothing that could be.
            EVENT => {
                claim.end(&machine).code(2).says(&[LOST, name(number)]);
            }
            // What the shadow doesn't want to know.
            JOB_UPDATE | JOB_EXIT => {
                let ended = claim.end(&machine).code(0).says(&[
                    "WARNING",
                    "refused",
                    name(number),
                    "errno 13",
                ]);
                assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
                assert!(ended.output("_condor_stdout").is_some(), "{ended}");
            }
            _ => {
                claim.asked(ULOG);
                let ended = claim.end(&machine).code(0);
                let (code, text) = ended.error().unwrap();
                // Without sessions there is no transfer.
                let words = match number {
                    SESSIONS => ["SEC_ENABLE_MATCH_PASSWORD_AUTHENTICATION", "offers no transfer"],
                    _ => [name(number), "errno 13"],
                };
                assert!(words.iter().all(|word| text.contains(word)), "{text}");
                assert_eq!(code, 1007, "the job isn't to blame\n{ended}");
                assert!(ended.startd_knows(), "{ended}");
            }
        }
    }
}

/// The connection goes while the job runs.
#[test]
fn it_goes_while_the_job_runs() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("echo > running; sleep 1000");
    setup.shadow = Some((BEGIN_EXECUTION, 1, Deed::CloseAfter));
    let claim = setup.start(&machine);
    claim.end(&machine).code(2).says(&[LOST]);
}

/// What isn't usable in the job ad is the job's fault, or the pool's; the shadow is told in any case.
#[test]
fn its_job_ad_is_not_usable() {
    for (name, value, words) in [
        ("Cmd", cloister_tests::Value::from(5_i64), "Cmd"),
        ("JobUniverse", 4711_i64.into(), "niverse"),
        ("Owner", "nobody-here".into(), "nobody-here"),
        ("TransferSocket", "somewhere".into(), "somewhere"),
        ("TransferSocket", "<127.0.0.1:1>".into(), "127.0.0.1:1"),
        ("TransferKey", "another".into(), "lost"),
    ] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new("echo done");
        setup.job = vec![(name, value)];
        let mut claim = setup.start(&machine);
        claim.asked(ULOG);
        let ended = claim.end(&machine).code(0);
        let (_, text) = ended.error().unwrap();
        assert!(text.contains(words), "{name}: {text}");
        let ended = ended.says(&["ERROR", words]);
        assert!(ended.startd_knows() && ended.exit().is_none(), "{ended}");
    }
}

fn name(number: i64) -> &'static str {
    match number {
        JOB_INFO => "get_job_info",
        STARTER_INFO => "register_starter_info",
        SESSIONS => "get_sec_session_info",
        JOB_UPDATE => "register_job_info",
        BEGIN_EXECUTION => "begin_execution",
        EVENT => "event_notification",
        JOB_EXIT => "job_exit",
        other => panic!("request {other}"),
    }
}
