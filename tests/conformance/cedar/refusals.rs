//! What has no session, and what is refused.

use classad::ClassAd;
use condor_cedar::handshake::{Acceptor, Incoming, Progress, Request, Server};
use condor_cedar::inherit::Inherit;
use condor_cedar::session::{Session, SessionInfo, Sessions};
use condor_cedar::{
    Command, Connection, Digests, Error, Reader, Refused, SessionKey, StreamState, Unsupported,
};
use serde_json::Value as Json;

use super::play::{VERSION, ad_of, array, packets, play, text, unhex};

pub(crate) fn raw_command(row: &Json) {
    let sessions = Sessions::new();
    let server = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let mut connection = Connection::new();
    let acceptor = Acceptor::new(&mut connection);
    connection.feed(&unhex(text(row, "request")));
    let Ok(Progress::Done(incoming)) = acceptor.poll(&mut connection, server) else {
        panic!("not accepted")
    };
    assert_eq!(incoming, Incoming::Raw(Command::QueryInstance));
    assert_eq!(incoming.payload(&connection).and_then(Reader::finish), Ok(()));
    let mut reply = connection.writer();
    reply.bytes(text(row, "reply_bytes").as_bytes());
    connection.send(&reply).expect("sent");
    assert_eq!(connection.pending(), unhex(text(row, "reply")));
}

pub(crate) fn unknown_session(row: &Json) {
    let packet = unhex(text(row, "packet"));
    let nobody = "nobody#[]key".parse().expect("a claim id");
    let session = Session::parent(&nobody).expect("a session");
    let mut client = Connection::new();
    let request = Request::new(Command::RaiseSignal, &session, VERSION);
    let opening = request.send(&mut client).expect("sent");

    let sessions = Sessions::new();
    let rules = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let mut server = Connection::new();
    let acceptor = Acceptor::new(&mut server);
    server.feed(client.pending());
    let refused = acceptor.poll(&mut server, rules).map(|_| ());
    assert_eq!(refused, Err(Refused::UnknownSession.into()));
    assert_eq!(server.pending(), packet);

    client.feed(&packet);
    assert_eq!(opening.poll(&mut client).map(|_| ()), Err(Refused::UnknownSession.into()));
    assert_eq!(client.message().remaining(), unhex(text(row, "message_plaintext")).len());
}

/// A negotiation: the stream is understood, the wish to negotiate refused.
pub(crate) fn negotiation(row: &Json) {
    let key = SessionKey::derive(&unhex(text(row, "shared_x")));
    assert_eq!(key.as_bytes(), &array(text(row, "key")));
    let messages = play(&packets(row), &key);
    let request = ad_of(&messages[0].bytes);
    assert_eq!(request.eval_string("NewSession").as_deref(), Some("YES"));
    let session = messages[2].only::<ClassAd>();
    assert_eq!(session.eval_string("ReturnCode").as_deref(), Some("AUTHORIZED"));

    let sessions = Sessions::new();
    let server = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let mut connection = Connection::new();
    let acceptor = Acceptor::new(&mut connection);
    connection.feed(&unhex(&packets(row)[1].packet));
    let refused = acceptor.poll(&mut connection, server).map(|_| ());
    assert_eq!(refused, Err(Unsupported::Negotiation.into()));
    assert_eq!(connection.pending(), b"");
}

/// An old cipher: everything else about the sockets is understood, and the refusal says why.
pub(crate) fn old_cipher(row: &Json) {
    let inherit: Inherit = text(row, "condor_inherit").parse().expect("CONDOR_INHERIT");
    let [update, shadow] = &inherit.sockets[..] else { panic!("two sockets") };
    assert!(update.connection().is_ok());
    let refused = shadow.connection().map(|_| ()).expect_err("an old cipher");
    assert_eq!(refused, Unsupported::Cipher("3DES".to_owned()).into());
    assert!(refused.to_string().contains("SEC_DEFAULT_CRYPTO_METHODS"));
    assert!(inherit.endpoint.is_none());
    let fds: Vec<i32> = inherit.command_sockets.iter().map(|socket| socket.fd).collect();
    assert_eq!(fds, [14, 15]);
    assert!(inherit.command_sockets[0].listening);
    let info: SessionInfo = "[CryptoMethods=\"3DES\";]".parse().expect("an info");
    assert_eq!(info.methods.len(), 1);
    // Nothing of such a stream is ever taken for text: the code behind the header isn't expected.
    for packet in packets(row) {
        assert!(packet.mac.is_some());
        let mut connection = Connection::resume(StreamState::new(
            SessionKey::derive(b"any"),
            Digests { sent: [0; 32], received: [0; 32] },
        ));
        connection.feed(&unhex(&packet.packet));
        assert!(matches!(connection.receive(), Err(Error::Peer(_))));
    }
}
