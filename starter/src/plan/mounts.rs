//! Which directories are covered in the job's view, by what, and in which order.

use std::path::{Component, Path, PathBuf};

use classad::{ClassAd, Value};
use serde::{Deserialize, Serialize};

use super::outside::devices;
use super::{Namespaces, PidOne, Root, roots};
use crate::failure::{Failure, Step};
use crate::host::cgroups;
use crate::job::Job;
use crate::knobs::Knobs;

/// One mount of the job's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// The path as the job sees it. Made if it is missing.
    pub(crate) target: PathBuf,
    /// What is mounted there.
    pub(crate) what: What,
    /// The knob or the rule that asked for it.
    pub(crate) why: String,
}

/// The kinds of mount there are. None carries a source path: a plan can't name a host directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// An otherwise empty EXECUTE that holds the job's own sandbox.
    OwnSandboxOnly,
    /// A directory of the sandbox, relative to the slot's.
    Private(PathBuf),
    /// A new, empty memory file system.
    Memory,
    /// A new /dev with the harmless devices, pseudo terminals and shared memory.
    Devices {
        /// Names below the machine's /dev that are bound in; a `*` at the end stands for any text.
        granted: Vec<String>,
        /// /dev/shm is the machine's.
        machines_memory: bool,
    },
    /// A directory of the slot's in place of the account's home, if that is there.
    Home(PathBuf),
    /// The account's home itself, read-only, if it is there.
    HomeReadOnly,
    /// A new, empty memory file system where the machine has that directory.
    MemoryIfThere,
    /// An empty directory that nobody may look into, where the machine has that directory.
    Hidden,
    /// A new /proc: of the job's PID namespace, or of the machine's without what the job can't trace.
    Processes,
    /// The machine's /sys, read-only.
    System,
    /// The tree of cgroups from the job's own on, read-only.
    Cgroup,
    /// What the root of the plan has bound there, by its place in that list.
    Bind(usize),
    /// The machine's own directory with all that is mounted below it, read-only, if it is there. Mounts
    /// that the machine makes there later don't arrive.
    ReadOnly,
    /// The machine's own directory as it is, where one above it is read-only.
    AsItIs,
}

impl What {
    /// Which directory of the slot's it is, if it is one.
    pub(super) fn private(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Private(path) | Self::Home(path) => Some(path),
            _ => None,
        }
    }
}

/// The job sees its own cgroup, with its limits and what it uses, where the machine has all of them.
pub(super) fn cgroup_mount() -> Mount {
    Mount {
        target: cgroups::ROOT.into(),
        what: What::Cgroup,
        why: "other jobs' cgroups are out of sight".to_owned(),
    }
}

/// The list, and the directories that the sandbox must have for it.
pub(super) fn mounts(
    job: &Job,
    knobs: &Knobs,
    machine: &ClassAd,
    root: &Root,
    namespaces: &Namespaces,
) -> Result<(Vec<Mount>, Vec<PathBuf>), Failure> {
    let private = private_directories(job, knobs)?;
    let mut list = Vec::new();
    let mut directories = Vec::new();
    let mut add = |target: &Path, what, why: &str| {
        list.push(Mount { target: target.to_path_buf(), what, why: why.to_owned() });
    };

    for (target, what, why) in writing(knobs, root) {
        add(target, what, why);
    }
    let private_dev = match root {
        Root::Named(named) => {
            let why = format!("named root {} brings none of the kernel's", named.name);
            add(Path::new("/dev"), devices(knobs, machine, root), &why);
            add(Path::new("/sys"), What::System, &why);
            true
        }
        Root::Host => {
            if knobs.job_private_dev {
                add(Path::new("/dev"), devices(knobs, machine, root), "JOB_PRIVATE_DEV");
            }
            if !knobs.job_stock_view {
                add(Path::new("/sys"), What::System, "the machine's settings are not the job's");
            }
            knobs.job_private_dev
        }
    };
    for target in &private {
        let inside = relative(target);
        // A directory below another private one is private already; it only has to exist.
        let covered = private.iter().any(|other| other != target && target.starts_with(other));
        if !covered {
            add(target, What::Private(inside.clone()), "MOUNT_UNDER_SCRATCH");
        }
        directories.push(inside);
    }
    if let Root::Named(named) = root {
        list.extend(roots::binds(named, &knobs.hidden));
        directories.extend(roots::directories(root));
    }
    if private.iter().any(|target| knobs.execute.starts_with(target)) {
        directories.push(relative(&knobs.execute));
    }
    let mut add = |target: &Path, what, why: &str| {
        list.push(Mount { target: target.to_path_buf(), what, why: why.to_owned() });
    };
    if knobs.mount_private_dev_shm && !private_dev {
        add(Path::new("/dev/shm"), What::Memory, "MOUNT_PRIVATE_DEV_SHM");
    }
    add(&knobs.execute, What::OwnSandboxOnly, "other jobs' sandboxes are out of sight");
    // Without root the kernel gives no /proc of numbers that are shared.
    if namespaces.pid != PidOne::Shared {
        add(Path::new("/proc"), What::Processes, "USE_PID_NAMESPACES");
    } else if !namespaces.user || matches!(root, Root::Named(_)) {
        add(Path::new("/proc"), What::Processes, "other jobs' processes are out of sight");
    }
    Ok((list, directories))
}

/// Which of the machine's directories can't be written, and the exceptions; parents come before what is
/// below them. A named root has its own rules.
pub(crate) fn writing<'a>(knobs: &'a Knobs, root: &Root) -> Vec<(&'a Path, What, &'static str)> {
    if *root != Root::Host || knobs.read_only.is_empty() {
        return Vec::new();
    }
    let rules = |list: &'a [PathBuf], what: What, why| {
        list.iter().map(move |path| (path.as_path(), what.clone(), why))
    };
    let mut all: Vec<_> = rules(&knobs.read_only, What::ReadOnly, "JOB_READ_ONLY_DIRECTORIES")
        .chain(rules(&knobs.read_only_exceptions, What::AsItIs, "JOB_READ_ONLY_EXCEPTIONS"))
        .collect();
    all.sort_by_key(|(path, ..)| *path);
    all
}

/// MOUNT_UNDER_SCRATCH: a list of directories, or an expression over the job ad that gives one.
/// Parents come before what is below them.
fn private_directories(job: &Job, knobs: &Knobs) -> Result<Vec<PathBuf>, Failure> {
    let Some(text) = knobs.mount_under_scratch.as_deref().map(str::trim) else {
        return Ok(Vec::new());
    };
    let list = if text.starts_with('/') { text.to_owned() } else { evaluated(text, job)? };
    let mut directories = Vec::new();
    for item in list.split([',', ' ', '\t']).filter(|item| !item.is_empty()) {
        let path = plain(Path::new(item)).ok_or_else(|| {
            bad(format!(
                "{item} is not an absolute directory without .. (and not / itself): correct the list"
            ))
        })?;
        if path.starts_with(&knobs.execute) {
            return Err(bad(format!(
                "{item} is in EXECUTE ({}), where the sandbox is: take it off the list",
                knobs.execute.display()
            )));
        }
        directories.push(path);
    }
    directories.sort();
    directories.dedup();
    Ok(directories)
}

fn evaluated(text: &str, job: &Job) -> Result<String, Failure> {
    let expr = classad::Expr::parse_old(text).map_err(|error| {
        bad(format!("neither a list of directories nor an expression: {error}"))
    })?;
    match expr.eval_in(&job.ad) {
        Value::String(list) => Ok(list.to_string()),
        other => Err(bad(format!(
            "the expression gives {other} for this job where a string is needed: {text}"
        ))),
    }
}

fn bad(message: String) -> Failure {
    Failure::host(Step::Plan, format!("MOUNT_UNDER_SCRATCH: {message}"))
}

/// The path without `.` and doubled slashes, if it is absolute, has no `..` and is not `/`.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::from("/");
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return None;
    }
    for component in components {
        match component {
            Component::Normal(name) => clean.push(name),
            _ => return None,
        }
    }
    (clean != Path::new("/")).then_some(clean)
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_path_buf()
}
