//! What reaches a running job, or what it reaches: clients of the chirp proxy that behave badly, and tools
//! of people who aren't the job's owner.

use classad::ClassAd;
use condor_cedar::Command;
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::Request;

use crate::pool::{NEW, OLD, Setup, machine};

/// A job of which everything but one client is hostile: no cookie, the wrong one, lines without an end,
/// garbage, more connections than there may be, a client that says half a line and stays.
const HOSTILE: &str = r#"bash -c '
read host port cookie <"$_CONDOR_CHIRP_CONFIG" || exit 9
exec 3<>/dev/tcp/$host/$port; printf "set_job_attr_delayed ChirpA 1\n" >&3; read -r a <&3; exec 3>&-
exec 4<>/dev/tcp/$host/$port; printf "cookie wrong\n" >&4
exec 5<>/dev/tcp/$host/$port; head -c 100000 /dev/zero >&5 2>/dev/null
exec 6<>/dev/tcp/$host/$port; printf "cookie %s\nget_job_attr" "$cookie" >&6
for n in $(seq 10 99); do eval "exec $n<>/dev/tcp/$host/$port"; done
exec 7<>/dev/tcp/$host/$port; printf "cookie %s\n\n\377\376 1\nopen /etc/passwd r 0\nget_job_attr Owner\nset_job_attr_delayed Owner 1\nset_job_attr_delayed ChirpB \"it\\\\ is\"\n" "$cookie" >&7
for n in 0 1 2 3 4 5 6; do read -r l <&7; b="$b $l"; done
echo "first $a good $b" >said
'"#;

#[test]
fn clients_of_the_proxy() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = Setup::new(HOSTILE);
        setup.release = release;
        let ended = setup.start(&machine).end(&machine).code(0);
        let said = ended.output("said").map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // Cookie, empty line, garbage, two verbs without a right, a name that isn't allowed, and one
        // that is.
        assert_eq!(said.as_deref(), Some("first -1 good  0 -8 -8 -8 -8 1 0\n"), "{ended}");
        let set = |name| ended.asked().any(|request| request.ad.contains(name));
        assert!(set("ChirpB") && !set("ChirpA"), "{ended}");
        assert!(ended.asked().all(|request| request.ad.eval_i64("Owner").is_none()), "{ended}");
    }
}

/// Nothing listens, and no file says so, where neither job nor admin want it.
#[test]
fn no_proxy_that_nobody_wants() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("echo \"${_CONDOR_CHIRP_CONFIG:-none}\" > said");
    setup.job = vec![("WantDelayedUpdates", false.into())];
    let ended = setup.start(&machine).end(&machine).code(0);
    assert_eq!(ended.output("said").as_deref(), Some(&b"none\n"[..]), "{ended}");
}

/// The daemons of the machine may do much, but the job's output is its owner's.
#[test]
fn output_is_for_the_owner() {
    let Some(machine) = machine() else { return };
    let claim = Setup::new("echo > running; sleep 3").start(&machine);
    claim.made(&machine, "running");
    for session in [claim.startd.family(), claim.startd.parent()] {
        let mut stream = Stream::new(claim.startd.connect());
        let seen = stream.open(&Request::new(Command::Peek, session, NEW)).and_then(|_| {
            let mut ad = ClassAd::new();
            ad.insert_value("Out", true);
            stream.send_value(&ad)?;
            stream.receive_value::<ClassAd>()
        });
        assert!(seen.is_err(), "{seen:?}");
    }
    // Nor is a session for the owner to be had without the claim's secret.
    let mut stream = Stream::new(claim.startd.connect());
    let request = Request::new(Command::CreateJobOwnerSession, claim.startd.family(), NEW);
    stream.open(&request).unwrap();
    let mut ad = ClassAd::new();
    ad.insert_value("ClaimId", "<127.0.0.1:1>#1#2#[]guess");
    stream.send_value(&ad).unwrap();
    let answer: ClassAd = stream.receive_value().unwrap();
    assert_eq!(answer.eval_bool("Result"), Some(false));
    assert!(!answer.contains("ClaimId"));
    claim.end(&machine).code(0);
}
