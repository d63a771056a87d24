//! Where connections come in: a local socket behind the machine's shared port, or ports of one's own.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use condor_cedar::Sinful;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{getsockopt, sockopt::AcceptConn};

use super::call::Call;

/// How often a socket in the file system is touched, for programs that tidy up by age.
const TOUCH: Duration = Duration::from_secs(15 * 60);
/// How long nothing is accepted after it failed: with no descriptor left it would fail again at once.
const PAUSE: Duration = Duration::from_secs(1);
/// Connections accepted in one turn.
const TURN: usize = 16;

/// The listening sockets.
#[derive(Debug)]
pub(super) struct Door {
    listeners: Vec<Listener>,
    /// A socket in the file system, which has to be removed, by the process that took it over.
    file: Option<(PathBuf, u32)>,
    touch: Instant,
    paused: Option<Instant>,
}

#[derive(Debug)]
enum Listener {
    /// The shared port connects, and passes connections on.
    Local(UnixListener),
    /// Clients connect.
    Port(TcpListener),
}

impl Listener {
    fn accept(&self, deadline: Instant) -> io::Result<Call> {
        match self {
            Self::Local(listener) => Call::passed(listener.accept()?.0, deadline),
            Self::Port(listener) => Call::direct(listener.accept()?.0, deadline),
        }
    }

    fn source(&self) -> PollFd<'_> {
        let fd = match self {
            Self::Local(listener) => listener.as_fd(),
            Self::Port(listener) => listener.as_fd(),
        };
        PollFd::new(fd, PollFlags::POLLIN)
    }
}

impl Door {
    /// The endpoint behind a shared port.
    pub(super) fn local(fd: OwnedFd) -> io::Result<Self> {
        require_listening(&fd)?;
        let listener = UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        let file = listener.local_addr()?.as_pathname().map(Path::to_path_buf);
        let mut door = Self::new(vec![Listener::Local(listener)]);
        door.file = file.map(|path| (path, std::process::id()));
        Ok(door)
    }

    /// Ports of one's own.
    pub(super) fn ports(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let mut listeners = Vec::with_capacity(fds.len());
        for fd in fds {
            require_listening(&fd)?;
            let listener = TcpListener::from(fd);
            listener.local_addr()?;
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Port(listener));
        }
        Ok(Self::new(listeners))
    }

    fn new(listeners: Vec<Listener>) -> Self {
        Self { listeners, file: None, touch: Instant::now() + TOUCH, paused: None }
    }

    /// The address for those who want to connect, by that of the parent: behind the shared port it
    /// has another name there, and otherwise other ports.
    pub(super) fn address(&self, parent: &Sinful, endpoint: Option<&str>) -> Option<Sinful> {
        if let Some(id) = endpoint {
            let mut address = parent.clone();
            address.set_shared_port_id(id);
            return Some(address);
        }
        let ports: Vec<SocketAddr> = self.listeners.iter().filter_map(Listener::port).collect();
        let reachable: Vec<SocketAddr> =
            parent.addresses().into_iter().filter_map(|address| at(address, &ports)).collect();
        Sinful::published(&reachable, parent.param("alias"))
    }

    /// Accepts who has come, for so long.
    pub(super) fn step(&mut self, life: Duration, mut admit: impl FnMut(Call)) {
        let now = Instant::now();
        if self.paused.is_some_and(|end| now < end) {
            return;
        }
        self.paused = None;
        if now >= self.touch {
            self.touch = now + TOUCH;
            self.freshen();
        }
        for listener in &self.listeners {
            for _ in 0..TURN {
                match listener.accept(now + life) {
                    Ok(call) => admit(call),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The client was faster gone than accepted.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!("command socket: {error}; trying again in a second");
                        self.paused = Some(now + PAUSE);
                        break;
                    }
                }
            }
        }
    }

    /// What to wait for.
    pub(super) fn sources(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listeners = if self.paused.is_some() { &[][..] } else { &self.listeners };
        listeners.iter().map(Listener::source)
    }

    /// When there is something to do without anybody coming.
    pub(super) fn due(&self) -> Option<Instant> {
        self.paused.or_else(|| self.file.is_some().then_some(self.touch))
    }

    /// It is time to touch the socket.
    #[cfg(test)]
    pub(super) fn make_stale(&mut self) {
        self.touch = Instant::now();
    }

    fn freshen(&self) {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
        let Some((path, _)) = &self.file else { return };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        if let Err(error) = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW) {
            tracing::warn!("touching {}: {error}", path.display());
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A forked process that drops its copy must not take the name away.
        if let Some((path, owner)) = &self.file
            && *owner == std::process::id()
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("removing {}: {error}", path.display());
        }
    }
}

impl Listener {
    fn port(&self) -> Option<SocketAddr> {
        match self {
            Self::Local(_) => None,
            Self::Port(listener) => listener.local_addr().ok(),
        }
    }
}

/// An address of the parent's machine, with this starter's port of the same kind.
fn at(mut address: SocketAddr, ports: &[SocketAddr]) -> Option<SocketAddr> {
    let own = ports.iter().find(|port| {
        port.is_ipv4() == address.is_ipv4()
            && (port.ip().is_unspecified() || port.ip() == address.ip())
    })?;
    address.set_port(own.port());
    Some(address)
}

fn require_listening(fd: &OwnedFd) -> io::Result<()> {
    match getsockopt(fd, AcceptConn)? {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "not a listening socket")),
    }
}
