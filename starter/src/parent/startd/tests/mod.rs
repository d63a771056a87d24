//! A startd made of the library's client side, on real sockets.

mod alive;
mod hostile;
mod inheritance;
mod orders;
mod proxies;
mod updates;

use std::io::{IoSlice, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::Request;
use condor_cedar::message::{Done, MachineAds, Vacate};
use condor_cedar::session::{ClaimId, Session};
use condor_cedar::shared_port::PASS_SOCKET;
use condor_cedar::{Command, Connection};
use nix::poll::{PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::io::{FdFlags, fcntl_setfd};

use super::*;

pub(super) const OLD: &str = "$CondorVersion: 23.9.6 2026-07-12 $";
pub(super) const NEW: &str = "$CondorVersion: 25.14.1 2026-10-16 $";
pub(super) const OWN: &str = "$CondorVersion: 25.14.1 2026-10-16 Cloister $";

/// The number of a descriptor that is left open for an heir.
pub(super) fn bequeath(fd: impl Into<OwnedFd>) -> i32 {
    let fd = fd.into();
    fcntl_setfd(&fd, FdFlags::empty()).unwrap();
    fd.into_raw_fd()
}

/// Both ends of a TCP connection.
pub(super) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    one.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (one, listener.accept().unwrap().0)
}

/// `name` is random enough for tests that run at the same time.
pub(super) fn endpoint_name() -> (String, UnixListener) {
    let name = format!("{:032x}/slot1_1_1_2", u128::from_ne_bytes(instance()));
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    (name, UnixListener::bind_addr(&address).unwrap())
}

pub(super) fn claim(id: &str, release: &str) -> ClaimId {
    let info = format!(
        "[Integrity=\"YES\";Encryption=\"YES\";ShortVersion=\"{release}\";CryptoMethods=\"BLOWFISH\";\
         CryptoMethodsList=\"AES.BLOWFISH.3DES\";]"
    );
    ClaimId::new(id, &info, "c05ff7054f8ebb6f8bcd00936ad51a1fa9f73ec486b2a8dcdd3271de4733c865")
        .unwrap()
}

pub(super) fn private(release: &str) -> String {
    let (parent, family) = (claim("parent", release), claim("family:1", release));
    format!(" SessionKey:{} FamilySessionKey:{}", parent.reveal(), family.reveal())
}

/// The other side of everything.
pub(super) struct Fake {
    pub(super) startd: Startd,
    pub(super) updates: Stream<TcpStream>,
    /// The shared port in front of the startd.
    pub(super) port: TcpListener,
    name: String,
    pub(super) parent: Session,
    pub(super) family: Session,
}

impl Fake {
    /// With a starter of a startd of that release, "23.9.6" or "25.14.1".
    pub(super) fn new(release: &str, knobs: &str) -> Self {
        let (name, endpoint) = endpoint_name();
        let (ours, theirs) = pair();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let inherit = format!(
            "{} <{}?alias=localhost&noUDP&sock=startd_1_2> 1 {}*3*0*0*0*0***0*<127.0.0.1:1>*0*0*0*0*0*0*0* 0 \
             SharedPort:{name}*{}*6*0*0*0*0***1**0*0*0*0*0*0*0* 0",
            std::process::id(),
            port.local_addr().unwrap(),
            bequeath(theirs),
            bequeath(endpoint),
        );
        // No sign of life unless a test is about it.
        let knobs = Knobs::from_text(&format!("STARTER_FIRST_CHILDALIVE_DELAY = 600\n{knobs}"));
        let (mut startd, shadow) =
            Startd::take_over(&inherit, &private(release), &knobs, OWN).unwrap();
        assert!(shadow.is_none());
        if knobs.starter_not_responding_timeout.is_none() {
            startd.alive.postpone(Duration::from_secs(600));
        }
        Self {
            startd,
            updates: Stream::new(ours),
            port,
            name,
            parent: Session::parent(&claim("parent", release)).unwrap(),
            family: Session::family(&claim("family:1", release)).unwrap(),
        }
    }

    /// A connection as the shared port passes one on.
    pub(super) fn connect(&self) -> TcpStream {
        let (client, passed) = pair();
        let mut local = self.knock();
        local.write_all(&PASS_SOCKET).unwrap();
        let fds = [passed.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(local.as_raw_fd(), &[IoSlice::new(&[0])], &message, MsgFlags::empty(), None)
            .unwrap();
        client
    }

    /// A connection to the local socket.
    pub(super) fn knock(&self) -> UnixStream {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(&self.name).unwrap()).unwrap()
    }

    /// Sends a signal as a startd does.
    pub(super) fn signal(&self, number: i32) {
        let mut stream = Stream::new(self.connect());
        let request =
            Request { answer: false, ..Request::new(Command::RaiseSignal, &self.parent, NEW) };
        stream.open(&request).unwrap();
        let mut message = stream.writer();
        message.i64(number);
        stream.send(&message).unwrap();
    }

    /// Sends a vacate and waits for its answer, meanwhile.
    pub(super) fn vacate(&self, vacate: Vacate) -> JoinHandle<()> {
        let (socket, session) = (self.connect(), self.family.clone());
        thread::spawn(move || {
            let mut stream = Stream::new(socket);
            stream.open(&Request::new(Command::VacateJob, &session, NEW)).unwrap();
            stream.send_value(&vacate).unwrap();
            stream.receive_value::<Done>().unwrap();
        })
    }

    /// The loop, until so many orders have come.
    pub(super) fn orders(&mut self, count: usize) -> Vec<Asked> {
        let mut asked = Vec::new();
        self.run(|startd| {
            asked.extend(startd.step());
            asked.len() >= count
        });
        asked
    }

    /// The loop: what is done each time, until it says true.
    pub(super) fn run(&mut self, mut each: impl FnMut(&mut Startd) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !each(&mut self.startd) {
            assert!(Instant::now() < end, "nothing happens");
            let left = self.startd.due().map(|due| due.saturating_duration_since(Instant::now()));
            // Conditions may be about other threads, too.
            let left = left.unwrap_or_default().min(Duration::from_millis(20));
            let left = left + Duration::from_millis(1);
            poll(&mut self.startd.sources(), PollTimeout::try_from(left).unwrap()).unwrap();
        }
    }

    /// All that can happen happens; what was asked.
    pub(super) fn settle(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        while poll(&mut self.startd.sources(), 100u16).unwrap() > 0 {
            asked.extend(self.startd.step());
        }
        asked
    }

    /// The loop sleeps: nothing is ready all the time.
    pub(super) fn assert_quiet(&mut self) {
        self.startd.step();
        assert_eq!(poll(&mut self.startd.sources(), 50u16).unwrap(), 0, "a busy loop");
    }
}

pub(super) fn vacate(code: i32, soft: bool) -> Vacate {
    Vacate { reason: "Claim deactivated".into(), code, subcode: 0, soft }
}
