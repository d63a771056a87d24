//! A mount namespace in which a test can harm nothing.
//!
//! The starter under test is root, mounts whole trees and removes whole trees, and may do either
//! wrongly: that is what the tests are there to find. So the real machine's files are read-only here,
//! for the test and for whatever it starts, and there is room to write in memory only.

use std::cell::Cell;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::programs;

/// Where a test's own files are. The standard for file systems has this directory everywhere, and
/// nothing uses it.
pub(crate) const ROOM: &str = "/var/opt";

/// Directories of the machine that programs expect to be able to write to; empty here.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The machine's cgroups.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";

/// Whether the machine is a guest of tests/vm, whose cgroups are there for tests.
pub(crate) fn in_guest() -> bool {
    std::env::var_os("CLOISTER_GUEST").is_some_and(|value| value == "1")
}

const NONE: Option<&str> = None;

thread_local! {
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Takes this thread, and what it starts, into such a namespace; says what right is missing.
pub(crate) fn enter() -> Result<(), String> {
    if ENTERED.get() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("needs root, to make accounts and namespaces".into());
    }
    let starter = programs::starter_to_test();
    let hostile = programs::built("hostile");
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| format!("needs mount namespaces: {e}"))?;
    change("/", MsFlags::MS_PRIVATE).map_err(|e| format!("needs the right to mount: {e}"))?;
    new(ROOM, "mode=0755").map_err(|e| format!("needs {ROOM}, to mount there: {e}"))?;
    for (program, name) in [(starter, programs::STARTER), (hostile, programs::HOSTILE)] {
        fs::write(name, "").unwrap();
        mount(Some(&program), name, NONE, MsFlags::MS_BIND, NONE).unwrap();
    }
    for dir in SCRATCH {
        new(dir, "mode=1777").unwrap();
    }
    read_only("/", true).map_err(|e| format!("needs Linux 5.12, to protect the machine: {e}"))?;
    for dir in SCRATCH.into_iter().chain([ROOM, "/proc"]) {
        read_only(dir, false).unwrap();
    }
    if in_guest() {
        read_only(CGROUPS, false).unwrap();
    }
    // As systemd has it: a mount that the starter let out would be seen here.
    change("/", MsFlags::MS_SHARED).unwrap();
    ENTERED.set(true);
    Ok(())
}

fn change(path: &str, kind: MsFlags) -> nix::Result<()> {
    mount(NONE, path, NONE, MsFlags::MS_REC | kind, NONE)
}

fn new(path: &str, options: &str) -> nix::Result<()> {
    mount(Some("test"), path, Some("tmpfs"), MsFlags::empty(), Some(options))
}

/// Makes all mounts from a path on read-only, or takes that back for the one at the path.
fn read_only(path: &str, all: bool) -> io::Result<()> {
    let (set, clear) =
        if all { (libc::MOUNT_ATTR_RDONLY, 0) } else { (0, libc::MOUNT_ATTR_RDONLY) };
    let attributes =
        libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let path = CString::new(path).unwrap();
    // SAFETY: the path is terminated and the attributes outlive the call, with their true size given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            if all { libc::AT_RECURSIVE } else { 0 },
            std::ptr::from_ref(&attributes),
            size_of_val(&attributes),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A new directory of a test's own, with a name that no other test has.
pub(crate) fn directory() -> PathBuf {
    let thread = nix::unistd::gettid();
    (0..)
        .map(|number| Path::new(ROOM).join(format!("test-{thread}-{number}")))
        .find(|path| fs::create_dir(path).is_ok())
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    /// By root, in every directory, and also by way of a copy of the whole tree.
    #[test]
    fn the_real_machine_can_not_be_written() {
        let Some(machine) = Machine::new() else { return };
        let copy = machine.path("copy");
        fs::create_dir(&copy).unwrap();
        mount(Some("/"), &copy, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE).unwrap();
        let top = fs::read_dir("/").unwrap().map(|entry| entry.unwrap().path());
        let dirs: Vec<_> = top.filter(|path| path.is_dir() && !path.ends_with("proc")).collect();
        assert!(dirs.iter().any(|dir| dir.ends_with("etc")));
        for dir in dirs {
            let outside = !SCRATCH.iter().any(|scratch| dir.starts_with(scratch));
            for place in [dir.clone(), copy.join(dir.strip_prefix("/").unwrap())] {
                let written = fs::write(place.join("cloister-test"), "x");
                let kind = written.map_err(|error| error.kind());
                let refused = matches!(
                    kind,
                    Err(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
                );
                assert_eq!(refused, outside, "{}: {kind:?}", place.display());
            }
        }
        assert!(fs::remove_file("/etc/hostname").is_err());
    }
}
