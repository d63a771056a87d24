//! Input, as shadows send it and as they never should.

use std::os::unix::fs::symlink;

use super::*;
use crate::transfer::alone;
use crate::transfer::fault::Act;

/// Fetches what `send` sends between the first go-ahead and the end; the ack that was sent.
fn fetched(
    sandbox: &Sandbox,
    send: impl FnOnce(&mut Shadow) + Send + 'static,
) -> (Result<Fetched, Failure>, Vec<String>) {
    let (peer, shadow) = shadow(move |shadow| {
        shadow.send_head();
        shadow.send_item(1, b"first");
        shadow.ahead_with_input();
        shadow.send_body(0o644, b"1");
        send(shadow);
        shadow.end_of_input()
    });
    let result = sandbox.fetch(&peer);
    (result, shadow.join().unwrap())
}

/// The shadow's process has ended before the starter goes on; one that doesn't end is left alone.
#[test]
fn the_end_of_the_connection_is_waited_for() {
    for (stays, least, most) in [(200, 200, 900), (3000, 900, 2900)] {
        let sandbox = Sandbox::new();
        let (peer, shadow) = shadow(move |shadow| {
            shadow.send_head();
            let ack = shadow.end_of_input();
            thread::sleep(Duration::from_millis(stays));
            ack
        });
        let start = std::time::Instant::now();
        sandbox.fetch(&peer).unwrap();
        let took = start.elapsed().as_millis();
        assert!((least..most).contains(&took), "{took} ms");
        shadow.join().unwrap();
    }
}

/// A file that comes in pieces, with pauses, in which the end of what comes is less than what a read
/// waits for.
#[test]
fn a_large_file_may_be_slow() {
    for rest in [0, 1, 4091, 131_071, 131_072, 262_143] {
        let sandbox = Sandbox::new();
        let sent: Vec<u8> = (0..=250).cycle().take(3 * 262_144 + rest).collect();
        let expected = sent.clone();
        let start = std::time::Instant::now();
        let (result, _) = fetched(&sandbox, move |shadow| {
            shadow.send_item(1, b"large");
            shadow.send_int(0o644);
            shadow.send(&[number(i64::try_from(sent.len()).unwrap()), number(262_144)].concat());
            for chunk in sent.chunks(262_144) {
                thread::sleep(Duration::from_millis(20));
                shadow.send(chunk);
            }
        });
        result.unwrap();
        assert!(sandbox.read("large") == expected, "{rest}");
        // A read that waits for what doesn't come gives up after ten seconds.
        assert!(start.elapsed() < Duration::from_secs(8), "{rest}");
    }
}

#[test]
fn files_and_directories_arrive() {
    let sandbox = Sandbox::new();
    sandbox.file("old", b"a longer text than the new one");
    let large: Vec<u8> = (0..700_001u32).flat_map(u32::to_le_bytes).collect();
    let sent = large.clone();
    let (result, ack) = fetched(&sandbox, move |shadow| {
        shadow.send_file("old", 0o600, b"new");
        shadow.send_file("empty", 0o444, b"");
        shadow.send_item(6, b"d");
        shadow.send_int(0x41ed);
        shadow.send_item(6, b"d/closed");
        shadow.send_int(0x4100 | 0o555);
        shadow.send_file("d/closed/x", 0o100_640, b"x");
        shadow.send_item(6, b"none");
        shadow.send_int(0);
        shadow.send_file("d/large", 0, &sent);
        // The other commands for files.
        shadow.send_item(2, b"secret");
        shadow.send_body(0o4755, b"s");
        shadow.send_item(3, b"open");
        shadow.send_body(0o644, b"o");
        shadow.send_file("run.sh", 0o600, b"#!/bin/sh\n");
    });
    let fetched = result.unwrap();
    let bytes = 1 + 3 + 1 + large.len() as u64 + 1 + 1 + 10;
    assert_eq!(fetched.stats, Stats { files: 8, bytes });
    assert_eq!(fetched.catalogue, sandbox.catalogue());
    assert_eq!(
        ack,
        [
            "Result = 0".to_owned(),
            format!(
                "TransferStats = [ Protocols = \"cedar\"; CedarSizeBytes = {bytes}; \
                 CedarFilesCount = 8 ]"
            )
        ]
    );
    for (name, text, mode) in [
        ("old", &b"new"[..], 0o600),
        ("empty", b"", 0o444),
        ("d/closed/x", b"x", 0o640),
        ("d/large", &large, 0o600),
        ("secret", b"s", 0o755),
        ("open", b"o", 0o644),
        ("run.sh", b"#!/bin/sh\n", 0o755),
    ] {
        assert_eq!((sandbox.read(name) == text, sandbox.mode(name)), (true, mode), "{name}");
    }
    assert_eq!((sandbox.mode("d/closed"), sandbox.mode("none")), (0o555, 0o700));
}

#[test]
fn an_old_shadow_is_told_fewer_statistics() {
    let sandbox = Sandbox::new();
    let (mut peer, shadow) = shadow(|shadow| {
        shadow.send_head();
        shadow.send_item(1, b"first");
        shadow.ahead_with_input();
        shadow.send_body(0o644, b"1");
        shadow.end_of_input()
    });
    peer.shadow_version = Some(OLD.into());
    sandbox.fetch(&peer).unwrap();
    let ack = shadow.join().unwrap();
    assert_eq!(ack, ["Result = 0", "TransferStats = [ CedarFilesCount = 1 ]"]);
}

#[test]
fn nothing_at_all_may_be_sent() {
    let sandbox = Sandbox::new();
    let (peer, shadow) = shadow(|shadow| {
        shadow.send_head();
        shadow.end_of_input()
    });
    assert_eq!(sandbox.fetch(&peer).unwrap().stats, Stats::default());
    assert_eq!(shadow.join().unwrap(), ["Result = 0", "TransferStats = [ Protocols = \"\" ]"]);
}

#[test]
fn waiting_in_the_queue_and_single_go_aheads() {
    let sandbox = Sandbox::new();
    let (peer, shadow) = shadow(|shadow| {
        shadow.send_head();
        shadow.send_item(1, b"a");
        // Too short an interval is answered with a longer one first.
        shadow.send_int(20);
        assert_eq!(shadow.ad(), ["Result = 0", "Timeout = 300"]);
        assert_eq!(shadow.ad(), ["MaxTransferBytes = -1", "Result = 2"]);
        assert_eq!(shadow.int(), 300);
        shadow.send_ad(&["Timeout = 400", "Result = 0"]);
        shadow.send_ad(&["Result = 0"]);
        shadow.send_ad(&["Result = 1"]);
        shadow.send_body(0o644, b"1");
        // This half only, for this one had not been for good.
        shadow.send_item(1, b"b");
        assert_eq!(shadow.int(), 300);
        shadow.send_ad(&["Result = 2"]);
        shadow.send_body(0o644, b"2");
        shadow.send_file("c", 0o644, b"3");
        shadow.end_of_input()
    });
    assert_eq!(sandbox.fetch(&peer).unwrap().stats.files, 3);
    assert_eq!(shadow.join().unwrap()[0], "Result = 0");
}

#[test]
fn a_refused_go_ahead_holds_or_not() {
    for (answer, wanted) in [
        (&["Result = -1", "TryAgain = true", "HoldReason = \"later\""][..], Disposition::Elsewhere),
        (&["Result = -1"], Disposition::Elsewhere),
        (
            &["Result = -1", "TryAgain = false", "HoldReasonCode = 32", "HoldReasonSubCode = 5"],
            Disposition::Hold { code: 32, subcode: 5 },
        ),
        (&["Timeout = 3"], Disposition::Hold { code: 18, subcode: 1 }),
    ] {
        let (peer, shadow) = shadow(move |shadow| {
            shadow.send_head();
            shadow.send_item(1, b"a");
            shadow.send_int(300);
            shadow.ad();
            shadow.int();
            shadow.send_ad(answer);
        });
        let failure = Sandbox::new().fetch(&peer).unwrap_err();
        assert_eq!(failure.disposition, wanted, "{failure}");
        shadow.join().unwrap();
    }
}

#[test]
fn names_that_lead_out_are_refused_and_the_rest_is_received() {
    let outside = Sandbox::new();
    for name in ["/etc/x", "../x", "a/../../x", "..", "", "x\u{1}/.."] {
        let sandbox = Sandbox::new();
        let (result, ack) = fetched(&sandbox, move |shadow| {
            shadow.send_file(name, 0o644, b"evil");
            shadow.send_item(6, name.as_bytes());
            shadow.send_int(0o755);
            shadow.send_file("last", 0o644, b"good");
        });
        let failure = result.unwrap_err();
        assert_eq!(held(&failure), (12, libc::EPERM), "{name:?}");
        assert!(failure.message.contains("illegal sandbox path"), "{failure}");
        assert_eq!(ack[1..4], ["HoldReasonCode = 12", "HoldReasonSubCode = 1", "Result = -1"]);
        assert_eq!(sandbox.read("last"), b"good");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn links_in_the_sandbox_lead_nowhere() {
    let outside = Sandbox::new();
    outside.file("kept", b"kept");
    let sandbox = Sandbox::new();
    symlink(outside.path(), sandbox.path().join("d")).unwrap();
    symlink(outside.path().join("kept"), sandbox.path().join("f")).unwrap();
    let (result, ack) = fetched(&sandbox, |shadow| {
        // What is in the way is replaced; a directory that is a link becomes one of its own.
        shadow.send_file("f", 0o644, b"new");
        shadow.send_file("d/x", 0o644, b"evil");
        shadow.send_item(6, b"d");
        shadow.send_int(0o755);
        shadow.send_file("d/y", 0o644, b"good");
    });
    let failure = result.unwrap_err();
    assert_eq!(held(&failure), (12, libc::ELOOP), "{failure}");
    assert!(ack[0].contains("d/x: (errno 40)"), "{ack:?}");
    assert_eq!(outside.read("kept"), b"kept");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!((sandbox.read("f"), sandbox.read("d/y")), (b"new".to_vec(), b"good".to_vec()));
}

#[test]
fn what_can_t_be_written_is_passed_over() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("taken")).unwrap();
    let large = vec![7; 600_000];
    let (result, ack) = fetched(&sandbox, move |shadow| {
        shadow.send_file("taken", 0o644, &large);
        shadow.send_file("nowhere/x", 0o644, b"x");
        shadow.send_file("last", 0o644, b"good");
    });
    let failure = result.unwrap_err();
    let path = sandbox.path().join("taken");
    let text = format!(
        "STARTER at 127.0.0.1 - |Error: writing to file {}: (errno 21) Is a directory",
        path.display()
    );
    assert_eq!(held(&failure), (12, libc::EISDIR));
    assert_eq!(failure.message, format!("Failed to transfer files: {text}"));
    assert_eq!(ack[0], format!("HoldReason = \"{text}\""));
    assert_eq!(ack[1..4], ["HoldReasonCode = 12", "HoldReasonSubCode = 21", "Result = -1"]);
    assert_eq!(sandbox.read("last"), b"good");
}

#[test]
fn a_full_disk_is_told_when_all_is_through() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    alone::run("remote::tests::fetching::a_full_disk_is_told_when_all_is_through", "root", || {
        use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
        let sandbox = Sandbox::new();
        // Gone with this process.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).unwrap();
        mount("none", sandbox.path(), "tmpfs", MountFlags::empty(), c"size=512k").unwrap();
        let (result, ack) = fetched(&sandbox, |shadow| {
            shadow.send_file("large", 0o644, &[7; 700_000]);
            shadow.send_file("last", 0o644, b"");
        });
        let failure = result.unwrap_err();
        let path = sandbox.path().join("large");
        let text = format!("writing to file {}: (errno 28) No space left", path.display());
        assert!(failure.message.contains(&text), "{failure}");
        // Another machine may have more.
        assert_eq!(failure.disposition, Disposition::Elsewhere);
        assert_eq!(ack[1..4], ["HoldReasonCode = 12", "HoldReasonSubCode = 28", "Result = 1"]);
        assert!(sandbox.path().join("last").exists());
    });
}

#[test]
fn a_quota_is_the_job_s_own() {
    let error = std::io::Error::from_raw_os_error(libc::EDQUOT);
    let problem = item::problem(Act::Writing, 12, Path::new("/s/x"), &error);
    assert_eq!((problem.again, problem.subcode), (false, libc::EDQUOT));
}

#[test]
fn what_the_shadow_could_not_send_is_its_failure() {
    let sandbox = Sandbox::new();
    for (result, disposition) in [
        ("Result = -1", Disposition::Hold { code: 13, subcode: 2 }),
        ("Result = 1", Disposition::Elsewhere),
    ] {
        let (peer, shadow) = shadow(move |shadow| {
            shadow.send_head();
            shadow.send_item(1, b"gone");
            shadow.ahead_with_input();
            shadow.send_int(1 << 24);
            shadow.send(&[number(0), number(1)].concat());
            shadow.send_int(666);
            shadow.send_int(0);
            shadow.send_ad(&[
                result,
                "HoldReasonCode = 13",
                "HoldReasonSubCode = 2",
                "HoldReason = \"SHADOW at 127.0.0.1 failed to send file(s) to <127.0.0.1:9>: \
                 |Error: reading from file /home/u/gone: (errno 2) No such file or directory\"",
            ]);
            shadow.ad()
        });
        let failure = sandbox.fetch(&peer).unwrap_err();
        assert_eq!(failure.disposition, disposition);
        let (head, tail) = failure.message.split_once("; ").unwrap();
        assert!(head.starts_with("Failed to transfer files: SHADOW at 127.0.0.1 failed to send"));
        assert!(head.ends_with("(errno 2) No such file or directory"));
        assert!(tail.starts_with("STARTER failed to receive file(s) from <127.0.0.1:"), "{tail}");
        let ack = shadow.join().unwrap();
        assert_eq!(ack[0], format!("HoldReason = \"{tail}\""));
        assert_eq!(ack[1..4], ["HoldReasonCode = 13", "HoldReasonSubCode = 2", result]);
        assert!(!sandbox.path().join("gone").exists());
    }
}

#[test]
fn urls_are_refused_and_extensions_answered() {
    let sandbox = Sandbox::new();
    let (result, ack) = fetched(&sandbox, |shadow| {
        shadow.send_item(999, b"");
        shadow.send_ad(&["SubCommand = 8", "Tag = \"t\"", "ReuseList = {  }"]);
        assert_eq!(shadow.ad(), ["Result = 1"]);
        shadow.send_item(5, b"data");
        shadow.send(&text(b"https://u:p@host/data"));
    });
    let failure = result.unwrap_err();
    assert_eq!(held(&failure), (12, -1001));
    assert!(failure.message.ends_with("plugin for type https not found!"), "{failure}");
    assert!(!ack.join(" ").contains("u:p"));
}

#[test]
fn delegation_and_unknown_commands_end_it() {
    for command in [4, 7, -1, 1000, i64::MAX] {
        let (peer, shadow) = shadow(move |shadow| {
            shadow.send_head();
            shadow.send_item(command, b"proxy");
            shadow.ahead_with_input();
            shadow.stream.receive().map(|_| ()).unwrap_err()
        });
        let failure = Sandbox::new().fetch(&peer).unwrap_err();
        assert!(failure.message.contains("proxy"), "{failure}");
        assert_eq!(failure.message.contains("DELEGATE_JOB_GSI_CREDENTIALS"), command == 4);
        assert_eq!(failure.disposition == Disposition::Elsewhere, command != 4);
        shadow.join().unwrap();
    }
}
