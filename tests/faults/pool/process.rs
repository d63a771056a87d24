//! The starter as a process: how it is started, and what it took.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloister_tests::Machine;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

/// Starts the starter, with signals blocked as a startd has them.
#[allow(clippy::zombie_processes, reason = "it is reaped by its number, to get its usage")]
pub(super) fn spawn(
    machine: &Machine,
    handed: &[(&'static str, String)],
    proxy: bool,
    debug: bool,
) -> (Pid, Option<Child>) {
    let second = "$(EXECUTE)/dir_$(PID)/scratch/.starter.log";
    let mut arguments = vec!["-f", "-a", "slot1_1", "127.0.0.1"];
    if debug {
        arguments.extend(["-a2", second]);
    }
    let mut command = if proxy {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "\"$@\" & echo $!; wait", "sh"]).arg(cloister_tests::starter());
        shell.args(&arguments).stdout(Stdio::piped());
        shell
    } else {
        let mut command = Command::new(cloister_tests::starter());
        command.arg0("condor_starter").args(&arguments).stdout(Stdio::null());
        command
    };
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut command = machine.with_config(command);
    command.envs(handed.iter().map(|(name, value)| (name, value)));
    let block = || -> io::Result<()> {
        let mut set = SigSet::all();
        for signal in [Signal::SIGILL, Signal::SIGABRT, Signal::SIGFPE, Signal::SIGSEGV] {
            set.remove(signal);
        }
        set.thread_set_mask()?;
        nix::unistd::setsid()?;
        Ok(())
    };
    // SAFETY: two system calls, nothing is allocated.
    unsafe { command.pre_exec(block) };
    let orphans: nix::Result<()> = nix::sys::prctl::set_child_subreaper(true);
    orphans.unwrap();
    let mut child = command.spawn().unwrap();
    if !proxy {
        return (Pid::from_raw(i32::try_from(child.id()).unwrap()), None);
    }
    let mut line = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    (Pid::from_raw(line.trim().parse().unwrap()), Some(child))
}

/// The end of a child, or of an orphan that has become one, with its processor time and that of its
/// children.
pub(super) fn reap(pid: Pid) -> Option<(i32, Duration)> {
    let mut status = 0;
    // SAFETY: all zeros are a value of this struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that outlive the call.
    let done = unsafe { libc::wait4(pid.as_raw(), &mut status, libc::WNOHANG, &mut usage) };
    if done != pid.as_raw() {
        return None;
    }
    let time = |time: libc::timeval| {
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_usec).unwrap() * 1000)
    };
    Some((status, time(usage.ru_utime) + time(usage.ru_stime)))
}
