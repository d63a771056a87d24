//! Who joins a running job (condor_ssh_to_job): where they land, and who doesn't.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use classad::ClassAd;
use cloister_tests::Machine;
use condor_cedar::Command;
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::Request;
use condor_cedar::session::{ClaimId, Session};

use crate::pool::{self, Claim, NEW, Setup, machine};

/// What a process is and where: the same for the job and for who joins it.
const WHOLE: &str = r#"for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done
grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Seccomp_filters|Cap[A-Z][a-z]*|SigBlk|SigIgn):' /proc/self/status
cat /proc/self/limits /proc/self/mountinfo /proc/self/cgroup /proc/self/oom_score_adj
readlink /proc/self/root /proc/self/cwd; pwd; umask
ls /proc/self/fd | head -3; echo "$_CONDOR_JOB_AD $_CONDOR_SCRATCH_DIR $HOME"
touch /proc/1/mem 2>&1"#;

/// The session's "sshd" is a shell whose script is the configuration that the script for it has made.
fn with_sshd(machine: Machine, setup: &str) -> Machine {
    let libexec = machine.path("libexec");
    fs::create_dir_all(&libexec).unwrap();
    let script = libexec.join("condor_ssh_to_job_sshd_setup");
    fs::write(&script, format!("#!/bin/sh\n{setup}\n")).unwrap();
    for path in [&libexec, &script] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    machine
        .knob("LIBEXEC", libexec.to_str().unwrap())
        .knob("SSH_TO_JOB_SSHD", "/bin/sh")
        .knob("SSH_TO_JOB_SSHD_ARGS", "\"%f\"")
}

fn good(session: &str) -> String {
    let mark = "condor_ssh_to_job_sshd_setup";
    format!(
        "d=$1/.condor_ssh_to_job_$$; mkdir $d || exit 1; cat >$d/sshd_config <<'END'\n{session}\nEND\n\
         part() {{ echo \"{mark} $1 BEGIN\"; echo \"$2\"; echo \"{mark} $1 END\"; }}\n\
         part 'SSHD USER' alice; part 'SSHD DIR' $d; part 'PUBLIC SERVER KEY' k\n\
         part 'AUTHORIZED CLIENT KEY' k; echo '{mark} SUCCESS'"
    )
}

/// The job's claim, which only the schedd knows.
fn claim_of_job() -> ClaimId {
    pool::claim_id("<127.0.0.1:1>#1#2", NEW)
}

fn start(script: &str, machine: &Machine) -> Claim {
    let mut setup = Setup::new(script);
    setup.job = vec![("ClaimId", claim_of_job().reveal().to_owned().into())];
    setup.start(machine)
}

/// A session as the schedd gets it for the job's owner.
fn owner(claim: &Claim) -> Session {
    let mut stream = Stream::new(claim.startd.connect());
    let request = Request::new(Command::CreateJobOwnerSession, claim.startd.family(), NEW);
    stream.open(&request).unwrap();
    let mut ad = ClassAd::new();
    ad.insert_value("ClaimId", claim_of_job().reveal());
    stream.send_value(&ad).unwrap();
    let answer: ClassAd = stream.receive_value().unwrap();
    let id: ClaimId = answer.eval_string("ClaimId").unwrap_or_default().parse().unwrap();
    Session::of_owner(&id, "alice@pool.test").unwrap()
}

fn ask(claim: &Claim, session: &Session) -> condor_cedar::blocking::Result<(ClassAd, TcpStream)> {
    let mut stream = Stream::new(claim.startd.connect());
    stream.open(&Request::new(Command::StartSshd, session, NEW))?;
    stream.send_value(&ClassAd::new())?;
    let answer = stream.receive_value()?;
    Ok((answer, stream.into_parts().1))
}

fn said(mut socket: TcpStream) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

/// Rights, namespaces, mounts, limits: all as the job has them, for each of many at once.
#[test]
fn who_joins_is_as_the_job() {
    let Some(machine) = machine() else { return };
    // Not before the answer was read: what comes with it the test's own stream would keep.
    let machine = with_sshd(machine, &good(&format!("sleep 0.5\n{WHOLE}")));
    let script = format!("({WHOLE}) >whole 2>&1; echo >running; sleep 8");
    let claim = start(&script, &machine);
    claim.made(&machine, "running");
    let session = owner(&claim);
    let sockets: Vec<_> = (0..12)
        .map(|_| {
            let (answer, socket) = ask(&claim, &session).unwrap();
            assert_eq!(answer.eval_bool("Result"), Some(true), "{answer:?}");
            socket
        })
        .collect();
    let seen: Vec<_> = sockets.into_iter().map(said).collect();
    let ended = claim.end(&machine).code(0);
    let whole = String::from_utf8(ended.output("whole").unwrap()).unwrap();
    // What differs first is said, not all of it.
    assert!(whole.contains("Seccomp:\t2") && whole.contains("NoNewPrivs:\t1"), "{whole}");
    for seen in seen {
        let other = seen.lines().zip(whole.lines()).find(|(seen, whole)| seen != whole);
        assert_eq!(other, None);
        assert_eq!(seen.len(), whole.len());
    }
}

/// A session that is open doesn't outlive the job, nor keep the sandbox.
#[test]
fn sessions_end_with_the_job() {
    let Some(machine) = machine() else { return };
    let machine = with_sshd(machine, &good("echo in; trap '' TERM HUP; sleep 600 & sleep 600"));
    let claim = start("echo >running; sleep 4", &machine);
    claim.made(&machine, "running");
    let (_, socket) = ask(&claim, &owner(&claim)).unwrap();
    assert_eq!(said(socket), "in\n");
    claim.end(&machine).code(0);
}

/// Nor does one that has made itself a brother instead of children, in whatever way processes are counted.
#[test]
fn a_session_that_would_have_another_parent() {
    for knob in ["", "USE_PID_NAMESPACE_INIT", "USE_PID_NAMESPACES"] {
        let Some(mut machine) = machine() else { return };
        if !knob.is_empty() {
            machine.set_knob(knob, "False");
        }
        let machine = with_sshd(machine, &good("echo in; exec /var/opt/hostile brother"));
        let claim = start("echo >running; sleep 3", &machine);
        claim.made(&machine, "running");
        let (_, socket) = ask(&claim, &owner(&claim)).unwrap();
        let said = said(socket);
        assert!(said.starts_with("in\nbrother"), "{knob}: {said}");
        claim.end(&machine).code(0);
    }
}

/// Only the owner gets in, and what a script of the job's account says is no more than words.
#[test]
fn strangers_and_garbage() {
    for setup in ["head -c 300000 /dev/urandom", "echo no keys; exit 1", "exit 0", "kill -9 $$"] {
        let Some(machine) = machine() else { return };
        let machine = with_sshd(machine, setup);
        let claim = start("echo >running; sleep 3", &machine);
        claim.made(&machine, "running");
        for stranger in [claim.startd.family(), claim.startd.parent()] {
            assert!(ask(&claim, stranger).is_err());
        }
        let (answer, _) = ask(&claim, &owner(&claim)).unwrap();
        assert_eq!(answer.eval_bool("Result"), Some(false), "{setup}");
        assert!(!answer.contains("SSHPrivateClientKey"));
        claim.end(&machine).code(0);
    }
}
