//! A newer proxy, from the size to the answer.

use std::thread::{self, JoinHandle};

use condor_cedar::Command;
use condor_cedar::blocking::{Stream, StreamError};
use condor_cedar::file::Size;
use condor_cedar::handshake::Request;

use super::{Fake, NEW};
use crate::parent::startd::Asked;

/// Sends a proxy in chunks, and waits for the answer.
fn send(
    fake: &Fake,
    chunks: &'static [&'static [u8]],
    size: u64,
) -> JoinHandle<Result<i64, String>> {
    let mut stream = Stream::new(fake.connect());
    let session = fake.family.clone();
    thread::spawn(move || {
        let mut talk = || -> Result<i64, StreamError> {
            stream.open(&Request::new(Command::UpdateGsiCred, &session, NEW))?;
            stream.send_value(&Size { bytes: size, chunk: 65536 })?;
            for chunk in chunks {
                let mut message = stream.writer();
                message.bytes(chunk);
                stream.send(&message)?;
            }
            stream.flush()?;
            Ok(stream.receive()?.i64()?)
        };
        talk().map_err(|error| error.to_string())
    })
}

#[test]
fn it_is_answered_when_it_is_in_its_place() {
    for done in [true, false] {
        let mut fake = Fake::new("25.14.1", "");
        let client = send(&fake, &[b"a pro", b"xy"], 7);
        let asked = fake.orders(1);
        let [Asked::Proxy(proxy)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!(proxy.0.as_slice(), b"a proxy");
        assert!(!format!("{asked:?}").contains("97, 32"), "a log would show it");
        fake.startd.proxy_is_placed(done);
        fake.settle();
        assert_eq!(client.join().unwrap(), Ok(i64::from(done)));
    }
}

#[test]
fn one_that_is_too_large_or_none_is_not_taken() {
    const CHUNKS: &[&[u8]] = &[b"more"];
    for size in [1 << 21, 2] {
        let mut fake = Fake::new("25.14.1", "");
        let client = send(&fake, CHUNKS, size);
        assert_eq!(fake.settle(), [], "{size}");
        assert!(client.join().unwrap().is_err(), "{size}");
    }
}
