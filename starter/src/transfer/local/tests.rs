//! Whole copies through both processes, as root and as nobody, and hostile sandboxes.

mod hostile;

use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use classad::ClassAd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::failure::Disposition;
use crate::job::Job;
use crate::knobs::Knobs;
use crate::plan::{Account, Host, InputFile, Inputs};
use crate::sys::privilege::Ids;
use crate::transfer::alone::{self, as_root_and_nobody, nobody};

/// A submitter's directory, a sandbox, and the plan that ties them together.
struct Place {
    _dir: tempfile::TempDir,
    home: PathBuf,
    sandbox: PathBuf,
    plan: Plan,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let ids = Ids::own().unwrap();
        let text = format!(
            "Cmd = \"/bin/true\"\nOwner = \"me\"\nIwd = \"{}\"\nShouldTransferFiles = \"YES\"\n\
             TransferExecutable = false\n",
            home.display()
        );
        let job = Job::from_ad(ClassAd::parse_old(text.as_str()).unwrap(), Path::new("/"), None);
        let host = Host {
            privileged: true,
            user_namespaces: true,
            numbers_by_namespace: true,
            scopes: true,
            cgroups: crate::host::cgroups::Cgroups::None("none here".into()),
            pid: 7,
            name: "n".into(),
        };
        let account = Account { name: "me".into(), ids, home: "/".into() };
        let job = job.unwrap();
        let knobs = Knobs::from_text(&format!("EXECUTE = {}", dir.path().display()));
        let machine = ClassAd::new();
        let inputs = Inputs::new(&job, &knobs, &host, account, &machine);
        let plan = crate::plan::make(Inputs { submitter: None, ..inputs }).unwrap();
        let sandbox = plan.sandbox.path();
        fs::create_dir_all(&sandbox).unwrap();
        Self { _dir: dir, home, sandbox, plan }
    }

    fn input(&mut self, path: &str) {
        let source = self.home.join(path);
        let name = source.file_name().unwrap().to_str().unwrap().to_owned();
        let content_only = path.ends_with('/');
        self.plan.files.input.push(InputFile { source, name, executable: false, content_only });
    }

    fn output(&mut self, paths: &[&str]) {
        self.plan.files.output = Some(paths.iter().map(PathBuf::from).collect());
    }

    fn remap(&mut self, from: &str, to: &str) {
        self.plan.files.remaps.push((from.into(), to.into()));
    }

    fn copy_in(&self) -> Result<Catalogue, Failure> {
        let sandbox = File::open(&self.sandbox).unwrap();
        match end(copy_in(&self.plan, sandbox.as_fd(), false)?)? {
            Moved::In { catalogue, .. } => Ok(catalogue),
            Moved::Out(_) => panic!("that was input"),
        }
    }

    fn copy_out(&self, before: &Catalogue) -> Result<(u64, u64), Failure> {
        let sandbox = File::open(&self.sandbox).unwrap();
        match end(copy_out(&self.plan, sandbox.as_fd(), before, false)?)? {
            Moved::Out(delivered) => Ok((delivered.stats.files, delivered.stats.bytes)),
            Moved::In { .. } => panic!("that was output"),
        }
    }

    /// Copies out from a sandbox that was empty before.
    fn copy_all_out(&self) -> Result<(u64, u64), Failure> {
        self.copy_out(&Catalogue::default())
    }
}

fn ended(
    direction: Direction,
    outside: (Role<'_>, impl FnOnce(&Link) -> Work),
    inside: (Role<'_>, impl FnOnce(&Link) -> Work),
) -> Result<(Work, Work), Failure> {
    let mut pair = Pair::start(direction, outside, inside)?;
    loop {
        if let Some(end) = pair.step() {
            return end;
        }
        wait(pair.sources());
    }
}

fn wait(sources: Vec<BorrowedFd<'_>>) {
    let mut fds: Vec<_> =
        sources.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    poll(&mut fds, PollTimeout::NONE).unwrap();
}

fn end(mut copying: Copying) -> Result<Moved, Failure> {
    loop {
        if let Some(end) = copying.step() {
            return end;
        }
        wait(copying.sources());
    }
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(path, text).unwrap();
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mkfifo(path: impl AsRef<Path>) {
    nix::unistd::mkfifo(path.as_ref(), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[track_caller]
fn assert_held<T: std::fmt::Debug>(
    result: Result<T, Failure>,
    code: i32,
    subcode: i32,
    words: &str,
) {
    let failure = result.unwrap_err();
    assert_eq!(failure.disposition, Disposition::Hold { code, subcode }, "{failure}");
    assert!(failure.message.contains(words), "{failure}");
}

#[test]
fn input_of_all_kinds() {
    as_root_and_nobody("local::tests::input_of_all_kinds", || {
        let mut place = Place::new();
        let home = place.home.clone();
        write(home.join("plain"), "plain");
        chmod(home.join("plain"), 0o640);
        write(home.join("program"), "#!/bin/sh\n");
        chmod(home.join("program"), 0o4644);
        write(home.join("empty"), "");
        symlink("plain", home.join("link")).unwrap();
        fs::create_dir_all(home.join("dir/sub")).unwrap();
        write(home.join("dir/sub/file"), "deep");
        mkfifo(home.join("dir/fifo"));
        chmod(home.join("dir/sub"), 0o555);
        fs::create_dir_all(home.join("content/more")).unwrap();
        write(home.join("content/plain"), "later wins");
        write(home.join("content/more/file"), "x");
        for path in ["plain", "program", "empty", "link", "dir", "content/"] {
            place.input(path);
        }
        place.plan.files.input[1].executable = true;
        place.copy_in().unwrap();
        let sandbox = &place.sandbox;
        assert_eq!(names(sandbox), ["dir", "empty", "link", "more", "plain", "program"]);
        assert_eq!(read(sandbox.join("plain")), "later wins");
        assert_eq!(read(sandbox.join("link")), "plain");
        assert!(!sandbox.join("link").is_symlink());
        assert_eq!(mode(sandbox.join("link")), 0o640);
        assert_eq!(mode(sandbox.join("program")), 0o744);
        assert_eq!(read(sandbox.join("empty")), "");
        assert_eq!(read(sandbox.join("dir/sub/file")), "deep");
        assert_eq!(mode(sandbox.join("dir/sub")), 0o555);
        assert_eq!(names(sandbox.join("dir")), ["sub"]);
        assert_eq!(read(sandbox.join("more/file")), "x");
        chmod(sandbox.join("dir/sub"), 0o755);
        chmod(home.join("dir/sub"), 0o755);
    });
}

#[test]
fn input_that_is_missing_or_unusable_holds_the_job() {
    as_root_and_nobody("local::tests::input_that_is_missing_or_unusable_holds_the_job", || {
        let mut place = Place::new();
        place.input("absent");
        let words = format!(
            "Transfer input files failure. Details: reading from file {}: (errno 2) No such file \
             or directory",
            place.home.join("absent").display()
        );
        assert_held(place.copy_in(), 13, libc::ENOENT, &words);

        let mut place = Place::new();
        fs::create_dir(place.home.join("dir")).unwrap();
        symlink(".", place.home.join("dir/loop")).unwrap();
        place.input("dir");
        assert_held(place.copy_in(), 13, libc::EISDIR, "symlinks to directories");

        let mut place = Place::new();
        write(place.home.join("name"), "x");
        fs::create_dir(place.sandbox.join("name")).unwrap();
        place.input("name");
        assert_held(place.copy_in(), 13, libc::EISDIR, "writing to file");

        let mut place = Place::new();
        place.input("https://example.org/x");
        assert_held(place.copy_in(), 13, 0, "URL transfers need a pool");

        if !rustix::process::geteuid().is_root() {
            let mut place = Place::new();
            write(place.home.join("secret"), "x");
            chmod(place.home.join("secret"), 0);
            place.input("secret");
            assert_held(place.copy_in(), 13, libc::EACCES, "Permission denied");
        }
    });
}

#[test]
fn new_and_changed_files_come_back() {
    as_root_and_nobody("local::tests::new_and_changed_files_come_back", || {
        let mut place = Place::new();
        for name in ["same", "rewritten", "replaced", "program"] {
            write(place.home.join(name), "1");
            place.input(name);
        }
        place.plan.files.input[3].executable = true;
        place.remap("_condor_stdout", "out.txt");
        place.remap("_condor_stderr", "/dev/null");
        place.remap("renamed", "there");
        let sandbox = place.sandbox.clone();
        write(sandbox.join(".job.ad"), "Cmd = \"x\"\n");
        fs::create_dir(sandbox.join("tmp")).unwrap();
        let before = place.copy_in().unwrap();
        // Same size, and at once: the kernel's own time stamps could not tell.
        write(sandbox.join("rewritten"), "2");
        write(sandbox.join("replacement"), "2");
        fs::rename(sandbox.join("replacement"), sandbox.join("replaced")).unwrap();
        write(sandbox.join("program"), "changed by itself");
        write(sandbox.join("new"), "new");
        chmod(sandbox.join("new"), 0o2750);
        write(sandbox.join("renamed"), "renamed");
        symlink("new", sandbox.join("link")).unwrap();
        symlink("tmp", sandbox.join("dirlink")).unwrap();
        symlink(sandbox.join("new"), sandbox.join("absolute")).unwrap();
        write(sandbox.join("_condor_stdout"), "said");
        write(sandbox.join("_condor_stderr"), "complained");
        write(sandbox.join(".job.ad"), "changed");
        write(sandbox.join(".condor_creds"), "secret");
        fs::create_dir(sandbox.join("dir")).unwrap();
        write(sandbox.join("dir/file"), "x");
        mkfifo(sandbox.join("fifo"));
        for name in ["same", "rewritten", "replaced", "program"] {
            write(place.home.join(name), "0");
        }
        let (files, bytes) = place.copy_out(&before).unwrap();
        let home = &place.home;
        assert_eq!(
            names(home),
            [
                "absolute",
                "link",
                "new",
                "out.txt",
                "program",
                "replaced",
                "rewritten",
                "same",
                "there"
            ]
        );
        assert_eq!(read(home.join("same")), "0");
        assert_eq!(read(home.join("program")), "0");
        assert_eq!(read(home.join("rewritten")), "2");
        assert_eq!(read(home.join("replaced")), "2");
        assert_eq!(read(home.join("there")), "renamed");
        assert_eq!(read(home.join("link")), "new");
        assert_eq!(read(home.join("absolute")), "new");
        assert_eq!(read(home.join("out.txt")), "said");
        assert_eq!(mode(home.join("new")), 0o750);
        assert_eq!((files, bytes), (8, 1 + 1 + 3 + 3 + 3 + 7 + 4 + 10));
    });
}

#[test]
fn a_rewrite_within_the_same_tick_is_seen() {
    as_root_and_nobody("local::tests::a_rewrite_within_the_same_tick_is_seen", || {
        for _ in 0..20 {
            let mut place = Place::new();
            write(place.home.join("file"), "1");
            place.input("file");
            let before = place.copy_in().unwrap();
            write(place.sandbox.join("file"), "2");
            assert_eq!(place.copy_out(&before).unwrap(), (1, 1));
        }
    });
}

#[test]
fn listed_output_comes_back_and_nothing_else() {
    as_root_and_nobody("local::tests::listed_output_comes_back_and_nothing_else", || {
        let mut place = Place::new();
        let (home, sandbox) = (place.home.clone(), place.sandbox.clone());
        fs::create_dir_all(sandbox.join("d/e/f")).unwrap();
        fs::create_dir_all(sandbox.join("only")).unwrap();
        write(sandbox.join("d/e/one"), "one");
        write(sandbox.join("d/e/f/two"), "two");
        write(sandbox.join("d/three"), "three");
        write(sandbox.join("only/four"), "four");
        write(sandbox.join("five"), "five");
        write(sandbox.join("not"), "not");
        write(sandbox.join(".machine.ad"), "x");
        write(sandbox.join("_condor_stdout"), "said");
        place.remap("_condor_stdout", "out");
        place.remap("d/three", "drei");
        place.remap("e/one", "eins");
        place.output(&["d/e", "d/three", "only/", "./five", ".machine.ad", "_condor_stdout"]);
        assert_eq!(place.copy_all_out().unwrap().0, 6);
        assert_eq!(names(&home), ["drei", "e", "eins", "five", "four", "out"]);
        assert_eq!(read(home.join("eins")), "one");
        assert_eq!(read(home.join("e/f/two")), "two");
        assert_eq!(names(home.join("e")), ["f"]);
    });
}

#[test]
fn failed_output_does_not_keep_the_rest() {
    as_root_and_nobody("local::tests::failed_output_does_not_keep_the_rest", || {
        let mut place = Place::new();
        for name in ["a", "b", "c"] {
            write(place.sandbox.join(name), name);
        }
        place.output(&["absent", "a", "gone", "c"]);
        let words = "2 total failures: first failure: Transfer output files failure. Details: \
                     reading from file ";
        assert_held(place.copy_all_out(), 12, libc::ENOENT, words);
        assert_eq!(names(&place.home), ["a", "c"]);

        place.output(&["b", "a", "c"]);
        place.remap("b", "no/such/directory");
        place.remap("a", "/dev/full");
        let result = place.copy_all_out();
        assert_held(result, 12, libc::ENOENT, "no/such/directory: (errno 2)");
        place.plan.files.remaps.remove(0);
        assert_held(place.copy_all_out(), 12, libc::ENOSPC, "writing to file /dev/full");

        place.plan.files.remaps.clear();
        fs::remove_file(place.home.join("a")).unwrap();
        fs::create_dir(place.home.join("a")).unwrap();
        assert_held(place.copy_all_out(), 12, libc::EISDIR, "home/a");
        place.remap("b", "https://example.org/b");
        assert_held(place.copy_in(), 12, 0, "URL transfers need a pool");
    });
}

#[test]
fn a_home_that_can_not_be_written_holds_the_job() {
    as_root_and_nobody("local::tests::a_home_that_can_not_be_written_holds_the_job", || {
        if rustix::process::geteuid().is_root() {
            return;
        }
        let place = Place::new();
        write(place.sandbox.join("a"), "a");
        chmod(&place.home, 0o500);
        assert_held(place.copy_all_out(), 12, libc::EACCES, "writing to file");
        chmod(&place.home, 0o700);
    });
}

#[test]
fn big_files_and_many_files() {
    as_root_and_nobody("local::tests::big_files_and_many_files", || {
        let mut place = Place::new();
        let big = File::create(place.home.join("big")).unwrap();
        big.set_len((40 << 20) + 1).unwrap();
        fs::create_dir(place.home.join("many")).unwrap();
        for number in 0..2000 {
            write(place.home.join(format!("many/{number}")), "x");
        }
        place.input("big");
        place.input("many");
        place.plan.files.input.push(InputFile {
            source: "/proc/version".into(),
            name: "version".into(),
            executable: false,
            content_only: false,
        });
        let before = place.copy_in().unwrap();
        assert_eq!(fs::metadata(place.sandbox.join("big")).unwrap().len(), (40 << 20) + 1);
        assert_eq!(names(place.sandbox.join("many")).len(), 2000);
        assert!(read(place.sandbox.join("version")).starts_with("Linux"));
        assert_eq!(place.copy_out(&before).unwrap(), (0, 0));
    });
}

#[test]
fn depth_is_bounded() {
    as_root_and_nobody("local::tests::depth_is_bounded", || {
        for (depth, possible) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let mut place = Place::new();
            let path = place.home.join(["d"].repeat(depth).join("/"));
            fs::create_dir_all(path).unwrap();
            place.input("d");
            if possible {
                place.copy_in().unwrap();
            } else {
                assert_held(place.copy_in(), 13, libc::ELOOP, "nested deeper than 256");
            }
        }
    });
}

#[test]
fn each_process_has_the_rights_of_its_side() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    alone::run("local::tests::each_process_has_the_rights_of_its_side", "root", || {
        let mut place = Place::new();
        place.plan.account.ids = nobody();
        std::os::unix::fs::chown(&place.sandbox, Some(nobody().uid), Some(nobody().gid)).unwrap();
        write(place.home.join("mine"), "x");
        chmod(place.home.join("mine"), 0o600);
        place.input("mine");
        place.output(&["mine"]);
        // The caller's rights read it; the job owns the copy.
        place.copy_in().unwrap();
        let owner =
            |path: PathBuf| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
        assert_eq!(owner(place.sandbox.join("mine")), nobody().uid);
        fs::remove_file(place.home.join("mine")).unwrap();
        assert_eq!(place.copy_all_out().unwrap(), (1, 1));
        assert_eq!(owner(place.home.join("mine")), 0);
        // What the job can't read is not read for it.
        write(place.sandbox.join("roots"), "x");
        chmod(place.sandbox.join("roots"), 0o600);
        place.output(&["roots"]);
        assert_held(place.copy_all_out(), 12, libc::EACCES, "reading from file");
        // A submitter who isn't root reads and writes with its own rights.
        place.plan.files.submitter = Some(nobody());
        chmod(place.home.join("mine"), 0o600);
        assert_held(place.copy_in(), 13, libc::EACCES, "reading from file");
        place.output(&["mine"]);
        assert_held(place.copy_all_out(), 12, libc::EACCES, "writing to file");
    });
}

#[test]
fn a_process_that_dies_is_reaped_and_named() {
    as_root_and_nobody("local::tests::a_process_that_dies_is_reaped_and_named", || {
        let role = |name| Role { name, ids: None, keep: Vec::new(), keeps: Keeps::Nothing };
        let (outer, inner) = (role("outside"), role("inside"));
        let die = |_: &Link| -> Work {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
            unreachable!()
        };
        let leave = |_: &Link| -> Work { crate::sys::exec::leave(0) };
        let wait = |link: &Link| Work { trouble: link.receive().err(), ..Work::default() };
        let cases = [
            ended(Direction::In, (outer.clone(), die), (inner.clone(), wait)).unwrap_err(),
            ended(Direction::Out, (outer.clone(), wait), (inner.clone(), leave)).unwrap_err(),
        ];
        assert!(cases[0].message.contains("outside process was ended by SIGKILL"), "{}", cases[0]);
        assert!(cases[1].message.contains("inside process ended without"), "{}", cases[1]);
        assert!(cases.iter().all(|failure| failure.disposition == Disposition::Elsewhere));
        // A flood of packets to nobody ends too.
        let flood = |link: &Link| loop {
            if let Err(trouble) = link.leave() {
                return Work { trouble: Some(trouble), ..Work::default() };
            }
        };
        ended(Direction::In, (outer.clone(), flood), (inner.clone(), leave)).unwrap_err();
        // One that is killed in the middle, and one that is forgotten.
        let pause = |_: &Link| -> Work {
            loop {
                nix::unistd::pause();
            }
        };
        let pair = Pair::start(Direction::In, (outer.clone(), pause), (inner.clone(), pause));
        pair.unwrap().kill();
        let pair = Pair::start(Direction::In, (outer, pause), (inner, pause));
        drop(pair);
        let no_child = nix::sys::wait::waitpid(None, None).unwrap_err();
        assert_eq!(no_child, nix::errno::Errno::ECHILD);
    });
}
