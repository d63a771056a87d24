//! A shadow that says what to do after input could not be fetched.

use crate::pool::files::{Deed, INPUT};
use crate::pool::shadow::{BEGIN_EXECUTION, EVENT, GUIDANCE, JOB_EXIT, ULOG};
use crate::pool::{Claim, NEW, OLD, Setup, machine};

const START: &str = "[Command=\"StartJob\"]";
const RETRY: &str = "[Command=\"RetryTransfer\"]";
const AGAIN: &str = "[Command=\"RetryReqest\";RetryDelay=1]";
const UNKNOWN: &str = "[Command=\"RunDiagnostic\";Diagnostic=\"../../bin/sh\"]";

fn failing(guidance: &[&'static str]) -> Setup {
    let mut setup = Setup::new("echo here > result");
    setup.fetching = vec![Deed::Refuse];
    setup.guidance = guidance.to_vec();
    setup
}

fn asked(claim: &crate::pool::ended::Ended) -> usize {
    claim.requests().iter().filter(|number| **number == GUIDANCE).count()
}

#[test]
fn input_is_fetched_once_more() {
    let Some(machine) = machine() else { return };
    let mut claim: Claim = failing(&[AGAIN, RETRY]).start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!((asked(&ended), ended.transfers(INPUT)), (2, 2), "{ended}");
    assert_eq!(ended.output("result").as_deref(), Some(&b"here\n"[..]), "{ended}");
}

#[test]
fn a_job_is_started_with_what_has_come() {
    let Some(machine) = machine() else { return };
    let mut claim = failing(&[START]).start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert!(ended.requests().contains(&BEGIN_EXECUTION), "{ended}");
    assert_eq!(ended.output("result").as_deref(), Some(&b"here\n"[..]), "{ended}");
}

#[test]
fn a_diagnostic_is_one_that_the_admin_has_named() {
    let Some(machine) = machine() else { return };
    let mut claim = failing(&[UNKNOWN]).start(&machine);
    claim.asked(ULOG);
    let ended = claim.end(&machine);
    let event = ended.asked().find(|request| request.number == EVENT).unwrap();
    let result = event.ad.eval_string("Result");
    assert_eq!(result.as_deref(), Some("Error - Unregistered"), "{ended}");
    assert_eq!(asked(&ended), 2, "{ended}");
}

#[test]
fn a_shadow_without_guidance_is_not_asked_nor_one_whose_input_arrives() {
    for (release, fails) in [(OLD, true), (NEW, false)] {
        let Some(machine) = machine() else { return };
        let mut setup = failing(&[]);
        setup.release = release;
        if !fails {
            setup.fetching.clear();
        }
        let mut claim = setup.start(&machine);
        claim.asked(if fails { ULOG } else { JOB_EXIT });
        assert_eq!(asked(&claim.end(&machine)), 0);
    }
}

#[test]
fn a_shadow_that_never_comes_to_an_end_is_left() {
    let Some(machine) = machine() else { return };
    let mut claim = failing(&["[Command=\"RetryReqest\";RetryDelay=0]"; 500]).start(&machine);
    claim.asked(ULOG);
    let ended = claim.end(&machine);
    assert_eq!(asked(&ended), 100, "{ended}");
}

/// It is told what went wrong in the end, and isn't asked as fast as it can answer until then.
#[test]
fn a_shadow_that_has_the_same_done_again_and_again_is_left() {
    let Some(machine) = machine() else { return };
    let mut setup = failing(&[RETRY; 100]);
    setup.fetching = vec![Deed::Refuse; 100];
    let start = std::time::Instant::now();
    let mut claim = setup.start(&machine);
    claim.asked(ULOG);
    assert!(start.elapsed().as_secs() >= 10);
    let ended = claim.end(&machine).code(0);
    assert_eq!((asked(&ended), ended.transfers(INPUT)), (7, 7), "{ended}");
}
