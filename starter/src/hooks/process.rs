//! A program of the admin's as a process: with the account of the job, its output bounded, and with
//! everything that it leaves behind ended after it.
//!
//! Between the launcher and the program is a keeper, which adopts what the program's processes leave,
//! and ends all of them: after the program has ended, when its time is up, or when the launcher lets go
//! of a pipe, be it because it died.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, fcntl_getfl, fcntl_setfl, memfd_create, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use super::{End, Ran};
use crate::failure::{Context, Failure, Step};
use crate::launcher::family;
use crate::launcher::message::Status;
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::{exec, process};

/// Most bytes of standard output: a job ad is some 10 KiB.
const MOST_OUTPUT: usize = 1 << 20;
/// Bytes of standard error that are kept; what comes after them is read and forgotten.
const MOST_ERRORS: usize = 16 << 10;

/// What becomes of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Both are kept, each by itself.
    Kept,
    /// Both are kept as one.
    Together,
    /// Nobody wants it.
    Ignored,
}

/// What is run, and how.
#[derive(Debug)]
pub(super) struct Program<'a> {
    /// For messages.
    pub(super) name: String,
    pub(super) path: &'a Path,
    /// After the path.
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<CString>,
    /// Standard input.
    pub(super) input: &'a [u8],
    /// The account that it becomes; `None`: it keeps that of the starter.
    pub(super) ids: Option<Ids>,
    /// Where it starts.
    pub(super) directory: BorrowedFd<'a>,
    /// How long it may take.
    pub(super) patience: Option<Duration>,
    pub(super) output: Output,
}

/// A program at work. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Running {
    /// For messages.
    name: String,
    keeper: Child,
    /// Held, the program may go on.
    leash: Option<OwnedFd>,
    /// What the keeper says in the end.
    told: File,
    output: Option<File>,
    errors: Option<File>,
    ran: Ran,
    reaped: bool,
}

impl Running {
    pub(super) fn start(program: &Program<'_>) -> Result<Self, Failure> {
        let name = program.name.clone();
        let pipe = || pipe_with(PipeFlags::CLOEXEC).at(Step::Hook, format!("pipe for {name}"));
        let mut input: File = memfd_create("hook", MemfdFlags::CLOEXEC)
            .at(Step::Hook, format!("input of {name}"))?
            .into();
        input
            .write_all(program.input)
            .and_then(|()| input.rewind())
            .at(Step::Hook, format!("input of {name}"))?;
        let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .at(Step::Hook, "/dev/null")?;
        let (told, tell) = pipe()?;
        let (hold, leash) = pipe()?;
        let kept = |wanted: bool| -> Result<(Option<File>, OwnedFd), Failure> {
            if !wanted {
                let null = null.try_clone().at(Step::Hook, "/dev/null")?;
                return Ok((None, null));
            }
            let (read, write) = pipe()?;
            let flags = fcntl_getfl(&read).at(Step::Hook, "pipe")?;
            fcntl_setfl(&read, flags | OFlags::NONBLOCK).at(Step::Hook, "pipe")?;
            Ok((Some(read.into()), write))
        };
        let (output, out) = kept(program.output != Output::Ignored)?;
        let (errors, err) = match program.output {
            Output::Together => (None, out.try_clone().at(Step::Hook, "pipe")?),
            other => kept(other == Output::Kept)?,
        };
        let parts =
            Parts { tell: &tell, hold: &hold, standard: [input.as_fd(), out.as_fd(), err.as_fd()] };
        match clone::fork(CloneFlags::empty()).at(Step::Hook, format!("fork for {name}"))? {
            Side::Child => exec::leave(i32::from(keep(program, &parts).is_err())),
            Side::Parent(keeper) => Ok(Self {
                name,
                keeper,
                leash: Some(leash),
                told: told.into(),
                output,
                errors,
                ran: End::Ended(Status::Exited(0)).without_output(),
                reaped: false,
            }),
        }
    }

    /// To wait for: any of them is readable when there is something to do.
    pub(crate) fn sources(&self) -> Vec<BorrowedFd<'_>> {
        let pipes = [&self.output, &self.errors];
        let pipes = pipes.into_iter().flatten().map(AsFd::as_fd);
        pipes.chain([self.keeper.pidfd.as_fd()]).collect()
    }

    /// Hears what there is to hear, without waiting; what has become of the program, once it and all
    /// that it left are gone.
    pub(crate) fn step(&mut self) -> Option<Ran> {
        // The end is asked for first: what was written before it is in the pipes then.
        let ended = match waitpid(self.keeper.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => false,
            Ok(_) | Err(_) => true,
        };
        self.reaped |= ended;
        if read(&mut self.output, &mut self.ran.output, MOST_OUTPUT) {
            tracing::warn!("{} writes more than {MOST_OUTPUT} bytes, and is ended", self.name);
            self.ran.end = End::TooMuch;
            self.kill();
        }
        read(&mut self.errors, &mut self.ran.errors, MOST_ERRORS);
        if !ended {
            return None;
        }
        let mut told = [0; 5];
        let told = self.told.read_exact(&mut told).map(|()| told);
        if self.ran.end != End::TooMuch {
            self.ran.end = told.map_or(End::TimedOut, decode);
        }
        Some(self.ran.clone())
    }

    /// Ends it and all of its processes, whatever they are doing.
    pub(crate) fn kill(&mut self) {
        self.leash = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = waitpid(self.keeper.pid, None);
        }
    }
}

/// Reads what there is, of which at most this much is kept; whether there was more.
fn read(pipe: &mut Option<File>, into: &mut Vec<u8>, most: usize) -> bool {
    let mut buffer = [0; 16 << 10];
    let mut more = false;
    while let Some(file) = pipe {
        match file.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                let room = most.saturating_sub(into.len()).min(length);
                into.extend_from_slice(buffer.get(..room).unwrap_or_default());
                if room < length {
                    more = true;
                    // One that never stops would be read for ever.
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => *pipe = None,
        }
    }
    more
}

/// What the keeper works with.
struct Parts<'a> {
    tell: &'a OwnedFd,
    hold: &'a OwnedFd,
    standard: [BorrowedFd<'a>; 3],
}

const EXITED: u8 = 0;
const SIGNALED: u8 = 1;
const NOT_EXECUTED: u8 = 2;
const TIMED_OUT: u8 = 3;

/// The keeper's life.
fn keep(program: &Program<'_>, parts: &Parts<'_>) -> io::Result<()> {
    let Parts { tell, hold, standard } = parts;
    let keep = [&standard[..], &[tell.as_fd(), hold.as_fd(), program.directory]].concat();
    process::close_all_but(&keep)?;
    process::adopt_orphans()?;
    process::be_opaque()?;
    process::reset_signals()?;
    nix::unistd::setsid()?;
    let tell = |kind: u8, number: i32| {
        let [a, b, c, d] = number.to_le_bytes();
        // Of two, the first counts: why the program could not be executed.
        File::from(tell.as_fd().try_clone_to_owned()?).write_all(&[kind, a, b, c, d])
    };
    let child = match clone::fork(CloneFlags::empty())? {
        Side::Parent(child) => child,
        Side::Child => {
            let error = become_program(program, standard);
            let _ = tell(NOT_EXECUTED, error.raw_os_error().unwrap_or(libc::EIO));
            exec::leave(127);
        }
    };
    let due = program.patience.map(|patience| Instant::now() + patience);
    let in_time = wait(&child, hold, due)?;
    if !in_time {
        let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
    }
    let status = loop {
        match waitpid(child.pid, None) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    family::kill_children();
    match status {
        _ if !in_time => tell(TIMED_OUT, 0),
        WaitStatus::Exited(_, code) => tell(EXITED, code),
        WaitStatus::Signaled(_, signal, _) => tell(SIGNALED, signal as i32),
        _ => tell(TIMED_OUT, 0),
    }
}

fn decode([kind, a, b, c, d]: [u8; 5]) -> End {
    let number = i32::from_le_bytes([a, b, c, d]);
    match kind {
        EXITED => End::Ended(Status::Exited(number)),
        SIGNALED => End::Ended(Status::Signaled(number, false)),
        NOT_EXECUTED => End::NotExecuted(number),
        _ => End::TimedOut,
    }
}

/// Whether the program has ended before its time was up, and before the launcher let go.
fn wait(child: &Child, hold: &OwnedFd, due: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = match due {
            None => PollTimeout::NONE,
            Some(due) => PollTimeout::try_from(due.saturating_duration_since(Instant::now()))
                .unwrap_or(PollTimeout::MAX),
        };
        let mut fds = [&child.pidfd, hold].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        match poll(&mut fds, left) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let [ended, free] = fds.map(|fd| fd.any().unwrap_or(false));
        let late = due.is_some_and(|due| due <= Instant::now());
        if ended || free || late {
            return Ok(ended);
        }
    }
}

/// Becomes the account and then the program; comes back only with the reason why it could not.
fn become_program(program: &Program<'_>, standard: &[BorrowedFd<'_>; 3]) -> io::Error {
    let words = |text: &[u8]| CString::new(text).map_err(io::Error::from);
    let ready = || -> io::Result<(CString, Vec<CString>)> {
        nix::unistd::setsid()?;
        rustix::stdio::dup2_stdin(standard[0])?;
        rustix::stdio::dup2_stdout(standard[1])?;
        rustix::stdio::dup2_stderr(standard[2])?;
        process::close_on_exec_from(3)?;
        if let Some(ids) = &program.ids {
            privilege::become_for_good(ids)?;
        }
        rustix::process::fchdir(program.directory)?;
        let path = words(program.path.as_os_str().as_bytes())?;
        let mut arguments = vec![path.clone()];
        for argument in &program.arguments {
            arguments.push(words(argument.as_bytes())?);
        }
        Ok((path, arguments))
    };
    match ready() {
        Ok((path, arguments)) => exec::execve(&path, &arguments, &program.environment),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, patience: Option<Duration>, output: Output) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        let directory = File::open(dir.path()).unwrap();
        let mut running = Running::start(&Program {
            name: "test".into(),
            path: Path::new("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![c"PATH=/usr/bin:/bin".to_owned(), c"X=1".to_owned()],
            input: b"the ad\n",
            ids: None,
            directory: directory.as_fd(),
            patience,
            output,
        })
        .unwrap();
        finish(&mut running)
    }

    fn finish(running: &mut Running) -> Ran {
        loop {
            let sources = running.sources();
            let mut fds: Vec<_> =
                sources.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            poll(&mut fds, PollTimeout::NONE).unwrap();
            if let Some(ran) = running.step() {
                return ran;
            }
        }
    }

    #[test]
    fn a_program_reads_and_writes_and_ends() {
        let ran = run("cat; echo $X; echo oops >&2; exit 3", None, Output::Kept);
        assert_eq!(ran.end, End::Ended(Status::Exited(3)));
        assert_eq!(
            (ran.output.as_slice(), ran.errors.as_slice()),
            (&b"the ad\n1\n"[..], &b"oops\n"[..])
        );
        let ran = run("echo a; echo b >&2; kill -9 $$", None, Output::Together);
        assert_eq!(ran.end, End::Ended(Status::Signaled(9, false)));
        assert_eq!(ran.output, b"a\nb\n");
        assert_eq!(run("echo a", None, Output::Ignored).output, b"");
    }

    #[test]
    fn what_hangs_is_ended_with_all_that_it_made() {
        let begun = Instant::now();
        let late = run("sleep 77", Some(Duration::from_millis(200)), Output::Kept);
        assert_eq!(late.end, End::TimedOut);
        // One that goes into the background keeps the pipes open, and isn't waited for.
        let left = run("setsid sleep 77 & echo $!; exit 0", None, Output::Kept);
        assert_eq!(left.end, End::Ended(Status::Exited(0)));
        let pid = String::from_utf8(left.output).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "it is left behind");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn one_that_writes_without_end_is_ended() {
        let ran = run("yes", None, Output::Kept);
        assert_eq!((ran.end, ran.output.len()), (End::TooMuch, MOST_OUTPUT));
        let ran = run("head -c 100000 /dev/zero >&2", None, Output::Kept);
        assert_eq!((ran.end, ran.errors.len()), (End::Ended(Status::Exited(0)), MOST_ERRORS));
    }

    #[test]
    fn the_reason_why_it_can_not_be_executed_is_told() {
        let directory = File::open("/").unwrap();
        let mut running = Running::start(&Program {
            name: "test".into(),
            path: Path::new("/no/such/program"),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: &[],
            ids: None,
            directory: directory.as_fd(),
            patience: None,
            output: Output::Kept,
        })
        .unwrap();
        assert_eq!(finish(&mut running).end, End::NotExecuted(libc::ENOENT));
    }
}
