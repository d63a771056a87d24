//! The slot's ads, and updates.

use condor_cedar::blocking::StreamError;
use condor_cedar::message::{Colors, Update};

use super::*;

fn ad(text: &str) -> ClassAd {
    ClassAd::parse_old(text).unwrap()
}

fn machine_ads(version: &str) -> MachineAds {
    let mut machine = ad("Name = \"slot1_1@host\"\nCpus = 1\n");
    machine.insert("CondorVersion", version);
    for n in 0..400 {
        machine.insert(format!("Attribute{n}"), "x".repeat(100));
    }
    MachineAds { machine, overlay: ad("RequestCpus = 2\n") }
}

#[test]
fn an_old_startd_sends_two_ads_and_nobody_waits_for_a_third() {
    let mut fake = Fake::new("23.9.6", "");
    fake.updates.send_value(&machine_ads(OLD)).unwrap();
    let began = Instant::now();
    let machine = fake.startd.machine().unwrap();
    assert!(began.elapsed() < SECRETS);
    assert_eq!(machine.slot.eval_string("Name").as_deref(), Some("slot1_1@host"));
    assert_eq!(machine.slot.len(), 403);
    assert_eq!(machine.overlay.eval_i64("RequestCpus"), Some(2));
    assert!(machine.secrets.is_none());
    assert_eq!(fake.startd.release(), Some(Release(23, 9)));
}

#[test]
fn a_new_startd_sends_the_secrets_too() {
    let mut fake = Fake::new("25.14.1", "");
    let mut stream = fake.updates;
    let (ours, _) = pair();
    fake.updates = Stream::new(ours);
    let startd = thread::spawn(move || {
        // In pieces, as a full socket has it.
        let mut message = Connection::new();
        let mut text = message.writer();
        text.value(&machine_ads(NEW));
        message.send(&text).unwrap();
        for piece in message.pending().chunks(10_000) {
            (&mut stream.socket()).write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        let mut secrets = stream.writer();
        secrets.i64(2);
        for line in ["ClaimId = \"<1.2.3.4:5>#1#2#k3y\"", "SplitClaimId = \"<1.2.3.4:5>#1#3#k3y\""]
        {
            secrets.string("ZKM").string(line);
        }
        secrets.string("").string("");
        stream.send(&secrets).unwrap();
        stream
    });
    let machine = fake.startd.machine().unwrap();
    startd.join().unwrap();
    assert!(!format!("{machine:?}").contains("k3y"));
    let secrets = machine.secrets.unwrap();
    assert_eq!(secrets.eval_string("ClaimId").as_deref(), Some("<1.2.3.4:5>#1#2#k3y"));
    assert_eq!(secrets.len(), 2);
}

#[test]
fn a_machine_ad_that_is_none_is_a_failure() {
    let mut fake = Fake::new("25.14.1", "");
    fake.updates.socket().write_all(b"nonsense").unwrap();
    let failure = fake.startd.machine().unwrap_err();
    assert!(failure.message.contains("machine ad"), "{failure}");
    let mut fake = Fake::new("25.14.1", "");
    fake.updates = Stream::new(pair().0);
    assert!(fake.startd.machine().unwrap_err().message.contains("closed"));
}

#[test]
fn nobody_waits_for_ever() {
    let mut fake = Fake::new("25.14.1", "");
    let short = Duration::from_millis(30);
    let said = fake.startd.updates.machine(short).unwrap_err();
    assert!(matches!(said, StreamError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut));
    assert!(fake.startd.updates.secrets(short).unwrap().is_none());
    // Half an ad is as good as none, and the rest of it still counts.
    fake.updates.socket().write_all(&[0, 0, 0, 0, 8, 0, 0]).unwrap();
    assert!(fake.startd.updates.secrets(short).unwrap().is_none());
    fake.updates.socket().write_all(&[0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0]).unwrap();
    assert!(fake.startd.updates.secrets(short).unwrap().unwrap().is_empty());
}

#[test]
fn updates_arrive_without_what_is_private() {
    let mut fake = Fake::new("25.14.1", "");
    fake.startd.update(&ad(
        "JobPid = 7\nClaimId = \"secret\"\nMemoryUsage = ((ResidentSetSize + 1023) / 1024)\n",
    ));
    fake.startd.finish(&ad("DiskUsage = 12\n"));
    fake.startd.update(&ad("Late = 1\n"));
    let first: Update = fake.updates.receive_value().unwrap();
    assert!(!first.last);
    assert_eq!(first.ad.len(), 2);
    assert_eq!(
        first.ad.get("MemoryUsage").unwrap().to_old_string(),
        "((ResidentSetSize + 1023) / 1024)"
    );
    let last: Update = fake.updates.receive_value().unwrap();
    assert!(last.last);
    assert_eq!(last.ad.eval_i64("DiskUsage"), Some(12));
    fake.assert_quiet();
    drop(fake.startd);
    assert!(matches!(fake.updates.receive(), Err(StreamError::Closed { partial: false })));
}

#[test]
fn an_update_is_what_stock_was_recorded_to_send() {
    let mut fake = Fake::new("23.9.6", "");
    fake.startd.update(&ad(
        "CpusProvisioned = 1\nDiskProvisioned = 2048\nGPUsProvisioned = 0\nMemoryProvisioned = 128\n\
         ProvisionedResources = \"Cpus Memory Disk Swap GPUs\"\n_condor_JOBINFO_MAXINTERVAL = -1\n",
    ));
    let message = fake.updates.receive().unwrap().rest().to_vec();
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../../../tests/conformance/cedar-vectors.json"))
            .unwrap();
    let recorded = all["update_socket_update_23.9.6"]["message_plaintext"].as_str().unwrap();
    let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, recorded);
}

#[test]
fn a_startd_that_does_not_read_costs_little_time_and_memory() {
    let mut fake = Fake::new("25.14.1", "");
    let mut large = ad("A = 1\n");
    large.insert("Text", "x".repeat(100_000));
    let began = Instant::now();
    for _ in 0..200 {
        fake.startd.update(&large);
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(fake.startd.updates.pending() < 2 << 20);
    fake.assert_quiet();
    // Once it reads, what waited arrives.
    let mut stream = fake.updates;
    fake.updates = Stream::new(pair().0);
    let reader = thread::spawn(move || {
        let mut count = 0;
        while stream.receive_value::<Update>().is_ok_and(|update| !update.last) {
            count += 1;
        }
        count
    });
    fake.run(|startd| {
        startd.step();
        startd.updates.pending() == 0
    });
    fake.startd.finish(&large);
    let count = reader.join().unwrap();
    assert!((10..200).contains(&count), "{count}");
}

#[test]
fn the_last_update_waits_for_nobody_long() {
    let mut fake = Fake::new("25.14.1", "");
    let mut large = ad("A = 1\n");
    large.insert("Text", "x".repeat(100_000));
    (0..200).for_each(|_| fake.startd.update(&large));
    let began = Instant::now();
    fake.startd.finish(&large);
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_startd_that_closes_the_stream_is_no_reason_to_stop() {
    let mut fake = Fake::new("25.14.1", "");
    fake.updates = Stream::new(pair().0);
    for _ in 0..3 {
        fake.startd.update(&ad("A = 1\n"));
        assert_eq!(fake.settle(), []);
    }
    fake.startd.finish(&ad("A = 2\n"));
    fake.assert_quiet();
}

/// A startd is asked to color its slots only if it is known to understand; what it says, or that it
/// says nothing, is no reason to end the job.
#[test]
fn slots_are_colored_by_startds_that_can() {
    let colors = ad("ColorAttr = 7\n");
    let mut fake = Fake::new("25.9.0", "");
    fake.updates.socket().set_nonblocking(true).unwrap();
    fake.startd.color(&colors);
    assert!(fake.updates.receive_value::<Colors>().is_err());
    for answer in [Some("Result = true\n"), Some("Result = false\nErrorString = \"no\"\n"), None] {
        let mut fake = Fake::new("25.14.1", "");
        let mut stream = fake.updates;
        fake.updates = Stream::new(pair().0);
        let startd = thread::spawn(move || {
            let asked = stream.receive_value::<Colors>().unwrap().0;
            assert_eq!(asked.eval_i64("ColorAttr"), Some(7));
            if let Some(answer) = answer {
                stream.send_value(&ad(answer)).unwrap();
            }
            stream
        });
        fake.startd.color(&colors);
        let mut stream = startd.join().unwrap();
        fake.startd.update(&ad("ImageSize = 1\n"));
        let told = stream.receive_value::<Update>();
        assert_eq!(told.unwrap().ad.eval_i64("ImageSize"), Some(1));
    }
}
