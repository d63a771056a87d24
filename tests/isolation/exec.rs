//! Programs that can't be executed: the job is held, with the reason and the errno, in every cell.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cloister_tests::{Job, Machine, Ran, Running};

use crate::in_every_cell;

/// FailedToCreateProcess.
const HOLD: i64 = 6;

/// A file, in the named root if there is one.
fn place(
    machine: &Machine,
    root: Option<&cloister_tests::NamedRoot>,
    text: &str,
    mode: u32,
) -> (PathBuf, PathBuf) {
    let (outside, inside) = match root {
        Some(root) => (root.path.join("bin/program"), PathBuf::from("/bin/program")),
        None => (machine.path("program"), machine.path("program")),
    };
    fs::write(&outside, text).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(mode)).unwrap();
    (outside, inside)
}

fn held(ran: &Ran, errno: i32, words: &[&str]) {
    let reason = ran.held(HOLD, i64::from(errno));
    for word in words.iter().chain(&["Failed to execute '", &format!("(errno={errno}: '")]) {
        assert!(reason.contains(word), "{word:?} is missing\n{ran}");
    }
}

#[test]
fn missing_program() {
    in_every_cell(|machine, _, _| {
        let ran = machine.run(&Job::program("/no/such/program").arg("first").arg("second"));
        let words =
            ["'/no/such/program'", "with arguments first second", "No such file or directory"];
        held(&ran, 2, &words);
    });
}

#[test]
fn missing_interpreter() {
    in_every_cell(|machine, root, _| {
        let (_, program) = place(machine, root, "#!/no/such/interpreter -x\n", 0o755);
        let words =
            ["invalid interpreter (/no/such/interpreter) specified on first line of script"];
        held(&machine.run(&Job::program(program)), 2, &words);
    });
}

#[test]
fn no_executable_format() {
    in_every_cell(|machine, root, _| {
        let (_, program) = place(machine, root, "\x01\x02\x03 neither script nor binary", 0o755);
        held(&machine.run(&Job::program(program)), 8, &["Exec format error"]);
    });
}

#[test]
fn directory_as_program() {
    in_every_cell(|machine, _, _| {
        held(&machine.run(&Job::program("/etc")), 13, &["it is a directory"]);
    });
}

#[test]
fn no_permission_to_execute() {
    in_every_cell(|machine, root, _| {
        let (_, program) = place(machine, root, "#!/bin/sh\n", 0o644);
        held(&machine.run(&Job::program(program)), 13, &["Permission denied"]);
    });
}

#[test]
fn a_program_only_root_may_reach() {
    let Some(machine) = Machine::new() else { return };
    let dir = machine.path("closed");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(dir.join("program"), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    held(&machine.run(&Job::program(dir.join("program"))), 13, &["Permission denied"]);
}

#[test]
fn a_fifo_as_program_holds_nobody_up() {
    let Some(machine) = Machine::new() else { return };
    let fifo = machine.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o777)).unwrap();
    fs::set_permissions(&fifo, Permissions::from_mode(0o777)).unwrap();
    held(&machine.run(&Job::program(fifo)), 13, &["Permission denied"]);
}

#[test]
fn people_get_the_same_reason_and_exit_code_125() {
    let Some(machine) = Machine::new() else { return };
    let ad = machine.path("job.ad");
    fs::write(&ad, Job::program("/no/such/program").text()).unwrap();
    let mut command = machine.starter();
    command.arg("run").arg(&ad);
    let ran = Running::command(&machine, command);
    assert_eq!(ran.code, Some(125), "{ran}");
    assert!(ran.said.contains("Failed to execute '/no/such/program': (errno=2:"), "{ran}");
    assert_eq!(ran.said.lines().count(), 1, "{ran}");
    machine.check_clean(&ran);
}
