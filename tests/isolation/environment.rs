//! Environment, arguments, standard files, directory, limits: what a program is started with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use cloister_tests::{ALICE, Job, Machine, Ran};

use crate::in_every_cell;

fn env() -> Job {
    Job::program("/usr/bin/env")
}

fn variable<'a>(ran: &'a Ran, name: &str) -> Option<&'a str> {
    ran.ok().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn the_starters_environment_stays_the_starters() {
    let Some(mut machine) = Machine::new() else { return };
    let mut starter = machine.starter();
    starter
        .env("CONDOR_INHERIT", "1 <127.0.0.1:1>")
        .env("_CONDOR_EXTRA", "x")
        .env("MINE", "canary");
    let ran = machine.run_with(starter, &env());
    let names: Vec<&str> = ran.ok().lines().filter_map(|line| line.split('=').next()).collect();
    for name in [
        "CONDOR_INHERIT",
        "_CONDOR_EXTRA",
        "MINE",
        "CONDOR_CONFIG",
        "PATH",
        "USER",
        "LD_LIBRARY_PATH",
    ] {
        assert!(!names.contains(&name), "{name}\n{ran}");
    }
    machine.set_knob("JOB_INHERITS_STARTER_ENVIRONMENT", "True");
    let mut starter = machine.starter();
    starter
        .env("CONDOR_INHERIT", "canary")
        .env("CONDOR_PRIVATE_INHERIT", "canary")
        .env("MINE", "yes");
    let ran = machine.run_with(starter, &env());
    assert_eq!(variable(&ran, "MINE"), Some("yes"));
    assert!(!ran.output.contains("canary"), "{ran}");
}

#[test]
fn what_the_starter_says_is_true() {
    let Some(machine) = Machine::new() else { return };
    let mut running = machine.start(&Job::waiting("/usr/bin/env"));
    let sandbox = running.line("ready");
    let pid = running.pid().to_string();
    let ran = running.wait();
    for (name, value) in [
        ("BATCH_SYSTEM", "HTCondor"),
        ("_CONDOR_SCRATCH_DIR", &sandbox),
        ("_CONDOR_JOB_AD", &format!("{sandbox}/.job.ad")),
        ("_CONDOR_MACHINE_AD", &format!("{sandbox}/.machine.ad")),
        ("_CONDOR_JOB_IWD", "/"),
        ("_CONDOR_SLOT", "slot1"),
        ("TMPDIR", "/tmp"),
        ("TEMP", "/tmp"),
        ("TMP", "/tmp"),
        ("HOME", machine.path("home/alice").to_str().unwrap()),
        ("CONDOR_STARTER_PID", &pid),
    ] {
        assert_eq!(variable(&ran, name), Some(value), "{name}\n{ran}");
    }
}

#[test]
fn without_a_private_tmp_temporary_files_go_to_the_sandbox() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("MOUNT_UNDER_SCRATCH", "");
    let ran = machine.run(&env());
    assert_eq!(variable(&ran, "TMPDIR"), variable(&ran, "_CONDOR_SCRATCH_DIR"), "{ran}");
}

#[test]
fn both_syntaxes_of_environments() {
    let Some(machine) = Machine::new() else { return };
    let ran =
        machine.run(&env().set("Environment", "A=1 B='x y' C='it''s' D=\"q\" BATCH_SYSTEM=mine"));
    for (name, value) in
        [("A", "1"), ("B", "x y"), ("C", "it's"), ("D", "\"q\""), ("BATCH_SYSTEM", "HTCondor")]
    {
        assert_eq!(variable(&ran, name), Some(value), "{name}\n{ran}");
    }
    let ran = machine.run(&env().set("Env", "A=1;B=x y;C=it's"));
    for (name, value) in [("A", "1"), ("B", "x y"), ("C", "it's")] {
        assert_eq!(variable(&ran, name), Some(value), "{name}\n{ran}");
    }
    let ran = machine.run(&env().set("Env", "A=1|B=2;3").set("EnvDelim", "|"));
    assert_eq!(variable(&ran, "B"), Some("2;3"), "{ran}");
}

#[test]
fn the_admins_variables_lie_below_the_jobs() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine.knob("STARTER_JOB_ENVIRONMENT", "ONE=admin;TWO=admin");
    let ran = machine.run(&env().set("Environment", "TWO=job"));
    assert_eq!(
        (variable(&ran, "ONE"), variable(&ran, "TWO")),
        (Some("admin"), Some("job")),
        "{ran}"
    );
}

#[test]
fn both_syntaxes_of_arguments() {
    let Some(machine) = Machine::new() else { return };
    let job = machine.hostile("args");
    let v2 = job.clone().set("Arguments", "args one 'two words' 'it''s' \"dq\" '' $HOME last");
    let expected = "<one>\n<two words>\n<it's>\n<\"dq\">\n<>\n<$HOME>\n<last>\n";
    assert_eq!(machine.run(&v2).ok(), expected);
    let v1 = job.without("Arguments").set("Args", "args one 'two words' \\\"dq\\\"");
    assert_eq!(machine.run(&v1).ok(), "<one>\n<'two>\n<words'>\n<\"dq\">\n");
}

#[test]
fn a_thousand_long_arguments_arrive() {
    let Some(machine) = Machine::new() else { return };
    let word = "x".repeat(1000);
    let job = (0..1000).fold(machine.hostile("args"), |job, _| job.arg(word.clone()));
    assert_eq!(machine.run(&job).ok().lines().filter(|line| line.len() == 1002).count(), 1000);
}

#[test]
fn more_arguments_than_the_kernel_takes_hold_the_job() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&Job::program("/bin/true").arg("x".repeat(300_000)));
    let reason = ran.held(6, 7);
    assert!(reason.contains("Argument list too long") && reason.len() < 2000, "{reason}");
}

#[test]
fn umask_is_022_whatever_the_starters_was() {
    let Some(machine) = Machine::new() else { return };
    for umask in ["000", "077"] {
        let mut starter = std::process::Command::new("/bin/sh");
        starter.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
        starter.arg(machine.starter().get_program());
        let ran = machine.run_with(machine.with_config(starter), &Job::sh("umask"));
        assert_eq!(ran.ok(), "0022\n", "{ran}");
    }
}

fn niceness(machine: &Machine, job: Job) -> String {
    let ran = machine.run(&job.arg("-c").arg("cat /proc/self/stat"));
    ran.ok().rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().to_owned()
}

#[test]
fn niceness_is_the_admins_expression() {
    let Some(mut machine) = Machine::new() else { return };
    let sh = || Job::program("/bin/sh");
    let own: i32 = {
        let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
        text.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap()
    };
    for (knob, added) in [("5", 5), ("Wanted", 7), ("30", 19), ("-3", 0), ("\"text\"", 10)] {
        machine.set_knob("JOB_RENICE_INCREMENT", knob);
        let expected = (own + added).min(19).to_string();
        assert_eq!(niceness(&machine, sh().set("Wanted", 7_i64)), expected, "{knob}");
    }
}

fn limit(ran: &Ran, name: &str) -> Vec<String> {
    let line = ran.ok().lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_ascii_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
fn limits_of_core_files_and_memory() {
    let Some(mut machine) = Machine::new() else { return };
    let job = Job::program("/bin/cat").arg("/proc/self/limits");
    // A byte: less than any core has, and no reason for the kernel to start the machine's program for cores.
    assert_eq!(limit(&machine.run(&job), "Max core file size"), ["1", "1"]);
    assert_eq!(machine.run(&Job::sh("ulimit -c")).ok(), "0\n");
    let ran = machine.run(&job.clone().set("CoreSize", 4096_i64));
    assert_eq!(limit(&ran, "Max core file size"), ["4096", "4096"]);
    let ran = machine.run(&job.clone().set("CoreSize", -1_i64));
    assert_eq!(limit(&ran, "Max core file size"), ["unlimited", "unlimited"]);
    machine.set_knob("STARTER_RLIMIT_AS", "TARGET.RequestMemory * 2");
    let ran = machine.run(&job.set("RequestMemory", 100_i64));
    let bytes = (200 << 20).to_string();
    assert_eq!(limit(&ran, "Max address space"), [bytes.as_str(); 2]);
}

#[test]
fn the_kernel_kills_jobs_before_daemons() {
    in_every_cell(|machine, _, cell| {
        let ran = machine.run(&Job::program("/bin/cat").arg("/proc/self/oom_score_adj"));
        assert_eq!(ran.ok(), "800\n", "{cell}");
    });
}

#[test]
fn the_working_directory_is_the_jobs() {
    let Some(machine) = Machine::new() else { return };
    let home = machine.path("home/alice");
    let ran = machine.run(&Job::program("/bin/pwd").set("Iwd", home.to_str().unwrap()));
    assert_eq!(ran.ok(), format!("{}\n", home.display()));
}

#[test]
fn a_working_directory_out_of_reach_holds_the_job() {
    let Some(machine) = Machine::new() else { return };
    for (dir, errno) in [(machine.path("home/bob"), 13), ("/no/such/dir".into(), 2)] {
        let ran = machine.run(&Job::program("/bin/pwd").set("Iwd", dir.to_str().unwrap()));
        let reason = ran.held(6, errno);
        let words =
            format!("Cannot access initial working directory {}: (errno={errno}:", dir.display());
        assert!(reason.contains(&words), "{reason}");
    }
}

/// What the starter has open is no directory that a job could get into.
#[test]
fn the_starters_descriptors_are_no_working_directory() {
    let Some(machine) = Machine::new() else { return };
    for place in ["/proc/self/fd", "/proc/1/fd", "/proc/thread-self/fd"] {
        for number in 0..12 {
            let job = Job::program("/bin/pwd").set("Iwd", format!("{place}/{number}"));
            let ran = machine.run(&job);
            ran.never_ran();
            assert_eq!(ran.ad.eval_i64("HoldReasonCode"), Some(6), "{ran}");
        }
    }
}

/// Nor are they files that the job could not open itself.
#[test]
fn the_starters_descriptors_are_no_standard_files() {
    let Some(machine) = Machine::new() else { return };
    // Everybody could read the log and the ad, but for the directories around them.
    for dir in ["log", "closed"] {
        let _ = fs::create_dir(machine.path(dir));
        fs::set_permissions(machine.path(dir), Permissions::from_mode(0o700)).unwrap();
    }
    let ad = machine.path("closed/job.ad");
    for place in ["/proc/self/fd", "/dev/fd"] {
        for number in 3..16 {
            let job = Job::program("/bin/cat").set("In", format!("{place}/{number}"));
            fs::write(&ad, job.set("Canary", "of the ad").text()).unwrap();
            let mut starter = machine.starter();
            starter.arg("-job-input-ad").arg(&ad).arg("-job-stdout").arg(machine.path("out/seen"));
            let ran = cloister_tests::Running::command(&machine, starter);
            let seen = fs::read_to_string(machine.path("out/seen")).unwrap_or_default();
            assert!(!seen.contains("of the ad"), "{place}/{number}: {seen}\n{ran}");
            assert!(!seen.contains("job with ID"), "{place}/{number}: {seen}\n{ran}");
            machine.check_clean(&ran);
        }
    }
}

#[test]
fn a_starter_without_standard_files_is_none_of_the_jobs_business() {
    let Some(machine) = Machine::new() else { return };
    let mut starter = std::process::Command::new("/bin/sh");
    starter.args(["-c", "exec \"$@\" 0<&- 1>&- 2>&-", "sh"]);
    starter.arg(machine.starter().get_program());
    let ran = machine.run_with(machine.with_config(starter), &machine.hostile("descriptors"));
    assert_eq!(ran.ok().lines().count(), 3, "{ran}");
    assert!(ran.output.starts_with("0 /dev/null\n"), "{ran}");
}

/// People see what their job writes, and the job can neither read what they type nor type itself.
#[test]
fn a_terminal_can_be_written_to_and_nothing_else() {
    let Some(machine) = Machine::new() else { return };
    let ad = machine.path("job.ad");
    fs::write(&ad, machine.hostile("terminal").text()).unwrap();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut starter = machine.starter();
    starter.arg("run").arg(&ad);
    starter.stdin(terminal.slave.try_clone().unwrap());
    starter.stdout(terminal.slave.try_clone().unwrap()).stderr(terminal.slave);
    let status = starter.status().unwrap();
    // The last other end of the terminal closes with the command.
    drop(starter);
    let mut shown = Vec::new();
    // A terminal that nobody has open any more ends with an error.
    let _ = std::io::Read::read_to_end(&mut fs::File::from(terminal.master), &mut shown);
    let shown = String::from_utf8(shown).unwrap().replace('\r', "");
    let expected: String = (0..3).map(|fd| format!("{fd} typed false read false\n")).collect();
    assert_eq!(shown, expected + "own false\n");
    assert!(status.success());
}

/// The starter's command line is without `-job-stdout` and the like here.
fn run_plain(machine: &Machine, job: &Job) -> Ran {
    let (ad, result) = (machine.path("plain.ad"), machine.path("plain.result"));
    fs::write(&ad, job.text()).unwrap();
    let mut starter = machine.starter();
    starter.arg("-job-input-ad").arg(&ad).arg("-job-output-ad").arg(&result);
    let mut ran = cloister_tests::Running::command(machine, starter);
    ran.ad = classad::ClassAd::parse_old(&fs::read(&result).unwrap_or_default()).unwrap();
    let _ = fs::remove_file(result);
    machine.check_clean(&ran);
    ran
}

#[test]
fn standard_files_are_those_of_the_ad() {
    let Some(machine) = Machine::new() else { return };
    let home = machine.path("home/alice");
    fs::write(home.join("in"), "input\n").unwrap();
    fs::write(home.join("out"), "old and long").unwrap();
    machine.give(&home.join("out"), ALICE);
    let job = Job::sh("cat; echo error >&2; echo x 2>/dev/null >&0 || echo read only")
        .set("Iwd", home.to_str().unwrap())
        .set("In", "in")
        .set("Out", "out")
        .set("Err", "err");
    run_plain(&machine, &job).ok();
    assert_eq!(fs::read_to_string(home.join("out")).unwrap(), "input\nread only\n");
    assert_eq!(fs::read_to_string(home.join("err")).unwrap(), "error\n");
    let mode = fs::metadata(home.join("err")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    // One file for both: nothing overwrites anything.
    run_plain(&machine, &job.set("Err", "out")).ok();
    assert_eq!(fs::read_to_string(home.join("out")).unwrap(), "input\nerror\nread only\n");
}

#[test]
fn nothing_named_is_dev_null() {
    let Some(machine) = Machine::new() else { return };
    let file = machine.path("out/seen");
    // The redirection is the subshell's, so that the shell itself keeps what it was given.
    let script =
        format!("(for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done) > {}", file.display());
    run_plain(&machine, &Job::sh(&script)).ok();
    assert_eq!(fs::read_to_string(file).unwrap(), "/dev/null\n".repeat(3));
}

#[test]
fn standard_files_are_opened_with_the_jobs_rights_only() {
    let Some(machine) = Machine::new() else { return };
    let (file, secret) = (machine.path("of-root"), machine.path("secret"));
    fs::write(&file, "untouched").unwrap();
    fs::write(&secret, "canary").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let job = Job::sh("cat; echo overwritten");
    for (attribute, path, code, what) in
        [("Out", &file, 7, "output"), ("Err", &file, 7, "error"), ("In", &secret, 8, "input")]
    {
        let ran = run_plain(&machine, &job.clone().set(attribute, path.to_str().unwrap()));
        let reason = ran.held(code, 13);
        let words = format!(
            "Failed to open '{}' as standard {what}: Permission denied (errno 13)",
            path.display()
        );
        assert!(reason.contains(&words), "{reason}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "untouched");
}

#[test]
fn a_fifo_or_a_directory_as_standard_file_holds_nobody_up() {
    let Some(machine) = Machine::new() else { return };
    let fifo = machine.path("out/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    machine.give(&fifo, ALICE);
    let job = Job::sh("true");
    run_plain(&machine, &job.clone().set("Out", fifo.to_str().unwrap())).held(7, 6);
    run_plain(&machine, &job.clone().set("Out", machine.path("out").to_str().unwrap())).held(7, 21);
    run_plain(&machine, &job.set("In", machine.path("out").to_str().unwrap())).held(8, 21);
}

#[test]
fn a_wrapper_gets_the_program_as_its_first_argument() {
    let Some(machine) = Machine::new() else { return };
    let wrapper = machine.path("wrapper");
    fs::write(&wrapper, "#!/bin/sh\necho wrapped \"$@\"\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let machine = machine.knob("USER_JOB_WRAPPER", "$(BASE)/wrapper");
    let ran = machine.run(&Job::program("/bin/echo").arg("two words"));
    assert_eq!(ran.ok(), "wrapped /bin/echo two words\ntwo words\n", "{ran}");
}

#[test]
fn exit_codes_and_signals_are_reported_as_the_kernel_has_them() {
    let Some(machine) = Machine::new() else { return };
    for code in [1, 2, 125, 255] {
        machine.run(&Job::sh(&format!("exit {code}"))).exited(code);
    }
    for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGTERM] {
        let machine = &machine;
        machine.run(&Job::sh(&format!("kill -{} $$", signal as i32))).killed(signal);
    }
    // A file that looks like a status changes nothing.
    let forged = "echo 'Exited: 0' > $_CONDOR_SCRATCH_DIR/.condor_pid_ns_status; exit 7";
    machine.run(&Job::sh(forged)).exited(7);
}

#[test]
fn people_get_the_jobs_own_exit_code() {
    let Some(machine) = Machine::new() else { return };
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        let ad = machine.path("job.ad");
        fs::write(&ad, Job::sh(script).text()).unwrap();
        let mut starter = machine.starter();
        starter.arg("run").arg(&ad).process_group(0);
        let ran = cloister_tests::Running::command(&machine, starter);
        assert_eq!(ran.code, Some(code), "{script}\n{ran}");
        machine.check_clean(&ran);
    }
}
