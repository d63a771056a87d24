//! A shadow's server for files.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use classad::ClassAd;
use condor_cedar::blocking::{Result, Stream};
use condor_cedar::file::Size;
use condor_cedar::handshake::{Incoming, Server as Handshake};
use condor_cedar::session::{Session, Sessions};
use condor_cedar::{Command, Level};

use super::shadow::TRANSFER_SESSION;
use super::{Event, Setup, claim_id};

pub(crate) const INPUT: i32 = 61000;
pub(crate) const OUTPUT: i32 = 61001;
const KEY: &str = "1#6b048a2d188ebb5a58632977";
/// The largest file that is taken.
const LIMIT: u64 = 64 << 20;

/// What goes wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing.
    Good,
    /// It is closed at once.
    Close,
    /// The session isn't known here.
    NoSession,
    /// The key isn't known here.
    NoKey,
    /// The peer dies in the middle of a file.
    HalfAFile,
    /// The peer falls silent in the middle of a file.
    Stall,
    /// What comes is no packet of this stream.
    Garbage,
    /// 4 GiB are announced.
    Huge,
    /// Everything went well, but the last word never comes.
    NoAck,
    /// The peer couldn't do its part, for good (hold code 12 or 13).
    Refuse,
}

/// Where files come from and go to.
pub(crate) struct Server {
    address: String,
}

struct Plan {
    program: Vec<u8>,
    input: Vec<(String, Vec<u8>)>,
    urls: Vec<(String, String)>,
    fetching: VecDeque<Deed>,
    delivering: VecDeque<Deed>,
}

impl Server {
    pub(crate) fn start(setup: &Setup, tell: Sender<Event>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("<{}?alias=localhost&noUDP>", listener.local_addr().unwrap());
        let session = Session::of_claim(&claim_id(TRANSFER_SESSION, setup.release)).unwrap();
        let mut plan = Plan {
            program: format!("#!/bin/sh\n{}\n", setup.script).into_bytes(),
            input: setup.input.clone(),
            urls: setup.urls.clone(),
            fetching: setup.fetching.iter().copied().collect(),
            delivering: setup.delivering.iter().copied().collect(),
        };
        let version = setup.release;
        thread::spawn(move || {
            for socket in listener.incoming() {
                // Whatever ends a conversation, the next one may go well.
                let _ = plan.serve(socket.unwrap(), &session, version, &tell);
            }
        });
        Self { address }
    }

    /// What the job ad says of it.
    pub(crate) fn attributes(&self) -> [(&'static str, String); 2] {
        [("TransferSocket", self.address.clone()), ("TransferKey", KEY.to_owned())]
    }
}

impl Plan {
    fn serve(
        &mut self,
        socket: TcpStream,
        session: &Session,
        version: &str,
        tell: &Sender<Event>,
    ) -> Result<()> {
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream = Stream::new(socket);
        // Which of the two it is isn't known before the session is.
        let before = self.fetching.front().or_else(|| self.delivering.front()).copied();
        let mut sessions = Sessions::new();
        if before != Some(Deed::NoSession) {
            sessions.insert(session.clone());
        }
        let commands = |command| match command {
            Command::FileTransferUpload | Command::FileTransferDownload => Some(Level::Write),
            _ => None,
        };
        let server = Handshake { sessions: &sessions, version, commands };
        let accepted = stream.accept(server);
        if accepted.is_err() && before == Some(Deed::NoSession) {
            let _ = self.fetching.pop_front().or_else(|| self.delivering.pop_front());
        }
        let Incoming::Session(command, _) = accepted? else { panic!("no session") };
        let _ = tell.send(Event::Files(command.number()));
        let deed = match command.number() {
            INPUT => self.fetching.pop_front(),
            _ => self.delivering.pop_front(),
        };
        let deed = deed.unwrap_or(Deed::Good);
        if deed == Deed::Close {
            return Ok(());
        }
        assert_eq!(stream.receive()?.string()?, KEY.as_bytes());
        match deed {
            Deed::NoKey => {
                send_int(&mut stream, 0)?;
                return silence(&stream);
            }
            Deed::Garbage => {
                stream.socket().write_all(b"SSH-2.0-OpenSSH_10.0\r\nwhat do you want?\r\n")?;
                return silence(&stream);
            }
            Deed::Huge => {
                stream.socket().write_all(&[1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
                return silence(&stream);
            }
            _ => {}
        }
        if command.number() == INPUT {
            self.send(&mut stream, deed)
        } else {
            let files = take(&mut stream, deed)?;
            let _ = tell.send(Event::Output(files));
            Ok(())
        }
    }

    /// Sends the input.
    fn send(&self, stream: &mut Stream<TcpStream>, deed: Deed) -> Result<()> {
        let mut head = stream.writer();
        head.i64(0).value(&ad(&[("SandboxSize", 86)]));
        stream.send(&head)?;
        let program = ("run.sh".to_owned(), self.program.clone());
        for (number, (name, bytes)) in std::iter::once(&program).chain(&self.input).enumerate() {
            send_int(stream, 1)?;
            let mut message = stream.writer();
            message.string(name);
            stream.send(&message)?;
            if number == 0 {
                send_int(stream, 300)?;
                stream.receive_value::<ClassAd>()?;
                stream.receive()?.i64()?;
                stream.send_value(&ad(&[("Result", 2)]))?;
            }
            send_int(stream, 0o755)?;
            if matches!(deed, Deed::HalfAFile | Deed::Stall) {
                let mut message = stream.writer();
                message.value(&Size::new(600_000));
                stream.send(&message)?;
                let mut part = stream.writer();
                part.bytes(&vec![7; 262_144]);
                stream.send(&part)?;
                return if deed == Deed::Stall { silence(stream) } else { Ok(()) };
            }
            stream.send_body(bytes.len() as u64, &mut bytes.as_slice())?;
        }
        for (name, url) in &self.urls {
            send_int(stream, 5)?;
            for text in [name, url] {
                let mut message = stream.writer();
                message.string(text);
                stream.send(&message)?;
            }
        }
        send_int(stream, 0)?;
        if deed == Deed::Refuse {
            let mut refusal =
                ad(&[("Result", -1), ("HoldReasonCode", 13), ("HoldReasonSubCode", 2)]);
            refusal.insert_value("HoldReason", "SHADOW failed to send file(s): no such file");
            stream.send_value(&refusal)?;
        } else {
            stream.send_value(&ad(&[("Result", 0)]))?;
        }
        stream.receive_value::<ClassAd>()?;
        Ok(())
    }
}

/// Takes the output.
fn take(stream: &mut Stream<TcpStream>, deed: Deed) -> Result<Vec<(String, Vec<u8>)>> {
    let mut head = stream.receive()?;
    head.i64()?;
    head.value::<ClassAd>()?;
    let mut files = Vec::new();
    let mut first = true;
    loop {
        let command = stream.receive()?.i64()?;
        if command == 0 {
            break;
        }
        let name = String::from_utf8_lossy(stream.receive()?.string()?).into_owned();
        if std::mem::take(&mut first) {
            stream.receive()?.i64()?;
            stream.send_value(&ad(&[("Result", 2), ("MaxTransferBytes", -1)]))?;
            send_int(stream, 300)?;
            stream.receive_value::<ClassAd>()?;
        }
        if command == 999 {
            stream.receive_value::<ClassAd>()?;
            continue;
        }
        stream.receive()?.i64()?;
        if command == 6 {
            continue;
        }
        if matches!(deed, Deed::HalfAFile | Deed::Stall) && name == "result" {
            let mut scrap = [0; 4096];
            stream.socket().read_exact(&mut scrap)?;
            if deed == Deed::Stall {
                silence(stream)?;
            }
            return Err(std::io::Error::other("on purpose").into());
        }
        let mut bytes = Vec::new();
        stream.receive_body(LIMIT, &mut bytes)?;
        files.push((name, bytes));
    }
    stream.receive_value::<ClassAd>()?;
    match deed {
        Deed::NoAck => return Err(std::io::Error::other("on purpose").into()),
        Deed::Refuse => {
            let mut refusal =
                ad(&[("Result", -1), ("HoldReasonCode", 12), ("HoldReasonSubCode", 28)]);
            refusal.insert_value("HoldReason", "SHADOW failed to receive file(s): no space left");
            stream.send_value(&refusal)?;
        }
        _ => stream.send_value(&ad(&[("Result", 0)]))?,
    }
    Ok(files)
}

fn ad(values: &[(&str, i64)]) -> ClassAd {
    let mut ad = ClassAd::new();
    for (name, value) in values {
        ad.insert_value(*name, *value);
    }
    ad
}

fn send_int(stream: &mut Stream<TcpStream>, value: i64) -> Result<()> {
    let mut message = stream.writer();
    message.i64(value);
    stream.send(&message)
}

/// Reads until the starter is gone.
fn silence(stream: &Stream<TcpStream>) -> Result<()> {
    let mut scrap = [0; 4096];
    while stream.socket().read(&mut scrap)? > 0 {}
    Ok(())
}
