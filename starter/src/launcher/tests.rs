//! A launcher that is root, and the end of the supervisor in the hands of a test.
//!
//! Each test is a process of its own, since the launcher is forked and the machine is made read-only for it:
//! should one of these orders succeed, a memory file system is all that it can change.

mod hostile;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use classad::ClassAd;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::message::{Order, Report};
use super::place::Placed;
use super::*;
use crate::hooks::Errand;
use crate::host::run_as;
use crate::job::Job;
use crate::plan::{Account, Host, Inputs, Plan, Program, Root, Stdio};
use crate::sys::clone::{self, Child, Side};
use crate::sys::exec;
use crate::sys::mount::{Deny, restrict};
use crate::transfer::{Destination, Source};

/// Where the memory file system is. The standard for file systems has this directory everywhere.
const ROOM: &str = "/var/opt";
const VARIABLE: &str = "CLOISTER_TEST_LAUNCHER";
/// The number that the launcher takes for the supervisor's.
const SUPERVISOR: u32 = 4_000_077;
const ACCOUNT: &str = "nobody";
const CANARY: &str = "root's own";

/// Runs a test in such a process, if there are the rights for it.
fn alone(name: &str, test: fn(&Machine)) {
    if std::env::var_os(VARIABLE).is_some() {
        return test(&Machine::new());
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED {name}: needs root");
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--test-threads=1", "--nocapture"]);
    let output = command
        .arg(format!("launcher::tests::hostile::{name}"))
        .env(VARIABLE, "1")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("1 passed") && output.status.success(), "{text}");
}

/// A machine of which nothing but ROOM can be written.
struct Machine {
    knobs: Knobs,
    account: Account,
}

impl Machine {
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let root = fs::File::open("/").unwrap();
        restrict(root.as_fd(), Deny::WRITE, true).unwrap();
        mount("none", ROOM, "tmpfs", MountFlags::empty(), c"mode=0755").unwrap();
        // The job's process says there when it may be killed.
        mount("proc", "/proc", "proc", MountFlags::empty(), c"").unwrap();
        for dir in ["execute", "daemons"] {
            fs::create_dir(Path::new(ROOM).join(dir)).unwrap();
        }
        fs::write(canary(), CANARY).unwrap();
        let knobs =
            Knobs::from_text(&format!("EXECUTE = {ROOM}/execute\nUSE_PID_NAMESPACES = True\n"));
        Self { knobs, account: run_as::look_up(ACCOUNT).unwrap() }
    }

    /// What an honest supervisor sends.
    fn plan(&self) -> Plan {
        let text = "Cmd = \"/bin/sleep\"\nArgs = \"600\"\nIwd = \"/\"\nOwner = \"nobody\"\n\
                    ShouldTransferFiles = \"YES\"\nTransferExecutable = false\n";
        let job = Job::from_ad(ClassAd::parse_old(text).unwrap(), Path::new("/"), None).unwrap();
        crate::plan::make(Inputs {
            job: &job,
            knobs: &self.knobs,
            host: &Host {
                privileged: true,
                user_namespaces: true,
                numbers_by_namespace: false,
                scopes: false,
                cgroups: Cgroups::None("none here".into()),
                pid: SUPERVISOR,
                name: "n".into(),
            },
            account: self.account.clone(),
            machine: &ClassAd::new(),
            slot: "slot1",
            environment: &[],
            stdio: [None, None, None],
            unnamed_output: Stdio::Null,
            pool: false,
            submitter: Some(self.account.ids.clone()),
        })
        .unwrap()
    }

    /// A launcher that waits for orders.
    fn launcher(&self) -> Hostile {
        let (ours, theirs) = Channel::pair().unwrap();
        match clone::fork(CloneFlags::empty()).unwrap() {
            Side::Child => {
                drop(ours);
                let launcher = Launcher {
                    knobs: &self.knobs,
                    daemon: Ids { uid: 1, gid: 1, groups: Vec::new() },
                    privileged: true,
                    cgroups: &Cgroups::None("none here".into()),
                    slot: None,
                    supervisor: SUPERVISOR,
                    caller_is_submitter: false,
                    show_progress: false,
                };
                launcher.serve(&theirs);
                exec::leave(0)
            }
            Side::Parent(process) => {
                drop(theirs);
                ours.stream().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                Hostile { channel: ours, process }
            }
        }
    }

    /// A launcher that has prepared the honest plan.
    fn prepared(&self) -> Hostile {
        let launcher = self.launcher();
        launcher.order(&Order::Prepare(Box::new(self.plan())));
        launcher
    }

    /// Nothing of root's has changed and nothing of the job is left.
    fn check(&self, what: &str) {
        assert_eq!(fs::read_to_string(canary()).unwrap(), CANARY, "{what}");
        let names = |dir: &str| {
            let list = fs::read_dir(Path::new(ROOM).join(dir)).unwrap();
            list.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        assert_eq!(names("execute"), [""; 0], "{what}");
        assert_eq!(names("daemons"), [""; 0], "{what}");
        assert_eq!(names("").len(), 3, "{what}");
    }

    fn sandbox(&self) -> PathBuf {
        self.plan().sandbox.path()
    }
}

fn canary() -> PathBuf {
    Path::new(ROOM).join("canary")
}

/// The attacker's end.
struct Hostile {
    channel: Channel,
    process: Child,
}

impl Hostile {
    fn order(&self, order: &Order) {
        self.channel.send(order).unwrap();
    }

    fn report(&self) -> Option<Report> {
        self.channel.receive().unwrap()
    }

    /// The next report, which must be that of a failure.
    #[track_caller]
    fn refused(&self, what: &str) -> Failure {
        match self.report() {
            Some(Report::Failed(failure)) => failure,
            other => panic!("{what}: {other:?}"),
        }
    }

    /// Waits for the launcher, which nothing may have killed.
    fn end(self) {
        drop(self.channel);
        for _ in 0..2000 {
            match waitpid(self.process.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => std::thread::sleep(Duration::from_millis(10)),
                status => {
                    assert_eq!(status, WaitStatus::Exited(self.process.pid, 0));
                    return;
                }
            }
        }
        panic!("the launcher hangs");
    }
}
