//! What covers the machine's directories can't be taken away, even by a job that may make namespaces
//! of its own, where it has all rights.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use cloister_tests::{Job, Machine};

/// Tries to see what is under each cover, with rights in a user namespace.
const PEEL: &str = "unshare --user --map-root-user --mount sh -c '\
    echo inside; for dir in \"$@\"; do umount $dir 2> /dev/null || umount -l $dir 2> /dev/null && echo peeled $dir; \
    ls -A $dir 2> /dev/null; done; mkdir -p /tmp/m; \
    mount --bind / /tmp/m 2> /dev/null && for dir in \"$@\"; do cat /tmp/m/$dir/canary 2> /dev/null; done; true' sh";

fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    for name in ["spool", "log", "home/alice"] {
        let dir = machine.path(name);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        fs::write(dir.join("canary"), "SECRET-canary").unwrap();
    }
    Some(machine.knob("SPOOL", "$(BASE)/spool"))
}

fn peel(machine: &Machine) -> Job {
    let dirs = ["spool", "log", "home/alice"].map(|name| machine.path(name).display().to_string());
    let script = format!("{PEEL} {} /dev /proc /sys; echo over", dirs.join(" "));
    let job = Job::sh(&script).set("ShouldTransferFiles", "YES").set("TransferExecutable", false);
    job.set("Iwd", machine.path("out").to_str().unwrap())
}

#[test]
fn no_namespace_by_default() {
    let Some(machine) = machine() else { return };
    let ran = machine.run(&peel(&machine));
    assert_eq!(ran.ok(), "over\n", "{ran}");
}

#[test]
fn covers_stay_in_a_namespace_of_the_jobs_own() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("JOB_SYSTEM_CALLS", "nested");
    let ran = machine.run(&peel(&machine));
    if !ran.output.starts_with("inside") {
        eprintln!("SKIPPED: this machine gives accounts no user namespaces");
        return;
    }
    assert!(ran.output.ends_with("over\n"), "{ran}");
    assert!(!ran.output.contains("peeled") && !ran.output.contains("canary"), "{ran}");
}
