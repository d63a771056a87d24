//! The job's standard files, opened with the job's rights before it starts.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fcntl_setfl, fstat, openat};
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
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    let code = hold::UNABLE_TO_OPEN_OUTPUT;
    let (fd, size) = open_sized(path, flags, code, what)?;
    // Disks write a file that O_TRUNC has emptied when it is closed, even if there was nothing in it.
    if !append && size > 0 {
        rustix::fs::ftruncate(&fd, 0).map_err(|errno| failure(path, errno, code, what))?;
    }
    Ok(fd)
}

fn open_one(path: &Path, flags: OFlags, code: i32, what: &str) -> Result<OwnedFd, Failure> {
    open_sized(path, flags, code, what).map(|(fd, _)| fd)
}

/// With the length of what is a regular file, otherwise 0. O_NONBLOCK keeps a FIFO without a peer from
/// stopping the starter; the file then loses it again.
fn open_sized(
    path: &Path,
    flags: OFlags,
    code: i32,
    what: &str,
) -> Result<(OwnedFd, i64), Failure> {
    let status = flags & OFlags::APPEND;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    // A link of /proc leads to an open file of this process without asking for the job's rights.
    let how = ResolveFlags::NO_MAGICLINKS;
    let mode = if flags.contains(OFlags::CREATE) { 0o644 } else { 0 };
    let mode = Mode::from_raw_mode(mode);
    let opened = openat2(CWD, path, flags, mode, how).and_then(|fd| {
        fcntl_setfl(&fd, status)?;
        let stat = fstat(&fd)?;
        Ok((fd, stat))
    });
    match opened {
        Ok((fd, stat)) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Err(failure(path, Errno::ISDIR, code, what)),
            FileType::RegularFile => Ok((fd, stat.st_size)),
            _ => Ok((fd, 0)),
        },
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
