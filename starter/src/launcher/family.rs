//! Killing a job's processes where it has no PID namespace: by walking the tree below init, which
//! adopts every orphan.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::failure::{Context, Failure, Step};

/// How often the tree is walked before giving up on processes that fork faster than they are killed.
const ROUNDS: usize = 1000;

/// Kills everything below a process, not the process itself.
pub(crate) fn kill(root: Pid) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        // Those that have become the caller's own children are buried here.
        if root == nix::unistd::getpid() {
            bury();
        }
        let members = below(root.as_raw()).at(Step::Watch, "the job's processes")?;
        if members.is_empty() {
            return Ok(());
        }
        for (member, parent) in members {
            kill_one(member, parent);
        }
    }
    Err(Failure::host(Step::Watch, "the job makes processes faster than they can be killed"))
}

fn bury() {
    while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
        waitpid(None, Some(WaitPidFlag::WNOHANG))
    {}
}

/// The descriptor is opened first and the parent checked after it, so that a number that was reused
/// in between never names a stranger.
fn kill_one(member: i32, parent: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(member) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let pidfd: OwnedFd = pidfd;
    if parent_of(member) == Some(parent) {
        // A process that is gone by now is what was wanted.
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
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
