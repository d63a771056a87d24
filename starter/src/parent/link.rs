//! A CEDAR stream on a socket that doesn't block, and waiting for one with a limit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use condor_cedar::Connection;
use condor_cedar::blocking::StreamError;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a turn of reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parent) enum Input {
    /// Bytes.
    Some,
    /// Nothing, for now.
    None,
}

/// One connection.
#[derive(Debug)]
pub(in crate::parent) struct Link {
    /// The state machine.
    pub(in crate::parent) connection: Connection,
    socket: TcpStream,
}

impl Link {
    /// A new stream on a socket.
    pub(in crate::parent) fn new(socket: TcpStream) -> io::Result<Self> {
        Self::with_connection(Connection::new(), socket)
    }

    /// A stream that has begun.
    pub(in crate::parent) fn with_connection(
        connection: Connection,
        socket: TcpStream,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { connection, socket })
    }

    /// Reads what is there, once.
    pub(in crate::parent) fn fill(&mut self) -> Result<Input, StreamError> {
        loop {
            return match self.socket.read(self.connection.space()) {
                Ok(0) => Err(StreamError::Closed { partial: self.connection.is_partial() }),
                Ok(count) => {
                    self.connection.filled(count);
                    Ok(Input::Some)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Input::None),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Writes what the socket takes. True: nothing is left.
    pub(in crate::parent) fn flush(&mut self) -> io::Result<bool> {
        while !self.connection.pending().is_empty() {
            match self.socket.write(self.connection.pending()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.connection.advanced(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes everything, unless that takes longer than allowed.
    pub(in crate::parent) fn flush_until(&mut self, end: Instant) -> io::Result<()> {
        while !self.flush()? {
            if !wait(self.as_fd(), PollFlags::POLLOUT, end)? {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Ends the stream so that what was written arrives: a socket that is closed with something
    /// unread in it takes back what it sent.
    pub(in crate::parent) fn close(self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        self.drain();
    }

    /// Throws away what has come.
    pub(in crate::parent) fn drain(&self) {
        let mut scrap = [0; 4096];
        // A peer that goes on and on isn't listened to for long.
        for _ in 0..16 {
            match (&self.socket).read(&mut scrap) {
                Ok(1..) => {}
                _ => return,
            }
        }
    }

    /// What to wait for: the peer's bytes if that is wanted, and room for what is pending.
    pub(in crate::parent) fn flags(&self, reading: bool) -> PollFlags {
        let mut flags = if reading { PollFlags::POLLIN } else { PollFlags::empty() };
        if !self.connection.pending().is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        flags
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until a descriptor is ready. False: the time is over.
pub(in crate::parent) fn wait(
    fd: BorrowedFd<'_>,
    flags: PollFlags,
    end: Instant,
) -> io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Whole milliseconds, rounded up: a part of one would be no wait at all.
        let left = if left.is_zero() { left } else { left + Duration::from_millis(1) };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, flags)], timeout) {
            Ok(1..) => return Ok(true),
            Ok(_) if end <= Instant::now() => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
