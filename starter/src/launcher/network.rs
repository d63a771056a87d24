//! The network of a job: loopback where it has nothing else, and the socket of its chirp proxy.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::failure::{Context, Failure, Step};
use crate::sys::process::interface_up;

/// Switches the loopback interface of this network namespace on; a new one has it switched off, and
/// programs that talk to themselves would fail.
pub(crate) fn loopback_up() -> Result<(), Failure> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .at(Step::Namespaces, "socket for the loopback interface")?;
    interface_up(socket.as_raw_fd(), "lo").at(Step::Namespaces, "loopback interface")
}

/// A socket that listens on the loopback interface of this network namespace.
pub(crate) fn listener() -> Result<OwnedFd, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map(OwnedFd::from)
        .at(Step::Namespaces, "socket for the chirp proxy")
}

/// The port of such a socket.
pub(crate) fn port(socket: &OwnedFd) -> Result<u16, Failure> {
    let what = "socket for the chirp proxy";
    let socket = socket.try_clone().map(TcpListener::from).at(Step::Namespaces, what)?;
    socket.local_addr().map(|address| address.port()).at(Step::Namespaces, what)
}
