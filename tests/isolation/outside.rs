//! What of the machine's own directories a job has for itself or doesn't see: /dev, /sys, the account's
//! home, the daemons' directories; and that nothing is left under what took their place.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cloister_tests::{Job, Machine};

use crate::in_every_cell;

const DEVICES: &str = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";

/// A job whose files are moved.
fn moved(machine: &Machine, script: &str) -> Job {
    let job = Job::sh(script).set("ShouldTransferFiles", "YES").set("TransferExecutable", false);
    job.set("Iwd", machine.path("out").to_str().unwrap())
}

fn canary(dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    fs::set_permissions(dir, Permissions::from_mode(0o777)).unwrap();
    fs::write(dir.join("canary"), "canary").unwrap();
    dir.to_path_buf()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn devices_are_harmless_ones() {
    in_every_cell(|machine, _, cell| {
        let script = "echo $(ls -A /dev); cd /dev; for name in null zero full random urandom; do \
                      : < $name || echo unreadable $name; done; \
                      echo x > null && echo x > shm/x && rm shm/x && (echo x > x) 2> /dev/null || echo closed";
        let ran = machine.run(&Job::sh(script));
        assert_eq!(ran.ok(), format!("{DEVICES}\nclosed\n"), "{cell}\n{ran}");
    });
}

#[test]
fn devices_are_granted_by_name() {
    let Some(mut machine) = Machine::new() else { return };
    let list = Job::sh("echo $(ls -A /dev); test -c /dev/kmsg && echo device");
    for (granted, found) in [("kmsg", true), ("km*, nosuch, nosuch*", true), ("kms", false)] {
        machine.set_knob("JOB_DEVICES", granted);
        let ran = machine.run(&list);
        assert_eq!(ran.output.contains("kmsg") && ran.output.contains("device"), found, "{ran}");
    }
    for bad in ["../etc", "/dev/kmsg"] {
        machine.set_knob("JOB_DEVICES", bad);
        let ran = machine.run(&list);
        assert!(ran.said.contains("JOB_DEVICES") && ran.output.is_empty(), "{ran}");
    }
    let machine = machine.knob("JOB_DEVICES", "").knob("JOB_PRIVATE_DEV", "False");
    assert!(machine.run(&list).ok().contains("kmsg"));
}

#[test]
fn the_home_is_empty_and_of_this_job_alone() {
    let Some(machine) = Machine::new() else { return };
    let home = canary(&machine.path("home/alice"));
    let script = "cd $HOME; pwd; ls -A; stat -c %a .; echo x > x && cat x";
    let ran = machine.run(&moved(&machine, script));
    assert_eq!(ran.ok(), format!("{}\n700\nx\n", home.display()), "{ran}");
    assert_eq!(names(&home), ["canary"]);
    // Nor is what was put there taken for output.
    let left = names(&machine.path("out"));
    assert!(!left.iter().any(|name| name == "x" || name == "_condor_home"), "{left:?}");
    assert!(ran.ad.eval_string("AssignedIsolation").unwrap().contains(" home "), "{ran}");
}

#[test]
fn the_home_is_the_machines_where_the_admin_or_the_job_needs_it() {
    let Some(machine) = Machine::new() else { return };
    let home = canary(&machine.path("home/alice"));
    let script = format!("cd {}; ls -A; echo x > x || echo closed", home.display());
    let ran = machine.run(&Job::sh(&script));
    assert_eq!(ran.ok(), "canary\n", "{ran}");
    let why = ran.ad.eval_string("IsolationNotApplied").unwrap();
    assert!(why.contains("no files are moved"), "{why}");
    let inside = moved(&machine, &script).set("RemoteIwd", home.to_str().unwrap());
    assert!(machine.run(&inside).ok().starts_with("canary\n"));
    let mut machine = machine.knob("JOB_HOME", "machine");
    assert!(machine.run(&moved(&machine, &script)).ok().starts_with("canary\n"));
    machine.set_knob("JOB_HOME", "read-only");
    let ran = machine.run(&moved(&machine, &script));
    assert_eq!(ran.ok(), "canary\nx\nclosed\n", "{ran}");
}

#[test]
fn the_daemons_directories_are_out_of_sight() {
    let Some(machine) = Machine::new() else { return };
    let (spool, tokens) = (canary(&machine.path("spool")), canary(&machine.path("tokens")));
    let log = canary(&machine.path("log"));
    let machine = machine
        .knob("SPOOL", "$(BASE)/spool")
        .knob("SEC_TOKEN_SYSTEM_DIRECTORY", "$(BASE)/tokens")
        .knob("JOB_MEMORY_DIRECTORIES", "$(BASE)/locks, $(BASE)/nosuch");
    let locks = canary(&machine.path("locks"));
    let [spool, tokens, log, locks] =
        [spool, tokens, log, locks].map(|dir| dir.display().to_string());
    let script = format!(
        "for dir in {spool} {tokens} {log}; do ls -A $dir; cat $dir/canary; touch $dir/x; \
         stat -c %a $dir; done; stat -c %d {spool} {log} {tokens} | uniq | wc -l; \
         echo [$(ls -A {locks})]; touch {locks}/x && echo mine; ls -d {}/nosuch",
        machine.path("").display()
    );
    let ran = machine.run(&moved(&machine, &script));
    assert_eq!(ran.output, "0\n0\n0\n1\n[]\nmine\n", "{ran}");
    for dir in [&spool, &tokens, &locks] {
        assert_eq!(names(Path::new(dir)), ["canary"]);
    }
    // A job that works there goes on to do so.
    let job = Job::sh("cat canary").set("Iwd", &*spool);
    let ran = machine.run(&job);
    assert_eq!(ran.ok(), "canary", "{ran}");
    assert!(ran.ad.eval_string("IsolationNotApplied").unwrap().contains("stays in sight"), "{ran}");
}

/// A cover over what only its owner may look into would be one mount more for nothing.
#[test]
fn what_is_closed_to_the_account_needs_no_cover() {
    let Some(machine) = Machine::new() else { return };
    let (closed, open) = (canary(&machine.path("closed")), canary(&machine.path("open")));
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let list = [&closed, &open].map(|dir| dir.display().to_string());
    let machine = machine.knob("JOB_HIDDEN_DIRECTORIES", &list.join(" "));
    let [closed, open] = list;
    let script = format!(
        "for dir in {closed} {open}; do ls $dir; cat $dir/canary; cd $dir; done; \
         grep -c ' {closed} ' /proc/self/mountinfo; grep -c ' {open} ' /proc/self/mountinfo"
    );
    let ran = machine.run(&moved(&machine, &script));
    assert_eq!(ran.output, "0\n1\n", "{ran}");
}

/// Each once, and nothing of the machine's under or in it.
#[test]
fn what_the_cell_replaces_is_taken_off() {
    in_every_cell(|machine, _, cell| {
        let ran = machine.run(&Job::program("/bin/cat").arg("/proc/self/mountinfo"));
        let points = ran.ok().lines().map(|line| line.split(' ').nth(4).unwrap());
        let mut of_the_kernel: Vec<&str> = points
            .filter(|point| {
                ["/dev", "/proc", "/sys"].iter().any(|top| Path::new(point).starts_with(top))
            })
            .collect();
        of_the_kernel.sort_unstable();
        of_the_kernel.retain(|point| *point != "/sys/fs/cgroup");
        assert_eq!(
            of_the_kernel,
            ["/dev", "/dev/pts", "/dev/shm", "/proc", "/sys"],
            "{cell}\n{ran}"
        );
        let sys = ran.output.lines().find(|line| line.contains(" /sys ")).unwrap();
        assert!(sys.contains(" ro,"), "{cell}: {sys}");
    });
}

#[test]
fn processes_are_limited_without_a_cgroup() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("CGROUP_PIDS_LIMIT", "50");
    let before = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let script = "cat /proc/sys/kernel/pid_max; i=0; while [ $i -lt 1000 ]; do sleep 60 & i=$((i + 1)); done; echo all";
    let ran = machine.run(&Job::sh(script));
    assert_eq!(fs::read_to_string("/proc/sys/kernel/pid_max").unwrap(), before);
    if ran.said.contains("CGROUP_PIDS_LIMIT can't be had here") {
        eprintln!("SKIPPED processes_are_limited_without_a_cgroup: needs Linux 6.14");
        return;
    }
    if !ran.ad.eval_string("AssignedIsolation").unwrap_or_default().contains("limits") {
        assert!(ran.output.starts_with("350\n"), "{ran}");
    }
    assert!(!ran.output.contains("all"), "{ran}");
}

#[test]
fn one_knob_brings_the_stock_view() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("JOB_STOCK_VIEW", "True");
    let home = canary(&machine.path("home/alice"));
    let script = format!("ls {} /dev {}", home.display(), machine.path("log").display());
    canary(&machine.path("log"));
    let ran = machine.run(&moved(&machine, &script));
    assert!(ran.ok().matches("canary").count() == 2 && ran.output.contains("kmsg"), "{ran}");
    let applied = ran.ad.eval_string("AssignedIsolation").unwrap();
    assert!(
        ["seccomp", "dev", "home"].iter().all(|w| !applied.split(' ').any(|a| a == *w)),
        "{ran}"
    );
    // One thing may be had all the same.
    let machine = machine.knob("JOB_HOME", "private");
    assert_eq!(machine.run(&moved(&machine, "ls -A $HOME")).ok(), "");
}

/// With CAP_SYS_RESOURCE by a floor that the kernel keeps; without, by a /proc that can't be written to.
#[test]
fn a_job_is_not_spared_when_memory_runs_out() {
    in_every_cell(|machine, _, cell| {
        let score = "/proc/self/oom_score_adj";
        let script = format!("for s in 0 -500 799; do echo $s > {score}; done; cat {score}");
        assert_eq!(machine.run(&Job::sh(&script)).output, "800\n", "{cell}");
    });
}
