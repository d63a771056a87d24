//! The job's standard files, opened with the job's rights before it starts.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, openat};
use rustix::io::Errno;

use crate::failure::{Context, Failure, Step, hold};
use crate::plan::{Plan, Stdio};
use crate::sys::open::openat2;
use crate::sys::privilege::Borrowed;

/// Standard input, output and error.
#[derive(Debug)]
pub(crate) struct Files(pub(crate) [OwnedFd; 3]);

/// Opens all three, and gives the other ends of those that are streams, in their order. A file that
/// can't be opened holds the job with the errno as subcode, as stock does.
pub(crate) fn open(plan: &Plan) -> Result<(Files, Vec<OwnedFd>), Failure> {
    let mut streams = Vec::new();
    let [input, output, error] = &plan.program.stdio;
    // The starter's own files are taken with its own rights, before those of the job are taken on.
    let own_output = own(output, io::stdout().as_fd())?;
    let own_error = own(error, io::stderr().as_fd())?;
    let _rights = Borrowed::rights_of(&plan.account.ids).at(Step::Stdio, "the job's rights")?;
    let input = match input {
        Stdio::File(path) => open_one(path, OFlags::RDONLY, hold::UNABLE_TO_OPEN_INPUT, "input")?,
        Stdio::Inherit => {
            io::stdin().as_fd().try_clone_to_owned().at(Step::Stdio, "standard input")?
        }
        Stdio::Stream => {
            let (read, write) = pipe()?;
            streams.push(patient(write)?);
            read
        }
        Stdio::Null | Stdio::SameAsOutput => null(OFlags::RDONLY)?,
    };
    let mut write = |stdio: &Stdio, what: &str, own: Option<OwnedFd>| match (stdio, own) {
        (_, Some(own)) => Ok(own),
        (Stdio::File(path), None) => open_output(path, plan.program.append, what),
        (Stdio::Stream, None) => {
            let (read, write) = pipe()?;
            streams.push(patient(read)?);
            Ok(write)
        }
        _ => null(OFlags::WRONLY),
    };
    let output = write(output, "output", own_output)?;
    let error = match error {
        Stdio::SameAsOutput => output.try_clone().at(Step::Stdio, "standard error")?,
        other => write(other, "error", own_error)?,
    };
    Ok((Files([input, output, error]), streams))
}

/// Made with the job's rights, so that it can open its end by name (/dev/stdout).
fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(Step::Stdio, "pipe")
}

/// The supervisor's end: it never waits there.
fn patient(end: OwnedFd) -> Result<OwnedFd, Failure> {
    fcntl_setfl(&end, OFlags::NONBLOCK).at(Step::Stdio, "pipe")?;
    Ok(end)
}

/// The starter's own output, if the job gets that. A terminal is opened again for writing only: the
/// job shall write to it, not read what is typed there.
fn own(stdio: &Stdio, fd: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    if *stdio != Stdio::Inherit {
        return Ok(None);
    }
    let own = if fd.is_terminal() {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)
    } else {
        fd.try_clone_to_owned()
    };
    own.map(Some).at(Step::Stdio, "the starter's own output")
}

fn null(access: OFlags) -> Result<OwnedFd, Failure> {
    openat(CWD, "/dev/null", access | OFlags::CLOEXEC, Mode::empty()).at(Step::Stdio, "/dev/null")
}

fn open_output(path: &Path, append: bool, what: &str) -> Result<OwnedFd, Failure> {
    // Processes of the job that share the file without sharing the descriptor don't write over each
    // other.
    let base = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    let how = if append { OFlags::empty() } else { OFlags::TRUNC };
    open_one(path, base | how, hold::UNABLE_TO_OPEN_OUTPUT, what)
}

/// O_NONBLOCK keeps a FIFO without a peer from stopping the starter; a file then loses it again.
fn open_one(path: &Path, flags: OFlags, code: i32, what: &str) -> Result<OwnedFd, Failure> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    // A link of /proc leads to an open file of this process without asking for the job's rights.
    let how = ResolveFlags::NO_MAGICLINKS;
    let mode = if flags.contains(OFlags::CREATE) { 0o644 } else { 0 };
    let mode = Mode::from_raw_mode(mode);
    let opened = openat2(CWD, path, flags, mode, how).and_then(|fd| {
        let flags = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?;
        Ok(fd)
    });
    match opened {
        Ok(fd)
            if File::from(fd.try_clone().at(Step::Stdio, "dup")?)
                .metadata()
                .is_ok_and(|m| m.is_dir()) =>
        {
            Err(failure(path, Errno::ISDIR, code, what))
        }
        Ok(fd) => Ok(fd),
        Err(errno) => Err(failure(path, errno, code, what)),
    }
}

fn failure(path: &Path, errno: Errno, code: i32, what: &str) -> Failure {
    let number = errno.raw_os_error();
    let reason = nix::errno::Errno::from_raw(number).desc();
    Failure::job(
        Step::Stdio,
        code,
        number,
        format!(
            "Failed to open '{}' as standard {what}: {reason} (errno {number})",
            path.display()
        ),
    )
}
