//! Sandboxes and senders in an attacker's hands.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;

use super::*;
use crate::transfer::local::place;

const MODE: Mode = Mode::RWXU;

/// What a receiver in a sandbox makes of packets sent by hand.
fn received(dir: &Path, send: impl Fn(&Link)) -> Result<Totals, Trouble> {
    let (ours, theirs) = Link::pair().unwrap();
    send(&ours);
    drop(ours);
    let top = File::open(dir).unwrap();
    let place = place::Place::Sandbox { dir: top.as_fd(), path: dir };
    Receiver::new(&theirs, place, Progress::new(false)).run()
}

fn message(result: Result<Totals, Trouble>) -> String {
    match result {
        Err(Trouble::Failed(failure)) => failure.message,
        other => format!("{other:?}"),
    }
}

#[test]
fn names_that_are_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let file = File::open("/etc/passwd").unwrap();
    let long = "x".repeat(256);
    let longer = "x".repeat(5000);
    let bad = ["..", ".", "", "/", "../x", "/tmp/x", "a/b", "a\0b", &long, &longer];
    for name in bad.map(|name| OsStr::from_bytes(name.as_bytes())) {
        for directory in [false, true] {
            let result = received(&inner, |link| {
                if directory {
                    link.enter(name, MODE).unwrap();
                } else {
                    link.file(name, MODE, file.as_fd()).unwrap();
                }
            });
            assert!(message(result).contains("refused"), "{name:?}");
        }
    }
    assert_eq!(names(dir.path()), ["inner"]);
    assert!(names(&inner).is_empty());
}

#[test]
fn walks_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let directory = File::open("/").unwrap();
    let name = OsStr::new("x");
    type Send<'a> = &'a dyn Fn(&Link);
    let sends: [(&str, Send<'_>); 6] = [
        ("leaves the top", &|link| link.leave().unwrap()),
        ("no regular file", &|link| link.file(name, MODE, reader.as_fd()).unwrap()),
        ("no regular file", &|link| link.file(name, MODE, directory.as_fd()).unwrap()),
        ("inside a directory", &|link| {
            link.enter(name, MODE).unwrap();
            link.end().unwrap();
        }),
        ("too short", &|link| {
            nix::unistd::write(link, b"ab").unwrap();
        }),
        ("no known kind", &|link| {
            nix::unistd::write(link, b"\x02\0\0name").unwrap();
        }),
    ];
    for (words, send) in sends {
        let text = message(received(dir.path(), send));
        assert!(text.contains(words), "{text}");
    }
    drop(writer);
    // A sender that just stops is no success.
    assert_eq!(received(dir.path(), |_| {}), Err(Trouble::PeerGone));
}

#[test]
fn depth_is_refused_by_the_receiver_too() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = Link::pair().unwrap();
    let sender = std::thread::spawn(move || while ours.enter(OsStr::new("d"), MODE).is_ok() {});
    let top = File::open(dir.path()).unwrap();
    let place = place::Place::Sandbox { dir: top.as_fd(), path: dir.path() };
    let result = Receiver::new(&theirs, place, Progress::new(false)).run();
    drop(theirs);
    sender.join().unwrap();
    assert!(message(result).contains("too deep"));
}

#[test]
fn links_in_the_way_are_not_followed_into_the_sandbox() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path().join("file"), "precious");
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path().join("file"), dir.path().join("file")).unwrap();
    symlink(outside.path(), dir.path().join("dir")).unwrap();
    let file = File::open("/etc/passwd").unwrap();
    let totals = received(dir.path(), |link| {
        link.file(OsStr::new("file"), MODE, file.as_fd()).unwrap();
        link.end().unwrap();
    });
    assert_eq!(totals.unwrap().files, 1);
    assert!(!dir.path().join("file").is_symlink());
    let result = received(dir.path(), |link| {
        link.enter(OsStr::new("dir"), MODE).unwrap();
        link.file(OsStr::new("file"), MODE, file.as_fd()).unwrap();
    });
    assert!(message(result).contains("writing to file"));
    assert_eq!(read(outside.path().join("file")), "precious");
}

#[test]
fn only_output_that_was_asked_for_is_written() {
    let mut place = Place::new();
    let file = File::open("/etc/passwd").unwrap();
    let deliver = |place: &Place, name: &str, directory: bool| {
        let (ours, theirs) = Link::pair().unwrap();
        if directory {
            ours.enter(OsStr::new(name), MODE).unwrap();
            ours.leave().unwrap();
        } else {
            ours.file(OsStr::new(name), MODE, file.as_fd()).unwrap();
        }
        ours.end().unwrap();
        let to = place::Place::Outside(&place.plan.files);
        Receiver::new(&theirs, to, Progress::new(false)).run()
    };
    assert!(deliver(&place, "anything", false).is_ok());
    assert!(message(deliver(&place, ".ssh", true)).contains("not among"));
    place.output(&["d/out"]);
    assert!(deliver(&place, "out", true).is_ok());
    assert!(message(deliver(&place, ".bashrc", false)).contains("not among"));
    assert!(message(deliver(&place, ".ssh", true)).contains("not among"));
    assert_eq!(names(&place.home), ["anything", "out"]);
}

#[test]
fn links_do_not_lead_out_of_the_sandbox() {
    as_root_and_nobody("local::tests::hostile::links_do_not_lead_out_of_the_sandbox", || {
        let mut place = Place::new();
        let (home, sandbox) = (place.home.clone(), place.sandbox.clone());
        let other = home.parent().unwrap().join("other");
        fs::create_dir(&other).unwrap();
        write(other.join("secret"), "secret");
        symlink("/etc/passwd", sandbox.join("passwd")).unwrap();
        symlink(other.join("secret"), sandbox.join("absolute")).unwrap();
        symlink("../../other/secret", sandbox.join("relative")).unwrap();
        symlink("/proc/self/environ", sandbox.join("magic")).unwrap();
        symlink("passwd", sandbox.join("chain")).unwrap();
        symlink("../../other", sandbox.join("up")).unwrap();
        symlink("/dev/zero", sandbox.join("device")).unwrap();
        write(sandbox.join("fine"), "fine");
        assert_eq!(place.copy_all_out().unwrap(), (1, 4));
        assert_eq!(names(&home), ["fine"]);

        for name in ["passwd", "absolute", "relative", "magic", "chain", "up", "up/", "device"] {
            place.output(&[name]);
            assert_held(place.copy_all_out(), 12, libc::EXDEV, "leads out of the sandbox");
        }
        for name in ["up/secret", "../../other/secret", "/etc/passwd"] {
            place.output(&[name]);
            assert_held(place.copy_all_out(), 12, libc::EXDEV, "leads out of the sandbox");
        }
        place.remap("_condor_stdout", "out");
        symlink("/etc/passwd", sandbox.join("_condor_stdout")).unwrap();
        place.plan.files.output = None;
        assert_held(place.copy_all_out(), 12, libc::EXDEV, "_condor_stdout");

        place.plan.files.remaps.clear();
        fs::create_dir(sandbox.join("dir")).unwrap();
        symlink("/etc/passwd", sandbox.join("dir/passwd")).unwrap();
        symlink("../fine", sandbox.join("dir/fine")).unwrap();
        place.output(&["dir"]);
        place.copy_all_out().unwrap();
        assert_eq!(names(home.join("dir")), ["fine"]);
        assert_eq!(names(&home), ["dir", "fine"]);
    });
}

#[test]
fn what_is_no_file_is_not_opened() {
    as_root_and_nobody("local::tests::hostile::what_is_no_file_is_not_opened", || {
        let mut place = Place::new();
        mkfifo(place.sandbox.join("fifo"));
        let _socket = std::os::unix::net::UnixListener::bind(place.sandbox.join("socket")).unwrap();
        symlink("fifo", place.sandbox.join("link")).unwrap();
        fs::create_dir(place.sandbox.join("dir")).unwrap();
        mkfifo(place.sandbox.join("dir/fifo"));
        assert_eq!(place.copy_all_out().unwrap(), (0, 0));
        place.output(&["fifo", "socket", "link", "dir"]);
        assert_eq!(place.copy_all_out().unwrap(), (0, 0));
        assert_eq!(names(&place.home), ["dir"]);
        assert!(names(place.home.join("dir")).is_empty());
        // Nor does a FIFO of the submitter's stop the outside process.
        mkfifo(place.home.join("pipe"));
        place.input("pipe");
        place.copy_in().unwrap();
        write(place.sandbox.join("file"), "x");
        place.output(&["file"]);
        place.remap("file", "pipe");
        assert_held(place.copy_all_out(), 12, libc::ENXIO, "home/pipe");
    });
}

/// Swaps two names as fast as it can, while the sender walks.
fn race(sandbox: &Path, good: &str, bad: &str, walk: impl Fn()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let dir = File::open(sandbox).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&dir, good, &dir, bad, flags).unwrap();
            }
        });
        for _ in 0..2000 {
            walk();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Sends the listed output and returns what the entries contain.
fn sent(place: &Place) -> Vec<String> {
    let (ours, theirs) = Link::pair().unwrap();
    let top = File::open(&place.sandbox).unwrap();
    let _ = send_output(&ours, &place.plan, top.as_fd(), &Catalogue::default());
    let mut texts = Vec::new();
    loop {
        match theirs.receive().unwrap() {
            link::Entry::File { content, .. } => {
                texts.push(std::io::read_to_string(content).unwrap());
            }
            link::Entry::End => return texts,
            _ => {}
        }
    }
}

#[test]
fn a_file_swapped_for_a_link_is_never_followed() {
    let mut place = Place::new();
    let secret = place.home.join("secret");
    write(&secret, "secret");
    write(place.sandbox.join("good"), "good");
    symlink(&secret, place.sandbox.join("bad")).unwrap();
    place.output(&["good"]);
    race(&place.sandbox, "good", "bad", || {
        assert!(sent(&place).iter().all(|text| text == "good"));
    });
}

#[test]
fn a_directory_swapped_for_a_link_is_never_followed() {
    let mut place = Place::new();
    write(place.home.join("file"), "secret");
    fs::create_dir_all(place.sandbox.join("good")).unwrap();
    write(place.sandbox.join("good/file"), "good");
    symlink(&place.home, place.sandbox.join("bad")).unwrap();
    place.output(&["good", "good/file", "good/"]);
    race(&place.sandbox, "good", "bad", || {
        assert!(sent(&place).iter().all(|text| text == "good"));
    });
}
