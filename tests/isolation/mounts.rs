//! MOUNT_UNDER_SCRATCH and /dev/shm: directories that are the job's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cloister_tests::{Job, Machine, NamedRoot};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A directory that everybody may write to, with a file in it that the job must not see.
fn shared(machine: &Machine, name: &str) -> PathBuf {
    let dir = machine.path(name);
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o1777)).unwrap();
    fs::write(dir.join("of-the-machine"), "canary").unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let list = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a job that lists each directory and writes to it.
fn visit(machine: &Machine, dirs: &[&Path], job: Job) -> cloister_tests::Ran {
    let mut script = String::new();
    for dir in dirs {
        let dir = dir.display();
        script.push_str(&format!("echo [$(ls -A {dir})]; echo x > {dir}/of-the-job || exit 1;"));
    }
    let script = format!("{script} cd $_CONDOR_SCRATCH_DIR; echo scratch; find . -name of-the-job");
    machine.run(&job.arg("-c").arg(script))
}

fn sh() -> Job {
    Job::program("/bin/sh")
}

#[test]
fn a_list_of_directories_is_private_and_empty() {
    let Some(machine) = Machine::new() else { return };
    let (one, two) = (shared(&machine, "one"), shared(&machine, "two/deep"));
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "/tmp, $(BASE)/one $(BASE)/two/deep/");
    let ran = visit(&machine, &[&one, &two, Path::new("/tmp")], sh());
    assert_eq!(ran.ok().lines().take(3).collect::<Vec<_>>(), ["[]"; 3], "{ran}");
    // They lie in the sandbox, where they count as the job's.
    assert_eq!(ran.output.lines().skip_while(|line| *line != "scratch").count(), 4, "{ran}");
    for dir in [one, two] {
        assert_eq!(names(&dir), ["of-the-machine"]);
    }
}

#[test]
fn tmp_is_private_by_default() {
    let Some(machine) = Machine::new() else { return };
    let mark = format!("cloister-test-{}", machine.daemon());
    let mut here = Vec::new();
    for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
        let path = Path::new(dir).join(&mark);
        fs::write(&path, "canary").unwrap();
        here.push(path);
    }
    let script = format!(
        "for dir in /tmp /var/tmp /dev/shm; do echo $dir [$(ls -A $dir)]; echo x > $dir/{mark}-job; done; \
         echo $TMPDIR; stat -c %a /dev/shm"
    );
    let ran = machine.run(&Job::sh(&script));
    for path in &here {
        fs::remove_file(path).unwrap();
        let other = PathBuf::from(format!("{}-job", path.display()));
        assert!(!other.exists(), "{} is seen by the machine", other.display());
    }
    assert_eq!(ran.ok(), "/tmp []\n/var/tmp []\n/dev/shm []\n/tmp\n1777\n", "{ran}");
}

#[test]
fn shared_memory_stays_shared_where_the_admin_says_so() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MOUNT_PRIVATE_DEV_SHM", "False");
    let name = format!("/dev/shm/cloister-test-{}", machine.daemon());
    fs::write(&name, "seen\n").unwrap();
    let ran = machine.run(&Job::program("/bin/cat").arg(&name));
    fs::remove_file(&name).unwrap();
    assert_eq!(ran.ok(), "seen\n");
}

#[test]
fn an_expression_over_the_job_chooses() {
    let Some(machine) = Machine::new() else { return };
    let dir = shared(&machine, "asked");
    let machine = machine.knob(
        "MOUNT_UNDER_SCRATCH",
        "ifThenElse(isUndefined(Wanted), \"/tmp\", strcat(\"/tmp,\", Wanted))",
    );
    let list = Job::program("/bin/ls").arg(dir.to_str().unwrap());
    assert_eq!(machine.run(&list).ok(), "of-the-machine\n");
    assert_eq!(machine.run(&list.set("Wanted", dir.to_str().unwrap())).ok(), "");
}

#[test]
fn an_expression_that_gives_no_list_stops_the_job() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "1 + 1");
    let reason = machine.run(&Job::sh("true")).refused();
    assert!(reason.starts_with("MOUNT_UNDER_SCRATCH: ") && reason.contains("1 + 1"), "{reason}");
}

#[test]
fn a_missing_directory_appears_for_the_job_only() {
    let Some(machine) = Machine::new() else { return };
    let before = names(&machine.path(""));
    let top = names(Path::new("/"));
    let machine = machine.knob(
        "MOUNT_UNDER_SCRATCH",
        "$(BASE)/missing/deep/er, /cloister-test-missing/too, $(BASE)/missing2",
    );
    let dirs = [
        machine.path("missing/deep/er"),
        "/cloister-test-missing/too".into(),
        machine.path("missing2"),
    ];
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    let ran = visit(&machine, &dirs, sh());
    assert_eq!(ran.ok().lines().take(3).collect::<Vec<_>>(), ["[]"; 3], "{ran}");
    assert_eq!(names(&machine.path("")), before);
    assert_eq!(names(Path::new("/")), top);
}

#[test]
fn the_neighbours_of_a_missing_directory_stay_in_sight() {
    let Some(machine) = Machine::new() else { return };
    let dir = shared(&machine, "parent");
    symlink("of-the-machine", dir.join("link")).unwrap();
    fs::create_dir(dir.join("dir")).unwrap();
    fs::write(dir.join("dir/inner"), "x").unwrap();
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)/parent/new");
    let script = format!("cd {}; ls -A; cat link; ls dir", dir.display());
    let ran = machine.run(&Job::sh(&script));
    assert_eq!(ran.ok(), "dir\nlink\nnew\nof-the-machine\ncanaryinner\n", "{ran}");
}

#[test]
fn a_directory_below_another_is_there_whatever_the_order() {
    let Some(machine) = Machine::new() else { return };
    let (outer, inner) = (shared(&machine, "outer"), shared(&machine, "outer/inner"));
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)/outer/inner, $(BASE)/outer");
    let ran = visit(&machine, &[&outer, &inner], sh());
    assert_eq!(ran.ok().lines().take(2).collect::<Vec<_>>(), ["[inner]", "[]"], "{ran}");
    assert_eq!(names(&outer), ["inner", "of-the-machine"]);
    assert_eq!(names(&inner), ["of-the-machine"]);
}

#[test]
fn a_link_leads_to_the_private_directory() {
    let Some(machine) = Machine::new() else { return };
    let target = shared(&machine, "target");
    let link = machine.path("link");
    symlink(&target, &link).unwrap();
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)/link");
    let ran = visit(&machine, &[&link], sh());
    assert_eq!(ran.ok().lines().next(), Some("[]"), "{ran}");
    assert_eq!(names(&target), ["of-the-machine"]);
}

#[test]
fn a_link_to_nowhere_stops_the_job() {
    let Some(machine) = Machine::new() else { return };
    symlink("/no/such/place", machine.path("dangling")).unwrap();
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)/dangling");
    let ran = machine.run(&Job::sh("true"));
    ran.never_ran();
    assert!(ran.said.contains("dangling is a link that leads nowhere"), "{ran}");
}

#[test]
fn names_are_compared_whole() {
    let Some(machine) = Machine::new() else { return };
    let (_, longer) = (shared(&machine, "data"), shared(&machine, "data2"));
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)//data/.");
    let ran = visit(&machine, &[&longer], sh());
    assert_eq!(ran.ok().lines().next(), Some("[of-the-machine]"), "{ran}");
    assert!(names(&longer).contains(&"of-the-job".to_owned()));
}

#[test]
fn a_directory_around_execute_hides_all_but_the_own_sandbox() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)");
    let script = format!(
        "ls -A {}; cd $_CONDOR_SCRATCH_DIR && pwd; echo x > file && cat file",
        machine.path("").display()
    );
    let mut running = machine.start(&Job::waiting(&script));
    let sandbox = running.line("ready");
    let ran = running.wait();
    assert_eq!(ran.ok().lines().take(3).collect::<Vec<_>>(), ["execute", &sandbox, "x"], "{ran}");
    machine.check_clean(&ran);
}

#[test]
fn directories_that_are_the_cells_own_anyway_stay_what_they_are() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "/proc, /dev/shm, /tmp");
    let ran = machine.run(&Job::sh("echo $(cd /proc && ls -d [0-9]*); ls -A /dev/shm /tmp"));
    assert!(ran.ok().starts_with("1 2 "), "{ran}");
    assert!(ran.output.ends_with("/dev/shm:\n\n/tmp:\n"), "{ran}");
}

#[test]
fn lists_that_can_not_be_meant_stop_the_job() {
    let Some(mut machine) = Machine::new() else { return };
    for (list, words) in [
        ("/tmp, relative", "relative is not an absolute directory"),
        ("/tmp/../etc", "/tmp/../etc is not an absolute directory"),
        ("/", "/ is not an absolute directory"),
        ("$(BASE)/execute", "is in EXECUTE"),
        ("$(BASE)/execute/dir_1", "is in EXECUTE"),
    ] {
        machine.set_knob("MOUNT_UNDER_SCRATCH", list);
        let reason = machine.run(&Job::sh("true")).refused();
        assert!(
            reason.starts_with("MOUNT_UNDER_SCRATCH: ") && reason.contains(words),
            "{list}: {reason}"
        );
    }
}

#[test]
fn a_file_in_the_list_stops_the_job() {
    let Some(machine) = Machine::new() else { return };
    fs::write(machine.path("plain"), "x").unwrap();
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "$(BASE)/plain");
    let ran = machine.run(&Job::sh("true"));
    ran.never_ran();
    assert!(ran.said.contains("/plain (MOUNT_UNDER_SCRATCH)"), "{ran}");
}

/// Binds a directory at a second path, where what is mounted later stays apart.
fn bind(source: &Path, target: &Path) {
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND, none).unwrap();
    mount(none, target, none, MsFlags::MS_PRIVATE, none).unwrap();
}

/// By a bind of EXECUTE, of what it lies in, or of a sandbox, on the machine or in a named root.
#[test]
fn execute_is_out_of_sight_wherever_else_it_is_mounted() {
    for named in [false, true] {
        let Some(mut machine) = Machine::new() else { return };
        let top = if named {
            let root = NamedRoot::offer(&mut machine, "tools").path;
            machine.put_all_jobs_in("tools");
            root
        } else {
            machine.path("")
        };
        let mut victim = machine.start(&Job::waiting("echo SECRET > $_CONDOR_SCRATCH_DIR/secret"));
        let sandbox = PathBuf::from(victim.line("ready"));
        let binds = [
            (machine.execute(), "second", ""),
            (machine.path(""), "around", "execute"),
            (sandbox.clone(), "single", ""),
        ];
        for (source, name, _) in &binds {
            fs::create_dir(top.join(name)).unwrap();
            bind(source, &top.join(name));
        }
        let seen = if named { PathBuf::from("/") } else { top.clone() };
        let places = binds.each_ref().map(|(_, name, below)| seen.join(name).join(below));
        let script: String = places
            .iter()
            .map(|dir| {
                format!(
                    "echo [$(ls -A {0})]; touch {0}/x 2> /dev/null && echo WRITTEN;",
                    dir.display()
                )
            })
            .collect();
        // What lies next to EXECUTE stays.
        let script =
            format!("{script} test -d {}/log && echo neighbour", seen.join("around").display());
        let ran = machine.start(&Job::sh(&script)).wait();
        let own = ran.ok().lines().collect::<Vec<_>>();
        assert_eq!(own, ["[]", "[]", "[]", "neighbour"], "named: {named}\n{ran}");
        victim.wait().ok();
        for (_, name, _) in &binds {
            umount2(&top.join(name), MntFlags::MNT_DETACH).unwrap();
        }
        machine.check_clean(&ran);
    }
}

/// A mount that lies over such a place is not taken for it.
#[test]
fn what_covers_a_second_execute_stays_in_sight() {
    let Some(machine) = Machine::new() else { return };
    let (second, other) = (machine.path("second"), shared(&machine, "other"));
    fs::create_dir(&second).unwrap();
    for source in [machine.execute(), other] {
        bind(&source, &second);
    }
    let ran = machine.run(&Job::sh(&format!("ls -A {}", second.display())));
    for _ in 0..2 {
        umount2(&second, MntFlags::MNT_DETACH).unwrap();
    }
    assert_eq!(ran.ok(), "of-the-machine\n", "{ran}");
}
