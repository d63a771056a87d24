//! Shadows that die, fall silent, or lose their mind: an error each time, soon, and never a hold.

use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Instant;

use super::*;

/// Fetches from a shadow that does its worst after a good beginning.
fn broken(serve: impl FnOnce(&mut Shadow) + Send + 'static) -> Failure {
    let (mut peer, shadow) = shadow(move |shadow| {
        shadow.send_head();
        shadow.send_item(1, b"a");
        shadow.ahead_with_input();
        serve(shadow);
    });
    peer.timeout = 1;
    let start = Instant::now();
    let failure = Sandbox::new().fetch(&peer).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(failure.disposition, Disposition::Elsewhere, "{failure}");
    shadow.join().unwrap();
    failure
}

#[test]
fn gone_inside_of_a_file() {
    let failure = broken(|shadow| {
        shadow.send_int(0o644);
        shadow.send(&[number(1 << 20), number(262_144)].concat());
        shadow.send(&[7; 262_144]);
    });
    assert!(failure.message.contains("closed the connection"), "{failure}");
}

#[test]
fn silent_inside_of_a_file() {
    let failure = broken(|shadow| {
        shadow.send_int(0o644);
        thread::sleep(Duration::from_millis(1500));
    });
    assert!(failure.message.contains("was silent for 1 s"), "{failure}");
}

#[test]
fn garbage_and_lengths_without_end() {
    for bytes in [&[1, 0, 0, 0, 8, 1, 2, 3][..], &[0xff; 40], &[1, 0xff, 0xff, 0xff, 0xff, 0]] {
        broken(move |shadow| {
            let mut socket = shadow.stream.socket();
            socket.write_all(bytes).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            thread::sleep(Duration::from_millis(100));
        });
    }
    // Well sealed nonsense.
    for (size, chunk) in [(-1, 262_144), (5, 0), (5, -1), (5, i64::MAX), (1 << 32, 1 << 32)] {
        broken(move |shadow| {
            shadow.send_int(0o644);
            shadow.send(&[number(size), number(chunk)].concat());
            shadow.send(&[0; 100]);
        });
    }
    for mode in [-1, i64::MAX, 1 << 25] {
        broken(move |shadow| shadow.send_int(mode));
    }
    let failure = broken(|shadow| {
        shadow.send_int(0o644);
        shadow.send(&[number(3), number(262_144)].concat());
        shadow.send(b"1234");
    });
    assert!(failure.message.contains("4 bytes of a file"), "{failure}");
}

#[test]
fn any_change_of_the_stream_ends_in_an_error_or_in_step() {
    // The messages of a whole transfer; one at a time is cut, emptied of sense, or left out.
    let script: Vec<Vec<u8>> = vec![
        number(1),
        text(b"b"),
        number(0o644),
        [number(3), number(262_144)].concat(),
        b"abc".to_vec(),
        number(6),
        text(b"d"),
        number(0o755),
        number(0),
        ad(&["Result = 0"]),
    ];
    for at in 0..script.len() {
        for kind in 0..4 {
            let mut changed = script.clone();
            match kind {
                0 => drop(changed.remove(at)),
                1 => drop(changed[at].pop()),
                2 => changed[at] = vec![0xff; changed[at].len()],
                _ => changed[at].extend([0; 8]),
            }
            let (mut peer, shadow) = shadow(move |shadow| {
                shadow.send_head();
                shadow.send_item(1, b"a");
                shadow.ahead_with_input();
                shadow.send_body(0o644, b"1");
                for message in &changed {
                    shadow.send(message);
                }
                shadow.stream.socket().shutdown(Shutdown::Write).unwrap();
                while shadow.stream.receive().is_ok() {}
            });
            peer.timeout = 1;
            let sandbox = Sandbox::new();
            let result = sandbox.fetch(&peer);
            // Without a name or a body some still makes sense; nothing hangs or panics.
            if let Err(failure) = result {
                assert!(!failure.message.is_empty());
            }
            shadow.join().unwrap();
        }
    }
}

#[test]
fn wrong_keys() {
    // The key of the transfer: HTCondor says 0 and closes after a while.
    let refuse = |_, shadow: &mut Shadow| {
        assert_eq!(shadow.string(), "wrong");
        shadow.send_int(0);
        while shadow.stream.receive().is_ok() {}
    };
    let (mut peer, shadow) = accept(SESSION, "a secret", refuse);
    peer.key = "wrong".to_owned().into();
    let failure = Sandbox::new().fetch(&peer).unwrap_err();
    assert!(failure.message.ends_with("does not know the TransferKey"), "{failure}");
    shadow.join().unwrap();

    let (mut peer, shadow) = accept(SESSION, "a secret", refuse);
    peer.key = "wrong".to_owned().into();
    let sandbox = Sandbox::new();
    sandbox.file("a", b"1");
    let what = sandbox.output();
    let failure = deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    );
    let failure = failure.unwrap_err();
    assert!(failure.message.ends_with("does not know the TransferKey"), "{failure}");
    shadow.join().unwrap();

    // The key of the session.
    let (mut peer, shadow) = accept(SESSION, "a secret", |_, shadow| {
        assert!(shadow.stream.receive().is_err());
    });
    peer.session = ClaimId::new(SESSION, INFO, "another").unwrap().reveal().to_owned().into();
    let failure = Sandbox::new().fetch(&peer).unwrap_err();
    assert_eq!(failure.disposition, Disposition::Elsewhere);
    shadow.join().unwrap();
}

#[test]
fn nobody_there() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (mut peer, _) = accept(SESSION, "a secret", |_, _| ());
    peer.address = format!("<{address}>");
    let failure = Sandbox::new().fetch(&peer).unwrap_err();
    assert!(failure.message.contains("no connection to the shadow at <127.0.0.1:"), "{failure}");
    for address in ["", "nonsense", "<>", "<host.name:1>"] {
        peer.address = address.into();
        assert_eq!(Sandbox::new().fetch(&peer).unwrap_err().disposition, Disposition::Elsewhere);
    }
    assert_eq!(format!("{peer:?}").matches("secret").count(), 0);
}

#[test]
fn a_shadow_that_stops_reading() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("large");
    File::create(path).unwrap().set_len(64 << 20).unwrap();
    // Gone in the middle.
    let (mut peer, gone) = shadow(|shadow| {
        shadow.take();
        assert_eq!((shadow.int(), shadow.string()), (1, "large".to_owned()));
        shadow.ahead_with_output(-1);
        shadow.take();
    });
    peer.timeout = 1;
    let what = sandbox.output();
    let send = |peer: &Peer| {
        deliver(
            peer,
            &what,
            sandbox.open().as_fd(),
            &Catalogue::default(),
            &mut Caller::default(),
            &mut |_| (),
        )
        .unwrap_err()
    };
    let failure = send(&peer);
    assert!(failure.message.contains("connection to the shadow at"), "{failure}");
    assert_eq!(failure.disposition, Disposition::Elsewhere);
    gone.join().unwrap();
    // Still there, but silent.
    let (enough, wait) = mpsc::channel::<()>();
    let (mut peer, silent) = shadow(move |shadow| {
        shadow.take();
        assert_eq!((shadow.int(), shadow.string()), (1, "large".to_owned()));
        shadow.ahead_with_output(-1);
        wait.recv().unwrap_err();
    });
    peer.timeout = 1;
    let failure = send(&peer);
    drop(enough);
    assert!(failure.message.contains("for 1 s"), "{failure}");
    assert_eq!(failure.disposition, Disposition::Elsewhere);
    silent.join().unwrap();
}
