//! What a startd sends to its starter.

use std::io::{IoSlice, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use condor_cedar::Command;
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::Request;
use condor_cedar::message::{Done, Vacate};
use condor_cedar::session::Session;
use condor_cedar::shared_port::PASS_SOCKET;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;

use super::pair;

/// The startd.
pub(crate) struct Startd {
    pub(super) name: String,
    pub(super) version: &'static str,
    pub(super) parent: Session,
    pub(super) family: Session,
    pub(super) claim: Session,
    pub(super) pid: Pid,
    pub(super) _port: TcpListener,
}

/// An order to end the job, in one of its forms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// A Unix signal.
    Signal(Signal),
    /// Command 60000 with a number.
    Raise(i32),
    /// Command 1500 with code and softness.
    Vacate(i32, bool),
}

impl Startd {
    /// The session of all daemons of the machine.
    pub(crate) fn family(&self) -> &Session {
        &self.family
    }

    /// The session between startd and starter.
    pub(crate) fn parent(&self) -> &Session {
        &self.parent
    }

    /// A connection as the shared port passes one on.
    pub(crate) fn connect(&self) -> TcpStream {
        let (client, passed) = pair();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let address = SocketAddr::from_abstract_name(&self.name).unwrap();
        let mut local = UnixStream::connect_addr(&address).unwrap();
        local.write_all(&PASS_SOCKET).unwrap();
        let fds = [passed.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(local.as_raw_fd(), &[IoSlice::new(&[0])], &message, MsgFlags::empty(), None)
            .unwrap();
        client
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: Order) {
        match order {
            Order::Signal(signal) => kill(self.pid, signal).unwrap(),
            Order::Raise(number) => self.raise(number),
            Order::Vacate(code, soft) => self.vacate(code, soft),
        }
    }

    fn raise(&self, number: i32) {
        let mut stream = Stream::new(self.connect());
        let request = Request {
            answer: false,
            ..Request::new(Command::RaiseSignal, &self.parent, self.version)
        };
        stream.open(&request).unwrap();
        let mut message = stream.writer();
        message.i64(number);
        stream.send(&message).unwrap();
    }

    /// Waits for the answer, as a startd does.
    fn vacate(&self, code: i32, soft: bool) {
        let mut stream = Stream::new(self.connect());
        stream.open(&Request::new(Command::VacateJob, &self.family, self.version)).unwrap();
        let reason = "Claim deactivated".to_owned();
        stream.send_value(&Vacate { reason, code, subcode: 0, soft }).unwrap();
        stream.receive_value::<Done>().unwrap();
    }
}
