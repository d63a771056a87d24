//! A machine of a test's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Job, Ran, Running, leaks, private, programs};

/// One of the accounts that a machine has, by its distance from the machine's first number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    name: &'static str,
    offset: u32,
    /// Also a member of the group `extra`.
    extra: bool,
}

/// The daemons' account.
const CONDOR: Account = Account { name: "condor", offset: 0, extra: false };
/// The account of most jobs; also in the group `extra`.
pub const ALICE: Account = Account { name: "alice", offset: 1, extra: true };
/// Another user.
pub const BOB: Account = Account { name: "bob", offset: 2, extra: false };

/// The group that alice is in besides her own.
const EXTRA_GROUP: u32 = 8;
/// Numbers that a machine has for itself.
const NUMBERS: u32 = 16;
/// Above the numbers that real machines give out.
const FIRST_NUMBER: u32 = 500_000_000;

/// A private machine: the thread that makes it enters a mount namespace (see `private`) in which
/// `/etc/passwd` has accounts that nothing else on the real machine uses, and a memory file system
/// holds EXECUTE and everything else of the test. Nothing can write to the real machine's files.
///
/// Because the accounts are used by one test only, a process that it leaves behind is found by its
/// account, whatever it did to hide.
#[derive(Debug)]
pub struct Machine {
    dir: PathBuf,
    first: u32,
    knobs: BTreeMap<String, String>,
    root: Option<String>,
    runs: AtomicU32,
}

impl Machine {
    /// A new machine; `None`, with the reason on standard error, where the test has no right to make
    /// one. `CLOISTER_TESTS_ALL=1` turns that into a failure.
    pub fn new() -> Option<Self> {
        match Self::make() {
            Ok(machine) => Some(machine),
            Err(why) => {
                let all = std::env::var_os("CLOISTER_TESTS_ALL").is_some_and(|value| value == "1");
                assert!(!all, "{why}");
                let test = std::thread::current().name().unwrap_or("test").to_owned();
                eprintln!("SKIPPED {test}: {why}");
                None
            }
        }
    }

    /// A machine where jobs can have cgroups, with the directory that those are made in; `None` outside of
    /// a guest (tests/vm): the real machine's cgroups are nothing to test with.
    pub fn with_cgroups() -> Option<(Self, PathBuf)> {
        if !private::in_guest() {
            let test = std::thread::current().name().unwrap_or("test").to_owned();
            eprintln!("SKIPPED {test}: only a guest has cgroups to test with: tests/vm/test");
            return None;
        }
        let machine = Self::new()?;
        // Beside the tests' own, as a starter's is a service's.
        let name = format!("jobs-{}", machine.first);
        let own = fs::read_to_string("/proc/thread-self/cgroup").unwrap();
        let own = own.trim().strip_prefix("0::/").unwrap();
        let base = Path::new(private::CGROUPS).join(own).with_file_name(&name);
        Some((machine.knob("BASE_CGROUP", &name), base))
    }

    fn make() -> Result<Self, String> {
        private::enter()?;
        let dir = private::directory();
        let first = FIRST_NUMBER + nix::unistd::gettid().as_raw().cast_unsigned() * NUMBERS;
        let machine =
            Self { dir, first, knobs: BTreeMap::new(), root: None, runs: AtomicU32::new(0) };
        machine.fill();
        Ok(machine.knob("EXECUTE", "$(BASE)/execute").knob("LOG", "$(BASE)/log"))
    }

    /// Accounts and directories.
    fn fill(&self) {
        let mut passwd = kept("/etc/passwd");
        let mut group = kept("/etc/group");
        for account in [CONDOR, ALICE, BOB] {
            let Account { name, .. } = account;
            let number = self.number(account);
            let home = self.path(&format!("home/{name}"));
            writeln!(passwd, "{name}:x:{number}:{number}::{}:/bin/sh", home.display()).unwrap();
            writeln!(group, "{name}:x:{number}:").unwrap();
            self.dir(&format!("home/{name}"), account, 0o700);
        }
        writeln!(group, "extra:x:{}:alice", self.first + EXTRA_GROUP).unwrap();
        self.replace("/etc/passwd", &passwd);
        self.replace("/etc/group", &group);
        self.dir("execute", CONDOR, 0o755);
        self.dir("log", CONDOR, 0o755);
        fs::create_dir(self.path("out")).unwrap();
        fs::set_permissions(self.path("out"), Permissions::from_mode(0o1777)).unwrap();
    }

    fn dir(&self, name: &str, account: Account, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self.give(&path, account);
    }

    /// Puts another text where a file of the real machine is, in this machine only.
    fn replace(&self, file: &str, text: &str) {
        let copy = self.path(Path::new(file).file_name().unwrap().to_str().unwrap());
        fs::write(&copy, text).unwrap();
        let none: Option<&str> = None;
        mount(Some(&copy), file, none, MsFlags::MS_BIND, none).unwrap();
    }

    /// Adds a line to `/etc/passwd`, in this machine only.
    pub fn add_account(&self, line: &str) {
        let text = fs::read_to_string(self.path("passwd")).unwrap();
        fs::write(self.path("passwd"), format!("{text}{line}\n")).unwrap();
    }

    /// Adds a line to `/etc/group`, in this machine only.
    pub fn add_group(&self, line: &str) {
        let text = fs::read_to_string(self.path("group")).unwrap();
        fs::write(self.path("group"), format!("{text}{line}\n")).unwrap();
    }

    /// Sets a knob of the configuration. `$(BASE)` is the machine's directory.
    #[must_use]
    pub fn knob(mut self, name: &str, value: &str) -> Self {
        self.set_knob(name, value);
        self
    }

    /// Sets a knob of the configuration between two runs.
    pub fn set_knob(&mut self, name: &str, value: &str) {
        self.knobs.insert(name.to_owned(), value.to_owned());
        let text: String = self
            .knobs
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect::<String>()
            .replace("$(BASE)", self.dir.to_str().unwrap());
        fs::write(self.path("condor_config"), text).unwrap();
    }

    /// A path in the machine's directory, which is root's and can be entered by everybody.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// EXECUTE.
    pub fn execute(&self) -> PathBuf {
        self.path("execute")
    }

    /// What is in EXECUTE.
    pub fn sandboxes(&self) -> Vec<PathBuf> {
        fs::read_dir(self.execute()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// User and group number of an account.
    pub fn number(&self, account: Account) -> u32 {
        self.first + account.offset
    }

    /// The daemons' account.
    pub fn daemon(&self) -> u32 {
        self.number(CONDOR)
    }

    /// The groups that an account's processes should have besides their primary one.
    pub fn groups(&self, account: Account) -> Vec<u32> {
        let mut groups = vec![self.number(account)];
        if account.extra {
            groups.push(self.first + EXTRA_GROUP);
        }
        groups
    }

    /// Makes an account the owner of a file or directory.
    pub fn give(&self, path: &Path, account: Account) {
        let number = self.number(account);
        chown(path, Some(number), Some(number)).unwrap();
    }

    /// A copy of a program in the machine's directory, where every account may run it.
    pub fn install(&self, program: &Path) -> PathBuf {
        let copy = self.path(program.file_name().unwrap().to_str().unwrap());
        if !copy.exists() {
            fs::copy(program, &copy).unwrap();
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    /// From here on jobs ask for this root, unless they ask for another.
    pub fn put_all_jobs_in(&mut self, root: &str) {
        self.root = Some(root.to_owned());
    }

    /// A job as it is submitted to this machine.
    pub(crate) fn submitted(&self, job: &Job) -> Job {
        match &self.root {
            Some(root) if !job.asks_for_a_root() => {
                job.clone().set("RequestedChroot", root.as_str())
            }
            _ => job.clone(),
        }
    }

    /// A job that runs a subcommand of the hostile helper.
    pub fn hostile(&self, subcommand: &str) -> Job {
        let program = match self.root {
            Some(_) => PathBuf::from("/bin/hostile"),
            None => programs::hostile(),
        };
        Job::program(program).arg(subcommand)
    }

    /// The starter, with this machine's configuration.
    pub fn starter(&self) -> Command {
        self.with_config(Command::new(programs::starter()))
    }

    /// The starter, started by an account instead of root.
    pub fn starter_as(&self, account: Account) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = self.with_config(Command::new(programs::starter()));
        command.uid(self.number(account)).gid(self.number(account));
        command
    }

    /// Makes EXECUTE and LOG those of an account, for a starter that it starts itself.
    pub fn owned_by(&self, account: Account) {
        for name in ["execute", "log"] {
            self.give(&self.path(name), account);
        }
    }

    /// A command with this machine's configuration and the mark by which its processes are found.
    pub fn with_config(&self, mut command: Command) -> Command {
        command
            .current_dir("/")
            .env("CONDOR_CONFIG", self.path("condor_config"))
            .env("CLOISTER_TEST_MACHINE", self.mark());
        command
    }

    fn mark(&self) -> String {
        self.dir.to_str().unwrap().to_owned()
    }

    /// A number for the files of the next run.
    pub(crate) fn next_run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a job with the stock starter's command line.
    pub fn start(&self, job: &Job) -> Running {
        self.start_with(self.starter(), job)
    }

    /// Starts a job with the given starter command.
    pub fn start_with(&self, starter: Command, job: &Job) -> Running {
        Running::start(self, starter, job)
    }

    /// The same with a starter that alice has started, for whom EXECUTE and LOG are hers meanwhile.
    pub fn run_alone(&self, job: &Job) -> Ran {
        self.owned_by(ALICE);
        let _ = fs::remove_file(self.path("log/StarterLog"));
        let ran = self.run_with(self.starter_as(ALICE), job);
        let _ = fs::remove_file(self.path("log/StarterLog"));
        self.owned_by(CONDOR);
        ran
    }

    /// Runs a job to its end and checks that nothing of it is left.
    pub fn run(&self, job: &Job) -> Ran {
        self.run_with(self.starter(), job)
    }

    /// Runs a job with the given starter command and checks that nothing of it is left.
    pub fn run_with(&self, starter: Command, job: &Job) -> Ran {
        let mounts = leaks::mounts();
        let ran = self.start_with(starter, job).wait();
        assert_eq!(leaks::mounts(), mounts, "the starter changed the machine's mounts\n{ran}");
        self.check_clean(&ran);
        ran
    }

    /// Fails unless EXECUTE is empty and no process of this machine is left.
    pub fn check_clean(&self, ran: &dyn std::fmt::Display) {
        let left = self.processes();
        assert!(left.is_empty(), "processes are left: {left:#?}\n{ran}");
        let sandboxes = self.sandboxes();
        assert!(sandboxes.is_empty(), "sandboxes are left: {sandboxes:?}\n{ran}");
    }

    /// The processes of this machine that are not dead: those of its accounts, and whatever was
    /// started with its configuration.
    pub fn processes(&self) -> Vec<leaks::Process> {
        let mark = self.mark();
        let own = self.first..self.first + NUMBERS;
        leaks::processes()
            .into_iter()
            .filter(|process| own.contains(&process.uid) || process.mentions(&mark))
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed has perhaps left what it looked for.
        for process in self.processes() {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        for file in ["/etc/passwd", "/etc/group"] {
            let _ = umount2(file, MntFlags::MNT_DETACH);
        }
    }
}

/// The lines of a database without accounts of the names used here.
fn kept(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let ours = [CONDOR, ALICE, BOB].map(|account| account.name);
    text.lines()
        .filter(|line| line.split(':').next().is_none_or(|name| !ours.contains(&name)))
        .map(|line| format!("{line}\n"))
        .collect()
}
