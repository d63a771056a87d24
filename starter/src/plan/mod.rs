//! The plan: everything that will be done for one job, decided before anything is done.
//!
//! A plan is made by a pure function of the job, the knobs, the host and the account. The supervisor
//! makes it, `cloister plan` prints it, the launcher checks and executes it from top to bottom.

pub(crate) mod cgroup;
mod environment;
mod identity;
mod limits;
mod make;
mod mounts;
mod outside;
mod resources;
mod roots;
mod show;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use cgroup::Together;
pub(crate) use environment::matches;
pub(crate) use identity::{AccountChoice, choose_account};
pub(crate) use limits::Limits;
pub(crate) use make::{Inputs, make};
pub(crate) use mounts::{Mount, What, writing};
pub(crate) use outside::{GPUS, expected};
pub(crate) use roots::{LAYER, binds};

use crate::host::cgroups::Cgroups;
use crate::knobs::Knobs;
use crate::knobs::roots::NamedRoot;
use crate::sys::privilege::Ids;
use crate::sys::seccomp::Profile;

/// What is known about the machine before the plan is made.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Whether this starter was started as root.
    pub(crate) privileged: bool,
    /// Whether an unprivileged process may make user namespaces here.
    pub(crate) user_namespaces: bool,
    /// Whether each PID namespace has a largest process number of its own (Linux 6.14).
    pub(crate) numbers_by_namespace: bool,
    /// Whether the kernel has Landlock scopes (Linux 6.12).
    pub(crate) scopes: bool,
    /// Where jobs' cgroups are made.
    pub(crate) cgroups: Cgroups,
    /// This starter's process number; names the sandbox.
    pub(crate) pid: u32,
    /// The machine's name, for messages.
    pub(crate) name: String,
}

/// The account that the job runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// Its numbers.
    pub(crate) ids: Ids,
    /// Its home directory as the password database has it.
    pub(crate) home: PathBuf,
}

/// The directory of the nested layout that holds files of the job's which aren't its data.
pub(crate) const USER: &str = "user";
/// The file with the address of the chirp proxy.
pub(crate) const CHIRP_CONFIG: &str = ".chirp.config";

/// Where the sandbox is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    /// EXECUTE, absolute.
    pub(crate) execute: PathBuf,
    /// `dir_<pid of the starter>`.
    pub(crate) slot: String,
    /// Layout of 25.x: the job's directory is `dir_N/scratch`; that of 23.x is `dir_N` itself.
    pub(crate) nested: bool,
    /// Whether the nested layout has the directories that only daemons and tools of a pool use.
    pub(crate) pool: bool,
    /// Whether the job gets the address of a chirp proxy.
    pub(crate) chirp: bool,
    /// Permission bits of the job's directory (JOB_EXECDIR_PERMISSIONS).
    pub(crate) mode: u32,
    /// Directories to make in it, relative to the slot's, parents first; the job's account owns them.
    pub(crate) directories: Vec<PathBuf>,
    /// Files to write into it before the job starts: name and content.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Sandbox {
    /// That of a starter, still without anything in it.
    pub(crate) fn of(knobs: &Knobs, host: &Host) -> Self {
        Self {
            execute: knobs.execute.clone(),
            slot: format!("dir_{}", host.pid),
            nested: knobs.starter_nested_scratch,
            pool: false,
            chirp: false,
            mode: knobs.job_execdir_permissions.mode(),
            directories: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The slot's directory, `EXECUTE/dir_N`.
    pub(crate) fn slot_path(&self) -> PathBuf {
        self.execute.join(&self.slot)
    }

    /// The job's directory; the same path outside and inside the cell.
    pub(crate) fn path(&self) -> PathBuf {
        if self.nested { self.slot_path().join("scratch") } else { self.slot_path() }
    }

    /// Where a private directory is, relative to the slot's. HTCondor has /tmp and its like among the job's
    /// data, where users know them; what it doesn't have there doesn't get in users' way.
    fn settled(&self, private: &Path, privileged: bool) -> PathBuf {
        let stock = privileged && !private.starts_with(outside::HOME);
        match self.nested {
            false => private.to_owned(),
            true if stock || !self.pool || private.starts_with(LAYER) => {
                Path::new("scratch").join(private)
            }
            true => Path::new(USER).join(private),
        }
    }

    /// Where the address of the chirp proxy is, the same outside and inside the cell.
    pub(crate) fn chirp_config(&self) -> Option<PathBuf> {
        let dir = if self.nested { self.slot_path().join(USER) } else { self.slot_path() };
        self.chirp.then(|| dir.join(CHIRP_CONFIG))
    }
}

/// The directory tree that the job sees as `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Root {
    /// The machine's own.
    Host,
    /// One that an admin offers by name.
    Named(NamedRoot),
}

/// Who is process 1 of the job's PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PidOne {
    /// No PID namespace: the job shares the machine's process numbers.
    Shared,
    /// A small init that reaps orphans; the job is process 2.
    Init,
    /// The job itself (USE_PID_NAMESPACE_INIT = False).
    Job,
}

/// Which namespaces the cell has. A mount namespace comes with any of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    /// Own view of the file system.
    pub(crate) mount: bool,
    /// Own process numbers.
    pub(crate) pid: PidOne,
    /// Own System V and POSIX message queues, semaphores and shared memory.
    pub(crate) ipc: bool,
    /// Own host name setting.
    pub(crate) uts: bool,
    /// Own view of the cgroup tree.
    pub(crate) cgroup: bool,
    /// No network but loopback.
    pub(crate) net: bool,
    /// A user namespace: how an unprivileged starter gets the others.
    pub(crate) user: bool,
}

/// Where one of the job's standard files comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stdio {
    /// Nothing: `/dev/null`.
    Null,
    /// A path, opened with the job's rights; relative to the job's working directory.
    File(PathBuf),
    /// The same file as standard output.
    SameAsOutput,
    /// The starter's own descriptor of the same number.
    Inherit,
    /// A pipe from or to the supervisor, which has the shadow read or write the file.
    Stream,
}

/// The program and how it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Absolute path as the job sees it.
    pub(crate) path: PathBuf,
    /// Arguments after the program itself.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// `NAME=value` strings.
    pub(crate) environment: Vec<Vec<u8>>,
    /// Working directory as the job sees it.
    pub(crate) directory: PathBuf,
    /// Standard input, output and error.
    pub(crate) stdio: [Stdio; 3],
    /// Write at the end of output files instead of emptying them.
    pub(crate) append: bool,
    /// Whether it may be run again in the same sandbox, after a checkpoint.
    pub(crate) again: bool,
}

/// An input file to be copied into the sandbox before the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputFile {
    /// Where it is, absolute.
    pub(crate) source: PathBuf,
    /// Its name in the sandbox.
    pub(crate) name: String,
    /// Whether it gets execute permission (the program itself).
    pub(crate) executable: bool,
    /// The content of the directory instead of the directory (`transfer_input_files = dir/`).
    pub(crate) content_only: bool,
}

/// What goes in before the start and comes out after the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    /// To copy in.
    pub(crate) input: Vec<InputFile>,
    /// Names to copy out; `None`: new and changed files of the sandbox's top.
    pub(crate) output: Option<Vec<PathBuf>>,
    /// Renames on the way out: name in the sandbox, path to write to.
    pub(crate) remaps: Vec<(PathBuf, PathBuf)>,
    /// Where output goes unless renamed, and whence relative input comes.
    pub(crate) home: PathBuf,
    /// Whose rights open the files outside the sandbox; `None`: those of the starter's caller.
    pub(crate) submitter: Option<Ids>,
    /// Whether files are copied at all.
    pub(crate) transfer: bool,
}

/// Everything that will be done for one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// `cluster.proc`.
    pub(crate) job: String,
    /// The account it runs as.
    pub(crate) account: Account,
    /// Its directory.
    pub(crate) sandbox: Sandbox,
    /// Its root.
    pub(crate) root: Root,
    /// Its namespaces.
    pub(crate) namespaces: Namespaces,
    /// Mounts in the order they are made.
    pub(crate) mounts: Vec<Mount>,
    /// Files in and out.
    pub(crate) files: Files,
    /// Limits and priorities.
    pub(crate) limits: Limits,
    /// Its cgroup.
    pub(crate) together: Together,
    /// Which system calls are refused to it.
    pub(crate) calls: Profile,
    /// The program.
    pub(crate) program: Program,
    /// The revision of its root, once the job runs and if it is known.
    pub(crate) root_revision: Option<String>,
    /// Isolation that was wanted by default and can't be had here, each with the reason.
    pub(crate) not_applied: Vec<String>,
}

impl Plan {
    /// The words for what is applied, as the job ad and `AssignedIsolation` report them.
    pub(crate) fn applied(&self) -> Vec<&'static str> {
        let n = &self.namespaces;
        [
            ("mnt", n.mount),
            ("pid", n.pid != PidOne::Shared),
            ("ipc", n.ipc),
            ("uts", n.uts),
            ("cgroup", n.cgroup),
            ("limits", self.together.cgroup().is_some()),
            ("net", n.net),
            ("user", n.user),
            ("chroot", matches!(self.root, Root::Named(_))),
            ("readonly", self.is_read_only()),
            ("execute", self.covers(&self.sandbox.execute)),
            ("tmp", self.covers(Path::new("/tmp"))),
            ("shm", self.private_memory()),
            ("dev", self.covers(Path::new("/dev"))),
            ("home", self.mounts.iter().any(|mount| matches!(mount.what, What::Home(_)))),
            ("keyring", true),
            ("scope", self.limits.scoped),
            ("nnp", true),
            ("seccomp", self.calls != Profile::Keyrings),
        ]
        .into_iter()
        .filter_map(|(word, on)| on.then_some(word))
        .collect()
    }

    fn private_memory(&self) -> bool {
        let own = |what: &What| matches!(what, What::Devices { machines_memory: false, .. });
        self.covers(Path::new("/dev/shm")) || self.mounts.iter().any(|mount| own(&mount.what))
    }

    /// Whether no file of the machine can be written but in the job's own places and by exception.
    fn is_read_only(&self) -> bool {
        let all = |mount: &Mount| mount.what == What::ReadOnly && mount.target == Path::new("/");
        let named = match &self.root {
            Root::Host => false,
            Root::Named(root) => root.binds.iter().all(|bind| !bind.writable),
        };
        named || self.mounts.iter().any(all)
    }

    fn covers(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| mount.target == path)
    }
}
