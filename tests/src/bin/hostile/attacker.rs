//! The job that attacks: tries every way to its victim, and writes a line on each.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::victim::{MEMORY, key_of};
use crate::{confined, ipc, keys};

/// What the attacker was told about the victim: more than a real one could find out.
struct Victim {
    name: String,
    sandbox: String,
    address: usize,
    /// Its number on the machine, and whatever this process sees that looks like it.
    pids: Vec<i32>,
}

pub(crate) type Found = Result<String, String>;

/// Takes `name=value` words: name, pid, sandbox, execute, memory.
pub(crate) fn main(facts: &[&str]) {
    let facts: HashMap<&str, &str> = facts.iter().filter_map(|fact| fact.split_once('=')).collect();
    let execute = facts["execute"];
    let seen = looks_like_it();
    let mut pids = vec![facts["pid"].parse().unwrap()];
    pids.extend(&seen);
    let victim = Victim {
        name: facts["name"].to_owned(),
        sandbox: facts["sandbox"].to_owned(),
        address: facts["memory"].parse().unwrap(),
        pids,
    };
    let key = key_of(&victim.name);
    let file = |path: String| fs::read_to_string(path).map_err(|error| error.to_string());
    let ipc = |found: io::Result<String>| found.map_err(|error| error.to_string());

    say("list-execute", other_sandboxes(execute));
    say("read-sandbox", file(format!("{}/secret", victim.sandbox)));
    say("write-sandbox", plant(&victim.sandbox));
    for (probe, dir) in [("tmp", "/tmp"), ("var-tmp", "/var/tmp"), ("dev-shm", "/dev/shm")] {
        say(probe, file(format!("{dir}/{}", victim.name)));
    }

    say("see-process", seen.first().map(ToString::to_string).ok_or_else(|| "none".to_owned()));
    say("environment", victim.each(environment));
    say("directory-by-proc", victim.each(|pid| file(format!("/proc/{pid}/cwd/secret"))));
    say("root-by-proc", victim.each(|pid| file(format!("/proc/{pid}/root/tmp/{}", victim.name))));
    say("memory-file", victim.each(|pid| victim.memory_file(pid)));
    say("read-memory", victim.each(|pid| victim.read_memory(pid)));
    say("output-by-proc", victim.each(|pid| inject(&format!("/proc/{pid}/fd/1"))));
    say("take-descriptor", victim.each(take_descriptor));
    say("trace", victim.each(trace));
    say("signal", victim.each(send_signal));
    say("signal-everybody", signal_everybody());
    say("write-memory", victim.each(|pid| victim.write_memory(pid)));
    say("compare", victim.each(compare));
    say("limits", victim.each(change_limits));
    say("priority", victim.each(change_priority));
    say("processors", victim.each(change_processors));
    say("owner", victim.each(be_signalled_for));
    say("namespace", victim.each(join_namespace));

    say("any-segment", ipc(ipc::any_segment()));
    say("segment", ipc(ipc::segment(key)));
    say("semaphore", ipc(ipc::semaphore(key)));
    say("message", ipc(ipc::message(key)));
    say("queue-by-file", file_exists(&format!("/dev/mqueue/{}", victim.name)));
    say("queue", ipc(ipc::queue(&victim.name)));
    say("abstract-socket", ipc(listen_to(&victim.name)));
    say("datagram", ipc(send_datagram(&victim.name)));
    say("session-key", keys::read(keys::SESSION, &format!("{}-session", victim.name)));
    say("user-key", keys::read(keys::USER, &format!("{}-user", victim.name)));

    // Last, because it changes this process for good.
    println!("probe uncover tried");
    confined::break_out(&format!("{execute}:/tmp"), &format!("{}/secret", victim.sandbox));
}

/// `open` if the attempt brought what it should.
pub(crate) fn say(probe: &str, found: Found) {
    match found {
        Ok(what) => println!("probe {probe} open {}", what.replace('\n', " ")),
        Err(why) => println!("probe {probe} blocked {}", why.replace('\n', " ")),
    }
}

/// Processes whose command line is that of a victim.
fn looks_like_it() -> Vec<i32> {
    let Ok(list) = fs::read_dir("/proc") else { return Vec::new() };
    list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == b"victim")
        })
        .collect()
}

fn other_sandboxes(execute: &str) -> Found {
    let own = std::env::var("_CONDOR_SCRATCH_DIR").unwrap_or_default();
    let list = fs::read_dir(execute).map_err(|error| error.to_string())?;
    let others: Vec<String> = list
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !Path::new(&own).starts_with(path))
        .map(|path| path.display().to_string())
        .collect();
    if others.is_empty() { Err("none".into()) } else { Ok(others.join(" ")) }
}

fn plant(dir: &str) -> Found {
    let file = format!("{dir}/planted");
    fs::write(&file, "x").map(|()| file).map_err(|error| error.to_string())
}

fn environment(pid: i32) -> Found {
    let text = fs::read(format!("/proc/{pid}/environ")).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split('\0')
        .find_map(|variable| variable.strip_prefix("HIDDEN="))
        .map(str::to_owned)
        .ok_or_else(|| "no such variable".to_owned())
}

fn inject(path: &str) -> Found {
    let mut file = OpenOptions::new().append(true).open(path).map_err(|error| error.to_string())?;
    file.write_all(b"INJECTED\n").map_err(|error| error.to_string())?;
    Ok("written".into())
}

fn take_descriptor(pid: i32) -> Found {
    let pid = rustix::process::Pid::from_raw(pid).ok_or("no number")?;
    let taken = pidfd_open(pid, PidfdFlags::empty())
        .and_then(|pidfd| pidfd_getfd(pidfd.as_fd(), 1, PidfdGetfdFlags::empty()));
    taken.map(|_| "taken".into()).map_err(|error| error.to_string())
}

fn trace(pid: i32) -> Found {
    let pid = Pid::from_raw(pid);
    nix::sys::ptrace::attach(pid).map_err(|error| error.to_string())?;
    nix::sys::wait::waitpid(pid, None).map_err(|error| error.to_string())?;
    nix::sys::ptrace::detach(pid, None).map_err(|error| error.to_string())?;
    Ok("traced".into())
}

fn send_signal(pid: i32) -> Found {
    kill(Pid::from_raw(pid), Signal::SIGUSR2).map_err(|error| error.to_string())?;
    Ok("sent".into())
}

fn errno(answer: libc::c_long, what: &str) -> Found {
    if answer < 0 { Err(io::Error::last_os_error().to_string()) } else { Ok(what.into()) }
}

/// Whether memory is shared: needs the right to trace.
fn compare(pid: i32) -> Found {
    const VM: libc::c_int = 1;
    // SAFETY: kcmp takes numbers only.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, std::process::id(), pid, VM, 0, 0) };
    errno(answer, "compared")
}

/// To what it is already.
fn change_limits(pid: i32) -> Found {
    // SAFETY: all-zero is a valid rlimit; it outlives the calls.
    let answer = unsafe {
        let mut limit: libc::rlimit64 = std::mem::zeroed();
        let read = libc::prlimit64(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit);
        if read < 0 {
            read
        } else {
            libc::prlimit64(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
        }
    };
    errno(answer.into(), "changed")
}

fn change_priority(pid: i32) -> Found {
    // SAFETY: setpriority takes numbers only.
    let answer = unsafe { libc::setpriority(libc::PRIO_PROCESS, pid.cast_unsigned(), 1) };
    errno(answer.into(), "changed")
}

/// To those that this process has.
fn change_processors(pid: i32) -> Found {
    use nix::sched::{sched_getaffinity, sched_setaffinity};
    let own = sched_getaffinity(Pid::from_raw(0)).unwrap();
    sched_setaffinity(Pid::from_raw(pid), &own).map_err(|error| error.to_string())?;
    Ok("changed".into())
}

/// Has the kernel signal the victim when there is something to read.
fn be_signalled_for(pid: i32) -> Found {
    const SET_SIGNAL: libc::c_int = 10;
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&one);
    // SAFETY: these commands take numbers.
    let answer = unsafe {
        libc::fcntl(fd, SET_SIGNAL, libc::SIGUSR2);
        libc::fcntl(fd, libc::F_SETFL, libc::O_ASYNC);
        libc::fcntl(fd, libc::F_SETOWN, pid)
    };
    let found = errno(answer.into(), "owned");
    (&other).write_all(b"x").unwrap();
    found
}

/// Goes where the victim is. Without rights of its own no process could, cell or not.
fn join_namespace(pid: i32) -> Found {
    let number = rustix::process::Pid::from_raw(pid).ok_or("no number")?;
    let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(|error| error.to_string())?;
    for kind in ["mnt", "pid", "ipc", "net", "user"] {
        if let Ok(file) = fs::File::open(format!("/proc/{pid}/ns/{kind}"))
            && nix::sched::setns(&file, nix::sched::CloneFlags::empty()).is_ok()
        {
            return Ok(kind.into());
        }
    }
    nix::sched::setns(&pidfd, nix::sched::CloneFlags::CLONE_NEWIPC)
        .map(|()| "joined".into())
        .map_err(|error| error.to_string())
}

/// To every process that this one may signal. The victim counts; here only the call is seen.
fn signal_everybody() -> Found {
    // SAFETY: ignoring a signal runs no handler.
    unsafe { signal(Signal::SIGUSR1, SigHandler::SigIgn) }.unwrap();
    match kill(Pid::from_raw(-1), Signal::SIGUSR1) {
        Ok(()) if looks_like_it().is_empty() => Err("reached nobody known".into()),
        Ok(()) => Ok("sent".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// What is said on an abstract Unix socket.
fn listen_to(name: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// To an abstract Unix socket that takes whatever is sent.
fn send_datagram(name: &str) -> io::Result<String> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    let to = SocketAddr::from_abstract_name(format!("{name}-datagrams"))?;
    socket.send_to_addr(b"x", &to).map(|_| "sent".into())
}

fn file_exists(path: &str) -> Found {
    fs::metadata(path).map(|_| "is there".into()).map_err(|error| error.to_string())
}

impl Victim {
    /// The first success with any of the numbers, or the last reason.
    fn each(&self, attempt: impl Fn(i32) -> Found) -> Found {
        let mut last = Err("no process".into());
        for pid in
            self.pids.iter().filter(|pid| **pid != i32::try_from(std::process::id()).unwrap())
        {
            last = attempt(*pid);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn memory_file(&self, pid: i32) -> Found {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(format!("/proc/{pid}/mem"))?;
            file.seek(SeekFrom::Start(u64::try_from(self.address).unwrap()))?;
            let mut bytes = vec![0; MEMORY];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        secret(&read().map_err(|error| error.to_string())?)
    }

    fn remote(&self) -> [RemoteIoVec; 1] {
        [RemoteIoVec { base: self.address, len: MEMORY }]
    }

    fn read_memory(&self, pid: i32) -> Found {
        let mut bytes = [0; MEMORY];
        let mut local = [IoSliceMut::new(&mut bytes)];
        process_vm_readv(Pid::from_raw(pid), &mut local, &self.remote())
            .map_err(|error| error.to_string())?;
        secret(&bytes)
    }

    fn write_memory(&self, pid: i32) -> Found {
        let bytes = [b'x'; MEMORY];
        process_vm_writev(Pid::from_raw(pid), &[IoSlice::new(&bytes)], &self.remote())
            .map_err(|error| error.to_string())?;
        Ok("written".into())
    }
}

fn secret(bytes: &[u8]) -> Found {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if text.starts_with("SECRET-") { Ok(text) } else { Err("something else is there".into()) }
}
