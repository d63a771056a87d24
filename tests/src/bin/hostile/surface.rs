//! The job against the machine: tries what needs no victim, and writes a line on each attempt.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use crate::attacker::{Found, say};

/// Families of sockets that libc has no name for here.
const VSOCK: libc::c_int = 40;
const CRYPTO: libc::c_int = 38;

/// Takes `name=value` words: foreign (a file of root's beside the sandboxes), top (where others listen),
/// homes; of what is left behind, its name: without one nothing is left, and what a process with rights
/// would do to the machine isn't tried.
pub(crate) fn main(facts: &[&str]) {
    let facts: HashMap<&str, &str> = facts.iter().filter_map(|fact| fact.split_once('=')).collect();
    let sandbox = PathBuf::from(std::env::var_os("_CONDOR_SCRATCH_DIR").unwrap());
    std::env::set_current_dir(&sandbox).unwrap();

    say("raw-socket", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP));
    say("packet-socket", socket(libc::AF_PACKET, libc::SOCK_RAW, 0));
    say("host-socket", socket(VSOCK, libc::SOCK_STREAM, 0));
    say("crypto-socket", socket(CRYPTO, libc::SOCK_SEQPACKET, 0));
    say("rare-socket", rare_sockets());
    say("watch-accesses", watch_accesses());
    say("kernel-log", kernel_log());
    say("hard-link", hard_link(Path::new(facts["foreign"])));
    say("ads", change_ads());
    say("set-uid", without_restriction(&sandbox));
    say("device", make_device());
    say("lease", lease());
    say("init", look_into_init());
    say("signal-init", signal_init());
    say("trace-init", trace_init());
    say("namespace-of-init", join_init());
    say("homes", homes(Path::new(facts["homes"])));
    say("sockets", sockets(Path::new(facts["top"])));
    say("priorities", by_account(libc::SYS_setpriority, 2));
    say("io-priorities", by_account(libc::SYS_ioprio_set, 3));
    let Some(name) = facts.get("name") else { return };
    say("kernel-symbols", kernel_symbols());
    say("kernel-memory", kernel_memory());
    say("cgroup", first("/sys/fs/cgroup", 3, writable));
    say("kernel-settings", first("/proc/sys", 8, settings));
    say("kernel-objects", first("/sys", 4, writable));
    leave_behind(name);
}

fn answer(number: libc::c_long) -> Found {
    if number < 0 { Err(io::Error::last_os_error().to_string()) } else { Ok("done".into()) }
}

fn io(result: io::Result<()>) -> Found {
    result.map(|()| "done".into()).map_err(|error| error.to_string())
}

fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> Found {
    // SAFETY: socket takes numbers only; the descriptor goes with this process.
    answer(unsafe { libc::socket(family, kind, protocol) }.into())
}

/// Of any family but the usual ones.
fn rare_sockets() -> Found {
    let usual = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET];
    let families = (3..64).filter(|family| !usual.contains(family));
    let found = families
        .flat_map(|family| kinds.map(|kind| (family, kind)))
        .find(|(family, kind)| socket(*family, *kind, 0).is_ok());
    found.map(|(family, _)| format!("family {family}")).ok_or_else(|| "none".into())
}

/// What others open: a listener for a whole file system, which needs no rights if it names no paths.
fn watch_accesses() -> Found {
    const NO_PATHS: libc::c_int = 0x200;
    // SAFETY: fanotify_init takes numbers only.
    answer(unsafe { libc::syscall(libc::SYS_fanotify_init, NO_PATHS, 0) })
}

fn kernel_log() -> Found {
    let mut text = vec![0_u8; 4096];
    // SAFETY: the buffer is as long as it is said to be.
    answer(unsafe { libc::syscall(libc::SYS_syslog, 3, text.as_mut_ptr(), 4096) })
}

fn kernel_symbols() -> Found {
    let text = fs::read_to_string("/proc/kallsyms").map_err(|error| error.to_string())?;
    let known = |line: &&str| !line.starts_with("0000000000000000 ");
    text.lines().find(known).map(str::to_owned).ok_or_else(|| "no addresses".into())
}

fn hard_link(foreign: &Path) -> Found {
    io(fs::hard_link(foreign, "linked"))
}

/// Writes to what the starter says about the job and the machine, or puts something in its place.
fn change_ads() -> Found {
    for name in [".job.ad", ".machine.ad"] {
        if !Path::new(name).exists() {
            return Err(format!("there is no {name}"));
        }
        let aside = format!("{name}~");
        let changed = OpenOptions::new().append(true).open(name).is_ok()
            || fs::rename(name, &aside).is_ok()
            || fs::remove_file(name).is_ok()
            || fs::set_permissions(name, Permissions::from_mode(0o666)).is_ok();
        if changed {
            return Ok(name.to_owned());
        }
    }
    Err("as they are".into())
}

/// A writable place whose mount lets set-uid programs or devices work.
fn without_restriction(sandbox: &Path) -> Found {
    let places = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = places.into_iter().chain(home).chain([sandbox.to_path_buf()]);
    let open = |place: &PathBuf| {
        let flags = statvfs(place).map_or(FsFlags::empty(), |stat| stat.flags());
        place.is_dir() && !flags.contains(FsFlags::ST_NOSUID | FsFlags::ST_NODEV)
    };
    places.into_iter().find(open).map(|p| p.display().to_string()).ok_or_else(|| "none".into())
}

fn make_device() -> Found {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let made = mknod("device", SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5));
    made.map(|()| "made".into()).map_err(|error| error.to_string())
}

/// Has whoever opens a program of the machine for writing wait.
fn lease() -> Found {
    let file = File::open("/bin/sh").unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    // SAFETY: the command takes a number.
    answer(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) }.into())
}

fn look_into_init() -> Found {
    if std::process::id() == 1 {
        return Err("this is it".into());
    }
    let look = |name: &&str| match *name {
        "fd" | "root/" | "cwd/" => fs::read_dir(format!("/proc/1/{name}")).is_ok(),
        "exe" => OpenOptions::new().append(true).open("/proc/1/exe").is_ok(),
        name => fs::read(format!("/proc/1/{name}")).is_ok_and(|text| !text.is_empty()),
    };
    let names = ["fd", "root/", "cwd/", "exe", "environ", "maps", "auxv", "stack"];
    names.iter().find(|name| look(name)).map(|n| (*n).to_owned()).ok_or_else(|| "nothing".into())
}

fn signal_init() -> Found {
    if std::process::id() == 1 {
        return Err("this is it".into());
    }
    // SAFETY: kill takes numbers only; signal 0 only asks.
    answer(unsafe { libc::kill(1, 0) }.into())
}

fn trace_init() -> Found {
    const SEIZE: libc::c_int = 0x4206;
    // SAFETY: with SEIZE the last two arguments are numbers.
    answer(unsafe { libc::syscall(libc::SYS_ptrace, SEIZE, 1, 0, 0) })
}

fn join_init() -> Found {
    let kinds = ["mnt", "pid", "ipc", "uts", "net"];
    let join = |kind: &&str| {
        File::open(format!("/proc/1/ns/{kind}"))
            .is_ok_and(|file| nix::sched::setns(file, nix::sched::CloneFlags::empty()).is_ok())
    };
    kinds.iter().find(|kind| join(kind)).map(|k| (*k).to_owned()).ok_or_else(|| "none".into())
}

fn writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

/// A file that takes what it has already.
fn settings(path: &Path) -> bool {
    let Ok(now) = fs::read(path) else { return false };
    path.is_file() && !now.is_empty() && fs::write(path, now).is_ok()
}

/// The first path below a directory that an attempt works on.
fn first(top: &str, depth: usize, attempt: impl Fn(&Path) -> bool) -> Found {
    let mut found = None;
    walk(Path::new(top), depth, &mut |path| {
        if found.is_none() && attempt(path) {
            found = Some(path.display().to_string());
        }
    });
    found.ok_or_else(|| "none".into())
}

/// Visits what is below a directory on whatever file system; links are not followed.
fn walk(dir: &Path, depth: usize, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            continue;
        }
        visit(&path);
        if kind.is_dir() && depth > 1 {
            walk(&path, depth - 1, visit);
        }
    }
}

fn kernel_memory() -> Found {
    let files =
        ["/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore", "/proc/kpageflags", "/dev/kmsg"];
    let open = |path: &&str| OpenOptions::new().read(true).open(path).is_ok();
    files.iter().find(|path| open(path)).map(|p| (*p).to_owned()).ok_or_else(|| "none".into())
}

/// The homes of others.
fn homes(top: &Path) -> Found {
    let own = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let homes = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut others = homes.filter(|home| !own.starts_with(home));
    others
        .find(|home| fs::read_dir(home).is_ok())
        .map(|home| home.display().to_string())
        .ok_or_else(|| "none".into())
}

/// Somebody who listens in the file system, or reads from a FIFO.
fn sockets(top: &Path) -> Found {
    let mut found = None;
    walk(top, 6, &mut |path| {
        let Ok(kind) = fs::symlink_metadata(path).map(|meta| meta.file_type()) else { return };
        let writes = || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
        let reached = kind.is_socket() && UnixStream::connect(path).is_ok()
            || kind.is_fifo() && writes().is_ok();
        if reached {
            found = Some(path.display().to_string());
        }
    });
    found.ok_or_else(|| "none".into())
}

/// A priority for all processes of the account, as one that this process may ask for.
fn by_account(call: libc::c_long, which: libc::c_int) -> Found {
    let uid = nix::unistd::getuid().as_raw();
    let value = if call == libc::SYS_setpriority { 1 } else { 3 << 13 };
    // SAFETY: both calls take numbers only.
    answer(unsafe { libc::syscall(call, which, uid, value) })
}

/// Puts a file wherever one can be put, and says where.
fn leave_behind(name: &str) {
    let seen = |path: &Path| ["/proc", "/sys"].iter().any(|top| path.starts_with(top));
    let mut count = 0;
    let mut visit = |path: &Path| {
        let directory = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        if directory && !seen(path) && fs::write(path.join(name), "left").is_ok() {
            println!("left {}", path.display());
            count += 1;
        }
    };
    walk(Path::new("/"), 7, &mut visit);
    println!("left-behind {count}");
}
