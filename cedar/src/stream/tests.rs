//! Messages come through however the bytes are cut up, and a change never does.

use proptest::prelude::*;

use super::*;
use crate::error::PeerMisbehaved;

fn encrypted_pair() -> (Connection, Connection) {
    let (mut one, mut other) = (Connection::new(), Connection::new());
    let key = SessionKey::derive(b"text");
    one.encrypt(key.clone()).unwrap();
    other.encrypt(key).unwrap();
    (one, other)
}

fn pair(encrypted: bool) -> (Connection, Connection) {
    if encrypted { encrypted_pair() } else { (Connection::new(), Connection::new()) }
}

fn take(from: &mut Connection) -> Vec<u8> {
    let bytes = from.pending().to_vec();
    from.advanced(bytes.len());
    bytes
}

fn message(to: &mut Connection, bytes: &[u8]) -> Vec<u8> {
    to.feed(bytes);
    assert_eq!(to.receive(), Ok(true));
    to.message().rest().to_vec()
}

#[test]
fn digests_bind_the_clear_part() {
    for changed in [false, true] {
        let (mut client, mut server) = pair(false);
        client.send_bytes(b"question").unwrap();
        let mut bytes = take(&mut client);
        if changed {
            bytes[5] ^= 1;
        }
        message(&mut server, &bytes);
        server.send_bytes(b"answer").unwrap();
        message(&mut client, &take(&mut server));
        let key = SessionKey::derive(b"key");
        client.encrypt(key.clone()).unwrap();
        server.encrypt(key).unwrap();
        client.send_bytes(b"secret").unwrap();
        server.feed(&take(&mut client));
        let expected = if changed { Err(PeerMisbehaved::BadSeal.into()) } else { Ok(true) };
        assert_eq!(server.receive(), expected);
        assert_eq!(server.receive().is_err(), changed, "an error is final");
    }
}

#[test]
fn encrypted_bytes_may_be_there_before_encryption_is_switched_on() {
    let (mut client, mut server) = pair(false);
    client.send_bytes(b"clear").unwrap();
    let key = SessionKey::derive(b"key");
    client.encrypt(key.clone()).unwrap();
    client.send_bytes(b"one").unwrap();
    client.send_bytes(b"two").unwrap();
    assert_eq!(message(&mut server, &take(&mut client)), b"clear");
    server.encrypt(key).unwrap();
    for text in ["one", "two"] {
        assert_eq!(server.receive(), Ok(true));
        assert_eq!(server.message().rest(), text.as_bytes());
    }
    assert_eq!(server.receive(), Ok(false));
    assert!(!server.is_partial());
}

#[test]
fn a_value_may_straddle_packets() {
    let mut receiver = Connection::new();
    receiver.feed(&[0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 2]);
    assert_eq!(receiver.receive(), Ok(true));
    assert_eq!(receiver.message().i64(), Ok(258));
}

#[test]
fn a_message_without_bytes_is_none() {
    let (mut one, _) = encrypted_pair();
    let empty = one.writer();
    one.send(&empty).unwrap();
    assert_eq!(one.send_filled::<Error>(100, |_| Ok(0)), Ok(0));
    assert!(one.pending().is_empty());
    let wrong = Writer::new(false);
    assert!(matches!(one.send(&wrong), Err(Error::Misused(_))));
}

#[test]
fn messages_are_bounded() {
    let (mut one, mut other) = encrypted_pair();
    other.set_limit(1000);
    one.send_bytes(&[7; 1000]).unwrap();
    assert_eq!(message(&mut other, &take(&mut one)).len(), 1000);
    one.send_bytes(&[7; 1001]).unwrap();
    other.feed(&take(&mut one));
    let error = Error::TooLarge { what: "message", length: 1001, limit: 1000 };
    assert_eq!(other.receive(), Err(error));
    // Many small packets without an end are a message too.
    let mut endless = Connection::new();
    endless.set_limit(10);
    endless.feed(&[0, 0, 0, 0, 1, 9].repeat(11));
    assert!(matches!(endless.receive(), Err(Error::TooLarge { .. })));
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_promised() {
    let mut receiver = Connection::new();
    receiver.feed(&[1, 0, 16, 0, 0, 1, 2, 3]);
    assert_eq!(receiver.receive(), Ok(false));
    assert_eq!(receiver.missing(), (1 << 20) - 3);
    assert!(receiver.space().len() < 10_000);
    assert!(receiver.is_partial());
}

#[test]
fn what_is_missing_is_known_exactly() {
    let mut receiver = Connection::new();
    assert_eq!(receiver.missing(), 5);
    receiver.feed(&[1, 0, 0]);
    assert_eq!(receiver.missing(), 2);
    receiver.feed(&[0, 8]);
    assert_eq!(receiver.missing(), 8);
    receiver.feed(&[0; 8]);
    assert_eq!(receiver.missing(), 0);
}

#[test]
fn a_stream_goes_on_in_another_process() {
    let (mut one, mut other) = encrypted_pair();
    one.send_bytes(b"first").unwrap();
    message(&mut other, &take(&mut one));
    other.send_bytes(b"answer").unwrap();
    message(&mut one, &take(&mut other));
    let mut child = Connection::resume(one.state().unwrap().clone());
    child.send_bytes(b"second").unwrap();
    assert_eq!(message(&mut other, &take(&mut child)), b"second");
    other.send_bytes(b"third").unwrap();
    assert_eq!(message(&mut child, &take(&mut other)), b"third");
}

#[test]
fn nonces_are_never_used_twice() {
    let (one, _) = encrypted_pair();
    let mut state = one.state().unwrap().clone();
    state.send.packets = u32::MAX - 1;
    let mut last = Connection::resume(state);
    last.send_bytes(b"last").unwrap();
    assert_eq!(last.send_bytes(b"too many"), Err(Error::CounterExhausted));
    let (mut one, _) = encrypted_pair();
    assert!(matches!(one.encrypt(SessionKey::derive(b"again")), Err(Error::Misused(_))));
}

#[test]
fn too_much_in_the_clear_can_not_be_encrypted_later() {
    let mut one = Connection::new();
    for _ in 0..5 {
        one.send_bytes(&vec![0; 250_000]).unwrap();
    }
    let refused = one.encrypt(SessionKey::derive(b"key"));
    assert!(matches!(refused, Err(Error::TooLarge { what: "handshake", .. })));
}

proptest! {
    // AES without optimization takes its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_come_through_however_they_are_cut(
        messages in proptest::collection::vec((1usize..70_000, any::<u8>()), 1..6),
        cuts in proptest::collection::vec(1usize..50_000, 1..20),
        encrypted: bool,
        buffer in prop_oneof![Just(0usize), Just(1 << 20)],
    ) {
        let (mut one, mut other) = pair(encrypted);
        other.set_buffer(buffer);
        for (length, byte) in &messages {
            one.send_bytes(&vec![*byte; *length]).unwrap();
        }
        let bytes = take(&mut one);
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            rest = more;
            other.feed(piece);
            while other.receive().unwrap() {
                let text = other.message().rest();
                received.push((text.len(), text[0]));
                prop_assert!(text.iter().all(|b| *b == text[0]));
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received, messages);
    }

    #[test]
    fn packets_are_joined(
        sizes in proptest::collection::vec(1usize..5000, 1..12),
        encrypted: bool,
    ) {
        let (mut one, mut other) = pair(encrypted);
        let text: Vec<u8> = (0..=250).cycle().take(sizes.iter().sum()).collect();
        let mut rest = &text[..];
        for (n, size) in sizes.iter().enumerate() {
            let (piece, more) = rest.split_at(*size);
            rest = more;
            let last = n + 1 == sizes.len();
            let fill = |space: &mut [u8]| -> Result<usize> {
                space.copy_from_slice(piece);
                Ok(piece.len())
            };
            one.send_part(*size, last, fill).unwrap();
        }
        prop_assert_eq!(message(&mut other, &take(&mut one)), text);
    }

    #[test]
    fn a_changed_byte_never_comes_through(at in 0usize..60, bit in 0u8..8) {
        let (mut one, mut other) = encrypted_pair();
        one.send_bytes(b"some text that counts").unwrap();
        let mut bytes = take(&mut one);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        other.feed(&bytes);
        // A longer length waits for more; anything else is an error.
        prop_assert!(!other.receive().unwrap_or(false));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), encrypted: bool) {
        let (mut one, _) = pair(encrypted);
        one.feed(&bytes);
        while one.receive() == Ok(true) {}
    }
}
