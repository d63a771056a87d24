//! Standard files that are read and written at the submit side while the job runs (`StreamIn`,
//! `StreamOut`, `StreamErr`): a pipe of the job here, a file of the shadow's there.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use rustix::io::Errno;

use super::{Broken, Pool};
use crate::failure::{Failure, Step, hold};
use crate::job::Job;
use crate::parent::shadow::{Call, Mode};
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
    /// As in the job ad.
    path: String,
}

#[derive(Debug)]
enum Flow {
    /// To the job: what was read and doesn't fit into the pipe yet.
    In(Vec<u8>),
    /// From the job: what was taken from the pipe and isn't written yet.
    Out(Vec<u8>),
}

impl Streamed {
    /// What to wait for.
    pub(super) fn source(&self) -> PollFd<'_> {
        let flags = match self.flow {
            Flow::In(_) => PollFlags::POLLOUT,
            Flow::Out(_) => PollFlags::POLLIN,
        };
        PollFd::new(self.pipe.as_fd(), flags)
    }

    fn broken(&self, errno: i64) -> Failure {
        let (code, what) = match self.flow {
            Flow::In(_) => (hold::UNABLE_TO_OPEN_INPUT_STREAM, "reading standard input"),
            Flow::Out(_) => {
                (hold::UNABLE_TO_OPEN_OUTPUT_STREAM, "writing standard output or error")
            }
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
            let path = path.to_string_lossy().into_owned();
            let (flow, mode) = match (number, job.append) {
                (0, _) => (Flow::In(Vec::new()), Mode::Read),
                (_, false) => (Flow::Out(Vec::new()), Mode::WriteAnew),
                (_, true) => (Flow::Out(Vec::new()), Mode::Write),
            };
            let mut stream = Streamed { pipe, remote: -1, offset: 0, flow, path };
            stream.remote = self.open_remote(&stream, mode)?;
            // What is there stays, and what is written goes behind it.
            if mode == Mode::Write
                && let Ok((length, ())) = self.once(&Call::SeekEnd(stream.remote), &|_| Ok(()))?
            {
                stream.offset = length;
            }
            self.streams.push(stream);
        }
        Ok(())
    }

    /// Has a shadow that has come back open them where the last one was.
    pub(super) fn reopen_streams(&mut self) -> Result<(), Broken> {
        let mut streams = std::mem::take(&mut self.streams);
        let opened = streams.iter_mut().try_for_each(|stream| self.reopen(stream));
        self.streams = streams;
        opened
    }

    fn reopen(&mut self, stream: &mut Streamed) -> Result<(), Broken> {
        let mode = match stream.flow {
            Flow::In(_) => Mode::Read,
            Flow::Out(_) => Mode::Write,
        };
        stream.remote = self.open_remote(stream, mode)?;
        if let Flow::Out(_) = stream.flow
            && let Ok((length, ())) = self.once(&Call::SeekEnd(stream.remote), &|_| Ok(()))?
            && length < stream.offset
        {
            let (path, offset) = (&stream.path, stream.offset);
            let why = format!("{path} at the submit side has {length} of {offset} bytes");
            return Err(Failure::host(Step::Stdio, why).into());
        }
        Ok(())
    }

    fn open_remote(&mut self, stream: &Streamed, mode: Mode) -> Result<i64, Broken> {
        let path = stream.path.as_str();
        let opened = self.once(&Call::Open { path, mode }, &|_| Ok(()))?;
        opened.map(|(remote, ())| remote).map_err(|errno| {
            let (code, what) = match stream.flow {
                Flow::Out(_) => (hold::UNABLE_TO_OPEN_OUTPUT_STREAM, "output"),
                Flow::In(_) => (hold::UNABLE_TO_OPEN_INPUT_STREAM, "input"),
            };
            let text = format!("Failed to open '{path}' as standard {what} stream");
            failure(code, 0, errno, text).into()
        })
    }

    /// Moves on what can be moved without waiting for the job. What a lost shadow has left is for the
    /// next.
    pub(super) fn stream(&mut self) -> Result<(), Broken> {
        self.each_stream(|pool, stream| {
            let open = match stream.flow {
                Flow::In(_) => pool.pour_in(stream)?,
                Flow::Out(_) => pool.pour_out(stream)? != Poured::End,
            };
            if !open {
                pool.close(stream)?;
            }
            Ok(open)
        })
    }

    /// Takes what is left in the pipes of a job that has ended, and closes the files.
    pub(super) fn close_streams(&mut self) -> Result<(), Broken> {
        while !self.streams.is_empty() {
            self.present()?;
            let closed = self.each_stream(|pool, stream| {
                while matches!(stream.flow, Flow::Out(_))
                    && pool.pour_out(stream)? == Poured::Something
                {}
                pool.close(stream).map(|()| false)
            });
            match closed {
                Err(Broken::Lost(lost)) => self.lose(lost)?,
                result => return result,
            }
        }
        Ok(())
    }

    /// Does something with each; those stay for which the answer is yes, and those that weren't done.
    fn each_stream(
        &mut self,
        mut work: impl FnMut(&mut Self, &mut Streamed) -> Result<bool, Broken>,
    ) -> Result<(), Broken> {
        let mut streams = std::mem::take(&mut self.streams).into_iter();
        while let Some(mut stream) = streams.next() {
            match work(self, &mut stream) {
                Ok(true) => self.streams.push(stream),
                Ok(false) => {}
                Err(broken) => {
                    self.streams.push(stream);
                    self.streams.extend(streams);
                    return Err(broken);
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, stream: &Streamed) -> Result<(), Broken> {
        // What the shadow can't sync, such as a device, is written nevertheless.
        if matches!(stream.flow, Flow::Out(_)) {
            let _ = self.once(&Call::Sync(stream.remote), &|_| Ok(()))?;
        }
        let closed = self.once(&Call::Close(stream.remote), &|_| Ok(()))?;
        closed.map(|_| ()).map_err(|errno| stream.broken(errno).into())
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
        match self.once(&read, &|rest| Ok(rest.rest().to_vec()))? {
            Ok((count, bytes)) if usize::try_from(count) == Ok(bytes.len()) => {
                stream.offset += count;
                Ok(bytes)
            }
            Ok(_) => Err(stream.broken(i64::from(libc::EPROTO)).into()),
            Err(errno) => Err(stream.broken(errno).into()),
        }
    }

    fn pour_out(&mut self, stream: &mut Streamed) -> Result<Poured, Broken> {
        // A shadow may have been lost before it had taken everything.
        self.write_remote(stream)?;
        let mut buffer = vec![0; CHUNK];
        match rustix::io::read(&stream.pipe, &mut buffer) {
            Ok(0) => return Ok(Poured::End),
            Ok(count) => buffer.truncate(count),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Poured::Nothing),
            Err(errno) => return Err(stream.broken(errno.raw_os_error().into()).into()),
        }
        stream.flow = Flow::Out(buffer);
        self.write_remote(stream)?;
        Ok(Poured::Something)
    }

    fn write_remote(&mut self, stream: &mut Streamed) -> Result<(), Broken> {
        while let Flow::Out(bytes) = &stream.flow
            && !bytes.is_empty()
        {
            self.seek(stream)?;
            let write = Call::Write { fd: stream.remote, bytes };
            let written = self.once(&write, &|_| Ok(()))?;
            let number = written.map_err(|errno| stream.broken(errno))?.0;
            let length = usize::try_from(number).unwrap_or(0);
            if length == 0 || length > bytes.len() {
                return Err(stream.broken(i64::from(libc::EIO)).into());
            }
            stream.offset += number;
            if let Flow::Out(bytes) = &mut stream.flow {
                bytes.drain(..length);
            }
        }
        Ok(())
    }

    fn seek(&mut self, stream: &Streamed) -> Result<(), Broken> {
        let seek = Call::Seek { fd: stream.remote, offset: stream.offset };
        match self.once(&seek, &|_| Ok(()))? {
            Ok(_) => Ok(()),
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
