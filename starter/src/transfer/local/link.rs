//! The socket between the two processes: one entry a packet, an open file travels along with it.
//!
//! A directory is entered and left like in a walk, so a name is always a single component, and a
//! path can't be said at all. The receiver believes nothing else either: whoever sends may be a
//! process in a job's hands.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, setsockopt, socketpair, sockopt,
};
use rustix::fs::{FileType, Mode, fstat};

use crate::failure::{Context, Failure, Step};
use crate::sys::process;
use crate::transfer::fault::Trouble;
use crate::transfer::names;

/// Longest packet: kind, mode, and a name of at most 255 bytes; one more byte shows what is longer.
const MAX_PACKET: usize = 3 + names::MAX + 1;
/// Few packets wait in the socket, for each holds a file open (the kernel doubles the number and
/// counts 768 bytes or more for a packet).
const SEND_BUFFER: usize = 16 * 1024;

const ENTER: u8 = 1;
const FILE: u8 = 2;
const LEAVE: u8 = 3;
const END: u8 = 4;

/// One step of the walk.
#[derive(Debug)]
pub(super) enum Entry {
    /// A directory; what follows is in it.
    Enter {
        /// Its name, one component.
        name: OsString,
        /// Its permission bits.
        mode: Mode,
    },
    /// A regular file.
    File {
        /// Its name, one component.
        name: OsString,
        /// Its permission bits.
        mode: Mode,
        /// Open for reading, at its start.
        content: File,
    },
    /// The end of the directory entered last.
    Leave,
    /// Nothing follows.
    End,
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Link {
    /// Two connected ends.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        // SEQPACKET keeps packets apart and, other than DGRAM, tells when the peer is gone.
        let (one, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        for end in [&one, &other] {
            setsockopt(end, sockopt::SndBuf, &SEND_BUFFER)?;
        }
        Ok((Self(one), Self(other)))
    }

    /// Sends the start of a directory.
    pub(super) fn enter(&self, name: &OsStr, mode: Mode) -> Result<(), Trouble> {
        self.send(ENTER, mode, name, None)
    }

    /// Sends the end of a directory.
    pub(super) fn leave(&self) -> Result<(), Trouble> {
        self.send(LEAVE, Mode::empty(), OsStr::new(""), None)
    }

    /// Sends an open file.
    pub(super) fn file(
        &self,
        name: &OsStr,
        mode: Mode,
        content: BorrowedFd<'_>,
    ) -> Result<(), Trouble> {
        self.send(FILE, mode, name, Some(content))
    }

    /// Sends the end of everything.
    pub(super) fn end(&self) -> Result<(), Trouble> {
        self.send(END, Mode::empty(), OsStr::new(""), None)
    }

    fn send(
        &self,
        kind: u8,
        mode: Mode,
        name: &OsStr,
        content: Option<BorrowedFd<'_>>,
    ) -> Result<(), Trouble> {
        let mode = mode.bits().to_le_bytes();
        let head = [kind, mode[0], mode[1]];
        let parts = [IoSlice::new(&head), IoSlice::new(name.as_bytes())];
        let fds = content.map(|fd| [fd.as_raw_fd()]);
        let rights = fds.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
        let rights: &[_] = rights.as_ref().map_or(&[], |rights| rights);
        let none: Option<&()> = None;
        loop {
            // NOSIGNAL: a peer that is gone is an error here, whatever becomes of SIGPIPE.
            match sendmsg(self.0.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, none) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                // Too many open files of this account are on their way through sockets, this one's
                // or those of other jobs. They arrive soon.
                Err(Errno::ETOOMANYREFS) => std::thread::sleep(Duration::from_millis(1)),
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(Trouble::PeerGone),
                Err(errno) => return Err(errno).at(Step::Internal, LINK).map_err(Trouble::from),
            }
        }
    }

    /// Receives an entry, and refuses what is none.
    pub(super) fn receive(&self) -> Result<Entry, Trouble> {
        let mut buffer = [0; MAX_PACKET];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        // Room for one descriptor; the kernel closes any others and says so by CTRUNC.
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let (length, content, flags) = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Ok(message) => {
                    // Descriptors become owned before anything can fail.
                    let fd = message.cmsgs().ok().and_then(|mut list| {
                        list.find_map(|message| match message {
                            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
                            _ => None,
                        })
                    });
                    break (message.bytes, fd.map(process::owned), message.flags);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Err(Trouble::PeerGone),
                Err(errno) => return Err(errno).at(Step::Internal, LINK).map_err(Trouble::from),
            }
        };
        if length == 0 {
            return Err(Trouble::PeerGone);
        }
        if flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
            return Err(refused("it is too long, or this process may open no more files"));
        }
        decode(buffer.get(..length).unwrap_or_default(), content)
    }
}

const LINK: &str = "socket between the transfer processes";

fn decode(packet: &[u8], content: Option<OwnedFd>) -> Result<Entry, Trouble> {
    let Some(([kind, low, high], name)) = packet.split_first_chunk() else {
        return Err(refused("it is too short"));
    };
    // Set-uid, set-gid and sticky bits don't travel.
    let mode = Mode::from_raw_mode(u32::from(u16::from_le_bytes([*low, *high])) & 0o777);
    let named = || {
        let name = OsString::from_vec(name.to_vec());
        if names::is_plain(&name) { Ok(name) } else { Err(refused("its name is no file's name")) }
    };
    match (*kind, content) {
        (ENTER, None) => Ok(Entry::Enter { name: named()?, mode }),
        (FILE, Some(content)) => {
            // Reading from anything else might never end.
            let regular = fstat(&content)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
            if !regular {
                return Err(refused("it is no regular file"));
            }
            Ok(Entry::File { name: named()?, mode, content: File::from(content) })
        }
        (LEAVE, None) if name.is_empty() => Ok(Entry::Leave),
        (END, None) if name.is_empty() => Ok(Entry::End),
        _ => Err(refused("it is of no known kind")),
    }
}

/// What the sending process must never send.
pub(super) fn refused(why: &str) -> Trouble {
    Failure::host(Step::Internal, format!("entry of the sending transfer process refused: {why}"))
        .into()
}
