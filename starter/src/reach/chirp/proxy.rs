//! The proxy of a job: a socket that listens, and its clients, each in its turn.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::Rights;
use super::client::{Client, Heard, Work};

/// Clients at a time.
const MOST: usize = 64;

/// The proxy of a job.
#[derive(Debug)]
pub(crate) struct Proxy {
    listener: TcpListener,
    cookie: Zeroizing<String>,
    rights: Rights,
    clients: Vec<Client>,
    /// Descriptors of the shadow's whose clients have gone.
    orphans: Vec<i64>,
}

impl Proxy {
    /// Serves a socket that listens.
    pub(crate) fn new(
        listener: TcpListener,
        cookie: Zeroizing<String>,
        rights: Rights,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, cookie, rights, clients: Vec::new(), orphans: Vec::new() })
    }

    /// What to wait for.
    pub(crate) fn sources(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listener = PollFd::new(self.listener.as_fd(), PollFlags::POLLIN);
        std::iter::once(listener).chain(self.clients.iter().map(Client::source))
    }

    /// When there is something to do, whatever the sources do.
    pub(crate) fn due(&self) -> Option<Instant> {
        if !self.orphans.is_empty() || self.clients.iter().any(Client::wants) {
            return Some(Instant::now());
        }
        self.clients.iter().filter_map(|client| client.refuse_at).min()
    }

    /// Moves what can be moved without waiting for anybody; each client that wants something now has
    /// its turn in [`next`](Self::next) once.
    pub(crate) fn step(&mut self) {
        for _ in 0..MOST {
            match self.listener.accept() {
                Ok((socket, _)) => self.admit(socket),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let now = Instant::now();
        for client in &mut self.clients {
            client.step(now);
        }
        let (over, rest) = std::mem::take(&mut self.clients).into_iter().partition(Client::is_over);
        self.clients = rest;
        over.into_iter().for_each(|client| self.leave(client));
    }

    /// When there are too many, the one goes that has been waited for longest to say who it is.
    fn admit(&mut self, socket: TcpStream) {
        if socket.set_nonblocking(true).is_err() {
            return;
        }
        let _ = socket.set_nodelay(true);
        if self.clients.len() >= MOST {
            let Some(stranger) = self.clients.iter().position(|client| !client.known) else {
                tracing::warn!("chirp: too many clients");
                return;
            };
            self.clients.remove(stranger);
        }
        self.clients.push(Client::new(socket));
    }

    fn leave(&mut self, client: Client) {
        if let Some(Work::Write { fd, own: true, .. } | Work::Get(fd, _)) = client.work {
            self.orphans.push(fd);
        }
        self.orphans.extend(client.files);
    }

    /// How many clients there are.
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// What this client wants, if anything, and the client.
    pub(crate) fn next(&mut self, index: usize) -> Option<(Heard, &mut Client)> {
        let client = self.clients.get_mut(index)?;
        let heard = client.next(&self.cookie, self.rights)?;
        Some((heard, client))
    }

    /// Nothing is open any more, as the shadow is another one.
    pub(crate) fn forget(&mut self) {
        self.orphans.clear();
        self.clients.iter_mut().for_each(Client::forget);
    }

    /// Descriptors that nobody has any more.
    pub(crate) fn orphans(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.orphans)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use super::super::client::{LINE, PENALTY};
    use super::super::{Fault, Request};
    use super::*;

    const COOKIE: &str = "abcdefghijklmnopqrstuvwxyzabcde";

    fn proxy() -> (Proxy, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let rights = Rights { files: true, updates: true, delayed: true };
        let cookie = Zeroizing::new(COOKIE.to_owned());
        (Proxy::new(listener, cookie, rights).unwrap(), address)
    }

    fn connect(address: std::net::SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    /// Turns until something is heard, or for the time given.
    fn turn(proxy: &mut Proxy, time: Duration) -> Option<Heard> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            proxy.step();
            for index in 0..proxy.clients() {
                if let Some((heard, _)) = proxy.next(index) {
                    return Some(heard);
                }
            }
            proxy.step();
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    const SHORT: Duration = Duration::from_millis(100);

    fn read(socket: &mut TcpStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        socket.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_cookie_opens() {
        let (mut proxy, address) = proxy();
        let mut socket = connect(address);
        socket.write_all(format!("cookie {COOKIE}\nversion\n").as_bytes()).unwrap();
        let heard = turn(&mut proxy, Duration::from_secs(5));
        assert!(matches!(heard, Some(Heard::Request(Ok(Request::Version)))), "{heard:?}");
        assert_eq!(read(&mut socket, 2), "0\n");
    }

    #[test]
    fn strangers_are_told_so_and_never_served() {
        let (mut proxy, address) = proxy();
        for (line, slow) in [("cookie wrong", true), ("version", false), ("", false)] {
            let mut socket = connect(address);
            let begin = Instant::now();
            socket.write_all(format!("{line}\nversion\n").as_bytes()).unwrap();
            assert!(turn(&mut proxy, if slow { PENALTY + SHORT } else { SHORT }).is_none());
            assert_eq!(read(&mut socket, 3), "-1\n");
            assert_eq!(begin.elapsed() >= PENALTY, slow);
            assert_eq!(proxy.clients(), 0, "{line}");
        }
    }

    #[test]
    fn a_line_that_never_ends_is_too_long() {
        let (mut proxy, address) = proxy();
        let mut socket = connect(address);
        socket.write_all(&vec![b'x'; LINE + 1]).unwrap();
        assert!(turn(&mut proxy, SHORT).is_none());
        assert_eq!(read(&mut socket, 3), "-5\n");
        assert_eq!(proxy.clients(), 0);
    }

    #[test]
    fn many_strangers_dont_push_out_who_is_known() {
        let (mut proxy, address) = proxy();
        let mut friend = connect(address);
        friend.write_all(format!("cookie {COOKIE}\n").as_bytes()).unwrap();
        turn(&mut proxy, SHORT);
        let crowd: Vec<_> = (0..MOST + 20)
            .map(|_| {
                let socket = connect(address);
                proxy.step();
                socket
            })
            .collect();
        assert_eq!(proxy.clients(), MOST);
        assert!(proxy.clients.iter().filter(|client| client.known).count() == 1);
        friend.write_all(b"version\n").unwrap();
        let heard = turn(&mut proxy, Duration::from_secs(5));
        assert!(matches!(heard, Some(Heard::Request(Ok(Request::Version)))));
        drop(crowd);
        turn(&mut proxy, SHORT);
        assert_eq!(proxy.clients(), 1);
    }

    #[test]
    fn another_shadow_has_nothing_open() {
        let (mut proxy, address) = proxy();
        let (mut idle, busy) = (connect(address), connect(address));
        proxy.step();
        for client in &mut proxy.clients {
            client.opened(7);
        }
        proxy.clients[1].work = Some(Work::Get(9, 100));
        proxy.orphans.push(5);
        proxy.forget();
        assert!(!proxy.clients[0].owns(7));
        proxy.clients[0].lost(true);
        proxy.clients[0].lost(true);
        turn(&mut proxy, SHORT);
        assert_eq!(proxy.clients(), 1);
        assert_eq!(read(&mut idle, 4), format!("{}\n", Fault::Offline.number()));
        assert!(proxy.orphans().is_empty());
        drop(busy);
    }

    #[test]
    fn a_client_that_leaves_takes_no_descriptor_along() {
        let (mut proxy, address) = proxy();
        let socket = connect(address);
        proxy.step();
        proxy.clients[0].opened(7);
        proxy.clients[0].work = Some(Work::Get(9, 100));
        drop(socket);
        proxy.clients[0].close();
        turn(&mut proxy, SHORT);
        assert_eq!(proxy.orphans(), [9, 7]);
    }
}
