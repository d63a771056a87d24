//! Jobs that the configuration describes (-job-keyword).

use std::fs;

use cloister_tests::{Machine, Running};

#[test]
fn a_job_from_the_configuration() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine
        .knob("MINE_universe", "vanilla")
        .knob("MINE_executable", "/bin/sh")
        .knob("MINE_environment2", "\"WORD='two words'\"")
        .knob("MINE_arguments2", "\"-c 'echo $WORD; id -un; exit 7'\"")
        .knob("MINE_Iwd", "/")
        .knob("MINE_Owner", "alice");
    let (seen, result) = (machine.path("out/seen"), machine.path("out/result-of-keyword"));
    let mut starter = machine.starter();
    starter.args(["-job-keyword", "mine", "-job-cluster", "5", "-job-output-ad"]).arg(&result);
    starter.arg("-job-stdout").arg(&seen);
    let ran = Running::command(&machine, starter);
    assert_eq!(fs::read_to_string(&seen).unwrap_or_default(), "two words\nalice\n", "{ran}");
    let result = fs::read_to_string(&result).unwrap_or_default();
    assert!(result.contains("ExitCode = 7\n"), "{result}\n{ran}");
    machine.check_clean(&ran);
}

#[test]
fn what_it_lacks_is_named() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MINE_universe", "vanilla");
    let mut starter = machine.starter();
    starter.args(["-job-keyword", "mine"]);
    let ran = Running::command(&machine, starter);
    assert!(ran.to_string().contains("mine_executable"), "{ran}");
    machine.check_clean(&ran);
}
