//! The job's processes, found by walking the tree below init, which adopts every orphan: to look at
//! them, to stop them, and to kill them where no PID namespace does it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::failure::{Context, Failure, Step};
use crate::report::Sample;
use crate::sys::process;

/// How often the tree is walked before giving up on processes that fork faster than they are killed.
const ROUNDS: usize = 1000;

/// Sends a signal to everything below a process, not to the process itself. Processes that are made
/// meanwhile are found by walking again until there is nobody new.
pub(crate) fn signal(root: Pid, signal: Signal) -> Result<(), Failure> {
    let mut told = BTreeSet::new();
    for _ in 0..ROUNDS {
        let members = below(root.as_raw()).at(Step::Watch, "the job's processes")?;
        let mut fresh = false;
        for (member, parent) in members {
            if told.insert(member) {
                fresh = true;
                signal_one(member, parent, signal);
            }
        }
        if !fresh {
            return Ok(());
        }
    }
    Err(Failure::host(Step::Watch, "the job makes processes faster than they can be signalled"))
}

/// What everything below a process uses; its own children that have ended count, itself doesn't.
pub(crate) fn sample(root: Pid) -> Sample {
    let mut sample = Sample::default();
    let mut ticks = (0, 0);
    if let Some(stat) = Stat::of(root.as_raw()) {
        ticks = stat.buried;
    }
    let (reads, writes) = blocks(root.as_raw());
    (sample.read_bytes, sample.written_bytes) = (reads, writes);
    for (member, _) in below(root.as_raw()).unwrap_or_default() {
        let (reads, writes) = blocks(member);
        sample.read_bytes += reads;
        sample.written_bytes += writes;
        let Some(stat) = Stat::of(member) else { continue };
        sample.processes += 1;
        ticks.0 += stat.own.0 + stat.buried.0;
        ticks.1 += stat.own.1 + stat.buried.1;
        sample.resident_kib += stat.resident_kib;
        sample.image_kib += stat.image_kib;
    }
    // The kernel shows times in ticks of a hundredth of a second on every machine (USER_HZ).
    let time = |ticks: u64| Duration::from_millis(ticks * 10);
    (sample.user, sample.system) = (time(ticks.0), time(ticks.1));
    sample
}

/// Bytes that a process, and its children that were waited for, moved from and to disks. Only root
/// may ask for those of other accounts; whose can't be known count as nothing.
fn blocks(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
    };
    (value("read_bytes:"), value("write_bytes:"))
}

/// What /proc/PID/stat says, times in ticks.
struct Stat {
    own: (u64, u64),
    /// Of the children that were waited for.
    buried: (u64, u64),
    image_kib: u64,
    resident_kib: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // Numbers as in proc_pid_stat(5), of which the first three are in front of the name's end.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            own: (field(14)?, field(15)?),
            buried: (field(16)?, field(17)?),
            image_kib: field(23)? / 1024,
            resident_kib: field(24)? * process::page_kib(),
        })
    }
}

/// Kills the children of this process until there are none; orphans of those become its children, if
/// it adopts them. Comes back only then: who gave up would let go of what runs still.
///
/// Processes that make the next one and end are too quick to be named, but not for their group: it
/// lives on in those that this process has not buried yet, so that its number is still theirs, and no
/// process is made while its group is killed.
pub(crate) fn kill_children() {
    let own = nix::unistd::getpid();
    let own_group = nix::unistd::getpgrp();
    loop {
        for child in children(own.as_raw()).unwrap_or_default() {
            let child = Pid::from_raw(child);
            // One that has just ended is buried below.
            let _ = nix::sys::signal::kill(child, nix::sys::signal::SIGKILL);
            if let Ok(group) = nix::unistd::getpgid(Some(child))
                && group != own_group
                && group.as_raw() > 1
            {
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::SIGKILL);
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The descriptor is opened first and the parent checked after it, so that a number that was reused
/// in between never names a stranger.
fn signal_one(member: i32, parent: i32, signal: Signal) {
    let Some(pid) = rustix::process::Pid::from_raw(member) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let pidfd: OwnedFd = pidfd;
    if parent_of(member) == Some(parent) {
        // A process that is gone by now is what was wanted.
        let _ = pidfd_send_signal(pidfd, signal);
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted from its end.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Processes below a process that are not dead yet, each with its parent.
fn below(root: i32) -> io::Result<Vec<(i32, i32)>> {
    let mut found = Vec::new();
    let mut queue = vec![root];
    while let Some(parent) = queue.pop() {
        for child in children(parent)? {
            queue.push(child);
            if !is_zombie(child) {
                found.push((child, parent));
            }
        }
    }
    Ok(found)
}

fn children(parent: i32) -> io::Result<Vec<i32>> {
    let tasks = match fs::read_dir(format!("/proc/{parent}/task")) {
        Ok(tasks) => tasks,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut list = Vec::new();
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        list.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(list)
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}
