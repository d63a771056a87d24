//! Standard files that are read and written at the submit side while the job runs (`StreamIn`,
//! `StreamOut`, `StreamErr`): a pipe of the job here, a file of the shadow's there.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use rustix::io::Errno;

use super::{Broken, Pool};
use crate::failure::{Failure, Step, hold};
use crate::job::Job;
use crate::parent::shadow::Call;
use crate::plan::{Plan, Stdio};

/// Bytes on their way at a time.
const CHUNK: usize = 64 * 1024;

/// One of them.
#[derive(Debug)]
pub(super) struct Streamed {
    pipe: OwnedFd,
    /// The shadow's descriptor.
    remote: i64,
    /// Where in the file the next byte is.
    offset: i64,
    flow: Flow,
}

#[derive(Debug)]
enum Flow {
    /// To the job: what was read and doesn't fit into the pipe yet.
    In(Vec<u8>),
    /// From the job.
    Out,
}

impl Streamed {
    /// What to wait for.
    pub(super) fn source(&self) -> PollFd<'_> {
        let flags = match self.flow {
            Flow::In(_) => PollFlags::POLLOUT,
            Flow::Out => PollFlags::POLLIN,
        };
        PollFd::new(self.pipe.as_fd(), flags)
    }

    fn broken(&self, errno: i64) -> Failure {
        let (code, what) = match self.flow {
            Flow::In(_) => (hold::UNABLE_TO_OPEN_INPUT_STREAM, "reading standard input"),
            Flow::Out => (hold::UNABLE_TO_OPEN_OUTPUT_STREAM, "writing standard output or error"),
        };
        failure(code, errno, errno, format!("{what} at the submit side"))
    }
}

fn failure(code: i32, subcode: i64, errno: i64, what: String) -> Failure {
    let number = i32::try_from(errno).unwrap_or(0);
    let reason = nix::errno::Errno::from_raw(number).desc();
    let subcode = i32::try_from(subcode).unwrap_or(0);
    Failure::job(Step::Stdio, code, subcode, format!("{what}: {reason} (errno {errno})"))
}

impl Pool<'_> {
    /// Has the shadow open the files of the pipes that the launcher made.
    pub(super) fn open_streams(&mut self, job: &Job, plan: &Plan) -> Result<(), Broken> {
        let mut pipes = self.desk.files().into_iter();
        for (number, stdio) in plan.program.stdio.iter().enumerate() {
            if *stdio != Stdio::Stream {
                continue;
            }
            let path = job.stdio.get(number).and_then(Option::as_deref);
            let (Some(path), Some(pipe)) = (path, pipes.next()) else {
                return Err(Failure::host(Step::Internal, "a stream without file or pipe").into());
            };
            let path = path.to_string_lossy();
            let output = number != 0;
            let remote = match self
                .ask(&Call::Open { path: &path, output, append: job.append }, |_| Ok(()))?
            {
                Ok((remote, ())) => remote,
                Err(errno) => {
                    let (code, what) = match output {
                        true => (hold::UNABLE_TO_OPEN_OUTPUT_STREAM, "output"),
                        false => (hold::UNABLE_TO_OPEN_INPUT_STREAM, "input"),
                    };
                    let text = format!("Failed to open '{path}' as standard {what} stream");
                    return Err(failure(code, 0, errno, text).into());
                }
            };
            let flow = if output { Flow::Out } else { Flow::In(Vec::new()) };
            self.streams.push(Streamed { pipe, remote, offset: 0, flow });
        }
        Ok(())
    }

    /// Moves on what can be moved without waiting for the job.
    pub(super) fn stream(&mut self) -> Result<(), Broken> {
        for mut stream in std::mem::take(&mut self.streams) {
            let open = match stream.flow {
                Flow::In(_) => self.pour_in(&mut stream)?,
                Flow::Out => self.pour_out(&mut stream)? != Poured::End,
            };
            if open {
                self.streams.push(stream);
            } else {
                self.close(stream)?;
            }
        }
        Ok(())
    }

    /// Takes what is left in the pipes of a job that has ended, and closes the files.
    pub(super) fn close_streams(&mut self) -> Result<(), Broken> {
        for mut stream in std::mem::take(&mut self.streams) {
            while matches!(stream.flow, Flow::Out)
                && self.pour_out(&mut stream)? == Poured::Something
            {}
            self.close(stream)?;
        }
        Ok(())
    }

    fn close(&mut self, stream: Streamed) -> Result<(), Broken> {
        // What the shadow can't sync, such as a device, is written nevertheless.
        if matches!(stream.flow, Flow::Out) {
            let _ = self.try_call(&Call::Sync(stream.remote), |_| Ok(()))?;
        }
        let closed = self.try_call(&Call::Close(stream.remote), |_| Ok(()))?;
        closed.map_err(|errno| stream.broken(errno).into())
    }

    /// Whether there may be more.
    fn pour_in(&mut self, stream: &mut Streamed) -> Result<bool, Broken> {
        loop {
            let Flow::In(waiting) = &mut stream.flow else { return Ok(false) };
            if waiting.is_empty() {
                let bytes = self.read_remote(stream)?;
                if bytes.is_empty() {
                    return Ok(false);
                }
                stream.flow = Flow::In(bytes);
                continue;
            }
            match rustix::io::write(&stream.pipe, waiting) {
                Ok(length) => drop(waiting.drain(..length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                // The job doesn't want to read more.
                Err(_) => return Ok(false),
            }
        }
    }

    fn read_remote(&mut self, stream: &mut Streamed) -> Result<Vec<u8>, Broken> {
        self.seek(stream)?;
        let length = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let read = Call::Read { fd: stream.remote, length };
        match self.ask(&read, |rest| Ok(rest.rest().to_vec()))? {
            Ok((count, bytes)) if usize::try_from(count) == Ok(bytes.len()) => {
                stream.offset += count;
                Ok(bytes)
            }
            Ok(_) => Err(stream.broken(i64::from(libc::EPROTO)).into()),
            Err(errno) => Err(stream.broken(errno).into()),
        }
    }

    fn pour_out(&mut self, stream: &mut Streamed) -> Result<Poured, Broken> {
        let mut buffer = vec![0; CHUNK];
        let count = match rustix::io::read(&stream.pipe, &mut buffer) {
            Ok(0) => return Ok(Poured::End),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Poured::Nothing),
            Err(errno) => return Err(stream.broken(errno.raw_os_error().into()).into()),
        };
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            self.seek(stream)?;
            let write = Call::Write { fd: stream.remote, bytes: rest };
            let written = self.ask(&write, |_| Ok(()))?;
            let number = written.map_err(|errno| stream.broken(errno))?.0;
            let length = usize::try_from(number).unwrap_or(0);
            match rest.get(length..) {
                Some(left) if length > 0 => rest = left,
                _ => return Err(stream.broken(i64::from(libc::EIO)).into()),
            }
            stream.offset += number;
        }
        Ok(Poured::Something)
    }

    fn seek(&mut self, stream: &Streamed) -> Result<(), Broken> {
        let seek = Call::Seek { fd: stream.remote, offset: stream.offset };
        match self.try_call(&seek, |_| Ok(()))? {
            Ok(()) => Ok(()),
            // A pipe or terminal at the submit side has no places.
            Err(errno) if errno == i64::from(libc::ESPIPE) => Ok(()),
            Err(errno) => Err(stream.broken(errno).into()),
        }
    }
}

/// What came out of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poured {
    /// Nothing yet.
    Nothing,
    /// Something, and there may be more.
    Something,
    /// No process has the other end.
    End,
}
