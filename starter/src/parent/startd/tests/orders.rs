//! Orders in both dialects.

use serde_json::Value as Json;

use super::*;

fn why(code: i32) -> Option<Why> {
    Some(Why { text: "Claim deactivated".into(), code, subcode: 0 })
}

#[test]
fn a_startd_of_25_vacates_and_holds_with_a_command() {
    let mut fake = Fake::new("25.14.1", "");
    assert!(fake.startd.is_new());
    for (order, expected) in [
        (vacate(1009, true), Asked::Soft(why(1009))),
        (vacate(1009, false), Asked::Hard(why(1009))),
        (vacate(21, true), Asked::Hold { why: why(21), soft: true }),
        (vacate(21, false), Asked::Hold { why: why(21), soft: false }),
    ] {
        let client = fake.vacate(order);
        assert_eq!(fake.orders(1), [expected]);
        client.join().unwrap();
    }
    fake.assert_quiet();
}

#[test]
fn a_startd_of_23_only_holds_with_it() {
    let mut fake = Fake::new("23.9.6", "");
    assert!(!fake.startd.is_new());
    for code in [21, 1009] {
        let client = fake.vacate(vacate(code, true));
        assert_eq!(fake.orders(1), [Asked::Hold { why: why(code), soft: true }]);
        client.join().unwrap();
    }
}

#[test]
fn signals_come_as_a_command() {
    for release in ["23.9.6", "25.14.1"] {
        let mut fake = Fake::new(release, "");
        for (number, expected) in [
            (15, Asked::Soft(None)),
            (3, Asked::Hard(None)),
            (1, Asked::Reconfig),
            (10, Asked::Remove),
            (100, Asked::Suspend),
            (101, Asked::Continue),
            (102, Asked::Soft(None)),
            (103, Asked::Hard(None)),
            (104, Asked::Checkpoint),
            (105, Asked::Remove),
            (106, Asked::Hold { why: None, soft: true }),
        ] {
            fake.signal(number);
            assert_eq!(fake.orders(1), [expected], "{number}");
        }
        fake.signal(12);
        assert_eq!(fake.settle(), []);
        fake.assert_quiet();
    }
}

#[test]
fn repeated_and_overlapping_orders_all_arrive_in_their_order() {
    let mut fake = Fake::new("25.14.1", "");
    // One that has begun doesn't keep those behind it waiting.
    let mut slow = Stream::new(fake.connect());
    let request = Request { answer: false, ..Request::new(Command::VacateJob, &fake.family, NEW) };
    slow.open(&request).unwrap();
    for number in [100, 101, 101, 15, 15, 3] {
        fake.signal(number);
    }
    let asked = fake.orders(6);
    let (soft, hard) = (Asked::Soft(None), Asked::Hard(None));
    let twice = Asked::Continue;
    assert_eq!(asked, [Asked::Suspend, twice.clone(), twice, soft.clone(), soft, hard]);
    slow.send_value(&vacate(1010, false)).unwrap();
    assert_eq!(fake.orders(1), [Asked::Hard(why(1010))]);
    assert_eq!(slow.receive_value::<Done>().unwrap(), Done);
}

#[test]
fn what_a_startd_was_recorded_to_send() {
    let all: Json =
        serde_json::from_str(include_str!("../../../../../tests/conformance/cedar-vectors.json"))
            .unwrap();
    for (name, session, expected) in [
        ("raisesignal_server_noresponse_25.14.1", PARENT, Asked::Suspend),
        ("vacate_server_25.14.1", FAMILY, Asked::Soft(why(1009))),
    ] {
        let row = &all[name];
        let text = |key: &str| row[key].as_str().unwrap();
        let claim = ClaimId::new(text("session_id"), "", text("session_key_text")).unwrap();
        let mut fake = Fake::new("25.14.1", "");
        fake.startd.add_session(session(&claim).unwrap());
        let mut socket = fake.connect();
        let packets = row["packets"].as_array().unwrap();
        let packet = |n: usize| unhex(packets[n]["packet"].as_str().unwrap());
        socket.write_all(&packet(0)).unwrap();
        if packets.len() == 2 {
            socket.write_all(&packet(1)).unwrap();
            assert_eq!(fake.orders(1), [expected]);
        } else {
            // The seal covers the recorded answer; this starter's has another nonce, so the rest of
            // the conversation can't be the same.
            fake.settle();
            let mut connection = Stream::new(socket);
            let mut answer = connection.receive().unwrap();
            let ad: ClassAd = answer.value().unwrap();
            assert_eq!(ad.eval_string("ReturnCode").as_deref(), Some("AUTHORIZED"));
            assert_eq!(ad.eval_string("RemoteVersion").as_deref(), Some(OWN));
            assert_eq!(ad.len(), 3);
        }
    }
}

type Make = fn(&ClaimId) -> condor_cedar::Result<Session>;
const PARENT: Make = Session::parent;
const FAMILY: Make = Session::family;

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn harmless_questions_are_answered() {
    let mut fake = Fake::new("25.14.1", "");
    // In the clear.
    let mut streams: Vec<_> = (0..2).map(|_| Stream::new(fake.connect())).collect();
    for stream in &mut streams {
        stream.send_value(&Command::QueryInstance).unwrap();
    }
    let mut ping = Stream::new(fake.connect());
    let request = Request {
        answer: false,
        asked: Some(Command::NopDaemon),
        ..Request::new(Command::SecQuery, &fake.parent, NEW)
    };
    ping.open(&request).unwrap();
    Stream::new(fake.connect()).send_value(&Command::Nop).unwrap();
    assert_eq!(fake.settle(), []);
    let names: Vec<Vec<u8>> =
        streams.iter_mut().map(|stream| stream.receive().unwrap().rest().to_vec()).collect();
    assert_eq!((names[0].len(), &names[0]), (16, &names[1]));
    let ad: ClassAd = ping.receive_value().unwrap();
    assert_eq!(ad.eval_bool("AuthorizationSucceeded"), Some(true));
    fake.assert_quiet();
}

#[test]
fn a_session_of_the_shadow_counts_from_when_it_is_known() {
    let mut fake = Fake::new("25.14.1", "");
    let claim = ClaimId::new("<1.2.3.4:5>#1#1", "", "text").unwrap();
    let session = Session::of_claim(&claim).unwrap();
    for known in [false, true, false] {
        match known {
            true => fake.startd.add_session(session.clone()),
            false => drop(fake.startd.sessions.remove(&session.id)),
        }
        let mut stream = Stream::new(fake.connect());
        let session = session.clone();
        let client = thread::spawn(move || {
            stream.open(&Request::new(Command::VacateJob, &session, NEW)).map(|_| {
                stream.send_value(&vacate(1009, true)).unwrap();
            })
        });
        if known {
            assert_eq!(fake.orders(1), [Asked::Soft(why(1009))]);
        } else {
            fake.settle();
        }
        assert_eq!(client.join().unwrap().is_ok(), known);
    }
}

#[test]
fn an_orphan_is_told_so_once() {
    let mut fake = Fake::new("23.9.6", "");
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = Pid::from_child(&child);
    fake.startd.parent = Some(pidfd_open(pid, PidfdFlags::empty()).unwrap());
    assert_eq!(fake.settle(), []);
    child.kill().unwrap();
    assert_eq!(fake.orders(1), [Asked::ParentGone]);
    child.wait().unwrap();
    fake.assert_quiet();
    assert_eq!(fake.startd.step(), []);
}
