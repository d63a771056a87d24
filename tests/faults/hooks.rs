//! Programs of the admin's around a job that do what they shouldn't, and the user's log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cloister_tests::{ALICE, Machine};
use nix::sys::signal::Signal;

use crate::pool::files::OUTPUT;
use crate::pool::shadow::{BEGIN_EXECUTION, JOB_EXIT, ULOG};
use crate::pool::startd::Order;
use crate::pool::{Claim, HOSTILE_VARIABLES, Setup, machine};

/// A machine whose jobs have a hook of this kind, a shell script with this mode.
fn hooked(kind: &str, script: &str, mode: u32) -> Option<Machine> {
    let machine = machine()?
        .knob("STARTER_DEFAULT_JOB_HOOK_KEYWORD", "SITE")
        .knob(&format!("SITE_HOOK_{kind}"), "$(BASE)/hook");
    let path = machine.path("hook");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    Some(machine)
}

fn claim(machine: &Machine, script: &str) -> Claim {
    Setup::new(script).start(machine)
}

#[test]
fn a_hook_after_the_job_adds_to_its_output() {
    let script = "echo $1 $(id -u) $(grep -c ^ExitCode) > by-hook; exit 9";
    let Some(machine) = hooked("JOB_EXIT", script, 0o755) else { return };
    let mut claim = claim(&machine, "exit 4");
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((4 << 8, 100)), "{ended}");
    let told = format!("exit {} 1\n", machine.number(ALICE));
    assert_eq!(ended.output("by-hook"), Some(told.into_bytes()), "{ended}");
}

/// A job's variables are its program's.
#[test]
fn the_jobs_variables_are_not_a_hooks() {
    let Some(machine) = hooked("JOB_EXIT", "env > by-hook", 0o755) else { return };
    let mut setup = Setup::new("env > of-job");
    setup.job = vec![("Environment", HOSTILE_VARIABLES.into())];
    let mut claim = setup.start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    let text = |name: &str| String::from_utf8(ended.output(name).unwrap()).unwrap();
    assert!(text("of-job").contains("BASH_ENV=/attackers"), "{ended}");
    assert!(text("by-hook").contains("PATH=") && !text("by-hook").contains("attackers"), "{ended}");
}

#[test]
fn a_hook_that_everybody_can_change_is_not_run() {
    let script = "echo 'Arguments = \"changed\"'; touch $_CONDOR_SCRATCH_DIR/by-hook";
    let Some(machine) = hooked("PREPARE_JOB", script, 0o757) else { return };
    let mut claim = claim(&machine, "true");
    claim.asked(ULOG);
    let ended = claim.end(&machine);
    let (code, text) = ended.error().unwrap();
    assert_eq!(code, 1007, "{ended}");
    assert!(text.contains("everybody can change it"), "{ended}");
    assert!(!ended.requests().contains(&BEGIN_EXECUTION), "{ended}");
}

#[test]
fn a_hook_that_can_not_be_executed_holds_the_job() {
    let Some(machine) = hooked("PREPARE_JOB", "true", 0o755) else { return };
    fs::write(machine.path("hook"), "#!/no/such/interpreter\n").unwrap();
    let mut claim = claim(&machine, "true");
    claim.asked(ULOG);
    let ended = claim.end(&machine);
    let (code, text) = ended.error().unwrap();
    assert_eq!(code, 19, "{ended}");
    assert!(text.contains("failed to execute PREPARE_JOB"), "{ended}");
}

#[test]
fn a_hook_that_hangs_ends_with_the_claim() {
    let script = "setsid sleep 500 & touch $_CONDOR_SCRATCH_DIR/begun; sleep 500";
    for kind in ["PREPARE_JOB_BEFORE_TRANSFER", "PREPARE_JOB"] {
        let Some(machine) = hooked(kind, script, 0o755) else { return };
        let mut claim = claim(&machine, "true");
        claim.made(&machine, "begun");
        claim.startd.order(Order::Signal(Signal::SIGTERM));
        claim.asked(JOB_EXIT);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.exit().unwrap().1, 108, "{ended}");
    }
}

#[test]
fn a_hook_that_makes_the_job_somebody_elses_is_refused() {
    let script = "echo 'Owner = \"bob\"'; echo 'OsUser = \"bob\"'";
    let Some(machine) = hooked("PREPARE_JOB", script, 0o755) else { return };
    let mut claim = claim(&machine, "id -u > who");
    claim.asked(ULOG);
    let ended = claim.end(&machine);
    assert!(ended.error().unwrap().1.contains("somebody else"), "{ended}");
}

#[test]
fn what_a_hook_beside_the_job_leaves_is_gone_with_it() {
    let script = "setsid sleep 500 & sleep 500";
    let Some(machine) = hooked("UPDATE_JOB_INFO", script, 0o755) else { return };
    let machine = machine.knob("STARTER_INITIAL_UPDATE_INTERVAL", "1");
    let mut claim = claim(&machine, "sleep 3");
    claim.asked(JOB_EXIT);
    claim.end(&machine).code(0).says(&["HOOK_UPDATE_JOB_INFO", "invoked"]);
}

#[test]
fn the_users_log_is_not_written_through_a_link() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("ln -s $PWD/elsewhere .starter.log; touch elsewhere");
    setup.job = vec![("JobStarterLog", "log".into()), ("JobStarterDebug", true.into())];
    setup.debug = true;
    let mut claim = setup.start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert!(ended.transfers(OUTPUT) == 1, "{ended}");
    assert_eq!(ended.output("elsewhere").as_deref(), Some(&b""[..]), "{ended}");
    let log = String::from_utf8(ended.output(".starter.log").unwrap()).unwrap();
    assert!(log.contains("Create_Process succeeded"), "{log}");
}
