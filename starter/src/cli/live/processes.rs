//! The machine's processes, read once, and which of them are a job's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::cgroups::ROOT;

/// A process of the machine.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Process {
    pub(in crate::cli) pid: i32,
    pub(in crate::cli) parent: i32,
    /// Real user.
    pub(in crate::cli) uid: u32,
    /// Its name, as it is.
    pub(in crate::cli) name: String,
    /// Its number in its own PID namespace.
    inner: i32,
    /// How many PID namespaces it is in, as seen from here.
    depth: usize,
    /// Resident memory.
    resident_kib: u64,
    /// Its start in ticks since the machine's.
    start: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let first = |name: &str| field(name)?.split_ascii_whitespace().next().map(str::to_owned);
        if matches!(first("State")?.as_str(), "Z" | "X") {
            return None;
        }
        let inner: Vec<i32> =
            field("NSpid")?.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
        // A name may have anything in it, also brackets: what follows the last one is numbers.
        let (head, rest) = stat.rsplit_once(')')?;
        Some(Self {
            pid,
            parent: first("PPid")?.parse().ok()?,
            uid: first("Uid")?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
            inner: inner.last().copied()?,
            depth: inner.len(),
            resident_kib: first("VmRSS").and_then(|kib| kib.parse().ok()).unwrap_or(0),
            start: rest.split_ascii_whitespace().nth(19)?.parse().ok()?,
        })
    }

    /// Seconds since it began.
    pub(in crate::cli) fn age(&self) -> Option<u64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: u64 = uptime.split('.').next()?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second();
        Some(uptime.saturating_sub(self.start / ticks.max(1)))
    }
}

/// All processes, by number.
#[derive(Debug)]
pub(in crate::cli) struct Processes(BTreeMap<i32, Process>);

impl Processes {
    /// Reads them.
    pub(in crate::cli) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten();
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Self(numbers.filter_map(|pid| Some((pid, Process::read(pid)?))).collect())
    }

    /// One of them.
    pub(in crate::cli) fn get(&self, pid: i32) -> Option<&Process> {
        self.0.get(&pid)
    }

    /// Those whose parent it is, the oldest first.
    pub(in crate::cli) fn children(&self, pid: i32) -> Vec<&Process> {
        let mut children: Vec<_> = self.0.values().filter(|child| child.parent == pid).collect();
        children.sort_by_key(|child| (child.start, child.pid));
        children
    }

    /// The processes of the job of a supervisor, its main process first; `None` if the number is no supervisor's, which has
    /// a launcher with its own name and hardly another child.
    pub(super) fn cell(&self, supervisor: i32) -> Option<Vec<i32>> {
        let own = self.get(supervisor)?;
        let launcher = *self.children(supervisor).iter().find(|child| child.name == own.name)?;
        let ours = |process: &&Process| process.name == own.name;
        let children = self.children(launcher.pid);
        let init = children
            .iter()
            .copied()
            .find(|child| ours(child) && child.inner == 1 && child.depth > launcher.depth);
        let mut found = Vec::new();
        match init {
            Some(init) => self.below(init.pid, &mut found),
            // Without one, the job is a child of the launcher, or of its helper.
            None => {
                for child in children {
                    if !ours(&child) {
                        found.push(child.pid);
                    }
                    self.below(child.pid, &mut found);
                }
            }
        }
        Some(found)
    }

    fn below(&self, pid: i32, found: &mut Vec<i32>) {
        for child in self.children(pid) {
            // Numbers that were read one after the other may make a ring.
            if !found.contains(&child.pid) {
                found.push(child.pid);
                self.below(child.pid, found);
            }
        }
    }

    /// Memory of some, in bytes; what they share counts for each.
    pub(super) fn resident(&self, pids: &[i32]) -> u64 {
        pids.iter()
            .filter_map(|pid| self.get(*pid))
            .map(|process| process.resident_kib * 1024)
            .sum()
    }
}

/// The cgroup v2 of a process as a directory.
pub(super) fn cgroup(pid: i32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let directory = Path::new(ROOT).join(path);
    // One that isn't below ours is shown with dots.
    let inside = !path.is_empty() && !path.contains("..");
    (inside && directory.join("cgroup.procs").exists()).then_some(directory)
}

/// A number in a file of a cgroup; `max` is none.
pub(super) fn limit(cgroup: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(cgroup.join(file)).ok()?.trim().parse().ok()
}
