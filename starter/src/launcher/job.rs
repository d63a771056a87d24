//! The last steps of the job's own process, between the fork and the program.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::stdio::Files;
use super::view;
use crate::failure::{Context, Failure, Reason, Step, hold};
use crate::plan::{Limits, PidOne, Plan};
use crate::sys::{exec, keyring, privilege, process, scope, seccomp};

/// Becomes the job, whose parent has this number, as soon as there is a byte at the gate. Comes back
/// only with the reason why not.
pub(crate) fn start(plan: &Plan, files: &Files, parent: u32, gate: &OwnedFd) -> Failure {
    let prepared =
        prepare(plan, files, parent).and_then(|prepared| {
            match rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut [0_u8])) {
                Ok(1..) => Ok(prepared),
                Ok(0) => Err(Failure::host(Step::Exec, "the launcher is gone")),
                Err(error) => Err(error).at(Step::Exec, "the word to run"),
            }
        });
    match prepared {
        Ok((arguments, environment)) => run(plan, &arguments, &environment),
        Err(failure) => failure,
    }
}

type Strings = Vec<CString>;

fn prepare(plan: &Plan, files: &Files, parent: u32) -> Result<(Strings, Strings), Failure> {
    // A session of its own and no controlling terminal.
    nix::unistd::setsid().at(Step::Identity, "setsid")?;
    if let Some(most) = plan.limits.processes {
        most_processes(most)?;
    }
    view::protect_processes(plan)?;
    limits(&plan.limits)?;
    let [input, output, error] = &files.0;
    rustix::stdio::dup2_stdin(input).at(Step::Stdio, "standard input")?;
    rustix::stdio::dup2_stdout(output).at(Step::Stdio, "standard output")?;
    rustix::stdio::dup2_stderr(error).at(Step::Stdio, "standard error")?;
    process::close_on_exec_from(3).at(Step::Identity, "descriptors")?;
    become_account(plan, parent)?;
    working_directory(plan)?;
    process::reset_signals().at(Step::Identity, "signals")?;
    let mut arguments = vec![c_string(plan.program.path.as_os_str().as_bytes())?];
    for argument in &plan.program.arguments {
        arguments.push(c_string(argument)?);
    }
    let environment =
        plan.program.environment.iter().map(|v| c_string(v)).collect::<Result<_, _>>()?;
    Ok((arguments, environment))
}

fn c_string(bytes: &[u8]) -> Result<CString, Failure> {
    CString::new(bytes).map_err(|_| Failure::host(Step::Exec, "a string of the plan has a NUL"))
}

fn limits(limits: &Limits) -> Result<(), Failure> {
    rustix::process::umask(Mode::from_raw_mode(limits.umask));
    if limits.nice > 0 {
        let own = rustix::process::getpriority_process(None).at(Step::Limits, "niceness")?;
        rustix::process::setpriority_process(None, own + limits.nice)
            .at(Step::Limits, "niceness")?;
    }
    if !limits.cpus.is_empty() {
        let mut cpus = CpuSet::new();
        limits.cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| cpus.set(*cpu));
        match sched_setaffinity(None, &cpus) {
            // None of them is on this machine, or allowed: slots may be more than CPUs.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno).at(Step::Limits, "CPU affinity"),
        }
    }
    let limit = |resource, value: Option<u64>| {
        let value: rlim_t = value.unwrap_or(libc::RLIM_INFINITY);
        setrlimit(resource, value, value)
    };
    // A job may use as much stack as the machine allows.
    let (_, most) = getrlimit(Resource::RLIMIT_STACK).at(Step::Limits, "stack size")?;
    let stack = limits.stack.unwrap_or(libc::RLIM_INFINITY).min(most);
    setrlimit(Resource::RLIMIT_STACK, stack, most).at(Step::Limits, "stack size")?;
    // Without root a hard limit can only go down, so what is already lower stays. With 0 the kernel starts
    // the machine's own program for cores all the same, if it has one: as root, for what the job made, and
    // some keep it where others of the account can read it. With 1 it doesn't.
    if let Err(errno) = limit(Resource::RLIMIT_CORE, limits.core.map(|size| size.max(1)))
        && errno != nix::errno::Errno::EPERM
    {
        return Err(errno).at(Step::Limits, "core size");
    }
    if limits.address_space.is_some() {
        limit(Resource::RLIMIT_AS, limits.address_space).at(Step::Limits, "STARTER_RLIMIT_AS")?;
    }
    keyring_session()
}

/// Each PID namespace has a largest number of its own since Linux 6.14; before, this would be the
/// machine's. Numbers below the kernel's reserve are not given out again.
fn most_processes(most: u64) -> Result<(), Failure> {
    const RESERVED: u64 = 300;
    const MOST: u64 = 1 << 22;
    let number = most.saturating_add(RESERVED).min(MOST).to_string();
    // For who joins a job this was done.
    let known = std::fs::read_to_string("/proc/sys/kernel/pid_max");
    if known.is_ok_and(|known| known.trim() == number) {
        return Ok(());
    }
    std::fs::write("/proc/sys/kernel/pid_max", number)
        .at(Step::Limits, "the number of processes (kernel.pid_max of the PID namespace)")
}

/// A kernel without keyrings has nothing to share.
fn keyring_session() -> Result<(), Failure> {
    match keyring::new_session() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => {
            Err(error).at(Step::Identity, "session keyring")
        }
        _ => Ok(()),
    }
}

/// Ids for good, no capability left or to be had, killed with whoever started it.
fn become_account(plan: &Plan, parent: u32) -> Result<(), Failure> {
    privilege::no_new_privileges().at(Step::Identity, "no_new_privs")?;
    if rustix::process::geteuid().is_root() {
        privilege::become_for_good(&plan.account.ids)
            .at(Step::Identity, format!("becoming {}", plan.account.name))?;
    } else {
        // In a user namespace rights come with the namespace, not with an id.
        privilege::drop_capabilities().at(Step::Identity, "capabilities")?;
    }
    let root = rustix::process::getuid().is_root() || rustix::process::geteuid().is_root();
    if root {
        return Err(Failure::host(Step::Identity, "the job would run as root: refused"));
    }
    // Also where the plan doesn't say so: a lie of the supervisor's opens nothing.
    if plan.limits.scoped || scope::available() {
        scope::close().at(Step::Identity, "Landlock scopes")?;
    }
    seccomp::refuse(plan.calls).at(Step::Identity, "seccomp filter")?;
    process::die_with_parent().at(Step::Identity, "death signal")?;
    // Where a PID namespace ends with init, so does the job. Elsewhere a parent that died before the
    // request is noticed by its absence.
    let orphan = std::os::unix::process::parent_id() != parent;
    if plan.namespaces.pid == PidOne::Shared && orphan {
        return Err(Failure::host(Step::Identity, "init is gone"));
    }
    Ok(())
}

fn working_directory(plan: &Plan) -> Result<(), Failure> {
    let directory = &plan.program.directory;
    rustix::process::chdir(directory.as_path()).map_err(|errno| {
        let error = io::Error::from(errno);
        let code = hold::FAILED_TO_CREATE_PROCESS;
        Failure::job(
            Step::WorkingDirectory,
            code,
            errno.raw_os_error(),
            format!(
                "Cannot access initial working directory {}: {}",
                directory.display(),
                Reason(&error)
            ),
        )
    })
}

fn run(plan: &Plan, arguments: &[CString], environment: &[CString]) -> Failure {
    let Some(program) = arguments.first() else {
        return Failure::host(Step::Exec, "no program");
    };
    let error = exec::execve(program, arguments, environment);
    let number = error.raw_os_error().unwrap_or(0);
    let detail = match number {
        libc::ENOENT => interpreter(plan).map(|interpreter| {
            format!("invalid interpreter ({interpreter}) specified on first line of script ")
        }),
        libc::EACCES if plan.program.path.is_dir() => Some("it is a directory ".to_owned()),
        _ => None,
    };
    let mut message = format!("Failed to execute '{}'", plan.program.path.display());
    if !plan.program.arguments.is_empty() {
        message.push_str(" with arguments");
        for argument in &plan.program.arguments {
            message.push(' ');
            message.push_str(&String::from_utf8_lossy(argument));
        }
        message = message.chars().take(1024).collect();
    }
    message.push_str(&format!(": {}{}", detail.unwrap_or_default(), Reason(&error)));
    Failure::job(Step::Exec, hold::FAILED_TO_CREATE_PROCESS, number, message)
}

/// The interpreter that a script names, if the program is one. Read with the job's rights.
fn interpreter(plan: &Plan) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(CWD, plan.program.path.as_path(), flags, Mode::empty()).ok()?;
    let mut start = Vec::new();
    File::from(file).take(256).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    Some(line.split_ascii_whitespace().next()?.to_owned())
}

/// Tells the launcher why the job could not be started.
pub(crate) fn confess(pipe: impl AsFd, failure: &Failure) {
    if let (Ok(bytes), Ok(fd)) = (postcard::to_stdvec(failure), pipe.as_fd().try_clone_to_owned()) {
        // If nobody listens any more there is nobody left to tell.
        let _ = File::from(fd).write_all(&bytes);
    }
}
