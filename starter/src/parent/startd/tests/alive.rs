//! Signs of life, as a startd gets them.

use condor_cedar::blocking::StreamError;
use condor_cedar::handshake::Server;
use condor_cedar::session::Sessions;
use condor_cedar::shared_port;

use super::*;

/// Takes one in, as shared port and startd: who was asked for, and the payload.
fn take_in(port: &TcpListener, session: &Session) -> (shared_port::Request, Vec<u8>) {
    let socket = port.accept().unwrap().0;
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = Stream::new(socket);
    let request = stream.receive_value().unwrap();
    stream.connection().forget_transcript();
    let mut sessions = Sessions::new();
    sessions.insert(session.clone());
    let commands =
        |command| (command == Command::ChildAlive).then_some(condor_cedar::Level::Daemon);
    stream.accept(Server { sessions: &sessions, version: OLD, commands }).unwrap();
    let payload = stream.receive().unwrap().rest().to_vec();
    assert!(matches!(stream.receive(), Err(StreamError::Closed { partial: false })));
    (request, payload)
}

#[test]
fn an_old_startd_gets_one_at_once_and_then_again() {
    let mut fake = Fake::new("23.9.6", "STARTER_NOT_RESPONDING_TIMEOUT = 60\n");
    let (port, session) = (fake.port.try_clone().unwrap(), fake.parent.clone());
    let began = Instant::now();
    let startd = thread::spawn(move || [(); 2].map(|()| take_in(&port, &session)));
    fake.run(|startd_side| {
        startd_side.step();
        startd.is_finished()
    });
    assert!(began.elapsed() >= Duration::from_millis(900), "the period is one second");
    let address = fake.startd.address().to_string();
    for (request, payload) in startd.join().unwrap() {
        assert_eq!(
            (request.id.as_str(), request.client),
            ("startd_1_2", format!("STARTER {address}"))
        );
        let seconds = i64::from_be_bytes(payload[8..16].try_into().unwrap());
        assert!((57..=63).contains(&seconds), "{seconds}");
        let pid = i64::from(std::process::id());
        let expected = [pid, seconds, 0, 0].map(i64::to_be_bytes).concat();
        assert_eq!(payload, expected);
    }
}

#[test]
fn a_new_startd_waits_for_the_first() {
    let fake = Fake::new("25.14.1", "STARTER_NOT_RESPONDING_TIMEOUT = 36000\n");
    let due = fake.startd.alive.due().saturating_duration_since(Instant::now());
    assert!(due > Duration::from_secs(590), "as STARTER_FIRST_CHILDALIVE_DELAY says");
}

#[test]
fn a_startd_that_is_not_there_is_asked_again_and_costs_nothing_else() {
    let mut fake = Fake::new("23.9.6", "STARTER_NOT_RESPONDING_TIMEOUT = 60\n");
    let address = fake.port.local_addr().unwrap();
    fake.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Refused.
    fake.settle();
    fake.signal(100);
    assert_eq!(fake.orders(1), [Asked::Suspend]);
    // There, but it only listens: the connection stands, and nothing comes.
    let port = TcpListener::bind(address).unwrap();
    fake.run(|startd| {
        startd.step();
        startd.alive.source().is_some()
    });
    fake.assert_quiet();
    fake.signal(101);
    assert_eq!(fake.orders(1), [Asked::Continue]);
    // Closed in the middle.
    drop(port.accept().unwrap());
    fake.run(|startd| {
        startd.step();
        startd.alive.source().is_none()
    });
    let session = fake.parent.clone();
    let startd = thread::spawn(move || take_in(&port, &session));
    fake.run(|side| {
        side.step();
        startd.is_finished()
    });
    assert_eq!(startd.join().unwrap().1.len(), 32);
}
