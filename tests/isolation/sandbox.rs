//! The job's directory: where, whose, and who can see it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cloister_tests::{ALICE, BOB, Job, Machine};

use crate::in_every_cell;

fn owner_and_mode(path: &Path) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777)
}

#[test]
fn nested_layout_has_a_frame_of_the_daemons_around_what_is_the_jobs() {
    let Some(machine) = Machine::new() else { return };
    let mut running = machine.start(&Job::waiting(""));
    let scratch = running.line("ready");
    let slot = machine.execute().join(format!("dir_{}", running.pid()));
    assert_eq!(Path::new(&scratch), slot.join("scratch"));
    let (condor, alice) = (machine.daemon(), machine.number(ALICE));
    assert_eq!(owner_and_mode(&slot), (condor, condor, 0o755));
    assert_eq!(owner_and_mode(&slot.join("scratch")), (alice, alice, 0o700));
    let ran = running.wait();
    ran.ok();
    machine.check_clean(&ran);
}

#[test]
fn flat_layout_is_one_directory_of_the_jobs() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("STARTER_NESTED_SCRATCH", "False");
    let mut running = machine.start(&Job::waiting(""));
    let scratch = running.line("ready");
    assert_eq!(Path::new(&scratch), machine.execute().join(format!("dir_{}", running.pid())));
    let alice = machine.number(ALICE);
    assert_eq!(owner_and_mode(Path::new(&scratch)), (alice, alice, 0o700));
    let ran = running.wait();
    ran.ok();
    machine.check_clean(&ran);
}

#[test]
fn the_admin_says_who_may_look_into_it() {
    let Some(mut machine) = Machine::new() else { return };
    for (word, mode) in [("user", 0o700), ("group", 0o750), ("world", 0o755)] {
        machine.set_knob("JOB_EXECDIR_PERMISSIONS", word);
        let mut running = machine.start(&Job::waiting(""));
        let scratch = running.line("ready");
        assert_eq!(owner_and_mode(Path::new(&scratch)).2, mode, "{word}");
        running.wait().ok();
    }
}

#[test]
fn the_ads_are_in_it_and_tell_no_secret() {
    let Some(machine) = Machine::new() else { return };
    let job = Job::sh("cat $_CONDOR_JOB_AD; cat $_CONDOR_MACHINE_AD")
        .set("Marker", "in the ad")
        .set("ClaimId", "<127.0.0.1:1>#1#2#canary")
        .set("TransferKey", "1#canary");
    let ran = machine.run(&job);
    let output = ran.ok();
    let log = fs::read_to_string(machine.path("log/StarterLog")).unwrap();
    assert!(log.contains("7.0") && !log.contains("canary"), "{log}");
    assert!(output.contains("Marker = \"in the ad\"") && output.contains("MyType"), "{ran}");
    assert!(!output.contains("canary"), "{ran}");
}

#[test]
fn no_other_sandbox_is_in_sight() {
    in_every_cell(|machine, _, cell| {
        // As that of a starter that is alive, in both layouts: it has this test's process number.
        let other = machine.execute().join(format!("dir_{}", std::process::id()));
        fs::create_dir_all(other.join("scratch")).unwrap();
        for file in ["secret", "scratch/secret"] {
            fs::write(other.join(file), "canary").unwrap();
            machine.give(&other.join(file), ALICE);
        }
        fs::write(machine.execute().join("file"), "canary").unwrap();
        let script = format!(
            "ls -a {execute}; cat {other}/secret {other}/scratch/secret; echo > {execute}/new; \
             mkdir {execute}/dir_1; echo in > $_CONDOR_SCRATCH_DIR/file && cat $_CONDOR_SCRATCH_DIR/file",
            execute = machine.execute().display(),
            other = other.display(),
        );
        let mut running = machine.start(&Job::waiting(&script));
        running.line("ready");
        let own = format!("dir_{}", running.pid());
        let ran = running.wait();
        assert_eq!(
            ran.ok().lines().take(4).collect::<Vec<_>>(),
            [".", "..", &own, "in"],
            "{cell}\n{ran}"
        );
        assert_eq!(ran.error.matches("No such file").count(), 2, "{cell}\n{ran}");
        let mut left: Vec<_> = machine.sandboxes();
        left.sort();
        assert_eq!(left, [other, machine.execute().join("file")], "{cell}");
    });
}

#[test]
fn its_mount_takes_no_rights_from_files() {
    in_every_cell(|machine, _, cell| {
        let ran = machine.run(&Job::sh("cat /proc/self/mountinfo; echo at $_CONDOR_SCRATCH_DIR"));
        ran.ok();
        for place in [ran.line("at "), "/tmp", "/var/tmp"] {
            // The last one at a place is what is seen there.
            let mut words = ran.output.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            let mount = words.rfind(|words| words.get(4) == Some(&place)).unwrap();
            let options: Vec<&str> = mount[5].split(',').collect();
            assert!(options.contains(&"nosuid") && options.contains(&"nodev"), "{cell}: {mount:?}");
        }
    });
}

#[test]
fn what_a_dead_starter_left_is_removed_by_the_next() {
    let Some(machine) = Machine::new() else { return };
    let dead = dead_process();
    for (inner, owner) in [("", BOB), ("scratch", BOB)] {
        let left = machine.execute().join(format!("dir_{dead}"));
        fs::create_dir_all(left.join(inner).join("a/b")).unwrap();
        fs::write(left.join(inner).join("a/file"), "x").unwrap();
        for path in [left.join(inner).join("a"), left.join(inner).join("a/b"), left.join(inner)] {
            machine.give(&path, owner);
        }
        // The run's own check finds it if it is still there.
        machine.run(&Job::sh("true")).ok();
    }
}

#[test]
fn a_link_to_execute_is_as_good_as_execute() {
    let Some(machine) = Machine::new() else { return };
    std::os::unix::fs::symlink(machine.execute(), machine.path("link")).unwrap();
    let machine = machine.knob("EXECUTE", "$(BASE)/link");
    let other = machine.execute().join(format!("dir_{}", std::process::id()));
    fs::create_dir(&other).unwrap();
    let script = format!("ls {} {}", machine.execute().display(), machine.path("link").display());
    let ran = machine.start(&Job::sh(&script)).wait();
    assert!(!ran.ok().contains(&format!("dir_{}\n", std::process::id())), "{ran}");
    assert_eq!(ran.output.matches("dir_").count(), 2, "{ran}");
    fs::remove_dir(other).unwrap();
    machine.check_clean(&ran);
}

#[test]
fn many_starters_work_side_by_side() {
    let Some(machine) = Machine::new() else { return };
    let job = Job::sh("ls $(dirname $(dirname $_CONDOR_SCRATCH_DIR)); echo x > /tmp/x; ls /tmp");
    let all: Vec<_> = (0..24).map(|_| machine.start(&job)).collect();
    let mut last = None;
    for running in all {
        let own = format!("dir_{}", running.pid());
        let ran = running.wait();
        assert_eq!(ran.ok(), format!("{own}\nx\n"), "{ran}");
        last = Some(ran);
    }
    machine.check_clean(&last.unwrap());
}

/// A number that no process has: that of a child that has ended.
fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// What reads them in the job's sandbox may trust that they are the starter's.
#[test]
fn the_jobs_ads_can_be_neither_changed_nor_replaced() {
    in_every_cell(|machine, _, cell| {
        let script = "cd $_CONDOR_SCRATCH_DIR; for ad in $_CONDOR_JOB_AD $_CONDOR_MACHINE_AD; do \
                      (echo x >> $ad) && echo written; (echo x > other; exec mv other $ad) && echo replaced; \
                      rm -f $ad && echo removed; mv $ad elsewhere && echo moved; ln -f /etc/passwd $ad && echo linked; \
                      done; cat $_CONDOR_JOB_AD; ls -A $_CONDOR_MACHINE_AD";
        let ran = machine.run(&Job::sh(script).set("Own", 5_i64));
        let output = ran.ok();
        for done in ["written", "replaced", "removed", "moved", "linked"] {
            assert!(!output.lines().any(|line| line == done), "{cell}: {done}\n{ran}");
        }
        assert!(output.contains("Own = 5\n") && output.contains("/.machine.ad\n"), "{cell}\n{ran}");
    });
}
