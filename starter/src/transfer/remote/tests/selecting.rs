//! Which files are output, and how they are called.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;
use crate::transfer::alone;

/// Delivers, and gives the sorted names.
fn names(sandbox: &Sandbox, what: &Output) -> Vec<String> {
    let (result, received) = sandbox.deliver(what, &Catalogue::default());
    result.unwrap();
    received.names().into_iter().map(str::to_owned).collect()
}

fn listed(sandbox: &Sandbox, paths: &[&str], preserve_paths: bool) -> Output {
    let list = Some(paths.iter().map(PathBuf::from).collect());
    Output { list, preserve_paths, ..sandbox.output() }
}

#[test]
fn what_is_new_or_changed() {
    let sandbox = Sandbox::new();
    for name in ["same", "grown", "rewritten", "replaced", "earlier", "run.sh"] {
        sandbox.file(name, b"1");
    }
    let before = sandbox.catalogue();
    sandbox.file("grown", b"11");
    // The same size, perhaps within the same step of the clock: its time is set, as a job would.
    let file = File::options().write(true).open(sandbox.file("rewritten", b"2")).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    fs::remove_file(sandbox.path().join("replaced")).unwrap();
    sandbox.file("replaced", b"1");
    fs::write(sandbox.path().join("run.sh"), b"changed").unwrap();
    sandbox.file("new", b"n");
    sandbox.file("directory/in", b"n");
    for name in [".job.ad", ".chirp.config", "_condor_creds", "hidden"] {
        sandbox.file(name, b"n");
    }
    let what = Output {
        earlier: vec!["earlier".into()],
        hidden: vec!["hidden".into()],
        ..sandbox.output()
    };
    let (result, received) = sandbox.deliver(&what, &before);
    result.unwrap();
    assert_eq!(received.names(), ["earlier", "grown", "new", "replaced", "rewritten"]);
}

#[test]
fn only_regular_files_and_links_to_them() {
    let outside = Sandbox::new();
    outside.file("far", b"far");
    let sandbox = Sandbox::new();
    sandbox.file("d/file", b"near");
    let at = |name: &str| sandbox.path().join(name);
    symlink("d/file", at("near")).unwrap();
    symlink(sandbox.path().join("d/file"), at("absolute")).unwrap();
    symlink(outside.path().join("far"), at("far")).unwrap();
    symlink("nowhere", at("broken")).unwrap();
    symlink("loop", at("loop")).unwrap();
    symlink("d", at("linked")).unwrap();
    symlink("/dev/zero", at("device")).unwrap();
    symlink("/proc/self/fd/0", at("magic")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    fs::remove_file(at("loop")).unwrap();
    fs::remove_file(at("magic")).unwrap();
    assert_eq!(names(&sandbox, &sandbox.output()), ["absolute", "far", "near"]);
    let (_, received) =
        sandbox.deliver(&listed(&sandbox, &["fifo", "socket"], false), &Catalogue::default());
    assert!(received.items.is_empty());
}

#[test]
fn links_of_proc_are_not_followed() {
    let sandbox = Sandbox::new();
    let open = File::open(sandbox.file("target", b"t")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&open);
    symlink(format!("/proc/self/fd/{fd}"), sandbox.path().join("magic")).unwrap();
    let (result, received) = sandbox.deliver(&sandbox.output(), &Catalogue::default());
    assert_eq!(held(&result.unwrap_err()), (13, libc::ELOOP));
    assert_eq!(received.mode("magic"), 1 << 24);
}

#[test]
fn lists_and_how_things_are_called() {
    let sandbox = Sandbox::new();
    for name in ["a", "d/s/y", "d/s/t/z", "e/x", "star*", "_condor_stdout", ".job.ad", "run.sh"] {
        sandbox.file(name, b"1");
    }
    let own = sandbox.path().join("e/x");
    for (paths, preserve, wanted) in [
        (&["a"][..], false, &["a"][..]),
        (&["./a", "d/s/y"], false, &["a", "y"]),
        (&["d/s"], false, &["s/", "s/t/", "s/t/z", "s/y"]),
        (&["d/s/"], false, &["t/", "t/z", "y"]),
        (&["d/s/y", "d/s/t/z"], true, &["d/", "d/s/", "d/s/t/", "d/s/t/z", "d/s/y"]),
        (&["d/s/t"], true, &["d/", "d/s/", "d/s/t/", "d/s/t/z"]),
        (&["d/s/"], true, &["d/", "d/s/", "d/s/t/", "d/s/t/z", "d/s/y"]),
        (&["star*"], false, &["star*"]),
        (&["_condor_stdout", ".job.ad", "d/../.job.ad"], false, &[]),
        (&["d/../a"], false, &["a"]),
        (&[own.to_str().unwrap()], false, &["x"]),
        (&["run.sh"], false, &["run.sh"]),
        (&["./"], false, &["a", "d/", "d/s/", "d/s/t/", "d/s/t/z", "d/s/y", "e/", "e/x", "star*"]),
        (&[], false, &[]),
    ] {
        let mut wanted = [&["_condor_stdout"][..], wanted].concat();
        wanted.sort_unstable();
        assert_eq!(names(&sandbox, &listed(&sandbox, paths, preserve)), wanted, "{paths:?}");
    }
}

#[test]
fn what_is_listed_and_can_t_be_sent_is_a_failure() {
    let outside = Sandbox::new();
    outside.file("f", b"1");
    let sandbox = Sandbox::new();
    sandbox.file("d/x", b"1");
    sandbox.file("file", b"1");
    symlink("d", sandbox.path().join("linked")).unwrap();
    let far = outside.path().join("f");
    let far = far.to_str().unwrap();
    for (path, subcode, text) in [
        ("gone", libc::ENOENT, "gone: (errno 2) No such file or directory"),
        ("gone/", libc::ENOENT, "gone: (errno 2) No such file or directory"),
        ("file/", libc::ENOTDIR, "file: (errno 20) Not a directory"),
        (
            "linked",
            libc::EISDIR,
            "linked: (errno 21) Is a directory- Transfer of symlinks to directories is not \
             supported.",
        ),
        ("d/..", libc::EINVAL, "it names no file in the sandbox"),
    ] {
        let what = listed(&sandbox, &[path, "d/x"], false);
        let (result, received) = sandbox.deliver(&what, &Catalogue::default());
        let failure = result.unwrap_err();
        assert_eq!(held(&failure), (13, subcode), "{path}");
        assert!(failure.message.ends_with(text), "{failure}");
        assert_eq!(received.items.len(), 2, "{path}: {:?}", received.items);
        assert_eq!(received.bytes("x"), b"1");
    }
    // HTCondor sends what the account can read.
    assert_eq!(names(&sandbox, &listed(&sandbox, &[far], false)), ["f"]);
    // What is behind a link to a directory may be asked for.
    assert_eq!(names(&sandbox, &listed(&sandbox, &["linked/"], false)), ["x"]);
}

#[test]
fn a_core_file_gets_the_job_s_name() {
    for list in [None, Some(Vec::new())] {
        let sandbox = Sandbox::new();
        sandbox.file("core.17", b"dumped");
        let core = Core { found: vec!["core.17".into(), "core".into()], name: "core.3.0".into() };
        let what = Output { core: Some(core), list, ..sandbox.output() };
        // The second time is after a connection was lost.
        for _ in 0..2 {
            let (result, received) = sandbox.deliver(&what, &Catalogue::default());
            assert_eq!(received.names(), ["core.3.0"]);
            assert_eq!(result.unwrap().core.as_deref(), Some("core.3.0"));
        }
    }
    // One that was sent to the job as input is none.
    let sandbox = Sandbox::new();
    sandbox.file("core", b"input");
    let before = sandbox.catalogue();
    let core = Core { found: vec!["core".into()], name: "core.3.0".into() };
    let what = Output { core: Some(core), ..sandbox.output() };
    let (result, received) = sandbox.deliver(&what, &before);
    assert_eq!((result.unwrap().core, received.items.len()), (None, 0));
}

#[test]
fn nesting_has_an_end() {
    let sandbox = Sandbox::new();
    sandbox.file(&format!("{}x", "d/".repeat(300)), b"1");
    let (result, received) =
        sandbox.deliver(&listed(&sandbox, &["d"], false), &Catalogue::default());
    let failure = result.unwrap_err();
    assert!(failure.message.ends_with("nested too deep: send an archive"), "{failure}");
    assert_eq!(received.items.len(), 257);
}

#[test]
fn what_the_account_may_not_read_is_a_failure() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let name = "remote::tests::selecting::what_the_account_may_not_read_is_a_failure";
    alone::run(name, "nobody", || {
        let sandbox = Sandbox::new();
        let secret = sandbox.file("secret", b"1");
        sandbox.file("open", b"1");
        let closed = sandbox.path().join("closed");
        fs::create_dir(&closed).unwrap();
        for path in [&secret, &closed] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
        }
        symlink("/etc/shadow", sandbox.path().join("stolen")).unwrap();
        for name in ["secret", "stolen", "closed"] {
            let what = listed(&sandbox, &[name, "open"], false);
            let (result, received) = sandbox.deliver(&what, &Catalogue::default());
            assert_eq!(held(&result.unwrap_err()), (13, libc::EACCES), "{name}");
            assert_eq!(received.mode(name), 1 << 24);
            assert_eq!(received.bytes("open"), b"1");
        }
    });
}

/// Trees of many shapes, against what a plain walk finds.
#[test]
fn whole_trees_arrive_as_they_are() {
    let mut state = 1_u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    for _ in 0..20 {
        let sandbox = Sandbox::new();
        let mut dirs = vec!["t".to_owned()];
        fs::create_dir(sandbox.path().join("t")).unwrap();
        let mut wanted = vec![("t/".to_owned(), Vec::new())];
        for number in 0..random(40) {
            let parent = &dirs[random(u32::try_from(dirs.len()).unwrap()) as usize];
            let name = format!("{parent}/{number} \u{e9}");
            let path = sandbox.path().join(&name);
            match random(5) {
                0 => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                1 => {
                    symlink(sandbox.file("far", b"far"), path).unwrap();
                    wanted.push((name, b"far".to_vec()));
                }
                2 => {
                    fs::create_dir(path).unwrap();
                    wanted.push((format!("{name}/"), Vec::new()));
                    dirs.push(name);
                }
                _ => {
                    let bytes = vec![1; random(5000) as usize];
                    sandbox.file(&name, &bytes);
                    wanted.push((name, bytes));
                }
            }
        }
        let (result, received) =
            sandbox.deliver(&listed(&sandbox, &["t"], false), &Catalogue::default());
        let stats = result.unwrap().stats;
        assert_eq!(stats.files, wanted.len() as u64);
        assert_eq!(stats.bytes, wanted.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        // No name comes before the directory that it is in.
        for (at, (name, ..)) in received.items.iter().enumerate() {
            let parent = name.trim_end_matches('/').rsplit_once('/').map(|(parent, _)| parent);
            let before = received.items[..at].iter().map(|(name, ..)| name.as_str());
            let known = |parent: &str| before.clone().any(|name| name == format!("{parent}/"));
            assert!(parent.is_none_or(known), "{name}");
        }
        let mut items: Vec<_> =
            received.items.into_iter().map(|(name, _, bytes)| (name, bytes)).collect();
        items.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(items, wanted);
    }
}
