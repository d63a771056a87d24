//! What a starter inherits, and the socket to the startd.

use classad::ClassAd;
use condor_cedar::inherit::{Crypto, Inherit, InheritedSocket, PrivateInherit};
use condor_cedar::message::Update;
use condor_cedar::session::{ClaimId, Session};
use condor_cedar::{Codec, Command, Connection, Reader, SessionKey, shared_port};
use serde_json::Value as Json;

use super::play::{array, packets, text, unhex};

pub(crate) fn inherited(row: &Json) {
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

/// A packet of the socket between startd and starter, which is never encrypted.
fn clear<T: Codec>(row: &Json) -> T {
    let packet = unhex(text(row, "packet"));
    let mut connection = Connection::new();
    connection.feed(&packet);
    assert_eq!(connection.receive(), Ok(true));
    assert_eq!(connection.message().rest(), unhex(text(row, "message_plaintext")));
    connection.message().only().expect("such a message")
}

pub(crate) fn update(row: &Json) {
    let update: Update = clear(row);
    assert!(!update.last);
    assert_eq!(update.ad.eval_i64("MemoryProvisioned"), Some(128));
    let mut connection = Connection::new();
    let mut message = connection.writer();
    message.value(&update);
    connection.send(&message).expect("sent");
    assert_eq!(connection.pending(), unhex(text(row, "packet")));
}

pub(crate) fn secrets(row: &Json) {
    let ad: ClassAd = clear(row);
    assert_eq!(ad.len(), 2);
    for name in ["ClaimId", "SplitClaimId"] {
        let claim: ClaimId = ad.eval_string(name).expect("there").parse().expect("a claim id");
        Session::of_claim(&claim).expect("a session");
    }
}

pub(crate) fn pass_socket(row: &Json) {
    assert_eq!(shared_port::PASS_SOCKET.as_slice(), unhex(text(row, "cedar_packet")));
    assert_eq!(text(row, "ancillary_data_byte"), "00");
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
