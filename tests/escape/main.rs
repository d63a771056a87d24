//! Two jobs of one account, side by side under one EXECUTE: one tries every way to the other.
//!
//! Each way is tried in every kind of cell, and the same two programs are run once without a cell,
//! where every one of them leads to the victim: an attempt that could not succeed proves nothing.
//!
//! What two such jobs still share, and what of it later work takes away:
//!
//! | shared | why it isn't tested here |
//! |---|---|
//! | network | `NO_JOB_NETWORKING = True` separates it; by default jobs have the machine's |
//! | abstract Unix sockets, and processes where their numbers are shared, on a kernel before 6.12 | Landlock has no scopes there |
//! | the account's home | only where a job needs it; isolation/outside.rs has the rest |
//! | set-uid marks on files outside the sandbox | harmless to the job's side: no_new_privs |
//! | memory and disk | limits by cgroup are tested in a guest (tests/vm); none for disk yet |

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

mod ads;
mod alone;
mod covers;
mod pairs;
mod surface;

/// Every attempt of the attacker. Each must be made, and fail.
const PROBES: [&str; 33] = [
    "list-execute",
    "read-sandbox",
    "write-sandbox",
    "tmp",
    "var-tmp",
    "dev-shm",
    "see-process",
    "environment",
    "directory-by-proc",
    "root-by-proc",
    "memory-file",
    "read-memory",
    "output-by-proc",
    "take-descriptor",
    "trace",
    "signal",
    "signal-everybody",
    "write-memory",
    "compare",
    "limits",
    "priority",
    "processors",
    "owner",
    "namespace",
    "any-segment",
    "segment",
    "semaphore",
    "message",
    "queue-by-file",
    "queue",
    "abstract-socket",
    "datagram",
    "session-key",
];

/// What the kernel lets processes of one account do to each other by number, borders of Landlock's or
/// not: separate where process numbers are.
const BY_NUMBER: [&str; 4] = ["limits", "priority", "processors", "owner"];

/// Every test that docs/security.md names is there, in the file that it names, and every rule has one.
#[test]
fn the_security_model_names_tests_that_exist() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(top.join("docs/security.md")).unwrap();
    let section = |title: &str| {
        let rest = text.split(title).nth(1).unwrap();
        rest.split("\n## ").next().unwrap().lines().filter(|line| {
            line.starts_with("| ") && !line.starts_with("| #") && !line.starts_with("| attempt")
        })
    };
    let mut named = 0;
    for line in section("## Bug classes").chain(section("## Attempts")) {
        let cell = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(cell.contains('`'), "no test is named: {line}");
        for part in cell.split("; ") {
            let (file, tests) = part.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let path =
                if file.contains('/') { file.into() } else { format!("tests/isolation/{file}") };
            let source = std::fs::read_to_string(top.join(&path));
            let source = source.unwrap_or_else(|error| panic!("{path}: {error}"));
            for test in tests.split('`').skip(1).step_by(2) {
                let (attribute, function) = ("#[test]", format!("fn {test}("));
                let place =
                    source.find(&function).unwrap_or_else(|| panic!("{path} has no {test}"));
                let before = &source[..place];
                assert!(before.trim_end().ends_with(attribute), "{path}: {test} is no test");
                named += 1;
            }
        }
    }
    assert!(named > 80, "{named}");
}

/// Whether the kernel can keep processes apart that share their numbers or the network (Linux 6.12).
fn kernel_has_scopes() -> bool {
    // SAFETY: asked for the version of the interface, the call takes no attributes.
    let version = unsafe {
        let none = std::ptr::null::<u8>();
        libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, 1)
    };
    version >= 6
}

/// The outcome of one attempt, `open ...` or `blocked ...`.
fn outcome<'a>(output: &'a str, probe: &str) -> &'a str {
    let start = format!("probe {probe} ");
    let line = output.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{probe} was not tried:\n{output}"))
}
