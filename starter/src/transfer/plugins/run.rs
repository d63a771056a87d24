//! Programs with a deadline, an end to what they say, and nothing left of them afterwards.
//!
//! Called in a process that has the account of the programs and does nothing else meanwhile.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, openat, unlinkat,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::launcher::kill_children;
use crate::sys::clone::{self, Child, Side};
use crate::sys::{exec, process};

/// Of what a program says, so many bytes at the end are kept.
const MAX_SAID: usize = 1 << 20;
/// The largest file of results that is read.
const MAX_RESULTS: u64 = 16 << 20;
/// Longest that processes which were killed are waited for.
const BURIAL: Duration = Duration::from_secs(5);

/// A program and how it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// An absolute path.
    pub(crate) program: PathBuf,
    /// Arguments after the program's own name.
    pub(crate) arguments: Vec<String>,
    /// Variables, in place of others of the same name that this process has.
    pub(crate) variables: Vec<(String, String)>,
    /// Whether standard error is heard, too.
    pub(crate) hears_errors: bool,
}

/// A program to be run, with the files that it gets and leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The program.
    pub(crate) start: Start,
    /// A file that is made for it: name in the working directory, content.
    pub(crate) input: Option<(String, Vec<u8>)>,
    /// One that it is to write: its name.
    pub(crate) output: Option<String>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It was killed when its time was over.
    TimedOut,
    /// It didn't begin; the errno.
    NotExecuted(i32),
}

/// What became of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) end: End,
    /// The end of what it said.
    pub(crate) said: Vec<u8>,
    /// How much it said in all.
    pub(crate) bytes: u64,
    /// Seconds that it took.
    pub(crate) seconds: u64,
    /// What it wrote to its file; `None` if it can't be read.
    pub(crate) results: Option<Vec<u8>>,
}

/// Runs programs at the same time in a directory. What isn't over after `patience` is killed, and so
/// is in the end whatever they have left running. `until`: nobody is interested any more when this is
/// closed at its other end.
pub(crate) fn run_all(
    calls: &[Call],
    dir: BorrowedFd<'_>,
    patience: Duration,
    until: Option<BorrowedFd<'_>>,
) -> Vec<Ran> {
    let begun = Instant::now();
    let mut running: Vec<Running> = calls.iter().map(|call| Running::start(call, dir)).collect();
    while running.iter().any(Running::is_going) {
        let left = patience.saturating_sub(begun.elapsed());
        let deserted = wait(&running, left, until);
        for one in &mut running {
            one.step(begun);
        }
        if left.is_zero() || deserted {
            for one in running.iter_mut().filter(|one| one.is_going()) {
                one.give_up(begun);
            }
        }
    }
    sweep();
    running.into_iter().zip(calls).map(|(one, call)| one.finish(call, dir)).collect()
}

/// Waits for something to happen; whether nobody is interested any more.
fn wait(running: &[Running], left: Duration, until: Option<BorrowedFd<'_>>) -> bool {
    let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds: Vec<PollFd<'_>> =
        until.into_iter().map(|fd| PollFd::new(fd, PollFlags::empty())).collect();
    for one in running {
        fds.extend(one.child.iter().map(|child| source(child.pidfd.as_fd())));
        fds.extend(
            one.voice.iter().filter(|_| one.child.is_some()).map(|pipe| source(pipe.as_fd())),
        );
    }
    // Rounded up, so that the last round doesn't spin.
    let timeout =
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    let _ = poll(&mut fds, timeout);
    until.is_some()
        && fds
            .first()
            .and_then(PollFd::revents)
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Ends everything that is left below this process: where it is the first of a PID namespace, all
/// others in there.
fn sweep() {
    if std::process::id() != 1 {
        return kill_children();
    }
    let deadline = Instant::now() + BURIAL;
    let _ = nix::sys::signal::kill(Pid::from_raw(-1), nix::sys::signal::SIGKILL);
    while Instant::now() < deadline {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_micros(500)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

struct Running {
    /// Until it has ended.
    child: Option<Child>,
    /// What it says, until that has an end.
    voice: Option<File>,
    /// An errno comes out of it if the program could not be executed.
    why: Option<File>,
    said: Vec<u8>,
    bytes: u64,
    seconds: u64,
    end: End,
}

impl Running {
    fn start(call: &Call, dir: BorrowedFd<'_>) -> Self {
        let mut one = Self {
            child: None,
            voice: None,
            why: None,
            said: Vec::new(),
            bytes: 0,
            seconds: 0,
            end: End::TimedOut,
        };
        if let Err(error) = one.begin(call, dir) {
            one.end = End::NotExecuted(error.raw_os_error().unwrap_or(libc::EIO));
        }
        one
    }

    fn begin(&mut self, call: &Call, dir: BorrowedFd<'_>) -> io::Result<()> {
        let strings = Strings::of(&call.start)?;
        if let Some((name, content)) = &call.input {
            fresh(dir, name)?.write_all(content)?;
        }
        if let Some(name) = &call.output {
            fresh(dir, name)?;
        }
        let (voice, speak) = pipe_with(PipeFlags::CLOEXEC)?;
        let (why, confess) = pipe_with(PipeFlags::CLOEXEC)?;
        for end in [&voice, &why] {
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        match clone::fork(CloneFlags::empty())? {
            Side::Parent(child) => {
                self.child = Some(child);
                self.voice = Some(voice.into());
                self.why = Some(why.into());
                Ok(())
            }
            Side::Child => {
                let error = become_program(&call.start, &strings, dir, &speak);
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let _ = File::from(confess).write_all(&errno.to_ne_bytes());
                exec::leave(127)
            }
        }
    }

    fn is_going(&self) -> bool {
        self.child.is_some()
    }

    /// Hears what it says, and notes its end.
    fn step(&mut self, begun: Instant) {
        let Some(child) = &self.child else { return };
        // Asked for first: what was said before is in the pipe then.
        let status = waitpid(child.pid, Some(WaitPidFlag::WNOHANG));
        self.listen();
        self.end = match status {
            Ok(WaitStatus::Exited(_, code)) => End::Exited(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => End::Signaled(signal as i32),
            Ok(_) | Err(Errno::EINTR) => return,
            // It can't be known.
            Err(_) => End::Exited(255),
        };
        self.child = None;
        self.seconds = begun.elapsed().as_secs();
        let mut errno = [0; 4];
        if let Some(mut why) = self.why.take()
            && why.read_exact(&mut errno).is_ok()
        {
            self.end = End::NotExecuted(i32::from_ne_bytes(errno));
        }
    }

    fn listen(&mut self) {
        let mut part = [0; 32 << 10];
        // A program that never stops may not keep the others from being heard.
        for _ in 0..64 {
            let Some(voice) = &mut self.voice else { return };
            match voice.read(&mut part) {
                Ok(0) => self.voice = None,
                Ok(length) => {
                    self.bytes += length as u64;
                    self.said.extend_from_slice(part.get(..length).unwrap_or_default());
                    if self.said.len() > 2 * MAX_SAID {
                        self.said.drain(..self.said.len() - MAX_SAID);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.voice = None,
            }
        }
    }

    fn give_up(&mut self, begun: Instant) {
        if let Some(child) = self.child.take() {
            let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
            // It is buried by the sweep.
            self.end = End::TimedOut;
            self.seconds = begun.elapsed().as_secs();
            self.listen();
        }
    }

    fn finish(mut self, call: &Call, dir: BorrowedFd<'_>) -> Ran {
        self.said.drain(..self.said.len().saturating_sub(MAX_SAID));
        let results = call.output.as_ref().and_then(|name| results(dir, name).ok());
        for name in call.input.iter().map(|(name, _)| name).chain(&call.output) {
            let _ = unlinkat(dir, name.as_str(), AtFlags::empty());
        }
        Ran { end: self.end, said: self.said, bytes: self.bytes, seconds: self.seconds, results }
    }
}

/// Makes a file where nothing is, or was.
fn fresh(dir: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::from_raw_mode(0o644))?.into())
}

/// What a program has left there, which may be anything.
fn results(dir: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: OwnedFd = openat(dir, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::new();
    File::from(file).take(MAX_RESULTS + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_RESULTS {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Everything that needs memory, made before the fork.
struct Strings {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Strings {
    fn of(start: &Start) -> io::Result<Self> {
        let program = CString::new(start.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in &start.arguments {
            arguments.push(CString::new(argument.as_str())?);
        }
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            let new = start.variables.iter().any(|(own, _)| name == own.as_str());
            if !new && !is_of_daemons(&name) {
                environment.push(pair(name, value)?);
            }
        }
        for (name, value) in &start.variables {
            environment.push(pair(name.into(), value.into())?);
        }
        Ok(Self { program, arguments, environment })
    }
}

fn pair(name: OsString, value: OsString) -> io::Result<CString> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.extend(value.into_vec());
    Ok(CString::new(text)?)
}

/// With these a process could act as a daemon.
fn is_of_daemons(name: &OsString) -> bool {
    const SECRETS: [&[u8]; 4] =
        [b"CONDOR_INHERIT", b"CONDOR_PRIVATE_INHERIT", b"CONDOR_DCADDR", b"CONDOR_PARENT_ID"];
    SECRETS.contains(&name.as_bytes())
}

/// Comes back only with the reason why it could not.
fn become_program(
    start: &Start,
    strings: &Strings,
    dir: BorrowedFd<'_>,
    speak: &OwnedFd,
) -> io::Error {
    let prepare = || -> io::Result<()> {
        nix::unistd::setsid()?;
        process::die_with_parent()?;
        // Standard input is nothing already, and so is standard error.
        rustix::stdio::dup2_stdout(speak)?;
        if start.hears_errors {
            rustix::stdio::dup2_stderr(speak)?;
        }
        // A core file would be taken for the job's.
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        rustix::process::fchdir(dir)?;
        process::close_on_exec_from(3)?;
        process::reset_signals()
    };
    match prepare() {
        Ok(()) => exec::execve(&strings.program, &strings.arguments, &strings.environment),
        Err(error) => error,
    }
}
