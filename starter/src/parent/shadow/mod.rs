//! The shadow: the channel on which this starter asks for the job and reports on it.
//!
//! One request at a time, each answered before the next (HTCondor calls them remote system calls).
//! Everything runs in the caller's poll loop, and nothing here waits.

mod call;
mod remote;

use std::net::TcpStream;
use std::os::fd::AsFd;

use condor_cedar::Reader;
use condor_cedar::blocking::Stream;
use nix::poll::PollFd;

pub(crate) use call::{Answer, Call, JobExit, Mode, SessionTexts};
pub(crate) use remote::{Argument, Remote};

use crate::failure::{Context, Failure, Step};
use crate::parent::link::{Input, Link};

/// Longest message that is accepted, in bytes. Job ads have tens of kilobytes.
const MAX_MESSAGE: usize = 32 << 20;

/// The connection with the shadow, which began in the startd.
#[derive(Debug)]
pub(crate) struct Shadow(Link);

/// The connection is of no more use, and why.
#[derive(Clone, Debug)]
pub(crate) struct Lost(pub(crate) String);

impl Shadow {
    /// Goes on where the startd left the stream.
    pub(crate) fn new(stream: Stream<TcpStream>) -> Result<Self, Failure> {
        let (mut connection, socket) = stream.into_parts();
        connection.set_limit(MAX_MESSAGE);
        Link::with_connection(connection, socket).map(Self).at(Step::Internal, "shadow socket")
    }

    /// Whether nobody else can read what is said.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.connection.is_encrypted()
    }

    /// Goes on with one that has come back, on the connection on which it did.
    pub(in crate::parent) fn returned(mut link: Link) -> Self {
        link.connection.set_limit(MAX_MESSAGE);
        Self(link)
    }

    /// Puts a request on its way.
    pub(crate) fn send(&mut self, call: &Call<'_>) -> Result<(), Lost> {
        let mut message = self.0.connection.writer();
        call.write(&mut message);
        self.0.connection.send(&message).map_err(lost)?;
        self.0.flush().map(drop).map_err(lost)
    }

    /// What to wait for.
    pub(crate) fn source(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), self.0.flags(true))
    }

    /// Writes and reads what can be written and read now; whether a message has come.
    pub(crate) fn step(&mut self) -> Result<bool, Lost> {
        self.0.flush().map_err(lost)?;
        loop {
            if self.0.connection.receive().map_err(lost)? {
                return Ok(true);
            }
            match self.0.fill().map_err(lost)? {
                Input::Some => {}
                Input::None => return Ok(false),
            }
        }
    }

    /// The message that has come.
    pub(crate) fn message(&self) -> Reader<'_> {
        self.0.connection.message()
    }
}

fn lost(error: impl std::fmt::Display) -> Lost {
    Lost(error.to_string())
}
