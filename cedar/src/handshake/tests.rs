//! Who gets in, and who doesn't.

use super::*;
use crate::error::{Error, Refused, Unsupported};
use crate::session::{ClaimId, Session, Sessions};
use crate::{Command, Connection, Writer};

const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 $";

fn claim(id: &str) -> ClaimId {
    ClaimId::new(id, "[CryptoMethods=\"AES\";]", "text").unwrap()
}

fn sessions() -> Sessions {
    let mut sessions = Sessions::new();
    sessions.insert(Session::parent(&claim("parent")).unwrap());
    sessions.insert(Session::of_claim(&claim("claim")).unwrap());
    sessions.insert(Session::of_owner(&claim("owner"), "user@domain").unwrap());
    sessions
}

/// Runs a request against a server; gives both ends and what each made of it.
fn run(request: &Request<'_>) -> (Result<Established>, Result<Incoming>, [Connection; 2]) {
    let sessions = sessions();
    let rules = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let (mut client, mut server) = (Connection::new(), Connection::new());
    let opening = request.send(&mut client).unwrap();
    let acceptor = Acceptor::new(&mut server);
    let Progress::Wait(acceptor) = acceptor.poll(&mut server, rules).unwrap() else {
        panic!("accepted without a byte")
    };
    server.feed(client.pending());
    let incoming = acceptor.poll(&mut server, rules).map(|progress| match progress {
        Progress::Done(incoming) => incoming,
        Progress::Wait(_) => panic!("more is wanted"),
    });
    client.feed(server.pending());
    server.advanced(server.pending().len());
    let established = opening.poll(&mut client).map(|progress| match progress {
        Progress::Done(established) => established,
        Progress::Wait(_) => Established { peer_version: Some("closed".to_owned()) },
    });
    (established, incoming, [client, server])
}

#[test]
fn a_session_reaches_as_far_as_its_levels() {
    let table = [
        ("parent", Command::Reconfig, true),
        ("claim", Command::VacateJob, true),
        ("claim", Command::CaCmd, true),
        ("claim", Command::Reconfig, false),
        ("owner", Command::Peek, true),
        ("owner", Command::VacateJob, false),
        ("owner", Command::CreateJobOwnerSession, false),
    ];
    for (id, command, allowed) in table {
        let session = Session::parent(&claim(id)).unwrap();
        let (established, incoming, _) = run(&Request::new(command, &session, VERSION));
        assert!(established.is_ok(), "a known session is all that this says");
        match incoming {
            Ok(Incoming::Session(found, caller)) => {
                assert!(allowed, "{id} {command}");
                assert_eq!((found, caller.session.as_str()), (command, id));
                assert_eq!(caller.version.as_deref(), Some(VERSION));
            }
            other => {
                assert_eq!(other, Err(Refused::Level(command.number()).into()));
                assert!(!allowed, "{id} {command}");
            }
        }
    }
}

#[test]
fn a_question_is_answered_at_once() {
    let session = Session::parent(&claim("owner")).unwrap();
    for (asked, allowed) in [(Command::NopRead, true), (Command::NopDaemon, false)] {
        let request =
            Request { asked: Some(asked), ..Request::new(Command::SecQuery, &session, VERSION) };
        let (_, incoming, [mut client, _]) = run(&request);
        assert_eq!(matches!(incoming, Ok(Incoming::Answered(_))), allowed);
        assert_eq!(client.receive(), Ok(allowed));
        if allowed {
            let ad: ClassAd = client.message().only().unwrap();
            assert_eq!(ad.eval_bool("AuthorizationSucceeded"), Some(true));
        }
    }
}

#[test]
fn without_an_answer_the_payload_follows_at_once() {
    let session = Session::parent(&claim("claim")).unwrap();
    let request = Request { answer: false, ..Request::new(Command::VacateJob, &session, VERSION) };
    let (established, incoming, [mut client, mut server]) = run(&request);
    assert_eq!(established, Ok(Established { peer_version: None }));
    assert!(matches!(incoming, Ok(Incoming::Session(Command::VacateJob, _))));
    client.advanced(client.pending().len());
    client.send_bytes(b"payload").unwrap();
    server.feed(client.pending());
    assert_eq!(server.receive(), Ok(true));
}

#[test]
fn unknown_sessions_and_commands_are_refused() {
    let stranger = Session::parent(&claim("stranger")).unwrap();
    let (established, incoming, _) = run(&Request::new(Command::VacateJob, &stranger, VERSION));
    assert_eq!(incoming, Err(Refused::UnknownSession.into()));
    assert_eq!(established, Err(Refused::UnknownSession.into()));
    let parent = Session::parent(&claim("parent")).unwrap();
    let (established, incoming, _) = run(&Request::new(Command::Unknown(9999), &parent, VERSION));
    assert_eq!(incoming, Err(Refused::UnknownCommand(9999).into()));
    assert_eq!(established.unwrap().peer_version.as_deref(), Some("closed"));
}

#[test]
fn another_key_is_noticed_with_the_first_message() {
    let wrong = ClaimId::new("claim", "", "other text").unwrap();
    let session = Session::parent(&wrong).unwrap();
    let (_, incoming, [mut client, mut server]) =
        run(&Request::new(Command::VacateJob, &session, VERSION));
    assert!(incoming.is_ok());
    client.advanced(client.pending().len());
    client.send_bytes(b"payload").unwrap();
    server.feed(client.pending());
    assert!(matches!(server.receive(), Err(Error::Peer(_))));
}

fn first_message(fill: impl FnOnce(&mut Writer)) -> Result<Incoming> {
    let sessions = sessions();
    let rules = Server { sessions: &sessions, version: VERSION, commands: Command::level };
    let (mut client, mut server) = (Connection::new(), Connection::new());
    let mut message = client.writer();
    fill(&mut message);
    client.send(&message).unwrap();
    let acceptor = Acceptor::new(&mut server);
    server.feed(client.pending());
    acceptor.poll(&mut server, rules).map(|progress| match progress {
        Progress::Done(incoming) => incoming,
        Progress::Wait(_) => panic!("more is wanted"),
    })
}

#[test]
fn raw_commands_need_to_need_nothing() {
    let raw = |command: Command| {
        first_message(|w| {
            w.value(&command);
        })
    };
    assert_eq!(raw(Command::Nop), Ok(Incoming::Raw(Command::Nop)));
    assert_eq!(raw(Command::VacateJob), Err(Refused::Level(1500).into()));
    assert_eq!(raw(Command::Unknown(3)), Err(Refused::UnknownCommand(3).into()));
}

#[test]
fn what_is_not_supported_is_said() {
    let request = |lines: &[(&str, &str)]| {
        let mut ad = ClassAd::new();
        for (name, value) in [("Command", "1500"), ("Sid", "\"claim\""), ("UseSession", "\"YES\"")]
            .iter()
            .chain(lines)
        {
            ad.insert_text(*name, value).unwrap();
        }
        first_message(|w| {
            w.value(&Command::Authenticate).value(&ad);
        })
    };
    assert_eq!(request(&[]), Err(Unsupported::Cipher("BLOWFISH".to_owned()).into()));
    let old = request(&[("CryptoMethods", "\"3DES\"")]);
    assert_eq!(old, Err(Unsupported::Cipher("3DES".to_owned()).into()));
    assert!(request(&[("CryptoMethods", "\"AES\"")]).is_ok());
    let negotiation = request(&[("UseSession", "\"NO\"")]);
    assert_eq!(negotiation, Err(Unsupported::Negotiation.into()));
    assert!(request(&[("Sid", "17")]).is_err());
    assert!(request(&[("Command", "1 << 40")]).is_err());
}
