//! Commands in sessions, with the starter as client and as server.

use classad::ClassAd;
use condor_cedar::file::{Body, EmptyMark, Mode, Size};
use condor_cedar::handshake::{Acceptor, Incoming, Opening, Progress, Request, Server};
use condor_cedar::message::{ChildAlive, Done, Signal, Vacate};
use condor_cedar::session::{ClaimId, Level, Session, Sessions};
use condor_cedar::{Command, Connection, Writer};
use serde_json::Value as Json;

use super::play::{Sent, VERSION, ad_of, packets, play, session, text, unhex};

/// Some of the commands are those of a startd or a shadow.
fn everybodys(command: Command) -> Option<Level> {
    command.level().or(Some(Level::Daemon))
}

/// The recorded request, met by a server with this session.
fn accept(row: &Json) -> Incoming {
    let session = session(row);
    let mut sessions = Sessions::new();
    sessions.insert(session);
    let server = Server { sessions: &sessions, version: VERSION, commands: everybodys };
    let mut connection = Connection::new();
    let acceptor = Acceptor::new(&mut connection);
    let first = packets(row);
    let skip = usize::from(first[0].message_plaintext.starts_with("000000000000004b"));
    connection.feed(&unhex(&first[skip].packet));
    match acceptor.poll(&mut connection, server).expect("accepted") {
        Progress::Done(incoming) => incoming,
        Progress::Wait(_) => panic!("more is needed"),
    }
}

/// The request that a starter would send instead of the recorded one, and what it makes of the
/// recorded answer.
fn request(row: &Json, command: Command) {
    let session = session(row);
    let packets = packets(row);
    let recorded = ad_of(&unhex(&packets[1].message_plaintext));
    let version = recorded.eval_string("RemoteVersion").expect("a version");
    let address = |name| recorded.eval_string(name).map(|text: String| text.parse());
    let to = address("ConnectSinful").expect("there").expect("an address");
    let own = address("ServerCommandSock").expect("there").expect("an address");
    let request = Request {
        connected_to: Some(&to),
        own_address: Some(&own),
        ..Request::new(command, &session, &version)
    };
    let mut connection = Connection::new();
    let opening: Opening = request.send(&mut connection).expect("sent");
    let mut sent = Connection::new();
    sent.feed(connection.pending());
    assert_eq!(sent.receive(), Ok(true));
    let mut ours = ad_of(sent.message().rest());
    let nonce = ours.remove("Nonce").and_then(|expr| expr.as_literal());
    assert_eq!(nonce.expect("a nonce").as_str().map(str::len), Some(44));
    let mut theirs = recorded;
    theirs.remove("Nonce");
    assert_eq!(ours, theirs);

    connection.feed(&unhex(&packets[2].packet));
    let Ok(Progress::Done(established)) = opening.poll(&mut connection) else {
        panic!("the answer is not accepted")
    };
    assert_eq!(established.peer_version, Some(version));
    assert!(connection.is_encrypted());
}

fn of_session(row: &Json, command: Command) -> Vec<Sent> {
    match text(row, "starter_role") {
        "client" => request(row, command),
        role => assert_eq!(role, "server"),
    }
    let session = session(row);
    match accept(row) {
        Incoming::Session(found, caller) => {
            assert_eq!(found, command);
            assert_eq!(caller.session, session.id);
            assert!(caller.version.expect("a version").contains("$CondorVersion: 2"));
        }
        Incoming::Answered(_) => assert_eq!(command, Command::SecQuery),
        Incoming::Raw(_) => panic!("it is in a session"),
    }
    play(&packets(row), &session.key)
}

pub(crate) fn child_alive(row: &Json) {
    let messages = of_session(row, Command::ChildAlive);
    let alive: ChildAlive = messages[2].same();
    assert_eq!(alive, ChildAlive { pid: 33465, max_hang: 3498, lock_delay: 0.0 });
}

pub(crate) fn vacate(row: &Json) {
    let messages = of_session(row, Command::VacateJob);
    let vacate: Vacate = messages[2].same();
    let reason = "Claim deactivated".to_owned();
    assert_eq!(vacate, Vacate { reason, code: 1009, subcode: 0, soft: true });
    messages[3].same::<Done>();
}

/// Nothing random comes from the server here, so it can meet the recorded packets to the end.
pub(crate) fn raise_signal(row: &Json) {
    let messages = of_session(row, Command::RaiseSignal);
    assert_eq!(messages[1].same::<Signal>(), Signal::Suspend);

    let mut sessions = Sessions::new();
    sessions.insert(session(row));
    let server = Server { sessions: &sessions, version: VERSION, commands: everybodys };
    let mut connection = Connection::new();
    let acceptor = Acceptor::new(&mut connection);
    for packet in packets(row) {
        connection.feed(&unhex(&packet.packet));
    }
    let accepted = acceptor.poll(&mut connection, server);
    assert!(matches!(accepted, Ok(Progress::Done(Incoming::Session(Command::RaiseSignal, _)))));
    assert_eq!(connection.pending(), b"");
    assert_eq!(connection.receive(), Ok(true));
    assert_eq!(connection.message().only(), Ok(Signal::Suspend));
}

pub(crate) fn file_upload(row: &Json) {
    let messages = of_session(row, Command::FileTransferUpload);
    // Key, sandbox size, command, name; alive interval and go-ahead in both directions; the file.
    assert_eq!(messages[10].same::<Mode>(), Mode::Permissions(0o775));
    let size = messages[11].same::<Size>();
    assert_eq!(size, Size::new(86));
    let mut body = Body::new(size);
    let bytes = body.chunk(messages[12].reader()).expect("a chunk");
    assert!(bytes.starts_with(b"#!/bin/sh\n"));
    assert!(body.is_done());
    let ack = messages[14].same::<ClassAd>();
    assert_eq!(ack.eval_i64("Result"), Some(0));
}

pub(crate) fn file_download(row: &Json) {
    let messages = of_session(row, Command::FileTransferDownload);
    let size = messages[11].same::<Size>();
    let mut body = Body::new(size);
    assert_eq!(body.chunk(messages[12].reader()), Ok(&b"hi\n"[..]));
    let empty = messages[16].same::<Size>();
    let mut body = Body::new(empty);
    assert_eq!(body.chunk(messages[17].reader()), Ok(&b""[..]));
    messages[17].same::<EmptyMark>();
    assert_eq!(messages[21].same::<Size>(), Size::new(300_000));
}

pub(crate) fn owner_session(row: &Json) {
    let messages = of_session(row, Command::CreateJobOwnerSession);
    let asked = messages[2].only::<ClassAd>();
    let claim: ClaimId = asked.eval_string("ClaimId").expect("there").parse().expect("claim id");
    assert_eq!(claim.session_id(), text(row, "session_id"));
    assert_eq!(claim.secret(), text(row, "session_key_text"));
    let answer = messages[3].only::<ClassAd>();
    let owners: ClaimId = answer.eval_string("ClaimId").expect("there").parse().expect("claim id");
    assert_eq!(owners.session_id().len(), 48);
    let session = Session::of_owner(&owners, "testu@localhost").expect("a session");
    assert!(!session.levels.contains(Level::Daemon));
}

pub(crate) fn peek(row: &Json) {
    let messages = of_session(row, Command::Peek);
    assert_eq!(messages[2].only::<ClassAd>().eval_i64("MaxTransferBytes"), Some(1024));
    let mut body = Body::new(messages[4].same());
    assert!(body.chunk(messages[5].reader()).is_ok());
    assert!(body.is_done());
    assert_eq!(messages[6].reader().i64(), Ok(1));
}

pub(crate) fn reconnect(row: &Json) {
    let messages = of_session(row, Command::CaCmd);
    let ad = messages[2].only::<ClassAd>();
    assert_eq!(ad.eval_string("Command").as_deref(), Some("CA_RECONNECT_JOB"));
    assert_eq!(messages[3].only::<ClassAd>().eval_string("Result").as_deref(), Some("Success"));
}

pub(crate) fn config_value(row: &Json) {
    let messages = of_session(row, Command::DcConfigVal);
    assert_eq!(messages[2].reader().string(), Ok(&b"NOSUCH_X"[..]));
    assert_eq!(messages[3].reader().nullable_string(), Ok(None));
    let mut writer = Writer::new(true);
    writer.null_string();
    assert_eq!(writer.as_bytes(), messages[3].bytes);
}

pub(crate) fn security_query(row: &Json) {
    let messages = of_session(row, Command::SecQuery);
    let answer = messages[2].same::<ClassAd>();
    assert_eq!(answer.eval_bool("AuthorizationSucceeded"), Some(true));
}
