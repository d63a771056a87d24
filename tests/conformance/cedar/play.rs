//! Reading vectors, and playing recorded conversations.

use classad::ClassAd;
use condor_cedar::session::{ClaimId, Levels, Session};
use condor_cedar::{Codec, Connection, Reader, SessionKey, Writer, shared_port};
use serde::Deserialize;
use serde_json::Value as Json;

pub(crate) const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 PackageID: 25.14.1+dfsg-1 $";

/// A message that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) encrypted: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.bytes, self.encrypted)
    }

    pub(crate) fn only<T: Codec>(&self) -> T {
        self.reader().only().expect("such a message")
    }

    /// A value, put together again, is the same message.
    pub(crate) fn same<T: Codec>(&self) -> T {
        let value: T = self.only();
        let mut writer = Writer::new(self.encrypted);
        writer.value(&value);
        assert_eq!(writer.as_bytes(), self.bytes);
        value
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Packet {
    pub(crate) dir: String,
    pub(crate) packet: String,
    #[serde(default)]
    pub(crate) encrypted: Option<bool>,
    #[serde(default)]
    pub(crate) ctr: Option<u32>,
    #[serde(default)]
    pub(crate) iv: Option<String>,
    #[serde(alias = "plaintext")]
    pub(crate) message_plaintext: String,
    #[serde(default)]
    pub(crate) mac: Option<String>,
}

pub(crate) fn text<'a>(row: &'a Json, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().expect("the right length")
}

pub(crate) fn packets(row: &Json) -> Vec<Packet> {
    serde_json::from_value(row["packets"].clone()).expect("packets")
}

pub(crate) fn session(row: &Json) -> Session {
    let claim = ClaimId::new(text(row, "session_id"), "", text(row, "session_key_text"));
    let session = Session::new(&claim.expect("claim"), "peer", Levels::ALL).expect("session");
    assert_eq!(session.key.as_bytes(), &array(text(row, "session_key")));
    session
}

/// Plays a conversation: both sides put every message together and take every packet apart. Gives
/// the messages in order, the one to the shared port left out.
pub(crate) fn play(packets: &[Packet], key: &SessionKey) -> Vec<Sent> {
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
        messages.push(Sent { encrypted, bytes: message });
    }
    messages
}

/// Where it isn't said, packets are encrypted that are longer than their message and a header.
pub(crate) fn is_encrypted(packet: &Packet) -> bool {
    let by_length = packet.packet.len() > packet.message_plaintext.len() + 10;
    assert_eq!(packet.encrypted.unwrap_or(by_length), by_length);
    by_length
}

pub(crate) fn ad_of(message: &[u8]) -> ClassAd {
    let mut reader = Reader::new(message, false);
    assert_eq!(reader.i64(), Ok(60010));
    reader.only().expect("an ad")
}
