//! The fixed set of messages between supervisor and launcher, and their framing.
//!
//! A message is a length (4 bytes, little-endian) and that many bytes of postcard. The launcher
//! trusts nothing it is sent: the length is bounded before a byte is allocated, and what a message
//! says is checked again against the launcher's own reading of the configuration.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::place::Placed;
use crate::failure::{Context, Failure, Step};
use crate::hooks::{Errand, Ran};
use crate::plan::{Plan, Program};
use crate::reach::peek::MAX_FILES;
use crate::report::{Disk, Sample, Usage};
use crate::sys::process;
use crate::transfer::{Delivered, Destination, Invalid, Source, Stats, Told};

/// The largest message in bytes: a plan whose arguments and environment are as large as the kernel
/// takes (2 MiB), with the job ad, fits easily.
const MAX_MESSAGE: usize = 64 << 20;

/// Supervisor to launcher. Orders are carried out one after the other; after one that failed only
/// `Finish` is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Check the plan and make the sandbox. Answer: only if it failed.
    Prepare(Box<Plan>),
    /// Put credentials into the sandbox. Answer: `Placed`.
    Place(Placed),
    /// Put newer ones in their place, if the sandbox is there still. No answer.
    Renew(Placed),
    /// Write an event at the end of a log of the user's, with the job's rights. Answer: `Appended`.
    Append {
        /// The file, absolute.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Go on with another plan for the same sandbox, which a hook has asked for. Answer: only if it failed.
    Revise(Box<Plan>),
    /// Run a program of the admin's. Answer: `Ran` or `Failed`; none for a hook of a running job.
    Run(Errand),
    /// Bring files in. Answer: `Fetched` or `Failed`.
    Fetch(Source),
    /// Open the job's standard files, if that shall be known before the start. Answer: `Opened` or
    /// `Failed`.
    Open,
    /// Run another program in the job's place, before or after it. Answer: `Started` and `Ended`, or
    /// `Failed`.
    Script(Box<Program>),
    /// Make everything for the job but run its program, so that little is left to do then. Answer:
    /// only if it failed.
    Ready,
    /// Open the job's chirp proxy, whose clients show this cookie. After `Ready`. Answer: `Listening`
    /// or `Failed`.
    Listen(String),
    /// Open files of the job's directory for reading, for the job's owner. Answer: `Peeked`.
    Peek(Vec<PathBuf>),
    /// Run a program beside the job, in its cell and under its rules; its standard files are a descriptor
    /// that follows. No answer: what goes wrong is written there.
    Join(Box<Program>),
    /// Start the job. Answer: `Started` or `Failed`.
    Launch,
    /// Send a signal to the job's main process. No answer.
    Signal(i32),
    /// Stop all processes of the job, or let them go on. No answer.
    Suspend(bool),
    /// Look at what the job uses now. Answer: `Measured`, unless it has ended meanwhile.
    Measure,
    /// Kill the whole job, or the copy that is under way. Answer: `Ended`, as at any end, or `Failed`.
    Kill,
    /// Put the log's copy for the job's user into the sandbox. No answer.
    KeepLog,
    /// Take files out. Answer: `Delivered` or `Failed`.
    Deliver(Destination),
    /// Remove the sandbox and leave. Answer: `Gone`, then the end of the stream.
    Finish,
}

/// Launcher to supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The credentials are there, or this is why not.
    Placed(Option<Failure>),
    /// The event is in the log, or this is why not.
    Appended(Option<Failure>),
    /// Input is in the sandbox; how much it was.
    Fetched(Stats),
    /// In place of that: the checkpoint among it isn't as it was.
    InvalidCheckpoint(Invalid),
    /// The job's standard files are open.
    Opened {
        /// How many pipes follow, for those that are streams, in their order.
        streams: usize,
    },
    /// A socket that listens in the job's network follows, and the job can find it.
    Listening,
    /// Which files are open, in their order, with the errno of those that aren't; their descriptors
    /// follow.
    Peeked(Vec<Result<(), i32>>),
    /// The job's program runs.
    Started {
        /// Its process number on the machine; 0 if it could not be told.
        pid: i32,
        /// The revision of its root, where that is known.
        revision: Option<String>,
        /// What kills all of it follows: `cgroup.kill` of its cgroup, open for writing.
        killer: bool,
    },
    /// All processes of the job are gone.
    Ended {
        /// How, and what they used.
        ended: Ended,
        /// What the sandbox takes on disk.
        disk: Disk,
        /// What the startd has last said of the slot, as it wrote it; empty if nothing.
        snapshot: Vec<u8>,
    },
    /// What the job uses now.
    Measured {
        /// Its processes.
        sample: Sample,
        /// What the sandbox takes on disk.
        disk: Disk,
        /// What the startd has last said of the slot, as it wrote it; empty if nothing.
        snapshot: Vec<u8>,
    },
    /// A program of the admin's has ended.
    Ran(Ran),
    /// What plugins did for a transfer, whose end follows.
    Plugins(Told),
    /// Output is where it belongs.
    Delivered(Delivered),
    /// An order could not be carried out.
    Failed(Failure),
    /// The sandbox is gone, or this is why not.
    Gone(Option<Failure>),
}

/// How the job's main process ended, and what the whole job used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// The status that the kernel reported.
    pub(crate) status: Status,
    /// What the job's processes used.
    pub(crate) usage: Usage,
    /// Set if the kernel killed some because memory ran out.
    pub(crate) out_of_memory: Option<OutOfMemory>,
}

/// What the kernel says of a job that it killed for its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutOfMemory {
    /// The job's own limit was reached, not that of the machine.
    pub(crate) own_limit: bool,
    /// Most memory that it had, as far as that is known, in KiB.
    pub(crate) peak_kib: u64,
}

/// End of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal; whether a core was written.
    Signaled(i32, bool),
}

impl Status {
    /// As wait(2) has it.
    pub(crate) fn wait(self) -> i32 {
        match self {
            Self::Exited(code) => (code & 0xff) << 8,
            Self::Signaled(signal, core) => (signal & 0x7f) | if core { 0x80 } else { 0 },
        }
    }
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// Both ends, closed on exec.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    /// The descriptor, for poll.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.0
    }

    /// Sends a message.
    pub(crate) fn send<M: Serialize>(&self, message: &M) -> Result<(), Failure> {
        let mut frame = vec![0; 4];
        postcard::to_io(message, &mut frame).map_err(|error| {
            Failure::host(Step::Internal, format!("encoding a message: {error}"))
        })?;
        let length = frame.len() - 4;
        let header = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_MESSAGE)
            .ok_or_else(|| Failure::host(Step::Internal, "a message is too large"))?;
        frame[..4].copy_from_slice(&header.to_le_bytes());
        (&self.0).write_all(&frame).at(Step::Internal, "sending a message within the starter")
    }

    /// Sends descriptors, behind the message that announces them.
    pub(crate) fn send_files(&self, files: &[OwnedFd]) -> Result<(), Failure> {
        let fds: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        if fds.is_empty() {
            return Ok(());
        }
        let rights = [ControlMessage::ScmRights(&fds)];
        let none: Option<&()> = None;
        sendmsg(self.0.as_raw_fd(), &[IoSlice::new(b"f")], &rights, MsgFlags::empty(), none)
            .map(drop)
            .at(Step::Internal, "sending descriptors within the starter")
    }

    /// Takes this many descriptors, `MAX_FILES` at the most, which a message has announced.
    pub(crate) fn receive_files(&self, count: usize) -> Result<Vec<OwnedFd>, Failure> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let mut space = nix::cmsg_space!([RawFd; MAX_FILES]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let what = "receiving descriptors within the starter";
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags)
            .at(Step::Internal, what)?;
        let mut files = Vec::new();
        for message in message.cmsgs().at(Step::Internal, what)? {
            if let ControlMessageOwned::ScmRights(fds) = message {
                files.extend(fds.into_iter().map(process::owned));
            }
        }
        if files.len() == count {
            Ok(files)
        } else {
            Err(Failure::host(Step::Internal, "descriptors were lost within the starter"))
        }
    }

    /// Waits for the next message; `None` at the end of the stream.
    pub(crate) fn receive<M: DeserializeOwned>(&self) -> Result<Option<M>, Failure> {
        let mut header = [0; 4];
        match (&self.0).read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            // A peer that died with unread messages resets the connection instead of closing it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error).at(Step::Internal, "receiving within the starter"),
        }
        let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE {
            return Err(Failure::host(Step::Internal, "a message is larger than any real one"));
        }
        let mut body = vec![0; length];
        (&self.0).read_exact(&mut body).at(Step::Internal, "receiving within the starter")?;
        postcard::from_bytes(&body)
            .map(Some)
            .map_err(|error| Failure::host(Step::Internal, format!("decoding a message: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_and_the_end_is_told() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&Order::Signal(15)).unwrap();
        drop(one);
        let order: Option<Order> = other.receive().unwrap();
        assert!(matches!(order, Some(Order::Signal(15))));
        assert!(other.receive::<Order>().unwrap().is_none());
    }

    #[test]
    fn the_status_is_the_kernels_word() {
        assert_eq!(Status::Exited(3).wait(), 768);
        assert_eq!(Status::Signaled(9, false).wait(), 9);
        assert_eq!(Status::Signaled(11, true).wait(), 139);
    }

    #[test]
    fn descriptors_follow_their_message() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&Report::Opened { streams: 2 }).unwrap();
        one.send_files(&[tempfile::tempfile().unwrap().into(), io::pipe().unwrap().0.into()])
            .unwrap();
        one.send(&Report::Started { pid: 7, revision: None, killer: false }).unwrap();
        let report: Option<Report> = other.receive().unwrap();
        assert!(matches!(report, Some(Report::Opened { streams: 2 })));
        assert_eq!(other.receive_files(2).unwrap().len(), 2);
        let report: Option<Report> = other.receive().unwrap();
        assert!(matches!(report, Some(Report::Started { pid: 7, .. })));
    }

    #[test]
    fn lengths_and_content_are_not_believed() {
        for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[1, 0, 0, 0, 0x7f], &[9, 0, 0, 0, 1]] {
            let (one, other) = Channel::pair().unwrap();
            (&one.0).write_all(bytes).unwrap();
            drop(one);
            assert!(other.receive::<Order>().is_err(), "{bytes:?}");
        }
    }
}
