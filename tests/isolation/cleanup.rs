//! The end of a job: nothing of it stays, whatever it did to stay.

use std::fs;

use cloister_tests::{Job, Machine};
use nix::sys::signal::Signal;

use crate::in_every_cell;

#[test]
fn no_process_outlives_its_job() {
    in_every_cell(|machine, _, cell| {
        // That nothing is left is checked by the run itself.
        assert_eq!(
            machine.run(&machine.hostile("daemon")).ok(),
            "alive\nleft one behind\n",
            "{cell}"
        );
    });
}

#[test]
fn a_crowd_of_processes_goes_with_the_job() {
    in_every_cell(|machine, _, cell| {
        let ran = machine.run(&Job::sh(
            "i=0; while [ $i -lt 50 ]; do (sleep 1000 & sleep 1000) > /dev/null & i=$((i+1)); done; echo made",
        ));
        assert_eq!(ran.ok(), "made\n", "{cell}");
    });
}

#[test]
fn processes_that_always_make_the_next_are_caught() {
    in_every_cell(|machine, _, cell| {
        let mut running = machine.start(&machine.hostile("multiply").arg("3"));
        running.line("ready");
        running.signal(Signal::SIGQUIT);
        let ran = running.wait();
        assert_eq!(ran.ad.eval_i64("ExitSignal"), Some(9), "{cell}\n{ran}");
        machine.check_clean(&ran);
    });
}

#[test]
fn a_sandbox_that_is_hard_to_remove_is_removed() {
    for nested in ["True", "False"] {
        for dir in ["$_CONDOR_SCRATCH_DIR", "/tmp"] {
            let Some(machine) = Machine::new() else { return };
            let machine = machine.knob("STARTER_NESTED_SCRATCH", nested);
            let canaries = ["passwd", "group"].map(|name| fs::read(machine.path(name)).unwrap());
            let hostile = cloister_tests::hostile();
            let script = format!("cd {dir} && {} tree 5000", hostile.display());
            let ran = machine.run(&Job::sh(&script));
            assert_eq!(ran.ok(), "planted\n", "{ran}");
            // The links in it led to these.
            let after = ["passwd", "group"].map(|name| fs::read(machine.path(name)).unwrap());
            assert_eq!(after, canaries);
        }
    }
}

#[test]
fn a_sandbox_that_the_job_has_removed_itself_is_no_trouble() {
    for nested in ["True", "False"] {
        let Some(machine) = Machine::new() else { return };
        let machine = machine.knob("STARTER_NESTED_SCRATCH", nested);
        let ran = machine
            .run(&Job::sh("rm -rf $_CONDOR_SCRATCH_DIR; chmod 0 $_CONDOR_SCRATCH_DIR; echo over"));
        assert_eq!(ran.ok(), "over\n", "{ran}");
    }
}

/// Its owner may open it while it is being removed, but what is elsewhere is out of its reach.
#[test]
fn links_in_place_of_directories_lead_the_removal_nowhere() {
    let Some(machine) = Machine::new() else { return };
    let keep = machine.path("home/alice/keep");
    fs::create_dir(&keep).unwrap();
    fs::write(keep.join("file"), "x").unwrap();
    for path in [keep.join("file"), keep.clone()] {
        machine.give(&path, cloister_tests::ALICE);
    }
    let script = format!(
        "cd $_CONDOR_SCRATCH_DIR; rmdir tmp var/tmp; ln -s {keep} tmp; ln -s {keep} var/tmp; \
         rm -rf var; ln -s {keep} var; ln -s {keep} '.cloister-removing-1'; echo over",
        keep = keep.display()
    );
    assert_eq!(machine.run(&Job::sh(&script)).ok(), "over\n");
    assert_eq!(fs::read_to_string(keep.join("file")).unwrap(), "x");
}

#[test]
fn a_job_is_asked_to_end_by_the_signal_it_wants() {
    let Some(machine) = Machine::new() else { return };
    let script = |signal: &str| {
        format!("trap 'echo asked; exit 5' {signal}; echo ready; while :; do sleep 0.01; done")
    };
    for (job, signal) in [
        (Job::sh(&script("TERM")), Signal::SIGTERM),
        (Job::sh(&script("USR1")).set("KillSig", "SIGUSR1"), Signal::SIGTERM),
        (Job::sh(&script("INT")).set("KillSig", 2_i64), Signal::SIGHUP),
    ] {
        let mut running = machine.start(&job);
        running.line("ready");
        running.signal(signal);
        let ran = running.wait();
        assert_eq!(ran.ad.eval_i64("ExitCode"), Some(5), "{ran}");
        assert!(ran.output.contains("asked"), "{ran}");
        machine.check_clean(&ran);
    }
}

#[test]
fn a_job_that_does_not_listen_is_killed() {
    for init in ["True", "False"] {
        let Some(machine) = Machine::new() else { return };
        let machine = machine.knob("USE_PID_NAMESPACE_INIT", init);
        let deaf = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.01; done";
        let mut running = machine.start(&Job::sh(deaf));
        running.line("ready");
        // The second request is the last. The kernel keeps only one signal of each kind waiting.
        running.signal(Signal::SIGTERM);
        running.signal(Signal::SIGINT);
        let ran = running.wait();
        assert_eq!(ran.ad.eval_i64("ExitSignal"), Some(9), "{ran}");
        machine.check_clean(&ran);
    }
}
