//! The schedd's queue, where a starter of the local universe keeps the job's attributes itself: one
//! connection for each change, in the session that the schedd made for its child (23.9.6 and 25.14.1).

use std::net::TcpStream;
use std::time::Duration;

use classad::ClassAd;
use condor_cedar::blocking::{Stream, StreamError};
use condor_cedar::handshake::Request;
use condor_cedar::session::Session;
use condor_cedar::{Command, Sinful, Writer};

use crate::version::CONDOR_VERSION;

/// How long each step may take.
const TIME: Duration = Duration::from_secs(20);

/// Calls of the queue's protocol.
const SET_ATTRIBUTE: i64 = 10006;
const COMMIT: i64 = 10007;
const CLOSE: i64 = 10028;
const SET_OWNER: i64 = 10030;

/// One job in it.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The schedd.
    pub(crate) address: Sinful,
    /// The session with it.
    pub(crate) session: Session,
    /// For whom the change is: `User` of the job ad.
    pub(crate) user: String,
    /// `ClusterId` and `ProcId`.
    pub(crate) id: (i64, i64),
}

/// Why the queue wasn't changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The connection.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// The schedd's word.
    #[error("the schedd refuses {0}: errno {1}")]
    Errno(&'static str, i64),
}

impl From<condor_cedar::Error> for Refused {
    fn from(error: condor_cedar::Error) -> Self {
        Self::Stream(error.into())
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Stream(error.into())
    }
}

impl Queue {
    /// Sets attributes, all of them or none.
    pub(crate) fn set(&self, attributes: &ClassAd) -> Result<(), Refused> {
        if attributes.is_empty() {
            return Ok(());
        }
        let mut stream = Stream::connect(&self.address, "STARTER", TIME)?;
        stream.socket().set_read_timeout(Some(TIME))?;
        stream.socket().set_write_timeout(Some(TIME))?;
        stream.open(&Request::new(Command::QueueWrite, &self.session, CONDOR_VERSION))?;
        let mut queue = Open(stream);
        queue.call("the job's user", |to| {
            to.i64(SET_OWNER).string(&self.user);
        })?;
        for (name, value) in attributes.iter() {
            queue.call("an attribute", |to| {
                to.i64(SET_ATTRIBUTE).i64(self.id.0).i64(self.id.1);
                to.string(value.to_string()).string(name.to_string());
            })?;
        }
        queue.call("the change", |to| {
            to.i64(COMMIT);
        })?;
        let mut close = queue.0.writer();
        close.i64(CLOSE);
        // Everything is done; the schedd sees the end of the connection as well.
        let _ = queue.0.send(&close).and_then(|()| queue.0.flush());
        Ok(())
    }
}

/// A connection on which calls are made.
struct Open(Stream<TcpStream>);

impl Open {
    fn call(&mut self, what: &'static str, write: impl FnOnce(&mut Writer)) -> Result<(), Refused> {
        let mut message = self.0.writer();
        write(&mut message);
        self.0.send(&message)?;
        self.0.flush()?;
        let mut answer = self.0.receive()?;
        if answer.i64()? < 0 {
            return Err(Refused::Errno(what, answer.i64().unwrap_or_default()));
        }
        Ok(())
    }
}
