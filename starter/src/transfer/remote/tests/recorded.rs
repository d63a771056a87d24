//! The same messages, byte for byte, as starters and shadows of 23.9.6 and 25.14.1 sent them.

use serde_json::Value;

use super::*;

/// The encrypted messages of a recorded conversation: whether they are the starter's, and bytes.
fn messages(name: &str) -> Vec<(bool, Vec<u8>)> {
    let vectors = include_str!("../../../../../tests/conformance/cedar-vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    };
    let packets = vectors[name]["packets"].as_array().unwrap();
    let encrypted = packets.iter().filter(|packet| packet["encrypted"] == true);
    encrypted
        .map(|packet| {
            let text = packet["message_plaintext"].as_str().unwrap();
            (packet["dir"] == "c2s", unhex(text))
        })
        .collect()
}

/// Ads end in two strings that real daemons send as 1 and NUL.
fn same(ours: &[u8], recorded: &[u8]) {
    assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(recorded));
    assert_eq!(ours, recorded);
}

/// Plays the shadow's part of the messages, and compares the starter's.
fn play(messages: Vec<(bool, Vec<u8>)>) -> (Peer, JoinHandle<()>) {
    shadow(move |shadow| {
        for (of_starter, message) in messages.into_iter().skip(1) {
            if of_starter {
                same(&shadow.take(), &message);
            } else {
                shadow.send(&message);
            }
        }
    })
}

#[test]
fn input_from_25_14_1() {
    let messages = messages("filetrans_upload_client_25.14.1");
    let (peer, shadow) = play(messages);
    let sandbox = Sandbox::new();
    let what = Input {
        sandbox: sandbox.path().into(),
        program: Some("run3.sh".into()),
        has_manifest: false,
        plugins: None,
        contents: None,
    };
    let fetched =
        fetch(&peer, &what, sandbox.open().as_fd(), &mut Caller::default(), &mut |_| ()).unwrap();
    shadow.join().unwrap();
    assert_eq!(fetched.stats, Stats { files: 1, bytes: 86 });
    assert!(sandbox.read("run3.sh").starts_with(b"#!/bin/sh\n"));
    assert_eq!(sandbox.mode("run3.sh"), 0o755);
}

#[test]
fn output_to_23_9_6() {
    let mut messages = messages("filetrans_download_client_23.9.6");
    // The record ends with the head of a large file; the size of everything names its bytes.
    let size = lines(&messages[1].1[8..]);
    assert_eq!(size, ["SandboxSize = 301082"]);
    let last = messages.last().unwrap().1.clone();
    assert_eq!(last, [number(300_000), number(262_144)].concat());
    let sandbox = Sandbox::new();
    sandbox.file("_condor_stdout", b"hi\n");
    sandbox.file("_condor_stderr", b"");
    sandbox.file("big.out", &[5; 300_000]);
    for name in ["_condor_stdout", "_condor_stderr", "big.out"] {
        let path = sandbox.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    // Another file of the record's sandbox came later; here there is none.
    messages[1].1 = [number(1), ad(&["SandboxSize = 300003"])].concat();
    messages.push((true, vec![5; 262_144]));
    messages.push((true, vec![5; 300_000 - 262_144]));
    messages.push((true, number(0)));
    messages.push((true, ad(&["Result = 0", "TransferStats = [ CedarFilesCount = 3 ]"])));
    messages.push((false, ad(&["Result = 0", "TransferStats = [ CedarFilesCount = 3 ]"])));
    let (mut peer, shadow) = play(messages);
    peer.shadow_version = Some(OLD.into());
    let what = sandbox.output();
    let delivered = deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    );
    assert_eq!(delivered.unwrap().spooled, ["big.out"]);
    shadow.join().unwrap();
}
