//! `PreCmd`, `PostCmd` and `StarterUserLog`.

use crate::pool::machine;

use crate::pool::shadow::BEGIN_EXECUTION;
use crate::pool::startd::Order;
use crate::pool::{NEW, Setup};

const ALLOW: &str = "STARTER_ALLOW_JOB_PRE_AND_POST_CMD";

fn setup(pre: &str, script: &str, post: &str) -> Setup {
    let mut setup = Setup::new(script);
    setup.job = vec![
        ("PreCmd", "/bin/sh".into()),
        ("PreArguments", format!("-c '{pre}'").into()),
        ("PostCmd", "/bin/sh".into()),
        ("PostArguments", format!("-c '{post}'").into()),
    ];
    setup
}

#[test]
fn an_order_to_end_ends_a_script_too() {
    for hard in [false, true] {
        let Some(machine) = machine() else { return };
        let machine = machine.knob(ALLOW, "True");
        let claim = setup("echo > running; sleep 1000", "exit 0", "exit 0").start(&machine);
        claim.made(&machine, "running");
        claim.startd.order(Order::Vacate(1009, !hard));
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit().map(|(_, reason)| reason), Some(108), "{ended}");
        assert!(!ended.requests().contains(&BEGIN_EXECUTION), "{ended}");
        let claim = setup("exit 0", "exit 0", "echo > running; sleep 1000").start(&machine);
        claim.made(&machine, "running");
        claim.startd.order(Order::Vacate(1009, !hard));
        claim.end(&machine).code(0);
    }
}

/// What a script leaves running is gone before the job begins.
#[test]
fn nothing_of_a_script_stays() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob(ALLOW, "True");
    let script = "sleep 1; cat left > seen; test $(ls /proc | grep -c \"^[0-9]\") -lt 8";
    let left = "setsid sh -c \"while :; do echo x >> left; sleep 0.1; done\" & sleep 0.5";
    let ended = setup(left, &format!("rm left; {script}"), "exit 0");
    let ended = ended.start(&machine).end(&machine).code(0);
    assert!(ended.output("seen").is_none_or(|seen| seen.is_empty()), "{ended}");
}

#[test]
fn a_log_of_the_starter_comes_back_with_the_output() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("exit 3");
    setup.job = vec![("StarterUserLog", "job.log".into())];
    let ended = setup.start(&machine).end(&machine).code(0);
    let log = String::from_utf8(ended.output("job.log").unwrap()).unwrap();
    assert!(log.starts_with("001 (007.000.000) "), "{log}");
    assert!(log.contains("\n005 (007.000.000) ") && log.contains("(return value 3)"), "{log}");
    let mut setup = Setup::new("exit 3");
    setup.release = NEW;
    setup.job = vec![("StarterUserLog", "no/such/log".into())];
    let ended = setup.start(&machine).end(&machine).code(0);
    let (code, text) = ended.error().unwrap();
    assert!(code == 22 && text.contains("no/such/log"), "{text}\n{ended}");
}

#[test]
fn a_wrapper_says_why_it_could_not_run_the_job() {
    let Some(machine) = machine() else { return };
    let wrapper = machine.path("wrapper");
    let text = "#!/bin/sh\nprintf 'no\\nspace' > $_CONDOR_WRAPPER_ERROR_FILE\nexit 1\n";
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let machine = machine.knob("USER_JOB_WRAPPER", wrapper.to_str().unwrap());
    let ended = Setup::new("exit 0").start(&machine).end(&machine).code(0);
    let (code, text) = ended.error().unwrap();
    assert_eq!(
        (code, text.as_str()),
        (1007, "The job wrapper failed to execute the job: no|space")
    );
}
