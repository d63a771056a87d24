//! What is handed down, rightly and wrongly.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use super::*;

const CLEAR: &str = "0*0*0*0*0*0*0*";

fn failure(inherit: &str, private: &str) -> String {
    let knobs = Knobs::from_text("");
    Startd::take_over(inherit, private, &knobs, OWN).unwrap_err().message
}

#[test]
fn the_stream_to_the_shadow_goes_on_where_the_startd_left_it() {
    let (name, endpoint) = endpoint_name();
    let ((updates, theirs), (shadow, passed)) = (pair(), pair());
    passed.set_nonblocking(true).unwrap();
    // Keys, counters and packets of a job of 25.14.1.
    let state = "64*3*1*01000000020000005a17813bf763e7a688c34a3489b0c18ccedd7839365358f3c7d32bd7238f3e48*\
                 361a37bba59db595a6171c9783bea03d829d6d5cf5fb6a078a258d05d1346ae4*1*1*1*1*0*0*";
    let inherit = format!(
        "30759 <127.0.0.1:29618?addrs=127.0.0.1-29618+[--1]-29618&alias=localhost&noUDP&sock=startd_30304_9a15> \
         1 {}*3*0*0*0*0***0*<127.0.0.1:10031>*{CLEAR} \
         1 {}*3*20*1*24*62*submit-side@matchsession*$CondorVersion:_25.14.1_2026-10-16_PackageID:_25.14.1+dfsg-1_$*0*<[fd00::2]:11305>*{state} 0 \
         SharedPort:{name}*{}*6*0*0*0*0***1**{CLEAR} 0",
        bequeath(theirs),
        bequeath(passed),
        bequeath(endpoint),
    );
    let knobs = Knobs::from_text("");
    let (startd, stream) = Startd::take_over(&inherit, &private("25.14.1"), &knobs, OWN).unwrap();
    assert_eq!(
        startd.address().to_string(),
        "<127.0.0.1:29618?addrs=127.0.0.1-29618+[--1]-29618&alias=localhost&noUDP&sock=slot1_1_1_2>"
    );
    let mut stream = stream.unwrap();
    let mut message = stream.writer();
    message.i64(-63);
    stream.send(&message).unwrap();
    let mut packet = [0; 29];
    (&shadow).read_exact(&mut packet).unwrap();
    let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "010000001865414baa50481cdce541cd6c9f6e168f4e351059640ec2df");
    // It waits: the socket came without blocking.
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        drop(shadow);
    });
    assert!(stream.receive().unwrap_err().to_string().contains("closed"));
    sender.join().unwrap();
    drop(updates);
}

#[test]
fn a_starter_with_ports_of_its_own() {
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let udp = bequeath(udp);
    let open = move || std::fs::read_link(format!("/proc/self/fd/{udp}")).ok();
    let datagrams = open();
    let inherit = format!(
        "7 <127.0.0.1:9618?addrs=127.0.0.1-9618+[fd00--2]-9618&alias=pool.test&noUDP&CCBID=1.2.3.4:5#6> 0 \
         1 {}*6*0*0*0*0***1**{CLEAR} 2 {}*2*0*0*0*0***0** 0",
        bequeath(tcp),
        udp,
    );
    let knobs = Knobs::from_text("");
    let (mut startd, shadow) =
        Startd::take_over(&inherit, &private("23.9.6"), &knobs, OWN).unwrap();
    assert!(shadow.is_none());
    // Only what is reachable is said: there is no socket for IPv6.
    assert_eq!(
        startd.address().to_string(),
        format!("<127.0.0.1:{port}?addrs=127.0.0.1-{port}&alias=pool.test&noUDP>")
    );
    assert_ne!(open(), datagrams, "closed");
    startd.alive.postpone(Duration::from_secs(600));
    let session = Session::parent(&claim("parent", "23.9.6")).unwrap();
    let mut stream = Stream::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
    let request = Request { answer: false, ..Request::new(Command::RaiseSignal, &session, OLD) };
    stream.open(&request).unwrap();
    let mut message = stream.writer();
    message.i64(104);
    stream.send(&message).unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    let mut asked = Vec::new();
    while asked.is_empty() && Instant::now() < end {
        poll(&mut startd.sources(), 100u16).unwrap();
        asked = startd.step();
    }
    assert_eq!(asked, [Asked::Checkpoint]);
}

#[test]
fn a_socket_in_a_directory_is_touched_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot1_1_1_2");
    let listener = UnixListener::bind(&path).unwrap();
    let inherit = format!(
        "7 <127.0.0.1:9618?sock=startd_1> 0 SharedPort:{}*{}*6*0*0*0*0***1**{CLEAR} 0",
        path.display(),
        bequeath(listener)
    );
    let knobs = Knobs::from_text("");
    let (mut startd, _) = Startd::take_over(&inherit, &private("23.9.6"), &knobs, OWN).unwrap();
    assert_eq!(startd.address().shared_port_id(), Some("slot1_1_1_2"));
    startd.alive.postpone(Duration::from_secs(6000));
    assert!(startd.due().unwrap() <= Instant::now() + Duration::from_secs(901));
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let old = Timespec { tv_sec: 1000, tv_nsec: 0 };
    let times = Timestamps { last_access: old, last_modification: old };
    utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
    startd.step();
    assert_eq!(path.metadata().unwrap().mtime(), 1000, "not yet");
    startd.door.make_stale();
    startd.step();
    let age = SystemTime::now().duration_since(path.metadata().unwrap().modified().unwrap());
    assert!(age.unwrap() < Duration::from_secs(60));
    assert!(startd.due().unwrap() > Instant::now());
    drop(startd);
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_used_is_named() {
    let good = private("25.14.1");
    for (inherit, part) in [
        ("", "CONDOR_INHERIT, item 1: malformed inheritance: no process id"),
        ("1 <1.2.3.4:5> 1 999999*3*0", "CONDOR_INHERIT, item 4: malformed inheritance"),
        ("1 <1.2.3.4:5> 0 0", "CONDOR_INHERIT: no socket for commands"),
        (
            "1 <1.2.3.4:5> 1 999999*3*0*0*0*0***0**0*0*0*0*0*0*0* 0 0",
            "CONDOR_INHERIT: descriptor 999999 (update socket): (errno=9: 'Bad file number')",
        ),
        (
            "1 <1.2.3.4:5> 1 9*3*0*0*0*0***0**0*0*0*0*0*0*0* 1 9*3*0*0*0*0***0**0*0*0*0*0*0*0* 0 0",
            "CONDOR_INHERIT: descriptor 9 is there twice",
        ),
        (
            "1 <1.2.3.4:5> 1 0*3*0*0*0*0***0**0*0*0*0*0*0*0* 0 0",
            "CONDOR_INHERIT: descriptor 0 (update socket): (not an inherited descriptor)",
        ),
    ] {
        assert!(failure(inherit, &good).contains(part), "{}", failure(inherit, &good));
    }
    let inherit = "1 <1.2.3.4:5> 0 0";
    for (private, part) in [
        ("", "CONDOR_PRIVATE_INHERIT: no SessionKey"),
        (" SessionKey:nothing", "CONDOR_PRIVATE_INHERIT, item 1: malformed claim id"),
        (
            " SessionKey:a#[CryptoMethods=\"BLOWFISH\";]k3y",
            "CONDOR_PRIVATE_INHERIT: SessionKey: not supported: cipher BLOWFISH; only AES is supported, \
             see SEC_DEFAULT_CRYPTO_METHODS",
        ),
    ] {
        let said = failure(inherit, private);
        assert!(said.contains(part) && !said.contains("k3y"), "{said}");
    }
}

#[test]
fn descriptors_of_another_kind_are_named() {
    let file = bequeath(std::fs::File::open("/dev/null").unwrap());
    let inherit = format!("1 <1.2.3.4:5> 1 {file}*3*0*0*0*0***0**{CLEAR} 0 0");
    let said = failure(&inherit, &private("25.14.1"));
    assert!(said.contains("(update socket)"), "{said}");
    let (one, _other) = UnixStream::pair().unwrap();
    let inherit =
        format!("1 <1.2.3.4:5> 0 SharedPort:a/b*{}*6*0*0*0*0***1**{CLEAR} 0", bequeath(one));
    let said = failure(&inherit, &private("25.14.1"));
    assert!(
        said.contains("endpoint of the shared port") && said.contains("not a listening"),
        "{said}"
    );
    let (stream, _other) = pair();
    let inherit = format!(
        "1 <1.2.3.4:5> 1 {}*3*20*1*0*0***0*<127.0.0.1:1>*32*1*1*00112233445566778899AABBCCDDEEFF*0*0*1*1*0*\
         32*00112233445566778899AABBCCDDEEFF* 0 0",
        bequeath(stream)
    );
    let said = failure(&inherit, &private("25.14.1"));
    assert!(said.contains("cipher BLOWFISH; only AES is supported"), "{said}");
}

#[test]
fn releases() {
    for (text, release) in [
        (OLD, Some(Release(23, 9))),
        ("25.14.1", Some(Release(25, 14))),
        ("$CondorVersion: 24.0.7 2025 $", Some(Release(24, 0))),
        ("", None),
        ("x.1", None),
    ] {
        assert_eq!(Release::parse(text), release, "{text}");
    }
    assert!(Release(24, 0) < Release::NEW && Release(24, 1) >= Release::NEW);
}
