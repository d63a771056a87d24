//! A job's cell in sections of lines, for the tree and for the picture.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Live, Processes, printable};
use crate::cli::who::{age, bytes};
use crate::knobs::Knobs;
use crate::knobs::types::Home;

/// A section: a title, and lines with their depth.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Section {
    pub(in crate::cli) title: &'static str,
    pub(in crate::cli) lines: Vec<(usize, String)>,
}

/// No section is longer, whatever a job does.
const MOST: usize = 200;

/// What there is to say of a job.
pub(in crate::cli) fn sections(job: &Live, knobs: &Knobs, processes: &Processes) -> Vec<Section> {
    let Some(main) = job.pid else {
        let lines = vec![(0, "no process of the job: its files are being moved".to_owned())];
        return vec![Section { title: "processes", lines }];
    };
    let flat = |lines: Vec<String>| lines.into_iter().map(|line| (0, line)).collect();
    let mut sections = vec![
        Section { title: "account", lines: flat(rights(main)) },
        Section { title: "namespaces", lines: flat(namespaces(main)) },
        Section { title: "limits", lines: flat(limits(job)) },
        Section { title: "mounts", lines: flat(mounts(main, job, knobs)) },
        Section { title: "processes", lines: tree(main, processes) },
    ];
    for section in &mut sections {
        let more = section.lines.len().saturating_sub(MOST);
        section.lines.truncate(MOST);
        if more > 0 {
            section.lines.push((0, format!("and {more} more")));
        }
    }
    sections
}

/// What the kernel says of the account and its rights.
fn rights(pid: i32) -> Vec<String> {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return vec!["it has ended".to_owned()];
    };
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|text| text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    };
    let first = |name: &str| field(name).split(' ').next().unwrap_or_default().to_owned();
    let uid = first("Uid");
    let name = uid.parse().map(super::account).unwrap_or_default();
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let none = sets.iter().all(|set| field(set).chars().all(|c| c == '0'));
    vec![
        format!("{name} (uid {uid}, gid {}, groups {})", first("Gid"), field("Groups")),
        format!(
            "capabilities: {}",
            if none {
                "none, in any set".to_owned()
            } else {
                format!("effective {}", field("CapEff"))
            }
        ),
        format!("no_new_privs: {}", if field("NoNewPrivs") == "1" { "yes" } else { "no" }),
        format!("filter of system calls: {}", if field("Seccomp") == "2" { "yes" } else { "no" }),
    ]
}

fn namespaces(pid: i32) -> Vec<String> {
    let link = |pid: &str, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
    let names = ["user", "mnt", "pid", "ipc", "uts", "cgroup", "net"];
    let (mut own, mut shared, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match (link(&pid.to_string(), name), link("self", name)) {
            (Some(theirs), Some(ours)) if theirs == ours => shared.push(name),
            (Some(_), Some(_)) => own.push(name),
            _ => unknown.push(name),
        }
    }
    let rows = [
        ("own", own),
        ("shared with the machine", shared),
        ("can't be told without root", unknown),
    ];
    rows.into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(" ")))
        .collect()
}

fn limits(job: &Live) -> Vec<String> {
    let Some(cgroup) = &job.cgroup else {
        return vec![
            format!("memory: {} in use, no limit (no cgroup)", bytes(job.memory)),
            format!("processes: {}", job.processes),
        ];
    };
    let read = |file: &str| {
        fs::read_to_string(cgroup.join(file)).map(|text| printable(text.trim())).unwrap_or_default()
    };
    let mut lines = vec![format!("cgroup: {}", printable(&cgroup.to_string_lossy()))];
    for (what, used, most) in
        [("memory", "memory.current", "memory.max"), ("processes", "pids.current", "pids.max")]
    {
        if !read(most).is_empty() {
            lines.push(format!("{what}: {} of {}", read(used), read(most)));
        }
    }
    for file in ["memory.swap.max", "memory.high", "cpu.weight", "cpu.max", "io.weight"] {
        if !read(file).is_empty() {
            lines.push(format!("{file}: {}", read(file)));
        }
    }
    lines
}

/// Mounts that the machine hasn't, each with what it is there for.
fn mounts(pid: i32, job: &Live, knobs: &Knobs) -> Vec<String> {
    let Ok(own) = fs::read_to_string(format!("/proc/{pid}/mountinfo")) else {
        return vec!["can't be told without root".to_owned()];
    };
    let machines = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let machines: BTreeSet<Mount<'_>> = machines.lines().filter_map(Mount::read).collect();
    let home = job
        .account
        .as_deref()
        .and_then(|name| crate::host::accounts::user(name).ok()?)
        .map(|user| user.home);
    own.lines()
        .filter_map(Mount::read)
        .filter(|mount| !machines.contains(mount))
        .map(|mount| {
            let why = reason(Path::new(mount.place), job, knobs, home.as_deref());
            let what = if matches!(
                mount.kind,
                "tmpfs" | "proc" | "sysfs" | "devpts" | "cgroup2" | "overlay"
            ) && mount.root == "/"
            {
                format!("new {}", mount.kind)
            } else {
                mount.root.to_owned()
            };
            let line = format!("{} <- {what} ({}){why}", mount.place, mount.options);
            printable_line(&line)
        })
        .collect()
}

fn printable_line(line: &str) -> String {
    // Each part by itself, so that a long path doesn't push the reason out of sight.
    line.split(' ').map(printable).collect::<Vec<_>>().join(" ")
}

/// A line of mountinfo.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mount<'a> {
    pub(super) device: &'a str,
    pub(super) root: &'a str,
    pub(super) place: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let (head, tail) = line.split_once(" - ")?;
        let mut words = head.split(' ').skip(2);
        Some(Self {
            device: words.next()?,
            root: words.next()?,
            place: words.next()?,
            options: words.next()?,
            kind: tail.split(' ').next()?,
        })
    }
}

fn reason(place: &Path, job: &Live, knobs: &Knobs, home: Option<&Path>) -> String {
    let scratch = knobs.mount_under_scratch.as_deref().unwrap_or_default();
    let is_scratch =
        scratch.split([',', ' ', '"']).any(|word| Path::new(word) == place && !word.is_empty());
    let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let why = if place == Path::new("/") {
        match job.root.as_deref() {
            Some("machine") | None => "the machine's root",
            _ => "NAMED_CHROOT",
        }
    } else if matches!(name, ".job.ad" | ".machine.ad") && place.starts_with(&knobs.execute) {
        "the job can't change its ads"
    } else if place == knobs.execute {
        "only this job's sandbox is in it"
    } else if place == job.sandbox {
        "the sandbox"
    } else if is_scratch {
        "MOUNT_UNDER_SCRATCH"
    } else if place == Path::new("/dev/shm") {
        "MOUNT_PRIVATE_DEV_SHM"
    } else if place.starts_with("/dev") {
        "JOB_PRIVATE_DEV"
    } else if place == Path::new("/proc") {
        "USE_PID_NAMESPACES"
    } else if place.starts_with("/sys/fs/cgroup") {
        "the job's own cgroup"
    } else if place.starts_with("/sys") {
        "read-only"
    } else if knobs.hidden.iter().any(|path| path == place) {
        "JOB_HIDDEN_DIRECTORIES"
    } else if knobs.private_in_memory.iter().any(|path| path == place) {
        "JOB_MEMORY_DIRECTORIES"
    } else if home == Some(place) && knobs.job_home != Home::Machine {
        "JOB_HOME"
    } else {
        return String::new();
    };
    format!(" [{why}]")
}

/// The job's processes below each other. Only names: arguments are the owner's.
fn tree(main: i32, processes: &Processes) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut todo = vec![(0, main)];
    let mut seen = BTreeSet::new();
    // Siblings of the main process are processes whose parents have ended.
    let parent = processes.get(main).map_or(0, |main| main.parent);
    let siblings = processes.children(parent);
    todo.extend(siblings.iter().map(|process| (0, process.pid)).filter(|(_, pid)| *pid != main));
    todo.reverse();
    while let Some((depth, pid)) = todo.pop() {
        let Some(process) = processes.get(pid).filter(|_| seen.insert(pid)) else { continue };
        let old = process.age().map(age).unwrap_or_default();
        lines.push((depth, format!("{pid} {} {old}", printable(&process.name))));
        let children = processes.children(pid);
        todo.extend(children.iter().rev().map(|child| (depth + 1, child.pid)));
    }
    lines
}
