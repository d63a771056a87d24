//! Tests that fork or change their account, each in a process of its own with one thread: the
//! starter never has a second one, and its fork relies on that.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::sys::privilege::{Ids, become_for_good};

const VARIABLE: &str = "CLOISTER_TEST_ALONE";

/// An account with no rights.
pub(super) fn nobody() -> Ids {
    Ids { uid: 65534, gid: 65534, groups: Vec::new() }
}

/// Runs the test `name` with the rights that there are and, if those are root's, also without.
pub(super) fn as_root_and_nobody(name: &str, test: fn()) {
    run(name, "own", test);
    if rustix::process::geteuid().is_root() {
        run(name, "nobody", test);
    }
}

/// Runs the test `name`, a path from this module's parent, in a process of its own.
pub(super) fn run(name: &str, account: &str, test: fn()) {
    if let Some(chosen) = std::env::var_os(VARIABLE) {
        if chosen == account {
            if account == "nobody" {
                become_for_good(&nobody()).unwrap();
            }
            test();
        }
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--test-threads=1", &format!("transfer::{name}")]);
    // The test's directories must be ones that nobody can reach.
    command.env(VARIABLE, account).env("TMPDIR", "/tmp").arg0("starter-test");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed") && output.status.success(), "as {account}: {text}");
}
