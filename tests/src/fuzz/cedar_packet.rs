//! Any bytes as a stream, cut up in any way: clear, encrypted, and as the start of a conversation.

use condor_cedar::handshake::{Acceptor, Opening, Progress, Request, Server};
use condor_cedar::session::{ClaimId, Session, Sessions};
use condor_cedar::shared_port;
use condor_cedar::{Command, Connection, SessionKey};

const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 $";

/// Runs the target on one input.
pub fn cedar_packet(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else { return };
    let size = usize::from(*first).max(1);
    for encrypted in [false, true] {
        let mut connection = Connection::new();
        connection.set_limit(1 << 16);
        if encrypted && connection.encrypt(SessionKey::derive(b"text")).is_err() {
            return;
        }
        for piece in stream.chunks(size) {
            connection.feed(piece);
            assert!(connection.unread().len() <= stream.len());
            while connection.receive().unwrap_or(false) {
                let _ = connection.message().only::<shared_port::Request>();
            }
        }
    }
    conversation(stream, size);
    sealed(stream, size);
}

/// As what a client says first, and as what a server answers.
fn conversation(stream: &[u8], size: usize) {
    let Ok(claim) = ClaimId::new("claim", "", "text") else { return };
    let Ok(session) = Session::of_claim(&claim) else { return };
    let mut sessions = Sessions::new();
    sessions.insert(session.clone());
    let server = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let mut connection = Connection::new();
    let mut acceptor = Acceptor::new(&mut connection);
    for piece in stream.chunks(size) {
        connection.feed(piece);
        match acceptor.poll(&mut connection, server) {
            Ok(Progress::Wait(waiting)) => acceptor = waiting,
            Ok(Progress::Done(incoming)) => {
                let _ = incoming.payload(&connection);
                break;
            }
            Err(_) => break,
        }
    }
    let mut connection = Connection::new();
    let request = Request::new(Command::VacateJob, &session, VERSION);
    let Ok(mut opening): Result<Opening, _> = request.send(&mut connection) else { return };
    for piece in stream.chunks(size) {
        connection.feed(piece);
        match opening.poll(&mut connection) {
            Ok(Progress::Wait(waiting)) => opening = waiting,
            _ => break,
        }
    }
}

/// As a message, which comes through unchanged.
fn sealed(message: &[u8], size: usize) {
    let key = SessionKey::derive(b"text");
    let (mut one, mut other) = (Connection::new(), Connection::new());
    if message.is_empty() || one.encrypt(key.clone()).is_err() || other.encrypt(key).is_err() {
        return;
    }
    one.send_bytes(message).expect("it is short");
    for piece in one.pending().chunks(size) {
        other.feed(piece);
    }
    assert_eq!(other.receive(), Ok(true));
    assert_eq!(other.message().rest(), message);
}
