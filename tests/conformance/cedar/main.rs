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

mod play;
mod primitives;
mod refusals;
mod sessions;
mod sockets;

use std::collections::BTreeMap;

use serde_json::Value as Json;

const VECTORS: &str = include_str!("../cedar-vectors.json");

type Check = fn(&Json);

#[test]
fn every_vector_passes() {
    const KNOWN: [(&str, Check); 22] = [
        ("ca_reconnect_server_23.9.6", sessions::reconnect),
        ("ca_reconnect_server_25.14.1", sessions::reconnect),
        ("childalive_client_23.9.6", sessions::child_alive),
        ("config_val_undefined_server_25.14.1", sessions::config_value),
        ("create_job_owner_session_server_25.14.1", sessions::owner_session),
        ("ecdh_negotiation_no_auth_25.14.1", refusals::negotiation),
        ("filetrans_download_client_23.9.6", sessions::file_download),
        ("filetrans_upload_client_25.14.1", sessions::file_upload),
        ("inherited_syscall_socket_23.9.6", sockets::inherited),
        ("inherited_syscall_socket_25.14.1", sockets::inherited),
        ("key_derivation", primitives::key_derivation),
        ("primitives", primitives::primitives),
        ("raisesignal_server_noresponse_25.14.1", sessions::raise_signal),
        ("raw_dc_query_instance_25.14.1", refusals::raw_command),
        ("sec_query_server_25.14.1", sessions::security_query),
        ("shared_port_pass_sock", sockets::pass_socket),
        ("sid_not_found_reply_25.14.1", refusals::unknown_session),
        ("starter_peek_server_25.14.1", sessions::peek),
        ("tripledes_md5_inherited_23.9.6", refusals::old_cipher),
        ("update_socket_secrets_ad_25.14.1", sockets::secrets),
        ("update_socket_update_23.9.6", sockets::update),
        ("vacate_server_25.14.1", sessions::vacate),
    ];
    let mut vectors: BTreeMap<String, Json> =
        serde_json::from_str(VECTORS).expect("the vectors are JSON");
    for (name, check) in KNOWN {
        let row = vectors.remove(name).unwrap_or_else(|| panic!("no vector {name}"));
        println!("{name}");
        check(&row);
    }
    assert!(vectors.is_empty(), "no test for {:?}", vectors.keys());
}
