//! Peers that mean no good. Whatever they do, the next order arrives, and the loop sleeps.

use std::io::Read;

use super::*;

/// Still there?
fn alive(fake: &mut Fake) {
    fake.signal(100);
    assert_eq!(fake.orders(1), [Asked::Suspend]);
    fake.settle();
    assert!(fake.startd.calls.is_empty());
    fake.assert_quiet();
}

fn is_closed(mut socket: TcpStream) -> bool {
    // An end or a reset; a time-out is neither.
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).map_or_else(|error| error.raw_os_error() == Some(104), |_| true)
}

#[test]
fn garbage_closes_the_connection() {
    let mut fake = Fake::new("25.14.1", "");
    let four_gib = [1, 0xff, 0xff, 0xff, 0xff];
    let empty = [1, 0, 0, 0, 0];
    let long_string = [&[1, 0, 0, 0, 16][..], &[0; 6], &[0xea, 0x6a], &[0x7f; 8]].concat();
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &four_gib, &empty, &long_string] {
        let mut socket = fake.connect();
        socket.write_all(bytes).unwrap();
        assert_eq!(fake.settle(), []);
        assert!(is_closed(socket), "{bytes:?}");
    }
    alive(&mut fake);
}

#[test]
fn a_message_without_end_closes_the_connection() {
    let mut fake = Fake::new("25.14.1", "");
    let mut socket = fake.connect();
    let writer = thread::spawn(move || {
        let packet = [&[0, 0, 0, 0x40, 0][..], &[7; 0x4000]].concat();
        (0..1000).find(|_| socket.write_all(&packet).is_err())
    });
    fake.run(|startd| {
        startd.step();
        let held: usize = startd.calls.len();
        held == 0 && writer.is_finished()
    });
    assert!(writer.join().unwrap().is_some(), "16 MB were taken");
    alive(&mut fake);
}

#[test]
fn who_stalls_or_leaves_is_forgotten() {
    let mut fake = Fake::new("25.14.1", "");
    fake.startd.life = Duration::from_millis(200);
    let silent = fake.connect();
    let local = fake.knock();
    let mut half = fake.connect();
    half.write_all(&[1, 0, 0, 1]).unwrap();
    let mut gone = fake.connect();
    gone.write_all(&[1, 0]).unwrap();
    drop(gone);
    drop(fake.knock());
    drop(fake.connect());
    // In the middle of a command, with a session and without its payload.
    let mut begun = Stream::new(fake.connect());
    let request = Request { answer: false, ..Request::new(Command::VacateJob, &fake.family, NEW) };
    begun.open(&request).unwrap();
    fake.settle();
    assert_eq!(fake.startd.calls.len(), 4);
    fake.run(|startd| {
        startd.step();
        startd.calls.is_empty()
    });
    assert!(is_closed(silent) && is_closed(half));
    drop(local);
    fake.startd.life = LIFE;
    alive(&mut fake);
}

#[test]
fn a_crowd_is_kept_small_and_an_order_gets_through_it() {
    let mut fake = Fake::new("25.14.1", "");
    let crowd: Vec<TcpStream> = (0..MAX_CALLS * 3).map(|_| fake.connect()).collect();
    fake.settle();
    assert_eq!(fake.startd.calls.len(), MAX_CALLS);
    fake.signal(3);
    assert_eq!(fake.orders(1), [Asked::Hard(None)]);
    fake.assert_quiet();
    drop(crowd);
    alive(&mut fake);
}

#[test]
fn no_key_no_order() {
    let mut fake = Fake::new("25.14.1", "");
    // The session's name goes over the network in the clear; its key doesn't.
    let thief = ClaimId::new("parent", "", "guess").unwrap();
    let thief = Session::parent(&thief).unwrap();
    for command in [Command::RaiseSignal, Command::VacateJob, Command::OffFast, Command::Reconfig] {
        let mut stream = Stream::new(fake.connect());
        let request = Request { answer: false, ..Request::new(command, &thief, NEW) };
        stream.open(&request).unwrap();
        let mut message = stream.writer();
        message.i64(3);
        stream.send(&message).unwrap();
        assert_eq!(fake.settle(), [], "{command}");
    }
    // No session at all.
    for command in [Command::RaiseSignal, Command::VacateJob] {
        let mut stream = Stream::new(fake.connect());
        let mut message = stream.writer();
        message.value(&command).i64(3);
        stream.send(&message).unwrap();
        assert_eq!(fake.settle(), [], "{command}");
    }
    alive(&mut fake);
}

#[test]
fn the_owner_of_a_job_gives_no_orders() {
    let mut fake = Fake::new("25.14.1", "");
    let owner = ClaimId::new("owner", "", "text").unwrap();
    let owner = Session::of_owner(&owner, "user@domain").unwrap();
    fake.startd.add_session(owner.clone());
    for command in [Command::RaiseSignal, Command::VacateJob] {
        let mut stream = Stream::new(fake.connect());
        let request = Request { answer: false, ..Request::new(command, &owner, NEW) };
        stream.open(&request).unwrap();
        let mut message = stream.writer();
        message.i64(3);
        stream.send(&message).unwrap();
        assert_eq!(fake.settle(), [], "{command}");
        assert!(is_closed(stream.into_parts().1), "{command}");
    }
    alive(&mut fake);
}

#[test]
fn commands_that_are_not_served_are_closed_without_a_word() {
    let mut fake = Fake::new("25.14.1", "");
    let numbers = [1502, 500, 60004, 60005, 60006, 60008, 60014, 61000, 4711];
    for number in numbers {
        let mut stream = Stream::new(fake.connect());
        let session = fake.family.clone();
        let client = thread::spawn(move || {
            let request = Request::new(Command::from(number), &session, NEW);
            stream.open(&request).unwrap_err().to_string()
        });
        assert_eq!(fake.settle(), []);
        let said = client.join().unwrap();
        assert!(said.contains("closed") || said.contains("reset"), "{number}: {said}");
    }
    alive(&mut fake);
}

#[test]
fn a_local_socket_that_brings_nothing_is_closed() {
    let mut fake = Fake::new("25.14.1", "");
    for bytes in [
        &b"what?"[..],
        &[1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 75],
        &[PASS_SOCKET.as_slice(), &[0]].concat(),
    ] {
        let mut local = fake.knock();
        local.write_all(bytes).unwrap();
        drop(local);
    }
    fake.settle();
    alive(&mut fake);
}
