//! A job of the local universe, whose schedd is played by the test.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use cloister_tests::{ALICE, Machine, wait_until};
use condor_cedar::blocking::Stream;
use condor_cedar::handshake::{Incoming, Server};
use condor_cedar::inherit::{Crypto, SocketState};
use condor_cedar::session::{Session, Sessions};
use condor_cedar::{Command, Level};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pool::{NEW, OLD, claim_id, inherited, machine};

/// What the schedd does with changes of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Good,
    /// It closes the connection when it sees the command.
    Close,
    /// It refuses an attribute.
    Refuse,
    /// It refuses the whole in the end.
    RefuseAll,
}

/// Attributes that were committed, one after the other.
type Changes = Receiver<(String, String)>;

fn serve(
    listener: TcpListener,
    release: &'static str,
    queue: Queue,
    tell: Sender<(String, String)>,
) {
    std::thread::spawn(move || {
        let mut sessions = Sessions::new();
        sessions.insert(Session::parent(&claim_id("parent", release)).unwrap());
        while let Ok((socket, _)) = listener.accept() {
            let mut stream = Stream::new(socket);
            let commands = |_: Command| Some(Level::Write);
            let server = Server { sessions: &sessions, version: release, commands };
            match stream.accept(server) {
                Ok(Incoming::Session(Command::QueueWrite, _)) if queue != Queue::Close => {
                    // The starter may end in the middle of it.
                    let _ = changes(&mut stream, queue, &tell);
                }
                _ => {}
            }
        }
    });
}

fn changes(
    stream: &mut Stream<TcpStream>,
    queue: Queue,
    tell: &Sender<(String, String)>,
) -> Result<(), condor_cedar::blocking::StreamError> {
    let mut pending = Vec::new();
    loop {
        let mut message = stream.receive()?;
        let number = message.i64()?;
        let mut refused = false;
        match number {
            10030 => assert_eq!(message.string()?, b"alice@pool.test"),
            10006 => {
                assert_eq!((message.i64()?, message.i64()?), (7, 3));
                let value = String::from_utf8(message.string()?.to_vec()).unwrap();
                let name = String::from_utf8(message.string()?.to_vec()).unwrap();
                pending.push((name, value));
                refused = queue == Queue::Refuse;
            }
            10007 => refused = queue == Queue::RefuseAll,
            10028 => return Ok(()),
            other => panic!("call {other}, which isn't known"),
        }
        message.finish()?;
        if number == 10007 && !refused {
            for change in pending.drain(..) {
                let _ = tell.send(change);
            }
        }
        let mut answer = stream.writer();
        if refused {
            answer.i64(-1).i64(13);
        } else {
            answer.i64(0);
        }
        stream.send(&answer)?;
        stream.flush()?;
    }
}

struct Local {
    child: Child,
    changes: Changes,
    submit: PathBuf,
}

/// Starts a starter as a schedd does, with more lines of the job ad.
fn start(
    machine: &Machine,
    release: &'static str,
    queue: Queue,
    script: &str,
    more: &str,
) -> Local {
    let submit = machine.path("submit");
    fs::create_dir(&submit).unwrap();
    machine.give(&submit, ALICE);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let schedd = format!("<{}>", listener.local_addr().unwrap());
    let (tell, changes) = channel();
    serve(listener, release, queue, tell);
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let name = format!("{}/starter_1_2_3", id.trim().replace('-', ""));
    let endpoint =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let inherit = format!(
        "{} {schedd} 0 SharedPort:{name}*{} 0",
        std::process::id(),
        inherited(&endpoint, Crypto::Clear, "", SocketState::Special),
    );
    let private = format!(
        " SessionKey:{} FamilySessionKey:{}",
        claim_id("parent", release).reveal(),
        claim_id("family:1", release).reveal()
    );
    let mut command = machine.starter();
    command.args(["-f", "-job-cluster", "7", "-job-proc", "3", "-header", "(7.3) "]);
    command.args(["-job-input-ad", "-", "-schedd-addr", &schedd]);
    command.env("CONDOR_INHERIT", inherit).env("CONDOR_PRIVATE_INHERIT", private);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let directory = submit.display();
    let ad = format!(
        "JobUniverse = 12\nCmd = \"/bin/sh\"\nArguments = \"-c '{script}'\"\nIwd = \"{directory}\"\n\
         Owner = \"alice\"\nUser = \"alice@pool.test\"\nOut = \"out\"\nErr = \"err\"\n\
         UserLog = \"{directory}/log\"\nShouldTransferFiles = \"YES\"\nNumJobStarts = 4\n{more}\n"
    );
    child.stdin.take().unwrap().write_all(ad.as_bytes()).unwrap();
    assert!(endpoint.as_raw_fd() > 0);
    Local { child, changes, submit }
}

impl Local {
    fn made(&self, name: &str) {
        wait_until(name, || self.submit.join(name).exists());
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// The exit code, the numbers of the log's events, and what was committed.
    fn end(mut self, machine: &Machine) -> (i32, Vec<String>, HashMap<String, String>) {
        let mut code = None;
        wait_until("the end of the starter", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        machine.check_clean(&"a job of the local universe");
        let log = fs::read_to_string(self.submit.join("log")).unwrap_or_default();
        let events = log.split("...\n").filter_map(|event| event.get(..3)).map(str::to_owned);
        let changes = self.changes.iter_now();
        (code.unwrap().code().unwrap_or(-1), events.collect(), changes)
    }
}

trait Now {
    fn iter_now(&self) -> HashMap<String, String>;
}

impl Now for Changes {
    fn iter_now(&self) -> HashMap<String, String> {
        std::thread::sleep(Duration::from_millis(50));
        self.try_iter().collect()
    }
}

/// Mail is sent, and the starter stays until it is on its way: the schedd ends what it leaves. A mailer that
/// fails changes nothing.
#[test]
fn mail_for_the_user() {
    for (wanted, mailer) in [
        ("JobNotification = 2", Some("sleep 1; echo \"$*\"; cat")),
        ("JobNotification = 0", Some("echo no; cat")),
        ("JobNotification = 2", None),
    ] {
        let Some(machine) = machine() else { return };
        let (letters, program) = (machine.path("letters"), machine.path("mailer"));
        fs::create_dir(&letters).unwrap();
        fs::set_permissions(&letters, Permissions::from_mode(0o1777)).unwrap();
        if let Some(mailer) = mailer {
            let place = letters.display();
            let text =
                format!("#!/bin/sh\n{{ {mailer}; }} >{place}/new && mv {place}/new {place}/one\n");
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        let mut machine = machine.knob("SENDMAIL", "");
        machine.set_knob("MAIL", &program.display().to_string());
        let more = format!("{wanted}\nNotifyUser = \"a@b.test, -Sx\"\nClusterId = 7\nProcId = 3");
        let local = start(&machine, NEW, Queue::Good, "exit 3", &more);
        let (code, ..) = local.end(&machine);
        assert_eq!(code, 100);
        let letter = fs::read_to_string(letters.join("one")).ok();
        if wanted.ends_with('2') && mailer.is_some() {
            let letter = letter.unwrap();
            assert!(letter.starts_with("-s [Condor] Condor Job 7.3 a@b.test\n"), "{letter}");
            assert!(letter.contains("exited normally with status 3\n"), "{letter}");
        } else {
            assert_eq!(letter, None);
        }
    }
}

#[test]
fn the_end_is_in_the_log_and_in_the_queue() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        // Nobody would serve a chirp proxy.
        let script = "echo here ${_CONDOR_CHIRP_CONFIG:-alone}; exit 3";
        let local = start(&machine, release, Queue::Good, script, "");
        let submit = local.submit.clone();
        let (code, events, changes) = local.end(&machine);
        assert_eq!((code, events.join(" ").as_str()), (100, "001 005"));
        assert_eq!(changes["ExitCode"], "3");
        assert_eq!(changes["NumJobStarts"], "5");
        assert_eq!(fs::read_to_string(submit.join("out")).unwrap(), "here alone\n");
    }
}

#[test]
fn orders_have_exit_codes_of_their_own() {
    for (signal, expected, events) in [
        (Signal::SIGTERM, 107, "001 004"),
        (Signal::SIGQUIT, 107, "001 004"),
        (Signal::SIGUSR1, 113, "001 004"),
    ] {
        let Some(machine) = machine() else { return };
        let local = start(&machine, NEW, Queue::Good, "echo > running; sleep 1000", "");
        local.made("running");
        local.signal(signal);
        let (code, seen, _) = local.end(&machine);
        assert_eq!((code, seen.join(" ").as_str()), (expected, events), "{signal}");
    }
}

#[test]
fn a_job_that_waits_for_its_time_is_removed() {
    let Some(machine) = machine() else { return };
    let local = start(&machine, NEW, Queue::Good, "echo > ran", "DeferralTime = 99999999999");
    let log = machine.path("log/StarterLog");
    wait_until("the job waits", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("deferred for"))
    });
    local.signal(Signal::SIGUSR1);
    let submit = local.submit.clone();
    assert_eq!(local.end(&machine).0, 113);
    assert!(!submit.join("ran").exists());
    let Some(machine) = self::machine() else { return };
    let late = start(&machine, NEW, Queue::Good, "echo > ran", "DeferralTime = 1000");
    assert_eq!(late.end(&machine).0, 114);
}

/// A job whose end can't be recorded runs again; and the starter doesn't wait for ever.
#[test]
fn a_schedd_that_takes_no_changes() {
    for queue in [Queue::Close, Queue::Refuse, Queue::RefuseAll] {
        let Some(machine) = machine() else { return };
        let machine = machine
            .knob("LOCAL_UNIVERSE_MAX_JOB_CLEANUP_RETRIES", "2")
            .knob("LOCAL_UNIVERSE_JOB_CLEANUP_RETRY_DELAY", "0");
        let (code, _, changes) = start(&machine, NEW, queue, "exit 0", "").end(&machine);
        assert_eq!(code, 4, "{queue:?}");
        assert!(changes.is_empty(), "{queue:?}: {changes:?}");
    }
}

#[test]
fn a_job_that_can_not_be_run_is_held_and_says_why() {
    for (more, code, events) in [
        ("Cmd = \"/nonexistent\"", "6", "001 021 004"),
        ("UserLog = \"/nonexistent/log\"", "22", ""),
        ("Out = \"no/such/file\"", "7", "001 021 004"),
        ("OnExitHold = true", "3", "001 004"),
    ] {
        let Some(machine) = machine() else { return };
        let local = start(&machine, NEW, Queue::Good, "exit 0", more);
        let (exit, seen, changes) = local.end(&machine);
        assert_eq!((exit, seen.join(" ").as_str()), (112, events), "{more}");
        assert_eq!(changes["HoldReasonCode"], code, "{more}: {changes:?}");
    }
}

/// A job ad that isn't one, or somebody else's command, is no reason to run anything.
#[test]
fn nonsense_runs_nothing() {
    for more in
        ["JobUniverse = 9", "Owner = \"root\"\nOsUser = \"root\"", "Owner = \"nobody-known\""]
    {
        let Some(machine) = machine() else { return };
        let local = start(&machine, NEW, Queue::Good, "echo > ran", more);
        let submit = local.submit.clone();
        let (code, _, _) = local.end(&machine);
        assert!(code == 4 || code == 112, "{more}: {code}");
        assert!(!submit.join("ran").exists(), "{more}");
    }
}
