//! What init hands to the launcher: a descriptor of the job's process, and of a socket in its network.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use crate::failure::{Context, Failure, Step};
use crate::sys::open::read_short;
use crate::sys::process;

/// A socket pair that keeps messages apart and tells when the other end is gone, which a pair of
/// datagram sockets doesn't.
pub(in crate::launcher) fn messages() -> io::Result<(UnixDatagram, UnixDatagram)> {
    let kind = SockType::SeqPacket;
    let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((one.into(), other.into()))
}

pub(in crate::launcher) fn send_pidfd(
    report: &UnixDatagram,
    pidfd: &OwnedFd,
    listener: Option<&OwnedFd>,
    revision: Option<&str>,
) -> Result<(), Failure> {
    let fds = [Some(pidfd), listener];
    let fds: Vec<RawFd> = fds.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let none: Option<&()> = None;
    let text = [b"p", revision.unwrap_or_default().as_bytes()].concat();
    sendmsg(report.as_raw_fd(), &[IoSlice::new(&text)], &rights, MsgFlags::empty(), none)
        .map(drop)
        .at(Step::Namespaces, "handing over the job's descriptor")
}

/// What init hands over.
pub(in crate::launcher) struct Received {
    /// The job's process.
    pub(in crate::launcher) job: OwnedFd,
    /// The socket that init may have made in the job's network.
    pub(super) listener: Option<OwnedFd>,
    /// Of the job's root.
    pub(super) revision: Option<String>,
}

/// Whether init says something in time, be it by its end.
pub(in crate::launcher) fn answers(
    status: &UnixDatagram,
    patience: PollTimeout,
) -> Result<bool, Failure> {
    let mut fds = [PollFd::new(status.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, patience) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).at(Step::Namespaces, "poll"),
        }
    }
}

pub(in crate::launcher) fn receive_pidfd(status: &UnixDatagram) -> Result<Received, Failure> {
    let mut text = [0; 256];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(status.as_raw_fd(), &mut parts, Some(&mut space), flags)
        .at(Step::Namespaces, "the job's descriptor")?;
    let mut messages = message.cmsgs().at(Step::Namespaces, "the job's descriptor")?;
    let fds = messages.find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let mut fds = fds.into_iter().flatten().map(process::owned);
    let pair = fds.next().map(|job| (job, fds.next()));
    let length = message.bytes;
    let revision = text.get(1..length).filter(|text| !text.is_empty());
    let revision = revision.map(|text| String::from_utf8_lossy(text).into_owned());
    pair.map(|(job, listener)| Received { job, listener, revision })
        .ok_or_else(|| Failure::host(Step::Namespaces, "init sent no descriptor of the job"))
}

/// The number that the kernel shows for a pidfd in this process's own PID namespace.
pub(in crate::launcher) fn number_of(pidfd: &OwnedFd) -> i32 {
    let info = read_short(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let text = String::from_utf8_lossy(&info);
    text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()).unwrap_or_default()
}
