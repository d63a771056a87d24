//! Both ways against a shadow that is written out here message by message, over real sockets.

mod delivering;
mod faults;
mod fetching;
mod plugins;
mod recorded;
mod selecting;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use condor_cedar::blocking::Stream;
use condor_cedar::handshake::{Incoming, Server};
use condor_cedar::session::{ClaimId, Session, Sessions};
use condor_cedar::{Command, Level};

use super::*;
use crate::failure::{Disposition, Failure};
use crate::transfer::plugins::Caller;

const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 PackageID: 25.14.1+dfsg-1 $";
const OLD: &str = "$CondorVersion: 23.9.6 2026-07-12 PackageID: 23.9.6+dfsg-2.1+b10 $";
const SESSION: &str = "filetrans.<127.0.0.1:1>#1#2";
const INFO: &str = "[Encryption=\"YES\";Integrity=\"YES\";CryptoMethods=\"AES\";]";
const KEY: &str = "1#6b048a2d188ebb5a58632977";

/// A shadow's end of the connection: it knows packets, and nothing of what is in them.
struct Shadow {
    stream: Stream<TcpStream>,
}

/// Starts a shadow, which does what `serve` says once it has been shown the key.
fn shadow<T: Send + 'static>(
    serve: impl FnOnce(&mut Shadow) -> T + Send + 'static,
) -> (Peer, JoinHandle<T>) {
    accept(SESSION, "a secret", move |command, shadow| {
        assert!(matches!(command.number(), 61000 | 61001));
        assert_eq!(shadow.string(), KEY);
        serve(shadow)
    })
}

fn accept<T: Send + 'static>(
    session: &str,
    secret: &str,
    serve: impl FnOnce(Command, &mut Shadow) -> T + Send + 'static,
) -> (Peer, JoinHandle<T>) {
    let claim = ClaimId::new(session, INFO, secret).unwrap();
    let session = Session::of_claim(&claim).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let peer = Peer {
        address: format!("<{address}?alias=localhost&noUDP>"),
        session: claim.reveal().to_owned().into(),
        key: KEY.to_owned().into(),
        version: VERSION.into(),
        shadow_version: Some(VERSION.into()),
        own_address: None,
        client: "STARTER".into(),
        timeout: 10,
    };
    let thread = thread::spawn(move || {
        let mut sessions = Sessions::new();
        sessions.insert(session);
        let (socket, _) = listener.accept().unwrap();
        // A test that hangs is a test that fails.
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut stream = Stream::new(socket);
        let commands = |command| match command {
            Command::FileTransferUpload | Command::FileTransferDownload => Some(Level::Write),
            _ => None,
        };
        let server = Server { sessions: &sessions, version: VERSION, commands };
        let Incoming::Session(command, _) = stream.accept(server).unwrap() else { panic!() };
        serve(command, &mut Shadow { stream })
    });
    (peer, thread)
}

fn number(value: i64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

fn text(value: &[u8]) -> Vec<u8> {
    let length = i64::try_from(value.len() + 1).unwrap();
    [&number(length), value, b"\0"].concat()
}

fn ad(lines: &[&str]) -> Vec<u8> {
    let mut bytes = number(i64::try_from(lines.len()).unwrap());
    for line in lines.iter().chain(&["", ""]) {
        bytes.extend(text(line.as_bytes()));
    }
    bytes
}

/// The attributes of an ad on the wire.
fn lines(mut bytes: &[u8]) -> Vec<String> {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count);
        bytes = rest;
        taken.to_vec()
    };
    let int = |take: &mut dyn FnMut(usize) -> Vec<u8>| {
        usize::try_from(i64::from_be_bytes(take(8).try_into().unwrap())).unwrap()
    };
    let count = int(&mut take);
    let mut lines = Vec::new();
    for _ in 0..count + 2 {
        let length = int(&mut take);
        let mut line = take(length);
        assert_eq!(line.pop(), Some(0));
        lines.push(String::from_utf8(line).unwrap());
    }
    assert_eq!(lines.split_off(count), ["", ""]);
    assert_eq!(bytes, b"");
    // Their order is free.
    lines.sort_unstable();
    lines
}

impl Shadow {
    /// Sends a message as HTCondor cuts it into packets.
    fn send(&mut self, message: &[u8]) {
        let mut chunks = message.chunks(4091).peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            let sent = self.stream.connection().send_part::<condor_cedar::Error>(
                chunk.len(),
                last,
                |space| {
                    space.copy_from_slice(chunk);
                    Ok(chunk.len())
                },
            );
            sent.unwrap();
        }
        // A peer that has had enough may be gone.
        let _ = self.stream.flush();
    }

    fn send_int(&mut self, value: i64) {
        self.send(&number(value));
    }

    fn send_ad(&mut self, lines: &[&str]) {
        self.send(&ad(lines));
    }

    fn take(&mut self) -> Vec<u8> {
        self.stream.receive().unwrap().rest().to_vec()
    }

    fn int(&mut self) -> i64 {
        i64::from_be_bytes(self.take().try_into().unwrap())
    }

    fn string(&mut self) -> String {
        let bytes = self.take();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        assert_eq!(i64::from_be_bytes(*length), i64::try_from(rest.len()).unwrap());
        String::from_utf8(rest.strip_suffix(b"\0").unwrap().to_vec()).unwrap()
    }

    fn ad(&mut self) -> Vec<String> {
        lines(&self.take())
    }

    /// Sends the start of an input sandbox.
    fn send_head(&mut self) {
        self.send(&[number(0), ad(&["SandboxSize = 86"])].concat());
    }

    /// Sends command and name.
    fn send_item(&mut self, command: i64, name: &[u8]) {
        self.send_int(command);
        self.send(&text(name));
    }

    /// Goes ahead as one who sends files.
    fn ahead_with_input(&mut self) {
        self.send_int(300);
        assert_eq!(self.ad(), ["MaxTransferBytes = -1", "Result = 2"]);
        assert_eq!(self.int(), 300);
        self.send_ad(&["Result = 2"]);
    }

    /// Sends mode, size and bytes.
    fn send_body(&mut self, mode: i64, bytes: &[u8]) {
        self.send_int(mode);
        self.send(&[number(i64::try_from(bytes.len()).unwrap()), number(262_144)].concat());
        for chunk in bytes.chunks(262_144) {
            self.send(chunk);
        }
        if bytes.is_empty() {
            self.send_int(666);
        }
    }

    fn send_file(&mut self, name: &str, mode: i64, bytes: &[u8]) {
        self.send_item(1, name.as_bytes());
        self.send_body(mode, bytes);
    }

    /// Sends the end of a good transfer, and takes the answer.
    fn end_of_input(&mut self) -> Vec<String> {
        self.send_int(0);
        self.send_ad(&["Result = 0"]);
        self.ad()
    }

    /// Goes ahead as one who receives files.
    fn ahead_with_output(&mut self, limit: i64) {
        assert_eq!(self.int(), 300);
        self.send_ad(&["Result = 2", &format!("MaxTransferBytes = {limit}")]);
        self.send_int(300);
        assert_eq!(self.ad(), ["Result = 2"]);
    }

    /// Takes the items of an output sandbox.
    fn take_output(&mut self, limit: i64) -> Received {
        let head = self.take();
        let mut received = Received {
            is_final: head.starts_with(&number(1)),
            size: lines(&head[8..]).pop().unwrap(),
            ..Received::default()
        };
        let mut first = true;
        loop {
            let command = self.int();
            if command == 0 {
                break;
            }
            let name = self.string();
            if std::mem::take(&mut first) {
                self.ahead_with_output(limit);
            }
            if command == 6 {
                received.items.push((name + "/", self.int(), Vec::new()));
                continue;
            }
            assert_eq!(command, 1);
            let mode = self.int();
            let head = self.take();
            let size = i64::from_be_bytes(head[..8].try_into().unwrap());
            let chunk = i64::from_be_bytes(head[8..].try_into().unwrap());
            let mut bytes = Vec::new();
            if size == 0 {
                assert_eq!(self.int(), 666);
            }
            while i64::try_from(bytes.len()).unwrap() < size {
                let more = self.take();
                assert!(i64::try_from(more.len()).unwrap() <= chunk);
                bytes.extend(more);
            }
            assert_eq!(i64::try_from(bytes.len()).unwrap(), size);
            received.items.push((name, mode, bytes));
        }
        received.ack = self.ad();
        received
    }
}

/// What a shadow was sent.
#[derive(Debug, Default)]
struct Received {
    is_final: bool,
    size: String,
    /// Names, those of directories with a slash, modes, bytes.
    items: Vec<(String, i64, Vec<u8>)>,
    ack: Vec<String>,
}

impl Received {
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.items.iter().map(|(name, ..)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn bytes(&self, name: &str) -> &[u8] {
        &self.items.iter().find(|(own, ..)| own == name).unwrap().2
    }

    fn mode(&self, name: &str) -> i64 {
        self.items.iter().find(|(own, ..)| own == name).unwrap().1
    }
}

/// A sandbox.
struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self) -> File {
        File::open(self.path()).unwrap()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path().join(name)).unwrap().permissions().mode() & 0o7777
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn fetch(&self, peer: &Peer) -> Result<Fetched, Failure> {
        let what = Input {
            sandbox: self.path().into(),
            program: Some("run.sh".into()),
            has_manifest: false,
            plugins: None,
            contents: None,
        };
        fetch(peer, &what, self.open().as_fd(), &mut Caller::default(), &mut |_| ())
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue::of(self.open().as_fd()).unwrap()
    }

    /// What a job without any wishes delivers.
    fn output(&self) -> Output {
        Output {
            sandbox: self.path().into(),
            list: None,
            standard: [true, true],
            program: Some("run.sh".into()),
            hidden: Vec::new(),
            earlier: Vec::new(),
            preserve_paths: false,
            is_final: true,
            core: None,
            contents: None,
            urls: Targets::default(),
            plugins: None,
        }
    }

    /// Delivers to a shadow that takes everything.
    fn deliver(&self, what: &Output, before: &Catalogue) -> (Result<Delivered, Failure>, Received) {
        let (peer, shadow) = shadow(|shadow| {
            let received = shadow.take_output(-1);
            shadow.send_ad(&["Result = 0"]);
            received
        });
        let delivered =
            deliver(&peer, what, self.open().as_fd(), before, &mut Caller::default(), &mut |_| ());
        (delivered, shadow.join().unwrap())
    }
}

fn held(failure: &Failure) -> (i32, i32) {
    match failure.disposition {
        Disposition::Hold { code, subcode } => (code, subcode),
        Disposition::Elsewhere => panic!("{failure}"),
    }
}
