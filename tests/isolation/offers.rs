//! The knobs that a named root has of its own: what is bound into it, its /etc, what a job may write,
//! its devices, who may have it, its revision, and how long it may take to answer.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use cloister_tests::{ALICE, Job, Machine, NamedRoot, Ran};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::dead::DeadMount;

fn machine_with_root() -> Option<(Machine, NamedRoot)> {
    let mut machine = Machine::new()?;
    let root = NamedRoot::offer(&mut machine, "tools");
    Some((machine, root))
}

fn in_root(script: &str) -> Job {
    Job::sh(script).set("RequestedChroot", "tools")
}

/// Under a starter of root, and under one of the account.
fn both(machine: &Machine, job: &Job) -> [Ran; 2] {
    [machine.run(job), machine.run_alone(job)]
}

#[test]
fn the_account_has_a_name_whatever_the_root_knows() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    let etc = root.path.join("etc");
    let taken =
        format!("mallory:x:{}:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n", machine.number(ALICE));
    fs::write(etc.join("passwd"), &taken).unwrap();
    let job = in_root("echo name $(id -un); echo groups $(id -Gn); grep -c root /etc/passwd");
    for ran in both(&machine, &job) {
        assert_eq!(ran.line("name "), "alice", "{ran}");
        let groups: Vec<&str> = ran.line("groups ").split(' ').take(1).collect();
        assert_eq!(groups, ["alice"], "{ran}");
        assert!(ran.ok().ends_with("1\n"), "the root's own accounts are still there\n{ran}");
    }
    assert_eq!(machine.run(&job).line("groups "), "alice extra");
    // What a root's own configuration wants code of its own for can be left out.
    fs::write(etc.join("nsswitch.conf"), "passwd: evil\ngroup: evil\n").unwrap();
    machine.set_knob("NAMED_CHROOT_tools_ETC", "passwd group nsswitch.conf");
    assert_eq!(machine.run(&job).line("name "), "alice");
    machine.set_knob("NAMED_CHROOT_tools_ETC", "none");
    fs::remove_file(etc.join("nsswitch.conf")).unwrap();
    assert_eq!(machine.run(&job).line("name "), "mallory");
    assert_eq!(fs::read_to_string(etc.join("passwd")).unwrap(), taken);
}

#[test]
fn files_of_the_machine_replace_links_and_not_what_they_lead_to() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    let etc = root.path.join("etc");
    symlink("/run/systemd/resolve/stub-resolv.conf", etc.join("resolv.conf")).unwrap();
    fs::create_dir_all(root.path.join("usr/share/zoneinfo")).unwrap();
    fs::write(root.path.join("usr/share/zoneinfo/UTC"), "of the root").unwrap();
    symlink("../usr/share/zoneinfo/UTC", etc.join("localtime")).unwrap();
    symlink("/etc/passwd", etc.join("hosts")).unwrap();
    let before = root.listing();
    let script = "cat /etc/hosts; echo; echo zone $(cat /usr/share/zoneinfo/UTC); cat /etc/marker; \
                  echo x > /etc/new; test ! -L /etc/localtime || test ! -e /etc/localtime || echo link; \
                  cat /etc/resolv.conf > /dev/null && echo resolv; echo \"id=$(cat /etc/machine-id)\"";
    machine.set_knob("NAMED_CHROOT_tools_ETC", "passwd hosts resolv.conf localtime machine-id");
    fs::write(etc.join("machine-id"), "0123\n").unwrap();
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    for ran in both(&machine, &in_root(script)) {
        assert!(ran.ok().starts_with(&hosts), "{ran}");
        assert_eq!(ran.line("zone "), "of the root", "{ran}");
        assert_eq!(ran.line("id="), "", "{ran}");
        assert!(ran.output.contains("of the named root"), "{ran}");
        assert!(ran.error.contains("/etc/new: Read-only file system"), "{ran}");
        assert_eq!(
            ran.output.contains("resolv\n"),
            fs::metadata("/etc/resolv.conf").is_ok(),
            "{ran}"
        );
        assert_eq!(ran.output.contains("link\n"), fs::metadata("/etc/localtime").is_err(), "{ran}");
    }
    fs::remove_file(etc.join("machine-id")).unwrap();
    assert_eq!(root.listing(), before);
}

#[test]
fn binds_are_read_only_unless_said_otherwise() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    for name in ["data", "results", "kept"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::set_permissions(machine.path(name), Permissions::from_mode(0o1777)).unwrap();
        fs::write(machine.path(name).join("file"), format!("in {name}\n")).unwrap();
    }
    fs::write(machine.path("one"), "a file\n").unwrap();
    let binds = "$(BASE)/data $(BASE)/results:/srv/results:rw, $(BASE)/one:/etc/grid/one \
                 $(BASE)/gone? $(BASE)/gone:/gone:rw?";
    machine.set_knob("NAMED_CHROOT_tools_BIND", binds);
    let before = root.listing();
    let data = machine.path("data");
    let script = format!(
        "cat {0}/file /srv/results/file /etc/grid/one; echo x > {0}/x; echo x > /srv/results/x && echo written; \
         test -e /gone || echo nothing; test -e {1} || echo kept",
        data.display(),
        machine.path("kept").display()
    );
    for ran in both(&machine, &in_root(&script)) {
        let expected = "in data\nin results\na file\nwritten\nnothing\nkept\n";
        assert_eq!(ran.ok(), expected, "{ran}");
        assert!(ran.error.contains("Read-only file system"), "{ran}");
        let isolation = ran.ad.eval_string("AssignedIsolation").unwrap();
        assert!(!isolation.contains("readonly"), "something of the machine can be written: {ran}");
        fs::metadata(machine.path("results/x")).unwrap();
    }
    assert_eq!(root.listing(), before);
    machine.set_knob("NAMED_CHROOT_tools_BIND", "$(BASE)/gone");
    let reason = machine.run(&in_root("true")).refused();
    assert!(reason.contains("NAMED_CHROOT_tools_BIND") && reason.contains("write ? behind it"));
    symlink(machine.path("data"), machine.path("link")).unwrap();
    machine.set_knob("NAMED_CHROOT_tools_BIND", "$(BASE)/link");
    let reason = machine.run(&in_root("true")).refused();
    assert!(reason.contains("name what it points to"), "{reason}");
}

#[test]
fn a_bind_brings_back_neither_sandboxes_nor_the_daemons_directories() {
    let Some((mut machine, _root)) = machine_with_root() else { return };
    for name in ["spool", "real"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::write(machine.path(name).join("secret"), "canary").unwrap();
    }
    symlink(machine.path("real"), machine.path("tokens")).unwrap();
    let other = machine.execute().join("dir_1");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("secret"), "canary").unwrap();
    for (name, value) in [
        ("SPOOL", "$(BASE)/spool"),
        ("SEC_TOKEN_DIRECTORY", "$(BASE)/tokens"),
        ("NAMED_CHROOT_tools_BIND", "$(BASE):/m:rw"),
    ] {
        machine.set_knob(name, value);
    }
    let script = "cat /m/spool/secret /m/real/secret /m/tokens/secret /m/execute/*/secret /m/log/*; \
                  ls -a /m/spool /m/real /m/execute /m/log; cat /m/condor_config";
    // Which stay in sight in the pool of an ordinary user, unless the knob is set.
    machine.set_knob("JOB_HIDDEN_DIRECTORIES", "SPOOL LOG SEC_TOKEN_DIRECTORY");
    fs::rename(&other, machine.path("execute.other")).unwrap();
    let hold = |ran: &Ran| {
        assert!(!ran.output.contains("canary"), "{ran}");
        assert!(ran.output.contains("NAMED_CHROOT"), "the bind is there\n{ran}");
    };
    for ran in both(&machine, &in_root(script)) {
        hold(&ran);
    }
    fs::rename(machine.path("execute.other"), &other).unwrap();
    let ran = machine.start(&in_root(script)).wait();
    hold(&ran);
    assert!(!ran.output.contains("dir_"), "{ran}");
    machine.set_knob("NAMED_CHROOT_tools_BIND", "$(BASE)/spool/x:/x");
    let ran = machine.start(&in_root("true")).wait();
    assert!(ran.refused().contains("which no job sees"), "{ran}");
    fs::remove_dir_all(other).unwrap();
}

#[test]
fn mounts_that_come_later_arrive_by_a_bind() {
    let Some((machine, _root)) = machine_with_root() else { return };
    let shared = machine.path("cvmfs");
    fs::create_dir_all(shared.join("later")).unwrap();
    let machine = machine.knob("NAMED_CHROOT_tools_BIND", "$(BASE)/cvmfs:/cvmfs:rslave");
    let mut running =
        machine.start(&in_root("echo ready; read x; cat /cvmfs/later/file; echo over").fed());
    running.line("ready");
    let none: Option<&str> = None;
    let later = shared.join("later");
    mount(Some("later"), &later, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    fs::write(later.join("file"), "arrived\n").unwrap();
    let ran = running.wait();
    umount2(&later, MntFlags::MNT_DETACH).unwrap();
    assert_eq!(ran.ok(), "ready\narrived\nover\n", "{ran}");
}

#[test]
fn what_is_written_to_a_layer_goes_with_the_job() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    fs::create_dir(root.path.join("open")).unwrap();
    fs::set_permissions(root.path.join("open"), Permissions::from_mode(0o1777)).unwrap();
    fs::write(root.path.join("open/file"), "old\n").unwrap();
    fs::set_permissions(root.path.join("open/file"), Permissions::from_mode(0o666)).unwrap();
    let before = root.listing();
    let results = machine.path("results");
    fs::create_dir(&results).unwrap();
    fs::set_permissions(&results, Permissions::from_mode(0o777)).unwrap();
    let script = "cat /open/file; echo new > /open/file; cat /open/file; mkdir /made && echo x > /made/x && ls /made; \
                  echo x > /bin/x; echo name $(id -un); ls -A $_CONDOR_SCRATCH_DIR/_condor_root; \
                  echo x > $_CONDOR_SCRATCH_DIR/result; cat /proc/self/mountinfo";
    for (writing, nested) in
        [("overlay-scratch", "True"), ("overlay-scratch", "False"), ("overlay-tmpfs", "True")]
    {
        machine.set_knob("NAMED_CHROOT_tools_ROOT", writing);
        machine.set_knob("STARTER_NESTED_SCRATCH", nested);
        let job = in_root(script)
            .set("ShouldTransferFiles", "YES")
            .set("TransferExecutable", false)
            .set("Iwd", results.to_str().unwrap());
        for ran in both(&machine, &job) {
            // Of a starter that isn't root, others' files can't be copied: only new ones can be made.
            let alone = ran.ad.eval_string("AssignedIsolation").unwrap().contains(" user ");
            let expected =
                if alone { "old\nold\nx\nname alice\n" } else { "old\nnew\nx\nname alice\n" };
            assert!(ran.ok().starts_with(expected), "{writing}: {ran}");
            assert!(ran.error.contains("/bin/x: Permission denied"), "{writing}: {ran}");
            assert!(
                writing == "overlay-tmpfs"
                    || ran.error.contains("_condor_root': Permission denied"),
                "{writing}: {ran}"
            );
            let top = ran.output.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
            let options = top.split(' ').nth(5).unwrap();
            assert!(options.contains("nosuid") && options.contains("nodev"), "{top}");
            let came: Vec<_> =
                fs::read_dir(&results).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(came, ["result"], "{writing}: {ran}");
        }
        assert_eq!(root.listing(), before, "{writing}");
    }
}

#[test]
fn devices_are_those_of_the_root_if_it_says_so() {
    let Some((mut machine, _root)) = machine_with_root() else { return };
    let job = in_root("cd /dev; echo $(ls -d fuse loop-control 2>/dev/null)");
    machine.set_knob("JOB_DEVICES", "fuse");
    for (devices, expected) in
        [(None, "fuse"), (Some("loop-control"), "loop-control"), (Some("minimal"), "")]
    {
        if let Some(devices) = devices {
            machine.set_knob("NAMED_CHROOT_tools_DEV", devices);
        }
        assert_eq!(machine.run(&job).ok().trim(), expected, "{devices:?}");
    }
    // In the machine's own root the machine's knob counts.
    let ran = machine.run(&Job::sh("ls -d /dev/fuse"));
    assert_eq!(ran.ok(), "/dev/fuse\n", "{ran}");
}

#[test]
fn who_may_have_a_root_and_which_one_is_everybodys() {
    let Some((mut machine, _root)) = machine_with_root() else { return };
    machine.set_knob("NAMED_CHROOT_tools_ALLOW", "TARGET.AcctGroup =?= \"physics\"");
    let job = in_root("cat /etc/marker");
    let ran = machine.run(&job);
    let reason = ran.held(6, 13);
    assert!(reason.contains("NAMED_CHROOT_tools_ALLOW") && reason.contains("physics"), "{reason}");
    let allowed = job.set("AcctGroup", "physics");
    machine.run(&allowed).ok();
    machine.set_knob("NAMED_CHROOT_DEFAULT", "TOOLS");
    let any = Job::sh("cat /etc/marker").set("AcctGroup", "physics");
    assert_eq!(machine.run(&any).ok(), "of the named root\n");
    // It is no way around who may have it.
    machine.run(&Job::sh("true")).held(6, 13);
    machine.run(&Job::sh("test ! -e /etc/marker").set("RequestedChroot", "root")).ok();
    machine.set_knob("NAMED_CHROOT_DEFAULT", "other");
    let ran = machine.run(&any);
    assert!(ran.refused().contains("NAMED_CHROOT_DEFAULT: other"), "{ran}");
}

#[test]
fn the_revision_is_in_the_result() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    let revision = |ran: &Ran| ran.ad.eval_string("AssignedChrootRevision");
    assert_eq!(revision(&machine.run(&in_root("true"))), None);
    fs::write(root.path.join("etc/stamp"), "2026.11 \"x\"\nmore\n").unwrap();
    machine.set_knob("NAMED_CHROOT_tools_REVISION", "/etc/stamp");
    for ran in both(&machine, &in_root("true")) {
        assert_eq!(revision(&ran).as_deref(), Some("2026.11 x"), "{ran}");
    }
    machine.set_knob("NAMED_CHROOT_tools_REVISION", "v7");
    assert_eq!(revision(&machine.run(&in_root("true"))).as_deref(), Some("v7"));
    // A link there leads nowhere but into the root.
    fs::remove_file(root.path.join("etc/stamp")).unwrap();
    symlink("/etc/shadow", root.path.join("etc/stamp")).unwrap();
    machine.set_knob("NAMED_CHROOT_tools_REVISION", "/etc/stamp");
    assert_eq!(revision(&machine.run(&in_root("true"))), None);
}

#[test]
fn a_dead_root_or_bind_sends_the_job_elsewhere_in_time() {
    let Some((mut machine, _root)) = machine_with_root() else { return };
    let dead = machine.path("dead");
    fs::create_dir(&dead).unwrap();
    machine.set_knob("NAMED_CHROOT_TIMEOUT", "2");
    let Some(mount) = DeadMount::on(&dead) else { return };
    for (knob, value, name) in [
        ("NAMED_CHROOT_tools_BIND", "$(BASE)/dead/x:/x", "tools"),
        ("NAMED_CHROOT", "dead=$(BASE)/dead/root", "dead"),
    ] {
        machine.set_knob(knob, value);
        let begun = Instant::now();
        let job = Job::sh("echo ran").set("RequestedChroot", name);
        let [by_root, alone] = both(&machine, &job);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}\n{by_root}", begun.elapsed());
        assert!(by_root.refused().contains("no answer within 2 s"), "{by_root}");
        // An account's processes may not even ask a file system of root's.
        let reason = alone.refused();
        let words = ["no answer within 2 s", "Permission denied"];
        assert!(words.iter().any(|words| reason.contains(words)), "{alone}");
    }
    drop(mount);
}
