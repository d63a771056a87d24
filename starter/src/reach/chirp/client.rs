//! A client of the proxy: whether it may speak, bytes in and out, and the next thing it wants.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::{Fault, Request, Rights};

/// Longest line, bytes.
pub(super) const LINE: usize = 5120;
/// Bytes of a client that are kept before it is served, and of a file that are moved at a time.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Files that a client may have open at the submit side.
const FILES: usize = 64;
/// How long the answer to a wrong cookie takes.
pub(super) const PENALTY: Duration = Duration::from_secs(1);

/// Something longer than a line that a client is in the middle of.
#[derive(Debug)]
pub(crate) enum Work {
    /// Its bytes go to the shadow's descriptor: so many are left, and so many were written. Closed
    /// at the end if it was opened for this only.
    Write {
        /// The shadow's descriptor.
        fd: i64,
        /// Still to come.
        left: u64,
        /// Written.
        done: i64,
        /// Where the next goes; `None`: where the descriptor stands.
        offset: Option<i64>,
        /// Whether the descriptor goes with the work.
        own: bool,
        /// What went wrong; the rest is read and thrown away.
        fault: Option<Fault>,
    },
    /// They are collected for one request.
    Strided {
        /// The shadow's descriptor.
        fd: i64,
        /// Offset, stride, skip.
        places: [i64; 3],
        /// Bytes in all.
        length: u64,
        /// As far as they have come.
        bytes: Vec<u8>,
    },
    /// A file goes to the client: descriptor, and bytes that are left.
    Get(i64, u64),
}

/// What a client wants next.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A request, or why its line is none.
    Request(Result<Request, Fault>),
    /// Bytes of the work, perhaps the last.
    Bytes(Vec<u8>),
    /// To go on with the work.
    More,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// It has shown the cookie.
    pub(super) known: bool,
    /// When it is told that its cookie is wrong.
    pub(super) refuse_at: Option<Instant>,
    /// Nothing more is heard from it.
    ended: bool,
    /// Closed once its output is taken.
    closing: bool,
    /// Descriptors of the shadow's that are this client's.
    pub(super) files: BTreeSet<i64>,
    /// What it is in the middle of.
    pub(crate) work: Option<Work>,
}

impl Client {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            known: false,
            refuse_at: None,
            ended: false,
            closing: false,
            files: BTreeSet::new(),
            work: None,
        }
    }

    /// Answers with a number.
    pub(crate) fn answer(&mut self, number: i64) {
        self.output.extend_from_slice(format!("{number}\n").as_bytes());
    }

    /// Sends bytes behind an answer.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The shadow was lost while it was served. A number can answer a `new` request that has no answer
    /// yet; in the middle of something longer only the end of the stream says so, and what comes of the
    /// client's bytes isn't taken for requests.
    pub(crate) fn lost(&mut self, new: bool) {
        if !new {
            self.close();
        } else if self.output.is_empty() {
            self.answer(Fault::Offline.number());
        }
    }

    /// The shadow is another one: a descriptor of the last one's would be some other file there.
    pub(super) fn forget(&mut self) {
        self.files.clear();
        if self.work.take().is_some() {
            self.close();
        }
    }

    /// Gives up a client that can't be answered any more.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Whether a descriptor is its own.
    pub(crate) fn owns(&self, fd: i64) -> bool {
        self.files.contains(&fd)
    }

    /// Whether it may open one more file.
    pub(crate) fn may_open(&self) -> bool {
        self.files.len() < FILES
    }

    /// A descriptor is its own now.
    pub(crate) fn opened(&mut self, fd: i64) {
        self.files.insert(fd);
    }

    /// It isn't any more.
    pub(crate) fn closed(&mut self, fd: i64) {
        self.files.remove(&fd);
    }

    /// Moves what the socket takes and gives.
    pub(super) fn step(&mut self, now: Instant) {
        if self.refuse_at.is_some_and(|at| at <= now) {
            self.refuse_at = None;
            self.answer(Fault::NotAuthenticated.number());
            self.closing = true;
        }
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(count) if count > 0 => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                _ => return self.break_off(),
            }
        }
        while self.listens() {
            let mut buffer = [0; 8192];
            match self.socket.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.break_off(),
            }
        }
    }

    fn break_off(&mut self) {
        self.ended = true;
        self.input.clear();
        self.output.clear();
        self.closing = true;
    }

    fn listens(&self) -> bool {
        let room = if self.known { CHUNK } else { LINE + 1 };
        !self.ended && !self.closing && self.refuse_at.is_none() && self.input.len() < room
    }

    pub(super) fn source(&self) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.listens());
        flags.set(PollFlags::POLLOUT, !self.output.is_empty());
        PollFd::new(self.socket.as_fd(), flags)
    }

    /// Whether it wants something that can be done now.
    pub(super) fn wants(&self) -> bool {
        if !self.output.is_empty() || self.closing || self.refuse_at.is_some() {
            return false;
        }
        match &self.work {
            Some(Work::Get(..)) => true,
            Some(Work::Write { left: 0, .. }) => true,
            Some(_) => !self.input.is_empty(),
            None => self.input.contains(&b'\n') || self.input.len() > LINE,
        }
    }

    /// Nothing will ever come of it any more.
    pub(super) fn is_over(&self) -> bool {
        self.output.is_empty() && (self.closing || self.ended && !self.wants())
    }

    /// The next thing it wants of somebody who is known.
    pub(super) fn next(&mut self, cookie: &str, rights: Rights) -> Option<Heard> {
        if !self.wants() {
            return None;
        }
        let left = match &self.work {
            Some(Work::Get(..)) => return Some(Heard::More),
            Some(Work::Write { left, .. }) => Some(*left),
            Some(Work::Strided { length, bytes, .. }) => Some(length - bytes.len() as u64),
            None => None,
        };
        if let Some(left) = left {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
            return Some(Heard::Bytes(self.input.drain(..most).collect()));
        }
        let end = self.input.iter().position(|byte| *byte == b'\n');
        let Some(end) = end.filter(|end| *end <= LINE) else {
            self.answer(Fault::TooBig.number());
            self.closing = true;
            return None;
        };
        let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.input.drain(..=end).collect());
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if self.known {
            return Some(Heard::Request(Request::parse(line, rights, |fd| self.owns(fd))));
        }
        self.introduce(line, cookie);
        None
    }

    fn introduce(&mut self, line: &[u8], cookie: &str) {
        let words = super::line::words(line);
        match words.as_slice() {
            [verb, shown, ..] if verb == b"cookie" => {
                if is_same(shown, cookie.as_bytes()) {
                    self.known = true;
                    self.answer(0);
                } else {
                    tracing::warn!("chirp: a client showed a wrong cookie");
                    self.refuse_at = Some(Instant::now() + PENALTY);
                }
            }
            _ => {
                tracing::warn!("chirp: a client began without a cookie");
                self.answer(Fault::NotAuthenticated.number());
                self.closing = true;
            }
        }
    }
}

/// Takes as long whatever the difference is.
fn is_same(shown: &[u8], cookie: &[u8]) -> bool {
    shown.len() == cookie.len()
        && shown.iter().zip(cookie).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
