//! The network of a job that has none but loopback.

use std::os::fd::AsRawFd;

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
