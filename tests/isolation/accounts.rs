//! Which account a job runs as.

use cloister_tests::{ALICE, BOB, Job, Machine};

fn who() -> Job {
    Job::sh("id -u")
}

fn runs_as(machine: &Machine, job: &Job, number: u32) {
    let ran = machine.run(job);
    assert_eq!(ran.ok(), format!("{number}\n"), "{ran}");
}

/// Of the real machine.
fn nobody() -> u32 {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find_map(|line| line.strip_prefix("nobody:")).unwrap();
    line.split(':').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_submitting_user_is_first() {
    let Some(machine) = Machine::new() else { return };
    runs_as(&machine, &who(), machine.number(ALICE));
    // What schedds of 25.x write wins over what everybody may set.
    runs_as(&machine, &who().set("OsUser", "bob"), machine.number(BOB));
    let machine = machine.knob("NOBODY_SLOT_USER", "bob");
    runs_as(&machine, &who(), machine.number(ALICE));
}

#[test]
fn a_job_or_an_admin_who_does_not_want_it_gets_the_slots_account() {
    let Some(mut machine) = Machine::new() else { return };
    runs_as(&machine, &who().set("RunAsOwner", false), nobody());
    machine.set_knob("NOBODY_SLOT_USER", "bob");
    runs_as(&machine, &who().set("RunAsOwner", false), machine.number(BOB));
    machine.set_knob("STARTER_ALLOW_RUNAS_OWNER", "False");
    runs_as(&machine, &who(), machine.number(BOB));
    machine.set_knob("STARTER_ALLOW_RUNAS_OWNER", "Trusted =?= true");
    runs_as(&machine, &who(), machine.number(BOB));
    runs_as(&machine, &who().set("Trusted", true), machine.number(ALICE));
}

#[test]
fn a_user_of_another_domain_is_nobody_here() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("UID_DOMAIN", "here.example.org");
    runs_as(&machine, &who().set("UidDomain", "HERE.example.org"), machine.number(ALICE));
    runs_as(&machine, &who().set("UidDomain", "elsewhere.example.org"), nobody());
}

#[test]
fn an_account_that_does_not_exist_is_named() {
    let Some(machine) = Machine::new() else { return };
    let reason = machine.run(&who().set("Owner", "mallory-of-nowhere")).refused();
    assert!(reason.contains("account mallory-of-nowhere is not known on this machine"), "{reason}");
    let machine = machine.knob("NOBODY_SLOT_USER", "mallory-of-nowhere");
    let reason = machine.run(&who().set("RunAsOwner", false)).refused();
    assert!(
        reason.contains("mallory-of-nowhere") && reason.contains("NOBODY_SLOT_USER"),
        "{reason}"
    );
}

#[test]
fn root_never_runs_a_job() {
    let Some(machine) = Machine::new() else { return };
    let reason = machine.run(&who().set("Owner", "root")).refused();
    assert!(reason.contains("root"), "{reason}");
    let machine = machine.knob("NOBODY_SLOT_USER", "root");
    runs_as(&machine, &who().set("RunAsOwner", false), nobody());
}

#[test]
fn nor_does_an_account_with_roots_numbers() {
    let Some(machine) = Machine::new() else { return };
    machine.add_account("toor:x:0:0::/:/bin/sh");
    machine.add_account("zerogroup:x:400000001:0::/:/bin/sh");
    machine.add_account("admin:x:400000002:400000002::/:/bin/sh");
    machine.add_group("wheel:x:0:admin");
    for name in ["toor", "zerogroup", "admin"] {
        let reason = machine.run(&who().set("Owner", name)).refused();
        assert!(reason.contains(&format!("account {name} has the rights of root")), "{reason}");
    }
}

#[test]
fn names_that_look_like_numbers_are_names() {
    let Some(machine) = Machine::new() else { return };
    for name in ["0", "-1", "4294967295", "00", "+0"] {
        let reason = machine.run(&who().set("Owner", name)).refused();
        assert!(reason.contains("is not known"), "{reason}");
    }
}

#[test]
fn a_name_with_a_nul_or_a_colon_finds_nobody() {
    let Some(machine) = Machine::new() else { return };
    for name in ["alice:x", "alice\n", "../alice"] {
        machine.run(&who().set("Owner", name)).refused();
    }
}
