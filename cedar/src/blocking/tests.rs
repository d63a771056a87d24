//! Real sockets.

use std::io::Cursor;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;

use super::*;
use crate::Command;
use crate::message::{Done, Vacate};
use crate::session::{ClaimId, Session, Sessions};

const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 $";

fn session() -> Session {
    let claim = ClaimId::new("claim", "[CryptoMethods=\"AES\";]", "text").unwrap();
    Session::of_claim(&claim).unwrap()
}

#[test]
fn a_command_over_tcp() {
    let listener = listen::bind(Ipv4Addr::LOCALHOST.into(), None).unwrap();
    let address = listener.local_addr().unwrap();
    let vacate = Vacate { reason: "tired".into(), code: 1, subcode: 2, soft: true };
    let expected = vacate.clone();
    let server = thread::spawn(move || {
        let mut stream = Stream::new(listener.accept().unwrap().0);
        let mut sessions = Sessions::new();
        sessions.insert(session());
        let rules = Server { sessions: &sessions, version: VERSION, commands: Command::level };
        let incoming = stream.accept(rules).unwrap();
        assert!(matches!(incoming, Incoming::Session(Command::VacateJob, _)));
        assert_eq!(stream.receive_value::<Vacate>().unwrap(), expected);
        stream.send_value(&Done).unwrap();
    });
    let mut stream =
        Stream::connect(&Sinful::new(address), "test", Duration::from_secs(5)).unwrap();
    let session = session();
    stream.open(&Request::new(Command::VacateJob, &session, VERSION)).unwrap();
    stream.send_value(&vacate).unwrap();
    assert_eq!(stream.receive_value::<Done>().unwrap(), Done);
    server.join().unwrap();
    assert!(matches!(stream.receive(), Err(StreamError::Closed { partial: false })));
}

#[test]
fn bodies_of_all_sizes() {
    for size in [0, 1, 262_144, 262_145, 3_000_000] {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Stream::new(one), Stream::new(other));
        let key = crate::SessionKey::derive(b"text");
        one.connection().encrypt(key.clone()).unwrap();
        other.connection().encrypt(key).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let source = bytes.clone();
        let sender = thread::spawn(move || {
            one.send_body(size as u64, &mut Cursor::new(source)).unwrap();
            one.send_value(&Done).unwrap();
        });
        let mut sink = Vec::new();
        let received = other.receive_body(3_000_000, &mut sink).unwrap();
        assert_eq!(received.bytes, size as u64);
        assert!(received.trouble.is_none());
        assert!(sink == bytes, "{size}");
        assert_eq!(other.receive_value::<Done>().unwrap(), Done);
        sender.join().unwrap();
    }
}

#[test]
fn a_full_disk_leaves_the_stream_in_step() {
    let (one, other) = UnixStream::pair().unwrap();
    let (mut one, mut other) = (Stream::new(one), Stream::new(other));
    let sender = thread::spawn(move || {
        one.send_body(600_000, &mut io::repeat(7)).unwrap();
        one.send_value(&Done).unwrap();
        let short = one.send_body(10, &mut io::empty());
        assert!(matches!(short, Err(StreamError::Io(_))));
    });
    let mut small = Cursor::new([0; 1000]);
    let received = other.receive_body(u64::MAX, &mut small).unwrap();
    assert!(received.trouble.is_some());
    assert_eq!(other.receive_value::<Done>().unwrap(), Done);
    sender.join().unwrap();
}

#[test]
fn an_end_inside_of_a_message_is_told_apart() {
    let (one, other) = UnixStream::pair().unwrap();
    let mut stream = Stream::new(other);
    (&one).write_all(&[1, 0, 0, 0, 8, 0]).unwrap();
    drop(one);
    assert!(matches!(stream.receive(), Err(StreamError::Closed { partial: true })));
}

#[test]
fn a_passed_socket_arrives() {
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (passed, _) = listener.accept().unwrap();
    let (daemon, endpoint) = UnixStream::pair().unwrap();
    endpoint.set_nonblocking(true).unwrap();
    let mut passing = endpoint::Passing::new(endpoint);
    let blocked = |passing: &mut endpoint::Passing| passing.receive().unwrap_err().kind();
    assert_eq!(blocked(&mut passing), io::ErrorKind::WouldBlock);
    (&daemon).write_all(&shared_port::PASS_SOCKET[..4]).unwrap();
    assert_eq!(blocked(&mut passing), io::ErrorKind::WouldBlock);
    (&daemon).write_all(&shared_port::PASS_SOCKET[4..]).unwrap();
    assert_eq!(blocked(&mut passing), io::ErrorKind::WouldBlock);
    passed.set_nonblocking(true).unwrap();
    let fds = [passed.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(&daemon, &[IoSlice::new(&[0])], &mut control, SendFlags::empty()).unwrap();
    let mut received = passing.receive().unwrap();
    drop(passed);
    client.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    received.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn something_else_is_no_passed_socket() {
    let (daemon, endpoint) = UnixStream::pair().unwrap();
    let mut passing = endpoint::Passing::new(endpoint);
    (&daemon).write_all(&[1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 75]).unwrap();
    assert_eq!(passing.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (daemon, endpoint) = UnixStream::pair().unwrap();
    let mut passing = endpoint::Passing::new(endpoint);
    (&daemon).write_all(&shared_port::PASS_SOCKET).unwrap();
    (&daemon).write_all(&[0]).unwrap();
    assert_eq!(passing.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn ports_stay_in_their_range() {
    let first = listen::bind(Ipv4Addr::LOCALHOST.into(), None).unwrap();
    let port = first.local_addr().unwrap().port();
    let taken = listen::bind(Ipv4Addr::LOCALHOST.into(), Some(port..=port));
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}
