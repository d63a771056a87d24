//! Breaking out of a view of the file system, and living without user namespaces.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, Gid, Uid, fork, setgroups, setresgid, setresuid};

/// With the rights of a user namespace of its own: takes every mount in `covers` (a list between
/// colons) away and climbs out of every root, and looks for the path `wanted` after each attempt.
pub(crate) fn break_out(covers: &str, wanted: &str) {
    report("at first", wanted);
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        println!("namespaces: {error}");
        return;
    }
    println!("namespaces: made");
    std::fs::write("/proc/self/setgroups", "deny").unwrap();
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
    let none: Option<&str> = None;
    for cover in covers.split(':') {
        let taken = umount2(cover, MntFlags::MNT_DETACH);
        println!("umount {cover}: {}", taken.map_or_else(|e| e.to_string(), |()| "done".into()));
        report("umount", wanted);
        // A copy of what is around the cover, without it.
        let above = Path::new(cover).parent().unwrap_or_else(|| Path::new("/"));
        let copied = mount(Some(above), "/proc", none, MsFlags::MS_BIND, none);
        println!(
            "copy {}: {}",
            above.display(),
            copied.map_or_else(|e| e.to_string(), |()| "done".into())
        );
        let inside = Path::new("/proc")
            .join(Path::new(wanted).strip_prefix(above).unwrap_or_else(|_| Path::new("x")));
        report("copy", inside.to_str().unwrap());
        let _ = umount2("/proc", MntFlags::MNT_DETACH);
    }
    climb();
    report("climb", wanted);
    report("climb", wanted.trim_start_matches('/'));
}

/// The classic: with a root below the working directory, `..` has no end to stop at.
fn climb() {
    let Ok(here) = std::fs::File::open(".") else { return };
    let here = OwnedFd::from(here);
    let below = std::env::var("_CONDOR_SCRATCH_DIR").unwrap() + "/tmp";
    if let Err(error) = nix::unistd::chroot(below.as_str()) {
        println!("chroot {below}: {error}");
        return;
    }
    nix::unistd::fchdir(&here).unwrap();
    for _ in 0..100 {
        nix::unistd::chdir("..").unwrap();
    }
    nix::unistd::chroot(".").unwrap();
}

fn report(after: &str, wanted: &str) {
    if std::fs::symlink_metadata(wanted).is_ok() {
        println!("FOUND {wanted} after: {after}");
    }
}

/// Runs a program as an account in a user namespace in which no further one can be made. The account
/// keeps its number. Must be called by root.
pub(crate) fn without_user_namespaces(uid: u32, program: &str, arguments: &[&str]) -> ExitCode {
    let (told, tell) = nix::unistd::pipe().unwrap();
    let (mapped, map) = nix::unistd::pipe().unwrap();
    // SAFETY: this program has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            drop((tell, mapped));
            nix::unistd::read(&told, &mut [0]).unwrap();
            for file in ["uid_map", "gid_map"] {
                std::fs::write(format!("/proc/{child}/{file}"), "0 0 4294967295").unwrap();
            }
            nix::unistd::write(&map, b"x").unwrap();
            let status = nix::sys::wait::waitpid(child, None).unwrap();
            match status {
                nix::sys::wait::WaitStatus::Exited(_, code) => {
                    ExitCode::from(u8::try_from(code).unwrap())
                }
                other => panic!("{other:?}"),
            }
        }
        ForkResult::Child => {
            unshare(CloneFlags::CLONE_NEWUSER).unwrap();
            nix::unistd::write(&tell, b"x").unwrap();
            nix::unistd::read(&mapped, &mut [0]).unwrap();
            std::fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
            drop((told, tell, mapped, map));
            setgroups(&[]).unwrap();
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
            setresgid(gid, gid, gid).unwrap();
            setresuid(uid, uid, uid).unwrap();
            panic!("{}", Command::new(program).args(arguments).exec());
        }
    }
}
