//! Output on its way.

use super::*;

fn list(paths: &[&str]) -> Option<Vec<PathBuf>> {
    Some(paths.iter().map(PathBuf::from).collect())
}

#[test]
fn files_arrive_in_order() {
    let sandbox = Sandbox::new();
    sandbox.file("input", b"i");
    let before = sandbox.catalogue();
    sandbox.file("_condor_stdout", b"hello");
    sandbox.file("_condor_stderr", b"");
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let path = sandbox.file("result", &large);
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let (delivered, received) = sandbox.deliver(&sandbox.output(), &before);
    let delivered = delivered.unwrap();
    assert_eq!(delivered.stats, Stats { files: 3, bytes: 1_200_005 });
    assert_eq!(delivered.spooled, ["result"]);
    assert!(received.is_final);
    assert_eq!(received.size, "SandboxSize = 1200005");
    let names: Vec<_> = received.items.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["_condor_stdout", "_condor_stderr", "result"]);
    assert!(received.bytes("result") == large);
    assert_eq!(received.mode("result"), 0o640);
    assert_eq!(received.ack[0], "Result = 0");
    assert_eq!(
        received.ack[1],
        "TransferStats = [ Protocols = \"cedar\"; CedarSizeBytes = 1200005; CedarFilesCount = 3 ]"
    );
}

#[test]
fn many_small_files_share_system_calls() {
    let sandbox = Sandbox::new();
    for number in 0..1000 {
        sandbox.file(&format!("d/{number}"), format!("{number}").as_bytes());
    }
    let what = Output { list: list(&["d"]), is_final: false, ..sandbox.output() };
    let (delivered, received) = sandbox.deliver(&what, &Catalogue::default());
    assert_eq!(delivered.unwrap().spooled, ["d"]);
    assert!(!received.is_final);
    assert_eq!(received.items.len(), 1001);
    for (name, _, bytes) in &received.items[1..] {
        assert_eq!(name.strip_prefix("d/").unwrap().as_bytes(), bytes);
    }
}

#[test]
fn missing_files_are_told_after_the_others() {
    let sandbox = Sandbox::new();
    sandbox.file("there", b"1");
    let what = Output { list: list(&["gone", "there"]), ..sandbox.output() };
    let (peer, shadow) = shadow(|shadow| {
        let received = shadow.take_output(-1);
        shadow.send_ad(&[
            "Result = -1",
            "HoldReasonCode = 13",
            "HoldReasonSubCode = 2",
            "HoldReason = \"SHADOW failed to receive file(s) from <127.0.0.1:9>\"",
        ]);
        received
    });
    let failure = deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    );
    let failure = failure.unwrap_err();
    let received = shadow.join().unwrap();
    assert_eq!(received.names(), ["gone", "there"]);
    assert_eq!((received.mode("gone"), received.bytes("gone")), (1 << 24, &b""[..]));
    assert_eq!(held(&failure), (13, 2));
    let path = sandbox.path().join("gone");
    let own = format!(
        "|Error: reading from file {}: (errno 2) No such file or directory",
        path.display()
    );
    let (head, tail) = failure.message.split_once("; ").unwrap();
    assert!(head.starts_with("STARTER at 127.0.0.1 failed to send file(s) to <127.0.0.1:"));
    assert!(head.ends_with(&own), "{head}");
    assert_eq!(tail, "SHADOW failed to receive file(s) from <127.0.0.1:9>");
    assert_eq!(received.ack[0], format!("HoldReason = \"{head}\""));
    assert_eq!(received.ack[1..4], ["HoldReasonCode = 13", "HoldReasonSubCode = 2", "Result = -1"]);
    let what = Output { list: list(&["gone", "lost"]), ..sandbox.output() };
    let (result, _) = sandbox.deliver(&what, &Catalogue::default());
    let failure = result.unwrap_err();
    let text = "|Error: 2 total failures: first failure: reading from file ";
    assert!(failure.message.contains(text), "{failure}");
}

#[test]
fn no_more_than_the_shadow_takes() {
    const MIB: usize = 1 << 20;
    let sandbox = Sandbox::new();
    sandbox.file("small", &vec![1; MIB / 2]);
    let path = sandbox.file("large", &vec![2; 3 * MIB]);
    sandbox.file("late", b"x");
    let what = Output { list: list(&["small", "large", "late"]), ..sandbox.output() };
    let (peer, shadow) = shadow(|shadow| {
        let received = shadow.take_output(1 << 20);
        shadow.send_ad(&["Result = 0"]);
        received
    });
    let failure = deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    );
    let failure = failure.unwrap_err();
    let received = shadow.join().unwrap();
    assert_eq!(received.bytes("large").len(), MIB / 2);
    assert_eq!(received.bytes("late").len(), 0);
    assert_eq!(held(&failure), (33, 0));
    let text = format!(
        "|Error: 2 total failures: first failure: sending file {}: max total download bytes \
         exceeded (max=1 MB, this file=3 MB)",
        path.display()
    );
    assert!(failure.message.ends_with(&text), "{failure}");
    assert_eq!(received.ack[1], "HoldReasonCode = 33");
}

#[test]
fn the_shadow_s_failure_is_taken_over() {
    let sandbox = Sandbox::new();
    sandbox.file("a", b"1");
    for (result, disposition) in [
        ("Result = -1", Disposition::Hold { code: 12, subcode: 13 }),
        ("Result = 1", Disposition::Elsewhere),
    ] {
        let (peer, shadow) = shadow(move |shadow| {
            shadow.take_output(-1);
            shadow.send_ad(&[
                result,
                "HoldReasonCode = 12",
                "HoldReasonSubCode = 13",
                "HoldReason = \"SHADOW at 127.0.0.1 - |Error: writing to file /home/u/a: (errno \
                 13) Permission denied\"",
            ]);
        });
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
        assert_eq!(failure.disposition, disposition);
        assert!(
            failure.message.contains("; SHADOW at 127.0.0.1 - |Error: writing to"),
            "{failure}"
        );
        shadow.join().unwrap();
    }
}

#[test]
fn an_ack_without_a_result_is_no_ack() {
    let sandbox = Sandbox::new();
    let (peer, shadow) = shadow(|shadow| {
        shadow.take_output(-1);
        shadow.send_ad(&["Rezult = 0"]);
    });
    let what = sandbox.output();
    let failure = deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    );
    assert_eq!(held(&failure.unwrap_err()), (11, 0));
    shadow.join().unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_sent_keeps_its_announced_size() {
    for (size, grown) in [(0_u64, false), (2 << 20, true)] {
        let sandbox = Sandbox::new();
        let path = sandbox.file("changing", &vec![1; 1 << 20]);
        let what = Output { list: list(&["changing", "other"]), ..sandbox.output() };
        sandbox.file("other", b"o");
        let (peer, shadow) = shadow(|shadow| {
            let received = shadow.take_output(-1);
            shadow.send_ad(&["Result = 0"]);
            received
        });
        let mut told = 0;
        let result = deliver(
            &peer,
            &what,
            sandbox.open().as_fd(),
            &Catalogue::default(),
            &mut Caller::default(),
            &mut |count| {
                if told == 0 {
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_len(size).unwrap();
                }
                told += count;
            },
        );
        let received = shadow.join().unwrap();
        assert_eq!(received.bytes("changing").len(), 1 << 20);
        assert_eq!(received.bytes("other"), b"o");
        assert_eq!(told, (1 << 20) + 1);
        if grown {
            result.unwrap();
        } else {
            let failure = result.unwrap_err();
            assert_eq!(failure.disposition, Disposition::Elsewhere);
            assert!(failure.message.ends_with("became shorter meanwhile"), "{failure}");
            assert_eq!(received.ack[3], "Result = 1");
        }
    }
}

#[test]
fn waiting_in_the_queue() {
    let sandbox = Sandbox::new();
    sandbox.file("a", b"1");
    let (peer, shadow) = shadow(|shadow| {
        shadow.take();
        assert_eq!((shadow.int(), shadow.string()), (1, "a".to_owned()));
        assert_eq!(shadow.int(), 300);
        shadow.send_ad(&["Result = 0", "Timeout = 600"]);
        shadow.send_ad(&["Result = 0"]);
        shadow.send_ad(&["Result = 2", "MaxTransferBytes = -1"]);
        shadow.send_int(120);
        assert_eq!(shadow.ad(), ["Result = 0", "Timeout = 300"]);
        assert_eq!(shadow.ad(), ["Result = 2"]);
        assert_eq!(shadow.int(), 0o644);
        assert_eq!(shadow.take(), [number(1), number(262_144)].concat());
        assert_eq!(shadow.take(), b"1");
        assert_eq!(shadow.int(), 0);
        shadow.ad();
        shadow.send_ad(&["Result = 0"]);
    });
    let what = sandbox.output();
    deliver(
        &peer,
        &what,
        sandbox.open().as_fd(),
        &Catalogue::default(),
        &mut Caller::default(),
        &mut |_| (),
    )
    .unwrap();
    shadow.join().unwrap();
}
