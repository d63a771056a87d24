//! Connections that a shared port passes on, through a local socket.

use std::io::{self, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::shared_port::PASS_SOCKET;

/// A local connection of the shared port daemon, which is to bring another connection.
#[derive(Debug)]
pub struct Passing {
    socket: UnixStream,
    /// The message before the socket, as far as it is there.
    head: [u8; PASS_SOCKET.len()],
    length: usize,
}

impl Passing {
    /// Takes a connection that was accepted at the endpoint.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, head: [0; PASS_SOCKET.len()], length: 0 }
    }

    /// The local connection, to wait for.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Receives the connection that was passed, which blocks; the local one is of no further use. On
    /// a local socket that doesn't block [`io::ErrorKind::WouldBlock`] means: again, when there is more.
    pub fn receive(&mut self) -> io::Result<TcpStream> {
        while self.length < self.head.len() {
            // No byte beyond: the next one carries the socket.
            match self.socket.read(&mut self.head[self.length..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.head != PASS_SOCKET {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a passed socket"));
        }
        let passed = TcpStream::from(self.descriptor()?);
        // The shared port daemon uses it without blocking, and hands it on that way.
        passed.set_nonblocking(false)?;
        passed.set_nodelay(true)?;
        Ok(passed)
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut byte)];
            match recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptor.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no socket was passed"))
    }
}
