//! Directories of the machine that jobs can't write to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cloister_tests::{Job, Machine};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// With three directories that everybody may write to, one below the other.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    for name in ["data", "data/free", "data/free/kept", "else"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::set_permissions(machine.path(name), Permissions::from_mode(0o1777)).unwrap();
    }
    Some(machine)
}

const NONE: Option<&str> = None;

fn tmpfs(path: &Path) {
    mount(Some("later"), path, Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
}

fn try_all(machine: &Machine) -> Job {
    let base = machine.path("");
    let base = base.to_str().unwrap().trim_end_matches('/');
    Job::sh(&format!(
        "for dir in data data/mounted data/free data/free/mounted data/free/kept else; do \
         (echo x > {base}/$dir/x) 2>/dev/null && echo $dir; done; \
         echo x > $_CONDOR_SCRATCH_DIR/x && echo x > /tmp/x && echo x > /dev/shm/x && echo x > /dev/null && echo own"
    ))
    .set("ShouldTransferFiles", "YES")
    .set("TransferExecutable", false)
    .set("TransferOutput", "")
}

#[test]
fn the_longest_rule_counts_with_all_that_is_mounted_below() {
    let Some(mut machine) = machine() else { return };
    for name in ["data/mounted", "data/free/mounted"] {
        fs::create_dir(machine.path(name)).unwrap();
        tmpfs(&machine.path(name));
        fs::set_permissions(machine.path(name), Permissions::from_mode(0o1777)).unwrap();
    }
    for (directories, exceptions, expected, all) in [
        ("", "", "data data/mounted data/free data/free/mounted data/free/kept else own", false),
        ("$(BASE)/data", "", "else own", false),
        (
            "$(BASE)/data",
            "$(BASE)/data/free",
            "data/free data/free/mounted data/free/kept else own",
            false,
        ),
        (
            "$(BASE)/data $(BASE)/data/free/kept",
            "$(BASE)/data/free",
            "data/free data/free/mounted else own",
            false,
        ),
        ("/", "$(BASE)/data/free", "data/free data/free/mounted data/free/kept own", true),
        ("/ $(BASE)/gone", "/no/such/directory", "own", true),
    ] {
        machine.set_knob("JOB_READ_ONLY_DIRECTORIES", directories);
        machine.set_knob("JOB_READ_ONLY_EXCEPTIONS", exceptions);
        for alone in [false, true] {
            let job = try_all(&machine);
            let ran = if alone { machine.run_alone(&job) } else { machine.run(&job) };
            let words: Vec<&str> = ran.ok().lines().collect();
            assert_eq!(words.join(" "), expected, "{directories} {exceptions} {alone}\n{ran}");
            let isolation = ran.ad.eval_string("AssignedIsolation").unwrap();
            assert_eq!(isolation.split(' ').any(|word| word == "readonly"), all, "{ran}");
            for dir in
                ["data", "data/mounted", "data/free", "data/free/mounted", "data/free/kept", "else"]
            {
                let _ = fs::remove_file(machine.path(dir).join("x"));
            }
        }
    }
    for name in ["data/mounted", "data/free/mounted"] {
        umount2(&machine.path(name), MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn mounts_that_come_later_arrive_in_exceptions_only() {
    let Some(machine) = machine() else { return };
    let machine = machine
        .knob("JOB_READ_ONLY_DIRECTORIES", "/")
        .knob("JOB_READ_ONLY_EXCEPTIONS", "$(BASE)/data/free");
    let [inside, outside] = ["data/free/kept", "else"].map(|name| machine.path(name));
    let script = format!(
        "echo ready; read x; ls {0} {1}; echo x > {0}/x && echo written; echo over",
        inside.display(),
        outside.display()
    );
    let mut running = machine.start(&Job::sh(&script).fed());
    running.line("ready");
    for dir in [&inside, &outside] {
        tmpfs(dir);
        fs::set_permissions(dir, Permissions::from_mode(0o1777)).unwrap();
        fs::write(dir.join("arrived"), "").unwrap();
    }
    let ran = running.wait();
    for dir in [&inside, &outside] {
        umount2(dir, MntFlags::MNT_DETACH).unwrap();
    }
    let expected =
        format!("ready\n{}:\n\n{}:\narrived\nwritten\nover\n", outside.display(), inside.display());
    let other =
        format!("ready\n{}:\narrived\n\n{}:\nwritten\nover\n", inside.display(), outside.display());
    assert!(ran.ok() == expected || ran.ok() == other, "{ran}");
}

#[test]
fn what_makes_no_sense_stops_every_job() {
    let Some(mut machine) = machine() else { return };
    for (directories, exceptions, part) in [
        ("data", "", "data: an absolute directory"),
        ("/ /x/../y", "", "/x/../y"),
        ("/ /data", "/data", "take it off one"),
        ("/", "NO_SUCH_KNOB", "NO_SUCH_KNOB"),
    ] {
        machine.set_knob("JOB_READ_ONLY_DIRECTORIES", directories);
        machine.set_knob("JOB_READ_ONLY_EXCEPTIONS", exceptions);
        let ran = machine.start(&Job::sh("echo ran")).wait();
        ran.never_ran();
        assert!(ran.said.contains(part), "{part}\n{ran}");
    }
}
