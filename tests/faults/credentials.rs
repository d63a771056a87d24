//! Tokens that a job needs: where they are, that they are renewed, and what becomes of a job without.

use crate::pool::machine;

use crate::pool::shadow::{BEGIN_EXECUTION, CREDENTIALS, Deed};
use crate::pool::{Ended, NEW, OLD, Setup};

fn setup(services: &str, script: &str) -> Setup {
    let mut setup = Setup::new(script);
    setup.job = vec![("OAuthServicesNeeded", services.to_owned().into())];
    setup
}

#[test]
fn they_are_the_jobs_alone_and_never_come_back() {
    let script = "cd \"$_CONDOR_CREDS\" && stat -c '%n %a %U' . * > ../seen && cat box_a.use | tr N n >> ../seen";
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = setup("box*a,plain", script);
        setup.release = release;
        let ended = setup.start(&machine).end(&machine).code(0);
        let seen = String::from_utf8(ended.output("seen").unwrap()).unwrap();
        assert_eq!(seen, ". 700 alice\nbox_a.use 600 alice\nplain.use 600 alice\ntoken", "{ended}");
        assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
        assert!(ended.output(".condor_creds").is_none() && ended.output("box_a.use").is_none());
        assert!(!ended.log.contains("dG9rZ"), "a token is in the log\n{ended}");
    }
}

#[test]
fn they_are_renewed_while_the_job_runs() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("SEC_CREDENTIAL_REFRESH", "1");
    let script = "cp $_CONDOR_CREDS/a.use one; n=0; while cmp -s one $_CONDOR_CREDS/a.use; do sleep 0.1; \
                  n=$((n + 1)); [ $n -lt 200 ] || exit 9; done; test $(wc -c <$_CONDOR_CREDS/a.use) = 5";
    let ended = setup("a", script).start(&machine).end(&machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
}

/// What the job puts in the place of its tokens leads no token elsewhere, and hurts nobody.
#[test]
fn a_job_that_moves_them_gets_no_more() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("SEC_CREDENTIAL_REFRESH", "1");
    let script = "mkdir other; rm -r $_CONDOR_CREDS; ln -s other .condor_creds; sleep 3; ls other > seen; \
                  rm .condor_creds";
    let ended = setup("a", script).start(&machine).end(&machine).code(0);
    assert_eq!(ended.output("seen").as_deref(), Some(&b""[..]), "{ended}");
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    ended.says(&["credentials aren't renewed", ".condor_creds"]);
}

fn never_ran(ended: &Ended) {
    assert!(!ended.requests().contains(&BEGIN_EXECUTION), "it ran without its tokens\n{ended}");
}

#[test]
fn a_job_without_its_tokens_does_not_run() {
    for services in ["absent", "a,absent", "broken"] {
        let Some(machine) = machine() else { return };
        let ended = setup(services, "exit 0").start(&machine).end(&machine).code(0);
        never_ran(&ended);
        let (code, text) = ended.error().unwrap();
        assert!(code == 1007 && text.contains("token"), "{text}\n{ended}");
    }
}

#[test]
fn a_shadow_that_fails_at_it() {
    for deed in [Deed::Close, Deed::Garbage, Deed::Huge, Deed::Half, Deed::WrongType, Deed::Twice] {
        let Some(machine) = machine() else { return };
        let mut setup = setup("a", "exit 0");
        setup.shadow = Some((CREDENTIALS, 1, deed));
        let ended = setup.start(&machine).end(&machine);
        never_ran(&ended);
        ended.code(2).says(&["lost the connection with the shadow"]);
    }
}
