//! The pair without a cell: every attempt succeeds, so each is able to.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use cloister_tests::{ALICE, Machine, hostile, wait_until};

use crate::{PROBES, outcome};

/// `KEYCTL_JOIN_SESSION_KEYRING` of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_long = 1;

#[test]
fn every_attempt_can_succeed() {
    let Some(machine) = Machine::new() else { return };
    let name = format!("alone-{}", machine.daemon());
    // Both are in one session, as processes of one login are.
    // SAFETY: a null name asks for an anonymous keyring; nothing is read or written by the call.
    let joined = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    let keyrings = joined >= 0;
    let program = hostile();
    let sandbox = |slot: &str| {
        let path = machine.execute().join(slot);
        fs::create_dir_all(path.join("tmp")).unwrap();
        machine.give(&path, ALICE);
        path
    };
    let (of_victim, of_attacker) = (sandbox("dir_1"), sandbox("dir_2"));
    let start = |subcommand: &str, scratch: &std::path::Path, arguments: &[String]| {
        let mut command = Command::new(&program);
        command.arg(subcommand).args(arguments).current_dir("/");
        command.env("_CONDOR_SCRATCH_DIR", scratch).env("HIDDEN", "SECRET-of-the-victim");
        command.uid(machine.number(ALICE)).gid(machine.number(ALICE));
        command
    };

    let output = machine.path("out/victim");
    // Appended to, so that a line of the attacker's stays.
    let file = fs::OpenOptions::new().append(true).create(true).open(&output).unwrap();
    machine.give(&output, ALICE);
    let mut victim = start("victim", &of_victim, std::slice::from_ref(&name))
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&output).unwrap();
    wait_until("the victim is ready", || said().contains("ready"));
    let memory = said().lines().find_map(|line| line.strip_prefix("memory ").map(str::to_owned));
    let facts = [
        format!("name={name}"),
        format!("pid={}", victim.id()),
        format!("sandbox={}", of_victim.display()),
        format!("execute={}", machine.execute().display()),
        format!("memory={}", memory.unwrap()),
    ];
    let mut attacker =
        start("attacker", &of_attacker, &facts).stdout(Stdio::piped()).spawn().unwrap();
    let mut attempts = String::new();
    attacker.stdout.take().unwrap().read_to_string(&mut attempts).unwrap();
    attacker.wait().unwrap();
    drop(victim.stdin.take());
    victim.wait().unwrap();
    for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
        let _ = fs::remove_file(format!("{dir}/{name}"));
    }

    for probe in PROBES.iter().chain(&["user-key"]) {
        let needs_what_is_missing = (probe.ends_with("-key") && !keyrings)
            // Goes to those with rights only.
            || *probe == "namespace"
            || (*probe == "queue-by-file" && !std::path::Path::new("/dev/mqueue").is_dir())
            || (*probe == "queue-by-file" && fs::read_dir("/dev/mqueue").unwrap().count() == 0);
        let outcome = outcome(&attempts, probe);
        assert!(
            outcome.starts_with("open") || needs_what_is_missing,
            "{probe}: {outcome}\n{attempts}"
        );
    }
    assert!(attempts.contains("FOUND"), "{attempts}");
    let victim = said();
    assert!(victim.contains("INJECTED"), "{victim}");
    let signals: Option<u32> =
        victim.lines().find_map(|line| line.strip_prefix("signals ")?.parse().ok());
    // One of them comes again when the other end is closed.
    assert!(signals.is_some_and(|count| count >= 3), "{victim}");
    for line in [
        "datagrams came",
        "files changed",
        "memory-content changed",
        "ipc segment changed semaphore 7 messages 0 queue 0",
    ] {
        assert!(victim.contains(line), "{line} is missing\n{victim}");
    }
}
