//! The `condor-cedar` crate against what daemons of HTCondor 23.9.6 and 25.14.1 said to each other.
//!
//! `cedar-vectors.json` holds conversations of short-lived pools, packet by packet, with the keys.
//! Every packet has to be taken apart to its message, and the message put together to the very same
//! packet. A vector that no test here knows is a failure.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panic, in its helpers too"
)]

use std::collections::BTreeMap;

use classad::ClassAd;
use condor_cedar::file::{Body, EmptyMark, Mode, Size};
use condor_cedar::handshake::{Acceptor, Incoming, Opening, Progress, Request, Server};
use condor_cedar::inherit::{Crypto, Inherit, InheritedSocket, PrivateInherit};
use condor_cedar::message::{ChildAlive, Done, Signal, Update, Vacate};
use condor_cedar::session::{ClaimId, Level, Levels, Session, SessionInfo, Sessions};
use condor_cedar::{
    Codec, Command, Connection, Error, Reader, Refused, SessionKey, Unsupported, Writer,
    shared_port,
};
use serde::Deserialize;
use serde_json::Value as Json;

const VECTORS: &str = include_str!("cedar-vectors.json");
const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 PackageID: 25.14.1+dfsg-1 $";

type Vectors = BTreeMap<String, Json>;
type Check = fn(&Json);

#[derive(Debug, Clone, Deserialize)]
struct Packet {
    dir: String,
    packet: String,
    #[serde(default)]
    encrypted: Option<bool>,
    #[serde(default)]
    ctr: Option<u32>,
    #[serde(default)]
    iv: Option<String>,
    #[serde(alias = "plaintext")]
    message_plaintext: String,
    #[serde(default)]
    mac: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

fn text<'a>(row: &'a Json, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().expect("the right length")
}

fn packets(row: &Json) -> Vec<Packet> {
    serde_json::from_value(row["packets"].clone()).expect("packets")
}

fn session(row: &Json) -> Session {
    let claim = ClaimId::new(text(row, "session_id"), "", text(row, "session_key_text"));
    let session = Session::new(&claim.expect("claim"), "peer", Levels::ALL).expect("session");
    assert_eq!(session.key.as_bytes(), &array(text(row, "session_key")));
    session
}

/// Plays a conversation: both sides put every message together and take every packet apart. Gives
/// the messages of each side in order, the one to the shared port left out.
fn play(packets: &[Packet], key: &SessionKey) -> Vec<(String, bool, Vec<u8>)> {
    let (mut client, mut server) = (Connection::new(), Connection::new());
    let mut messages = Vec::new();
    let vector = |dir: &str| -> [u8; 16] {
        let first = packets.iter().find(|p| p.dir == dir && is_encrypted(p));
        // Behind the header; a side that says nothing encrypted needs none.
        first.map_or([0; 16], |p| array(&p.packet[10..42]))
    };
    for (n, packet) in packets.iter().enumerate() {
        let bytes = unhex(&packet.packet);
        let message = unhex(&packet.message_plaintext);
        let encrypted = is_encrypted(packet);
        if n == 0 && message.starts_with(&75i64.to_be_bytes()) {
            let request: shared_port::Request =
                Reader::new(&message, false).only().expect("a request");
            request.send(&mut client).expect("sent");
            assert_eq!(client.pending(), bytes);
            client.advanced(bytes.len());
            continue;
        }
        if encrypted && !client.is_encrypted() {
            client.encrypt_with_vector(key.clone(), vector("c2s")).expect("encrypted");
            server.encrypt_with_vector(key.clone(), vector("s2c")).expect("encrypted");
        }
        let (from, to) = match packet.dir.as_str() {
            "c2s" => (&mut client, &mut server),
            "s2c" => (&mut server, &mut client),
            other => panic!("direction {other}"),
        };
        if let (Some(count), Some(iv)) = (packet.ctr, &packet.iv) {
            let state = from.state().expect("a state");
            assert_eq!(state.send.packets, count, "packet {n}");
            if count > 0 {
                let head = u32::from_be_bytes(array(&iv[..8])).wrapping_sub(count).to_be_bytes();
                assert_eq!(state.send.vector[..4], head, "packet {n}");
            }
        }
        from.send_bytes(&message).expect("sent");
        assert_eq!(from.pending(), bytes, "packet {n}");
        from.advanced(bytes.len());
        to.feed(&bytes);
        assert_eq!(to.receive(), Ok(true), "packet {n}");
        assert_eq!(to.message().rest(), message, "packet {n}");
        messages.push((packet.dir.clone(), encrypted, message));
    }
    messages
}

/// Where it isn't said, packets are encrypted that are longer than their message and a header.
fn is_encrypted(packet: &Packet) -> bool {
    let by_length = packet.packet.len() > packet.message_plaintext.len() + 10;
    assert_eq!(packet.encrypted.unwrap_or(by_length), by_length);
    by_length
}

fn ad_of(message: &[u8]) -> ClassAd {
    let mut reader = Reader::new(message, false);
    assert_eq!(reader.i64(), Ok(60010));
    reader.only().expect("an ad")
}

/// The recorded request, met by a server with this session.
fn accept(row: &Json) -> Incoming {
    let session = session(row);
    let mut sessions = Sessions::new();
    sessions.insert(session);
    let server = Server { sessions: &sessions, version: VERSION, commands: Command::level };
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

fn only<T: Codec>(message: &(String, bool, Vec<u8>)) -> T {
    Reader::new(&message.2, message.1).only().expect("such a message")
}

/// A value, put together again, is the same message.
fn same<T: Codec>(message: &(String, bool, Vec<u8>)) -> T {
    let value: T = only(message);
    let mut writer = Writer::new(message.1);
    writer.value(&value);
    assert_eq!(writer.as_bytes(), message.2);
    value
}

fn of_session(row: &Json, command: Command) -> Vec<(String, bool, Vec<u8>)> {
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

fn child_alive(row: &Json) {
    let messages = of_session(row, Command::ChildAlive);
    let alive: ChildAlive = same(&messages[2]);
    assert_eq!(alive, ChildAlive { pid: 33465, max_hang: 3498, lock_delay: 0.0 });
}

fn vacate(row: &Json) {
    let messages = of_session(row, Command::VacateJob);
    let vacate: Vacate = same(&messages[2]);
    let reason = "Claim deactivated".to_owned();
    assert_eq!(vacate, Vacate { reason, code: 1009, subcode: 0, soft: true });
    same::<Done>(&messages[3]);
}

/// Nothing random comes from the server here, so it can meet the recorded packets to the end.
fn raise_signal(row: &Json) {
    let messages = of_session(row, Command::RaiseSignal);
    assert_eq!(same::<Signal>(&messages[1]), Signal::Suspend);

    let mut sessions = Sessions::new();
    sessions.insert(session(row));
    let server = Server { sessions: &sessions, version: VERSION, commands: Command::level };
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

fn file_upload(row: &Json) {
    let messages = of_session(row, Command::FileTransferUpload);
    // Key, sandbox size, command, name; alive interval and go-ahead in both directions; the file.
    assert_eq!(same::<Mode>(&messages[10]), Mode::Permissions(0o775));
    let size = same::<Size>(&messages[11]);
    assert_eq!(size, Size::new(86));
    let mut body = Body::new(size);
    let bytes = body.chunk(Reader::new(&messages[12].2, true)).expect("a chunk");
    assert!(bytes.starts_with(b"#!/bin/sh\n"));
    assert!(body.is_done());
    let ack = same::<ClassAd>(&messages[14]);
    assert_eq!(ack.eval_i64("Result"), Some(0));
}

fn file_download(row: &Json) {
    let messages = of_session(row, Command::FileTransferDownload);
    let size = same::<Size>(&messages[11]);
    let mut body = Body::new(size);
    assert_eq!(body.chunk(Reader::new(&messages[12].2, true)), Ok(&b"hi\n"[..]));
    let empty = same::<Size>(&messages[16]);
    let mut body = Body::new(empty);
    assert_eq!(body.chunk(Reader::new(&messages[17].2, true)), Ok(&b""[..]));
    same::<EmptyMark>(&messages[17]);
    assert_eq!(same::<Size>(&messages[21]), Size::new(300_000));
}

fn owner_session(row: &Json) {
    let messages = of_session(row, Command::CreateJobOwnerSession);
    let asked = only::<ClassAd>(&messages[2]);
    let claim: ClaimId = asked.eval_string("ClaimId").expect("there").parse().expect("claim id");
    assert_eq!(claim.session_id(), text(row, "session_id"));
    assert_eq!(claim.secret(), text(row, "session_key_text"));
    let answer = only::<ClassAd>(&messages[3]);
    let owners: ClaimId = answer.eval_string("ClaimId").expect("there").parse().expect("claim id");
    assert_eq!(owners.session_id().len(), 48);
    let session = Session::of_owner(&owners, "testu@localhost").expect("a session");
    assert!(!session.levels.contains(Level::Daemon));
}

fn peek(row: &Json) {
    let messages = of_session(row, Command::Peek);
    assert_eq!(only::<ClassAd>(&messages[2]).eval_i64("MaxTransferBytes"), Some(1024));
    let mut body = Body::new(same(&messages[4]));
    assert!(body.chunk(Reader::new(&messages[5].2, true)).is_ok());
    assert!(body.is_done());
    assert_eq!(Reader::new(&messages[6].2, true).i64(), Ok(1));
}

fn reconnect(row: &Json) {
    let messages = of_session(row, Command::CaCmd);
    let ad = only::<ClassAd>(&messages[2]);
    assert_eq!(ad.eval_string("Command").as_deref(), Some("CA_RECONNECT_JOB"));
    assert_eq!(only::<ClassAd>(&messages[3]).eval_string("Result").as_deref(), Some("Success"));
}

fn config_value(row: &Json) {
    let messages = of_session(row, Command::DcConfigVal);
    assert_eq!(Reader::new(&messages[2].2, true).string(), Ok(&b"NOSUCH_X"[..]));
    assert_eq!(Reader::new(&messages[3].2, true).nullable_string(), Ok(None));
    let mut writer = Writer::new(true);
    writer.null_string();
    assert_eq!(writer.as_bytes(), messages[3].2);
}

fn security_query(row: &Json) {
    let messages = of_session(row, Command::SecQuery);
    let answer = same::<ClassAd>(&messages[2]);
    assert_eq!(answer.eval_bool("AuthorizationSucceeded"), Some(true));
}

fn primitives(row: &Json) {
    for case in row["cases"].as_array().expect("cases") {
        for (name, encrypted) in [("enc", true), ("plain", false)] {
            let Some(hex) = case[name].as_str() else {
                // The mark of an empty file is only recorded encrypted.
                assert_eq!((text(case, "type"), name), ("empty file marker", "plain"));
                continue;
            };
            let bytes = unhex(hex);
            let mut writer = Writer::new(encrypted);
            let mut reader = Reader::new(&bytes, encrypted);
            match text(case, "type") {
                "int" => {
                    let value = case["value"].as_i64().expect("an integer");
                    writer.i64(value);
                    assert_eq!(reader.i64(), Ok(value));
                }
                "string" => {
                    writer.string(text(case, "value"));
                    assert_eq!(reader.string(), Ok(text(case, "value").as_bytes()));
                }
                "nullable string" => {
                    writer.null_string();
                    assert_eq!(reader.nullable_string(), Ok(None));
                }
                "double" => {
                    let value = case["value"].as_f64().expect("a real");
                    writer.f64(value);
                    assert!((reader.f64().expect("a real") - value).abs() < 1e-9);
                }
                "empty file marker" => {
                    writer.value(&EmptyMark);
                    assert_eq!(reader.value(), Ok(EmptyMark));
                }
                other => panic!("a primitive of type {other}"),
            }
            assert_eq!(writer.as_bytes(), bytes);
            assert_eq!(reader.finish(), Ok(()));
        }
    }
}

fn inherited(row: &Json) {
    let value = text(row, "condor_inherit");
    let inherit: Inherit = value.parse().expect("CONDOR_INHERIT");
    assert_eq!(inherit.to_string(), value);
    let parsed = &row["parsed"];
    assert_eq!(Some(i64::from(inherit.parent_pid)), parsed["parent_pid"].as_i64());
    assert_eq!(inherit.parent.to_string(), text(parsed, "parent_sinful"));
    let [update, shadow] = &inherit.sockets[..] else { panic!("two sockets") };
    assert_eq!((update.fd, &update.crypto), (10, &Crypto::Clear));
    assert_eq!(shadow.reveal(), text(parsed, "syscall_socket"));
    assert_eq!(shadow.user, "submit-side@matchsession");
    assert!(shadow.peer_version.starts_with("$CondorVersion: "));
    let endpoint = inherit.endpoint.as_ref().expect("an endpoint");
    assert!(endpoint.socket.listening);
    assert!(endpoint.name.id().starts_with("slot1_1_"));
    assert!(inherit.command_sockets.is_empty());

    let Crypto::Aes(state) = &shadow.crypto else { panic!("AES") };
    assert_eq!(Some(u64::from(state.send.packets)), parsed["ctr_enc"].as_u64());
    assert_eq!(Some(u64::from(state.receive.packets)), parsed["ctr_dec"].as_u64());
    assert_eq!(state.send.vector, array(text(parsed, "iv_enc")));
    assert_eq!(state.receive.vector, array(text(parsed, "iv_dec")));
    assert_eq!(state.digests.sent, array(text(parsed, "final_send_digest")));
    assert_eq!(state.digests.received, array(text(parsed, "final_recv_digest")));
    assert_eq!(text(parsed, "flags_final_send_final_recv_finished_send_finished_recv"), "1*1*1*1");
    assert!(state.send.confirmed && state.receive.confirmed);
    let key = SessionKey::derive(text(row, "claim_key_text").as_bytes());
    assert_eq!(state.key, key);
    assert_eq!(state.key.as_bytes(), &array(text(parsed, "key")));

    for packet in packets(row) {
        // Some packets between these weren't kept.
        let count = packet.ctr.expect("a counter");
        let (bytes, message) = (unhex(&packet.packet), unhex(&packet.message_plaintext));
        let mut state = (**state).clone();
        if packet.dir == "starter->shadow" {
            state.send.packets = count;
            let mut starter = Connection::resume(state);
            starter.send_bytes(&message).expect("sent");
            assert_eq!(starter.pending(), bytes);
        } else {
            state.receive.packets = count;
            let mut starter = Connection::resume(state);
            starter.feed(&bytes);
            assert_eq!(starter.receive(), Ok(true));
            assert_eq!(starter.message().rest(), message);
        }
    }

    let private: PrivateInherit = text(row, "condor_private_inherit").parse().expect("sessions");
    let parent = Session::parent(&private.parent.expect("a parent")).expect("a session");
    assert_eq!(parent.id.len(), 48);
    assert!(parent.info.commands.contains(&Command::ChildAlive.number()));
    assert_eq!(parent.info.version.as_deref(), row["peer_version"].as_str());
    let family = Session::family(&private.family.expect("a family")).expect("a session");
    assert!(family.id.starts_with("family:"));
    assert_claim_sessions(row);
}

/// The answer to get_sec_session_info has the claim's session and the one for file transfers.
fn assert_claim_sessions(row: &Json) {
    let all = packets(row);
    let message = unhex(&all[3].message_plaintext);
    let mut reader = Reader::new(&message, true);
    assert_eq!(reader.i64(), Ok(1));
    let mut next = || String::from_utf8_lossy(reader.string().expect("a string")).into_owned();
    for prefix in ["", "filetrans."] {
        let claim = ClaimId::new(&next(), &next(), &next()).expect("a claim id");
        let expected = format!("{prefix}{}", text(row, "claim_session_id"));
        assert_eq!(claim.session_id(), expected);
        assert_eq!(claim.secret(), text(row, "claim_key_text"));
        Session::of_claim(&claim).expect("a session");
    }
    reader.finish().expect("nothing is left");
}

fn key_derivation(row: &Json) {
    for case in row["cases"].as_array().expect("cases") {
        let key = SessionKey::derive(text(case, "key_text").as_bytes());
        assert_eq!(key.as_bytes(), &array(text(case, "hkdf_sha256_32")), "{case}");
        // `md5_16` would be the key of an old cipher.
    }
}

fn raw_command(row: &Json) {
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

fn unknown_session(row: &Json) {
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

/// A packet of the socket between startd and starter, which is never encrypted.
fn clear<T: Codec>(row: &Json) -> T {
    let packet = unhex(text(row, "packet"));
    let mut connection = Connection::new();
    connection.feed(&packet);
    assert_eq!(connection.receive(), Ok(true));
    assert_eq!(connection.message().rest(), unhex(text(row, "message_plaintext")));
    connection.message().only().expect("such a message")
}

fn update(row: &Json) {
    let update: Update = clear(row);
    assert!(!update.last);
    assert_eq!(update.ad.eval_i64("MemoryProvisioned"), Some(128));
    let mut connection = Connection::new();
    let mut message = connection.writer();
    message.value(&update);
    connection.send(&message).expect("sent");
    assert_eq!(connection.pending(), unhex(text(row, "packet")));
}

fn secrets(row: &Json) {
    let ad: ClassAd = clear(row);
    assert_eq!(ad.len(), 2);
    for name in ["ClaimId", "SplitClaimId"] {
        let claim: ClaimId = ad.eval_string(name).expect("there").parse().expect("a claim id");
        Session::of_claim(&claim).expect("a session");
    }
}

fn pass_socket(row: &Json) {
    assert_eq!(shared_port::PASS_SOCKET.as_slice(), unhex(text(row, "cedar_packet")));
    assert_eq!(text(row, "ancillary_data_byte"), "00");
}

/// A negotiation: the stream is understood, the wish to negotiate refused.
fn negotiation(row: &Json) {
    let key = SessionKey::derive(&unhex(text(row, "shared_x")));
    assert_eq!(key.as_bytes(), &array(text(row, "key")));
    let messages = play(&packets(row), &key);
    let request = ad_of(&messages[0].2);
    assert_eq!(request.eval_string("NewSession").as_deref(), Some("YES"));
    let session = only::<ClassAd>(&messages[2]);
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
fn old_cipher(row: &Json) {
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
        let mut connection = Connection::resume(condor_cedar::StreamState::new(
            SessionKey::derive(b"any"),
            condor_cedar::Digests { sent: [0; 32], received: [0; 32] },
        ));
        connection.feed(&unhex(&packet.packet));
        assert!(matches!(connection.receive(), Err(Error::Peer(_))));
    }
}

#[test]
fn every_vector_passes() {
    const KNOWN: [(&str, Check); 22] = [
        ("ca_reconnect_server_23.9.6", reconnect),
        ("ca_reconnect_server_25.14.1", reconnect),
        ("childalive_client_23.9.6", child_alive),
        ("config_val_undefined_server_25.14.1", config_value),
        ("create_job_owner_session_server_25.14.1", owner_session),
        ("ecdh_negotiation_no_auth_25.14.1", negotiation),
        ("filetrans_download_client_23.9.6", file_download),
        ("filetrans_upload_client_25.14.1", file_upload),
        ("inherited_syscall_socket_23.9.6", inherited),
        ("inherited_syscall_socket_25.14.1", inherited),
        ("key_derivation", key_derivation),
        ("primitives", primitives),
        ("raisesignal_server_noresponse_25.14.1", raise_signal),
        ("raw_dc_query_instance_25.14.1", raw_command),
        ("sec_query_server_25.14.1", security_query),
        ("shared_port_pass_sock", pass_socket),
        ("sid_not_found_reply_25.14.1", unknown_session),
        ("starter_peek_server_25.14.1", peek),
        ("tripledes_md5_inherited_23.9.6", old_cipher),
        ("update_socket_secrets_ad_25.14.1", secrets),
        ("update_socket_update_23.9.6", update),
        ("vacate_server_25.14.1", vacate),
    ];
    let mut vectors = vectors();
    for (name, check) in KNOWN {
        let row = vectors.remove(name).unwrap_or_else(|| panic!("no vector {name}"));
        println!("{name}");
        check(&row);
    }
    assert!(vectors.is_empty(), "no test for {:?}", vectors.keys());
}

/// Descriptors of a machine with two address families and no shared port.
#[test]
fn command_sockets_without_a_shared_port() {
    let text = "7 <1.2.3.4:5> 1 10*3*0*0*0*0***0*<1.2.3.4:6>*0*0*0*0*0*0*0* 0 \
                1 16*6*0*0*0*0***1**0*0*0*0*0*0*0* 2 17*2*0*0*0*0***0** \
                1 18*6*0*0*0*0***1**0*0*0*0*0*0*0* 2 19*2*0*0*0*0***0** 0";
    let inherit: Inherit = text.parse().expect("CONDOR_INHERIT");
    assert_eq!(inherit.to_string(), text);
    let listening = |socket: &InheritedSocket| socket.listening;
    let fds: Vec<_> =
        inherit.command_sockets.iter().filter(|s| listening(s)).map(|s| s.fd).collect();
    assert_eq!(fds, [16, 18]);
}
