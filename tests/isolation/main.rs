//! What a cell gives a job, and keeps from it: one real job per question, run as root on this machine.
//!
//! After each run it is checked that no process, no sandbox and no mount is left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

mod accounts;
mod calls;
mod check;
mod cleanup;
mod dead;
mod environment;
mod exec;
mod identity;
mod keyword;
mod live;
mod mounts;
mod offers;
mod outside;
mod probe;
mod processes;
mod roots;
mod sandbox;
mod unprivileged;
mod writing;

use cloister_tests::{Machine, NamedRoot};

/// A line of /proc/PID/status or the like, without its name.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).trim()
}

/// Every way a cell can be set up that changes what the job sees: who is process 1, which root,
/// which layout of the sandbox.
fn in_every_cell(mut test: impl FnMut(&mut Machine, Option<&NamedRoot>, &str)) {
    for (name, knobs) in [
        ("init", &[][..]),
        ("job is process 1", &[("USE_PID_NAMESPACE_INIT", "False")]),
        ("shared process numbers", &[("USE_PID_NAMESPACES", "False")]),
        ("flat", &[("STARTER_NESTED_SCRATCH", "False")]),
    ] {
        for named in [false, true] {
            let Some(mut machine) = Machine::new() else { return };
            for (knob, value) in knobs {
                machine.set_knob(knob, value);
            }
            let root = named.then(|| NamedRoot::offer(&mut machine, "tools"));
            if named {
                machine.put_all_jobs_in("tools");
            }
            let name = format!("{name}{}", if named { ", named root" } else { "" });
            test(&mut machine, root.as_ref(), &name);
        }
    }
}
