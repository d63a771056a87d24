//! Plugins as programs that do what they must not.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::run::{Call, End, Ran, Start, run_all};
use crate::sys::process;
use crate::transfer::alone;

const LONG: Duration = Duration::from_secs(30);

/// A program, as a script of the shell.
fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn call(program: PathBuf) -> Call {
    let variables = vec![("OWN".to_owned(), "1".to_owned())];
    let start = Start { program, arguments: vec!["a b".into()], variables, hears_errors: true };
    Call { start, input: Some((".in".into(), b"input".to_vec())), output: Some(".out".into()) }
}

fn run(text: &str, patience: Duration) -> (Ran, Duration) {
    // As a helper does that isn't the first process of a PID namespace.
    process::adopt_orphans().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let call = call(script(dir.path(), "p", text));
    let begun = Instant::now();
    let handle = File::open(dir.path()).unwrap();
    let ran = run_all(&[call], handle.as_fd(), patience, None).remove(0);
    let left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name != ".in" && name != ".out"), "{left:?}");
    (ran, begun.elapsed())
}

#[test]
fn programs_get_what_they_should() {
    alone::run("plugins::tests::programs_get_what_they_should", "own", || {
        let text =
            "cat .in; echo \"$OWN-$1\"; cat; echo result > .out; echo oops >&2; umask; exit 3";
        let (ran, _) = run(text, LONG);
        assert_eq!(ran.end, End::Exited(3));
        assert_eq!(String::from_utf8_lossy(&ran.said), "input1-a b\noops\n0022\n");
        assert_eq!(ran.results.as_deref(), Some(&b"result\n"[..]));
    });
}

#[test]
fn a_hung_one_is_killed_with_all_it_has_started() {
    alone::run("plugins::tests::a_hung_one_is_killed_with_all_it_has_started", "own", || {
        let text = "(trap '' TERM HUP; setsid sleep 1000) & echo $!; exec sleep 1000";
        let (ran, took) = run(text, Duration::from_millis(300));
        assert_eq!(ran.end, End::TimedOut);
        assert!(took < Duration::from_secs(10), "{took:?}");
        let child = String::from_utf8(ran.said).unwrap();
        assert!(!Path::new("/proc").join(child.trim()).exists());
    });
}

#[test]
fn one_that_leaves_something_running_isnt_waited_for() {
    alone::run("plugins::tests::one_that_leaves_something_running_isnt_waited_for", "own", || {
        let (ran, took) = run("sleep 1000 & echo $!; exit 0", LONG);
        assert_eq!(ran.end, End::Exited(0));
        assert!(took < Duration::from_secs(10), "{took:?}");
        let child = String::from_utf8(ran.said).unwrap();
        assert!(!Path::new("/proc").join(child.trim()).exists());
    });
}

#[test]
fn a_flood_is_heard_to_its_end_and_no_more_than_that_kept() {
    alone::run(
        "plugins::tests::a_flood_is_heard_to_its_end_and_no_more_than_that_kept",
        "own",
        || {
            let (ran, _) = run("yes | head -c 20000000; echo end", LONG);
            assert_eq!((ran.end, ran.bytes), (End::Exited(0), 20_000_004));
            assert!(ran.said.len() <= 1 << 20 && ran.said.ends_with(b"y\nend\n"));
            let (ran, took) = run("exec yes", Duration::from_millis(300));
            assert_eq!(ran.end, End::TimedOut);
            assert!(ran.said.len() <= 1 << 20 && took < Duration::from_secs(10));
        },
    );
}

#[test]
fn crashes_and_what_is_no_program_are_told_apart() {
    alone::run("plugins::tests::crashes_and_what_is_no_program_are_told_apart", "own", || {
        assert_eq!(run("kill -SEGV $$", LONG).0.end, End::Signaled(libc::SIGSEGV));
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "#!/bin/sh\n").unwrap();
        let calls = [call(plain), call(dir.path().join("none")), call(dir.path().to_owned())];
        let ends: Vec<End> =
            run_all(&calls, handle.as_fd(), LONG, None).into_iter().map(|ran| ran.end).collect();
        let errno = |errno| End::NotExecuted(errno);
        assert_eq!(ends, [errno(libc::EACCES), errno(libc::ENOENT), errno(libc::EACCES)]);
    });
}

#[test]
fn results_are_a_plain_file_of_some_size() {
    alone::run("plugins::tests::results_are_a_plain_file_of_some_size", "own", || {
        for text in [
            "rm .out",
            "rm .out; ln -s /etc/passwd .out",
            "rm .out; mkfifo .out",
            "rm .out; mkdir .out; touch .out/x; mv .out other; ln -s other .out",
            "truncate -s 17M .out",
        ] {
            assert_eq!(run(text, LONG).0.results, None, "{text}");
        }
        assert_eq!(run(":", LONG).0.results.as_deref(), Some(&b""[..]));
    });
}

#[test]
fn what_lies_in_the_way_is_not_written_to() {
    alone::run("plugins::tests::what_lies_in_the_way_is_not_written_to", "own", || {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "kept").unwrap();
        for name in [".in", ".out"] {
            symlink(&precious, dir.path().join(name)).unwrap();
        }
        let handle = File::open(dir.path()).unwrap();
        let program = script(dir.path(), "p", "echo x > .out");
        let ran = run_all(&[call(program)], handle.as_fd(), LONG, None).remove(0);
        assert_eq!(ran.results.as_deref(), Some(&b"x\n"[..]));
        assert_eq!(fs::read(&precious).unwrap(), b"kept");
    });
}

#[test]
fn nobody_waits_for_one_that_nobody_wants() {
    alone::run("plugins::tests::nobody_waits_for_one_that_nobody_wants", "own", || {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        let begun = Instant::now();
        let program = script(dir.path(), "p", "exec sleep 1000");
        let ran = run_all(&[call(program)], handle.as_fd(), LONG, Some(ours.as_fd())).remove(0);
        assert_eq!(ran.end, End::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(10));
    });
}
