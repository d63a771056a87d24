//! The jobs that run on this machine, from outside: what `who` lists and `explain` shows.
//!
//! Sandboxes name their supervisor (`dir_PID`), and the kernel has the rest: processes, accounts, roots, namespaces,
//! limits. Only the job's number, its submitter and the slot are read from the ads in the sandbox, which a job can't change from
//! its cell; they are opened without following a link or waiting for anything, and whatever comes from a job is made
//! printable before it is shown.

pub(super) mod cell;
pub(super) mod picture;
mod processes;
mod words;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use classad::ClassAd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use serde::Serialize;

use crate::host::accounts;
use crate::knobs::Knobs;
use crate::knobs::roots::NamedRoot;
use crate::sys::open::openat2;
use cell::Mount;
pub(super) use processes::{Process, Processes};
pub(super) use words::printable;

/// Larger ads aren't read.
const LARGEST: u64 = 1 << 20;

/// A job that runs.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// The slot's name.
    pub(super) slot: Option<String>,
    /// `cluster.proc`.
    pub(super) job: Option<String>,
    /// Who submitted it.
    pub(super) owner: Option<String>,
    /// The account that it runs as.
    pub(super) account: Option<String>,
    /// The named root, `machine`, or nothing if it can't be told.
    pub(super) root: Option<String>,
    /// What its processes take, in bytes.
    pub(super) memory: u64,
    /// The limit to that, where there is one.
    pub(super) memory_limit: Option<u64>,
    /// How many processes it has.
    pub(super) processes: usize,
    /// How many it may have, where there is a limit by cgroup.
    pub(super) processes_limit: Option<u64>,
    /// Seconds since its main process began.
    pub(super) age: Option<u64>,
    /// The number of its main process.
    pub(super) pid: Option<i32>,
    /// The supervisor's.
    pub(super) starter: i32,
    /// Where its files are.
    pub(super) sandbox: PathBuf,
    /// Its cgroup, as this program sees the tree.
    pub(super) cgroup: Option<PathBuf>,
    #[serde(skip)]
    pub(super) members: Vec<i32>,
}

/// All jobs that run below EXECUTE, by the number of their supervisor.
pub(super) fn all(knobs: &Knobs, processes: &Processes) -> Result<Vec<Live>, String> {
    let execute = &knobs.execute;
    let entries =
        fs::read_dir(execute).map_err(|error| format!("{}: {error}", execute.display()))?;
    let roots: Vec<&NamedRoot> = knobs.roots.iter().flatten().collect();
    let mut jobs: Vec<Live> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let pid = name.to_str()?.strip_prefix("dir_")?.parse().ok()?;
            live(execute, pid, processes, &roots)
        })
        .collect();
    jobs.sort_by_key(|job| job.starter);
    Ok(jobs)
}

fn live(execute: &Path, starter: i32, processes: &Processes, roots: &[&NamedRoot]) -> Option<Live> {
    // A directory that a dead starter left has a number that anybody may have now.
    let members = processes.cell(starter)?;
    let main = members.first().and_then(|pid| processes.get(*pid));
    let directory = execute.join(format!("dir_{starter}"));
    let nested = directory.join("scratch");
    let sandbox = if nested.is_dir() { nested } else { directory };
    let ad = |name: &str| read_ad(execute, &sandbox, name).unwrap_or_default();
    let (job, machine) = (ad(".job.ad"), ad(".machine.ad"));
    let text = |ad: &ClassAd, name: &str| ad.eval_string(name).map(|text| printable(&text));
    let number = |name: &str| job.eval_i64(name);
    let cgroup = main.and_then(|main| processes::cgroup(main.pid));
    let limit = |file: &str| cgroup.as_ref().and_then(|path| processes::limit(path, file));
    let used = limit("memory.current");
    Some(Live {
        slot: text(&machine, "Name").map(|name| name.split('@').next().unwrap_or("").to_owned()),
        job: number("ClusterId").zip(number("ProcId")).map(|(c, p)| format!("{c}.{p}")),
        owner: text(&job, "Owner"),
        account: main.map(|main| account(main.uid)),
        root: main.and_then(|main| root(main.pid, roots)),
        memory: used.unwrap_or_else(|| processes.resident(&members)),
        memory_limit: limit("memory.max"),
        processes: members.len(),
        processes_limit: limit("pids.max"),
        age: main.and_then(Process::age),
        pid: main.map(|main| main.pid),
        starter,
        sandbox,
        cgroup,
        members,
    })
}

/// An ad of the sandbox, if it is a plain file of its own.
fn read_ad(execute: &Path, sandbox: &Path, name: &str) -> Option<ClassAd> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let execute_fd = rustix::fs::openat(CWD, execute, directory, Mode::empty()).ok()?;
    let path = sandbox.strip_prefix(execute).ok()?.join(name);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let file = fs::File::from(openat2(&execute_fd, &path, flags, Mode::empty(), how).ok()?);
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.nlink() != 1 || meta.len() > LARGEST {
        return None;
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, LARGEST), &mut text).ok()?;
    ClassAd::parse_old(&text).ok()
}

/// The name of an account, or its number.
pub(super) fn account(uid: u32) -> String {
    match accounts::user_of(uid) {
        Ok(Some(user)) => printable(&user.name),
        _ => uid.to_string(),
    }
}

/// Which root a process has: compared by what the kernel says, not by name.
fn root(pid: i32, roots: &[&NamedRoot]) -> Option<String> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let own = identity(&PathBuf::from(format!("/proc/{pid}/root/")))?;
    if identity(Path::new("/")) == Some(own) {
        return Some("machine".to_owned());
    }
    let named = roots.iter().find(|root| identity(&root.path) == Some(own));
    Some(named.map_or_else(|| by_source(pid, roots), |root| root.name.clone()))
}

/// One that was put together for a job: something in it is mounted from the root.
fn by_source(pid: i32, roots: &[&NamedRoot]) -> String {
    let theirs = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let ours = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let from = |root: &&&NamedRoot| {
        let Some((device, place)) = within(&ours, &root.path) else { return false };
        let mut mounts = theirs.lines().filter_map(Mount::read);
        mounts.any(|mount| mount.device == device && Path::new(mount.root).starts_with(&place))
    };
    roots.iter().find(from).map_or_else(|| "another".to_owned(), |root| root.name.clone())
}

/// Where a directory is: the device, and the path in its file system.
fn within<'a>(mounts: &'a str, path: &Path) -> Option<(&'a str, PathBuf)> {
    let around = |mount: &Mount<'_>| path.starts_with(mount.place);
    // Of several at one place, the last covers the others.
    let mount = mounts
        .lines()
        .filter_map(Mount::read)
        .filter(around)
        .max_by_key(|mount| Path::new(mount.place).components().count())?;
    let rest = path.strip_prefix(mount.place).ok()?;
    Some((mount.device, Path::new(mount.root).join(rest)))
}
