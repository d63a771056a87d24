//! Named roots: what a job sees of one, and the roots that are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cloister_tests::{ALICE, Job, Machine, NamedRoot, Ran};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// FailedToCreateProcess.
const HOLD: i64 = 6;

fn machine_with_root() -> Option<(Machine, NamedRoot)> {
    let mut machine = Machine::new()?;
    let root = NamedRoot::offer(&mut machine, "tools");
    Some((machine, root))
}

fn in_root(script: &str) -> Job {
    Job::sh(script).set("RequestedChroot", "tools")
}

const KNOBS: [(&str, &str); 3] = [
    ("USE_PID_NAMESPACE_INIT", "True"),
    ("USE_PID_NAMESPACE_INIT", "False"),
    ("USE_PID_NAMESPACES", "False"),
];

/// A mount point is never made in the root itself.
#[test]
fn the_root_is_what_the_job_sees_and_stays_as_it_is() {
    for (knob, value) in KNOBS {
        let Some((machine, root)) = machine_with_root() else { return };
        let before = root.listing();
        let machine = machine.knob(knob, value);
        let ran = machine
            .run(&in_root("ls /; cat /etc/marker; echo pid $$; echo x > /tmp/x && cat /tmp/x"));
        let names: Vec<&str> =
            ran.ok().lines().take_while(|line| *line != "of the named root").collect();
        let of_the_root = ["bin", "etc", "lib", "lib64", "usr"];
        let ours = ["dev", "proc", "sys", "tmp", "var"];
        assert!(
            names.iter().all(|name| of_the_root.contains(name) || ours.contains(name)),
            "{ran}"
        );
        assert!(ours.iter().all(|name| names.contains(name)), "{ran}");
        let pid = ran.ad.eval_i64("JobPid").unwrap().to_string();
        let expected = match (knob, value) {
            ("USE_PID_NAMESPACES", _) => &pid,
            (_, "True") => "2",
            _ => "1",
        };
        assert_eq!(ran.line("pid "), expected, "{ran}");
        assert_eq!(ran.ad.eval_string("AssignedChroot").as_deref(), Some("tools"), "{ran}");
        assert_eq!(root.listing(), before);
    }
}

#[test]
fn the_name_is_compared_without_regard_to_case_and_the_path_will_do_too() {
    let Some((machine, root)) = machine_with_root() else { return };
    for wanted in ["TOOLS", "Tools", root.path.to_str().unwrap()] {
        let job = Job::sh("cat /etc/marker").set("RequestedChroot", wanted);
        assert_eq!(machine.run(&job).ok(), "of the named root\n", "{wanted}");
    }
}

#[test]
fn without_a_wish_and_by_the_name_root_the_job_gets_the_machines() {
    let Some((machine, _root)) = machine_with_root() else { return };
    let job = Job::sh("test ! -e /etc/marker");
    machine.run(&job).ok();
    machine.run(&job.set("RequestedChroot", "root")).ok();
}

#[test]
fn the_sandbox_keeps_its_path() {
    for nested in ["True", "False"] {
        let Some((machine, _root)) = machine_with_root() else { return };
        let machine = machine.knob("STARTER_NESTED_SCRATCH", nested);
        let mut running = machine.start(
            &in_root("cd $_CONDOR_SCRATCH_DIR && echo in > file; cat .job.ad > /dev/null; echo ready $PWD; read x").fed(),
        );
        let sandbox = running.line("ready");
        let slot = machine.execute().join(format!("dir_{}", running.pid()));
        let expected = if nested == "True" { slot.join("scratch") } else { slot };
        assert_eq!(Path::new(&sandbox), expected);
        assert_eq!(fs::read_to_string(expected.join("file")).unwrap(), "in\n");
        let ran = running.wait();
        machine.check_clean(&ran);
    }
}

#[test]
fn nothing_in_it_can_be_written() {
    let Some((machine, root)) = machine_with_root() else { return };
    fs::create_dir(root.path.join("open")).unwrap();
    fs::set_permissions(root.path.join("open"), Permissions::from_mode(0o1777)).unwrap();
    fs::write(root.path.join("open/file"), "x").unwrap();
    fs::set_permissions(root.path.join("open/file"), Permissions::from_mode(0o666)).unwrap();
    let ran = machine.run(&in_root(
        "touch /open/new; echo > /open/file; touch /new; echo > /dev/new; echo over",
    ));
    assert_eq!(ran.ok(), "over\n", "{ran}");
    assert!(ran.error.matches("Read-only file system").count() >= 2, "{ran}");
    assert_eq!(fs::read_to_string(root.path.join("open/file")).unwrap(), "x");
}

#[test]
fn a_root_on_a_read_only_file_system_serves_without_our_mount_points() {
    for (knob, value) in KNOBS {
        let Some((mut machine, _root)) = machine_with_root() else { return };
        let dir = machine.path("image");
        fs::create_dir(&dir).unwrap();
        let none: Option<&str> = None;
        mount(Some("image"), &dir, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let root = NamedRoot::make(dir.join("root"));
        // Other owners, as images have them: nobody can write here.
        machine.give(&root.path, ALICE);
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, &dir, none, flags, none).unwrap();
        machine.set_knob("NAMED_CHROOT", &format!("tools={}", root.path.display()));
        machine.set_knob("MOUNT_UNDER_SCRATCH", "/tmp,/var/tmp,/new/deep/one");
        machine.set_knob(knob, value);
        let ran = machine.run(&in_root(
            "cat /etc/marker; echo x > /new/deep/one/x; echo x > /tmp/x; echo x > /var/tmp/x; \
             echo x > $_CONDOR_SCRATCH_DIR/x; echo x > /dev/null; cat /proc/$$/stat > /dev/null; ls -d /sys/kernel",
        ));
        assert_eq!(ran.ok(), "of the named root\n/sys/kernel\n", "{ran}");
        assert_eq!(ran.error, "", "{ran}");
        umount2(&dir, MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn only_harmless_devices_and_no_rights_from_files() {
    let Some((machine, root)) = machine_with_root() else { return };
    let id = root.path.join("bin/id");
    fs::set_permissions(&id, Permissions::from_mode(0o4755)).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    let null = nix::sys::stat::makedev(1, 3);
    let device = root.path.join("device");
    nix::sys::stat::mknod(&device, nix::sys::stat::SFlag::S_IFCHR, mode, null).unwrap();
    fs::set_permissions(&device, Permissions::from_mode(0o666)).unwrap();
    let ran = machine.run(&in_root(
        "echo id $(id -u); cat /device; echo devices $(cd /dev; echo *); ls -d /dev/pts/*; \
         echo x > /dev/null; : < /dev/full; echo mounts; cat /proc/self/mountinfo",
    ));
    assert_eq!(
        ran.ok().lines().next(),
        Some(format!("id {}", machine.number(ALICE)).as_str()),
        "{ran}"
    );
    assert!(ran.error.contains("/device: Permission denied"), "{ran}");
    let devices = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(ran.line("devices "), devices, "{ran}");
    let mounts = ran.output.lines().skip_while(|line| *line != "mounts").skip(1);
    let of_the_root = ["/", "/bin", "/etc", "/lib", "/lib64", "/usr", "/device"];
    let ours = ["/dev", "/dev/shm", "/dev/pts", "/proc", "/sys", "/tmp", "/var/tmp"];
    let execute = machine.execute();
    for line in mounts {
        let words: Vec<&str> = line.split(' ').collect();
        let planned = of_the_root.contains(&words[4])
            || ours.contains(&words[4])
            || Path::new(words[4]).starts_with(&execute);
        assert!(planned, "nothing else of the machine is mounted: {line}");
        let options: Vec<&str> = words[5].split(',').collect();
        assert!(options.contains(&"nosuid"), "{line}");
        let devices = words[4] == "/dev" || words[4] == "/dev/pts";
        assert_eq!(options.contains(&"nodev"), !devices, "{line}");
        let private =
            ["/tmp", "/var/tmp", "/dev/shm"].contains(&words[4]) || words[4].contains("/dir_");
        let kernel = words[4] == "/proc" || words[4] == "/dev/pts";
        assert!(private || kernel || options.contains(&"ro"), "{line}");
    }
}

/// Links in a root are followed as the job would follow them: within it.
#[test]
fn links_at_the_mount_points_do_not_lead_out() {
    let Some((machine, root)) = machine_with_root() else { return };
    let outside = machine.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o1777)).unwrap();
    for (name, target) in [
        ("tmp", outside.to_str().unwrap()),
        ("dev", "../../../../../etc"),
        ("sys", "/"),
        ("proc", "/etc"),
    ] {
        let link = root.path.join(name);
        symlink(target, &link).unwrap();
        let before = fs::read_dir("/etc").unwrap().count();
        let ran = machine.run(&in_root("echo x > /tmp/x; echo x > /dev/x; echo ran"));
        // Refused with a reason, or inside the root: both keep the machine as it is.
        if ran.output.is_empty() {
            ran.never_ran();
            assert!(ran.said.contains(&format!("/{name}")), "{ran}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
        assert_eq!(fs::read_dir("/etc").unwrap().count(), before, "{name}");
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn there_is_nothing_to_break_out_into() {
    let Some((machine, _root)) = machine_with_root() else { return };
    let outside = machine.path("condor_config");
    let covers = format!("/:/proc:/tmp:/dev:/sys:{}", machine.execute().display());
    let job =
        Job::program("/bin/hostile").arg("confined").arg(covers).arg(outside.to_str().unwrap());
    let ran = machine.run(&job.set("RequestedChroot", "tools"));
    assert!(!ran.ok().contains("FOUND"), "{ran}");
}

fn refused(machine: &Machine, words: &[&str]) {
    check_refused(&machine.run(&in_root("echo ran")), words);
}

fn check_refused(ran: &Ran, words: &[&str]) {
    let reason = ran.refused();
    for word in words.iter().chain(&["named root tools can't be used"]) {
        assert!(reason.contains(word), "{word:?} is missing\n{ran}");
    }
}

#[test]
fn an_unknown_name_holds_the_job_and_says_what_there_is() {
    let Some((machine, _root)) = machine_with_root() else { return };
    for wanted in ["other", "../tools", "/", "/etc", "tools/", "tools,other", " tools"] {
        let ran = machine.run(&Job::sh("echo ran").set("RequestedChroot", wanted));
        let reason = ran.held(HOLD, 2);
        assert!(
            reason.contains(&format!("{wanted:?}")) && reason.contains("offers: tools"),
            "{ran}"
        );
    }
    let machine = machine.knob("NAMED_CHROOT", "");
    let ran = machine.run(&in_root("echo ran"));
    assert!(ran.held(HOLD, 2).contains("NAMED_CHROOT"), "{ran}");
}

#[test]
fn a_wish_that_is_no_string_never_becomes_the_machines_root() {
    let Some((machine, _root)) = machine_with_root() else { return };
    let ran = machine.run(&Job::sh("echo ran").set("RequestedChroot", 5_i64));
    ran.never_ran();
    assert!(ran.said.contains("RequestedChroot"), "{ran}");
}

#[test]
fn a_vanished_root() {
    let Some((machine, root)) = machine_with_root() else { return };
    fs::rename(&root.path, machine.path("elsewhere")).unwrap();
    refused(&machine, &[root.path.to_str().unwrap(), "(errno=2:"]);
}

#[test]
fn a_file_as_root() {
    let Some((machine, root)) = machine_with_root() else { return };
    let file = root.path.join("etc/marker");
    let machine = machine.knob("NAMED_CHROOT", &format!("tools={}", file.display()));
    refused(&machine, &[file.to_str().unwrap(), "(errno=20:"]);
}

#[test]
fn a_link_as_root_or_on_the_way_to_it() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    symlink(&root.path, machine.path("link")).unwrap();
    symlink(machine.path("roots"), machine.path("linked")).unwrap();
    for (path, link) in [("link", "link"), ("linked/tools", "linked")] {
        machine.set_knob("NAMED_CHROOT", &format!("tools=$(BASE)/{path}"));
        refused(&machine, &[&format!("{} is a symbolic link", machine.path(link).display())]);
    }
}

#[test]
fn a_root_that_others_could_change() {
    let Some((machine, root)) = machine_with_root() else { return };
    let parent = machine.path("roots");
    for dir in [&root.path, &parent] {
        for mode in [0o775, 0o757, 0o1777] {
            fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
            refused(&machine, &[dir.to_str().unwrap(), &format!("mode {mode:04o}"), "chmod go-w"]);
        }
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        machine.give(dir, ALICE);
        refused(&machine, &[&format!("{} belongs to uid", dir.display()), "chown root"]);
        std::os::unix::fs::chown(dir, Some(0), Some(0)).unwrap();
    }
    machine.run(&in_root("true")).ok();
}

#[test]
fn items_of_the_knob_that_can_not_be_used_offer_nothing() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    let path = root.path.display();
    for item in [
        "tools=relative".into(),
        format!("tools={path}/../tools"),
        "tools=".into(),
        format!("tools:{path}"),
        "tools=/".to_owned(),
    ] {
        machine.set_knob("NAMED_CHROOT", &item);
        machine.run(&in_root("echo ran")).held(HOLD, 2);
    }
}

#[test]
fn a_bad_item_does_not_take_the_good_ones_along() {
    let Some((machine, root)) = machine_with_root() else { return };
    let knob = format!("9=/x, bad, tools={}", root.path.display());
    let machine = machine.knob("NAMED_CHROOT", &knob);
    assert_eq!(machine.run(&in_root("cat /etc/marker")).ok(), "of the named root\n");
}

#[test]
fn execute_within_the_root_shows_the_own_sandbox_only() {
    let Some((mut machine, root)) = machine_with_root() else { return };
    fs::create_dir(root.path.join("execute")).unwrap();
    std::os::unix::fs::chown(
        root.path.join("execute"),
        Some(machine.daemon()),
        Some(machine.daemon()),
    )
    .unwrap();
    let other = root.path.join(format!("execute/dir_{}", std::process::id()));
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("secret"), "canary").unwrap();
    machine.set_knob("EXECUTE", root.path.join("execute").to_str().unwrap());
    let ran = machine.run(&in_root("cat /execute/dir_*/secret; ls /execute"));
    // Wherever the same directory can be seen, the job of another starter can't.
    assert!(!ran.output.contains("canary"), "{ran}");
    assert!(!ran.output.contains(&format!("dir_{}", std::process::id())), "{ran}");
    fs::remove_dir_all(&other).unwrap();
}
