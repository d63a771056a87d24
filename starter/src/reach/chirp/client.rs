//! The sockets of the proxy: who may speak, bytes in and out, and the next thing a client wants.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::{Fault, Request, Rights};

/// Longest line, bytes.
const LINE: usize = 5120;
/// Bytes of a client that are kept before it is served, and of a file that are moved at a time.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Clients at a time.
const MOST: usize = 64;
/// Files that a client may have open at the submit side.
const FILES: usize = 64;
/// How long the answer to a wrong cookie takes.
const PENALTY: Duration = Duration::from_secs(1);

/// Something longer than a line that a client is in the middle of.
#[derive(Debug)]
pub(crate) enum Work {
    /// Its bytes go to the shadow's descriptor: so many are left, and so many were written. Closed
    /// at the end if it was opened for this only.
    Write {
        /// The shadow's descriptor.
        fd: i64,
        /// Still to come.
        left: u64,
        /// Written.
        done: i64,
        /// Where the next goes; `None`: where the descriptor stands.
        offset: Option<i64>,
        /// Whether the descriptor goes with the work.
        own: bool,
        /// What went wrong; the rest is read and thrown away.
        fault: Option<Fault>,
    },
    /// They are collected for one request.
    Strided {
        /// The shadow's descriptor.
        fd: i64,
        /// Offset, stride, skip.
        places: [i64; 3],
        /// Bytes in all.
        length: u64,
        /// As far as they have come.
        bytes: Vec<u8>,
    },
    /// A file goes to the client: descriptor, and bytes that are left.
    Get(i64, u64),
}

/// What a client wants next.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A request, or why its line is none.
    Request(Result<Request, Fault>),
    /// Bytes of the work, perhaps the last.
    Bytes(Vec<u8>),
    /// To go on with the work.
    More,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// It has shown the cookie.
    known: bool,
    /// When it is told that its cookie is wrong.
    refuse_at: Option<Instant>,
    /// Nothing more is heard from it.
    ended: bool,
    /// Closed once its output is taken.
    closing: bool,
    /// Descriptors of the shadow's that are this client's.
    files: BTreeSet<i64>,
    /// What it is in the middle of.
    pub(crate) work: Option<Work>,
}

impl Client {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            known: false,
            refuse_at: None,
            ended: false,
            closing: false,
            files: BTreeSet::new(),
            work: None,
        }
    }

    /// Answers with a number.
    pub(crate) fn answer(&mut self, number: i64) {
        self.output.extend_from_slice(format!("{number}\n").as_bytes());
    }

    /// Sends bytes behind an answer.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The shadow was lost while it was served. A number can answer a `new` request that has no answer
    /// yet; in the middle of something longer only the end of the stream says so, and what comes of the
    /// client's bytes isn't taken for requests.
    pub(crate) fn lost(&mut self, new: bool) {
        if !new {
            self.close();
        } else if self.output.is_empty() {
            self.answer(Fault::Offline.number());
        }
    }

    /// The shadow is another one: a descriptor of the last one's would be some other file there.
    fn forget(&mut self) {
        self.files.clear();
        if self.work.take().is_some() {
            self.close();
        }
    }

    /// Gives up a client that can't be answered any more.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Whether a descriptor is its own.
    pub(crate) fn owns(&self, fd: i64) -> bool {
        self.files.contains(&fd)
    }

    /// Whether it may open one more file.
    pub(crate) fn may_open(&self) -> bool {
        self.files.len() < FILES
    }

    /// A descriptor is its own now.
    pub(crate) fn opened(&mut self, fd: i64) {
        self.files.insert(fd);
    }

    /// It isn't any more.
    pub(crate) fn closed(&mut self, fd: i64) {
        self.files.remove(&fd);
    }

    /// Moves what the socket takes and gives.
    fn step(&mut self, now: Instant) {
        if self.refuse_at.is_some_and(|at| at <= now) {
            self.refuse_at = None;
            self.answer(Fault::NotAuthenticated.number());
            self.closing = true;
        }
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(count) if count > 0 => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                _ => return self.break_off(),
            }
        }
        while self.listens() {
            let mut buffer = [0; 8192];
            match self.socket.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.break_off(),
            }
        }
    }

    fn break_off(&mut self) {
        self.ended = true;
        self.input.clear();
        self.output.clear();
        self.closing = true;
    }

    fn listens(&self) -> bool {
        let room = if self.known { CHUNK } else { LINE + 1 };
        !self.ended && !self.closing && self.refuse_at.is_none() && self.input.len() < room
    }

    fn source(&self) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.listens());
        flags.set(PollFlags::POLLOUT, !self.output.is_empty());
        PollFd::new(self.socket.as_fd(), flags)
    }

    /// Whether it wants something that can be done now.
    fn wants(&self) -> bool {
        if !self.output.is_empty() || self.closing || self.refuse_at.is_some() {
            return false;
        }
        match &self.work {
            Some(Work::Get(..)) => true,
            Some(Work::Write { left: 0, .. }) => true,
            Some(_) => !self.input.is_empty(),
            None => self.input.contains(&b'\n') || self.input.len() > LINE,
        }
    }

    /// Nothing will ever come of it any more.
    fn is_over(&self) -> bool {
        self.output.is_empty() && (self.closing || self.ended && !self.wants())
    }

    /// The next thing it wants of somebody who is known.
    fn next(&mut self, cookie: &str, rights: Rights) -> Option<Heard> {
        if !self.wants() {
            return None;
        }
        let left = match &self.work {
            Some(Work::Get(..)) => return Some(Heard::More),
            Some(Work::Write { left, .. }) => Some(*left),
            Some(Work::Strided { length, bytes, .. }) => Some(length - bytes.len() as u64),
            None => None,
        };
        if let Some(left) = left {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
            return Some(Heard::Bytes(self.input.drain(..most).collect()));
        }
        let end = self.input.iter().position(|byte| *byte == b'\n');
        let Some(end) = end.filter(|end| *end <= LINE) else {
            self.answer(Fault::TooBig.number());
            self.closing = true;
            return None;
        };
        let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.input.drain(..=end).collect());
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if self.known {
            return Some(Heard::Request(Request::parse(line, rights, |fd| self.owns(fd))));
        }
        self.introduce(line, cookie);
        None
    }

    fn introduce(&mut self, line: &[u8], cookie: &str) {
        let words = super::line::words(line);
        match words.as_slice() {
            [verb, shown, ..] if verb == b"cookie" => {
                if is_same(shown, cookie.as_bytes()) {
                    self.known = true;
                    self.answer(0);
                } else {
                    tracing::warn!("chirp: a client showed a wrong cookie");
                    self.refuse_at = Some(Instant::now() + PENALTY);
                }
            }
            _ => {
                tracing::warn!("chirp: a client began without a cookie");
                self.answer(Fault::NotAuthenticated.number());
                self.closing = true;
            }
        }
    }
}

/// Takes as long whatever the difference is.
fn is_same(shown: &[u8], cookie: &[u8]) -> bool {
    shown.len() == cookie.len()
        && shown.iter().zip(cookie).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

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
