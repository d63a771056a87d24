//! A claim: a starter, started as a startd does, and its peers.

pub(crate) mod ended;
pub(crate) mod files;
mod process;
mod returning;
pub(crate) mod shadow;
pub(crate) mod startd;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use classad::ClassAd;
use cloister_tests::{Machine, wait_until};
use condor_cedar::blocking::Stream;
use condor_cedar::inherit::{Crypto, InheritedSocket, SocketKind, SocketState};
use condor_cedar::message::{MachineAds, Update};
use condor_cedar::session::{ClaimId, Session};
use condor_cedar::{Connection, SessionKey};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use ended::Ended;
use files::Deed as FileDeed;
use process::{reap, spawn};
pub(crate) use returning::{Back, In};
use shadow::{Deed, Request};

pub(crate) const OLD: &str = "$CondorVersion: 23.9.6 2026-07-12 PackageID: 23.9.6+dfsg-2.1+b10 $";
pub(crate) const NEW: &str = "$CondorVersion: 25.14.1 2026-10-16 PackageID: 25.14.1+dfsg-1 $";

/// Variables of a job that change what other programs do: loaders, shells, languages, daemons.
pub(crate) const HOSTILE_VARIABLES: &str = "LD_PRELOAD=/attackers.so LD_AUDIT=/attackers.so LD_LIBRARY_PATH=/attackers \
    GCONV_PATH=/attackers LOCPATH=/attackers BASH_ENV=/attackers ENV=/attackers PATH=/usr/bin:/bin:/attackers IFS=attackers \
    PYTHONPATH=/attackers PERL5OPT=-Mattackers HOME=/attackers TMPDIR=/attackers/tmp _CONDOR_BIN=/attackers \
    CONDOR_CONFIG=/attackers APPTAINER_BINDPATH=/attackers";

/// The longest that a starter may take to end; only a hang takes that long.
const HANG: Duration = Duration::from_secs(40);
/// More processor time than any of these lives takes, in any build; a loop that doesn't wait takes it in
/// the blink of an eye.
const CPU: Duration = Duration::from_millis(500);

/// What the peers have seen, in the order in which it happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The shadow was asked for something.
    Asked(Request),
    /// The connection with the shadow ended.
    ShadowClosed,
    /// That for updates ended.
    UpdatesClosed,
    /// The startd was told something of the job.
    Update(Update),
    /// A connection for files was made: 61000 for input, 61001 for output.
    Files(i32),
    /// All output has come: names and contents.
    Output(Vec<(String, Vec<u8>)>),
}

/// What a startd does with its end of the update socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updates {
    /// It sends the ads of the slot, and reads.
    Good,
    /// It closes at once.
    Close,
    /// It sends half of the ads and closes.
    Half,
    /// It sends what is no packet.
    Garbage,
    /// It announces 4 GiB.
    Huge,
    /// It closes once it has sent the ads.
    CloseAfter,
    /// It never reads.
    Deaf,
}

/// What a claim is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The version of startd and shadow.
    pub(crate) release: &'static str,
    /// The job's program, a shell script.
    pub(crate) script: String,
    /// More input: names and contents.
    pub(crate) input: Vec<(String, Vec<u8>)>,
    /// Input that a plugin is to fetch: names and URLs.
    pub(crate) urls: Vec<(String, String)>,
    /// Attributes of the job ad that aren't as usual.
    pub(crate) job: Vec<(&'static str, classad::Value)>,
    /// What the shadow does wrong: at which request, and which one of those.
    pub(crate) shadow: Option<(i64, usize, Deed)>,
    /// What it answers to questions for guidance, one after the other; then it has the starter carry on.
    pub(crate) guidance: Vec<&'static str>,
    /// What it does wrong with connections for input, one after the other; then all is well.
    pub(crate) fetching: Vec<FileDeed>,
    /// The same for output.
    pub(crate) delivering: Vec<FileDeed>,
    /// What the startd does with the update socket.
    pub(crate) updates: Updates,
    /// A process is between the startd and the starter that can be killed in the startd's place.
    pub(crate) proxy: bool,
    /// A copy of the log is asked for, for the job's user.
    pub(crate) debug: bool,
    /// Changes what is handed down through the environment.
    pub(crate) spoil: fn(&mut [(&'static str, String)]),
}

impl Setup {
    /// A job that runs a script, where everybody does what they should.
    pub(crate) fn new(script: &str) -> Self {
        Self {
            release: NEW,
            script: script.to_owned(),
            input: Vec::new(),
            urls: Vec::new(),
            job: Vec::new(),
            shadow: None,
            guidance: Vec::new(),
            fetching: Vec::new(),
            delivering: Vec::new(),
            updates: Updates::Good,
            proxy: false,
            debug: false,
            spoil: |_| {},
        }
    }

    pub(crate) fn start(self, machine: &Machine) -> Claim {
        Claim::start(machine, self)
    }
}

/// A starter at work.
pub(crate) struct Claim {
    pid: Pid,
    /// The process that plays the startd's, if it isn't this one.
    parent: Option<std::process::Child>,
    heard: Receiver<Event>,
    /// Everything heard so far.
    pub(crate) events: Vec<Event>,
    pub(crate) startd: startd::Startd,
    mounts: String,
    removes: bool,
    setup: Setup,
    tell: Sender<Event>,
    /// Shadows that it has had.
    shadows: usize,
}

pub(crate) fn claim_id(id: &str, release: &str) -> ClaimId {
    let release = release.split(' ').nth(1).unwrap();
    let info = format!(
        "[Integrity=\"YES\";Encryption=\"YES\";ShortVersion=\"{release}\";CryptoMethods=\"BLOWFISH\";\
         CryptoMethodsList=\"AES.BLOWFISH.3DES\";]"
    );
    ClaimId::new(id, &info, "c05ff7054f8ebb6f8bcd00936ad51a1fa9f73ec486b2a8dcdd3271de4733c865")
        .unwrap()
}

/// Both ends of a TCP connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// The stream between shadow and startd as it is when the starter gets it: encrypted, and in the
/// middle of a conversation.
fn begun() -> (Connection, Connection) {
    let (mut shadow, mut startd) = (Connection::new(), Connection::new());
    let hop = |from: &mut Connection, to: &mut Connection, number: i64| {
        let mut message = from.writer();
        message.i64(number);
        from.send(&message).unwrap();
        to.feed(from.pending());
        from.advanced(from.pending().len());
        assert!(to.receive().unwrap());
    };
    hop(&mut shadow, &mut startd, 444);
    hop(&mut startd, &mut shadow, 1);
    let key = SessionKey::derive(b"a claim");
    shadow.encrypt(key.clone()).unwrap();
    startd.encrypt(key).unwrap();
    hop(&mut shadow, &mut startd, 1);
    hop(&mut startd, &mut shadow, 1);
    hop(&mut shadow, &mut startd, 2);
    (shadow, startd)
}

/// A socket in the form in which it is handed down.
pub(crate) fn inherited(
    fd: &impl AsFd,
    crypto: Crypto,
    version: &str,
    state: SocketState,
) -> String {
    use std::os::fd::AsRawFd;
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let encrypted = crypto != Crypto::Clear;
    InheritedSocket {
        kind: SocketKind::Stream,
        fd: fd.as_fd().as_raw_fd(),
        state,
        timeout: if encrypted { 20 } else { 0 },
        tried_authentication: encrypted,
        user: if encrypted { "submit-side@matchsession".into() } else { String::new() },
        peer_version: if encrypted { version.to_owned() } else { String::new() },
        listening: state == SocketState::Special,
        peer: (state == SocketState::Connected).then(|| "<127.0.0.1:1>".parse().unwrap()),
        crypto,
    }
    .reveal()
}

fn slot(release: &str) -> ClassAd {
    let mut slot = ClassAd::new();
    slot.insert_value("Name", "slot1_1@pool.test");
    slot.insert_value("Machine", "pool.test");
    slot.insert_value("MachineResources", "Cpus Memory Disk Swap");
    slot.insert_value("Cpus", 1_i64);
    slot.insert_value("Memory", 128_i64);
    slot.insert_value("Disk", 1_000_000_i64);
    slot.insert_value("CondorVersion", release.to_owned());
    slot
}

impl Claim {
    fn start(machine: &Machine, setup: Setup) -> Self {
        let (tell, heard) = channel();
        let (shadow, startd) = begun();
        let (shadow_socket, passed) = pair();
        passed.set_nonblocking(true).unwrap();
        let state = startd.state().unwrap().clone();
        let (updates, theirs) = pair();
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let name = format!("{}/slot1_1_1_2", id.trim().replace('-', ""));
        let endpoint =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        // Keep-alives come here, and are never answered: that is no reason to do anything.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let release = setup.release;
        let aes = Crypto::Aes(Box::new(state));
        let inherit = format!(
            "{} <{}?alias=localhost&noUDP&sock=startd_1_2> 1 {} 1 {} 0 SharedPort:{name}*{} 0",
            std::process::id(),
            port.local_addr().unwrap(),
            inherited(&theirs, Crypto::Clear, "", SocketState::Connected),
            inherited(&passed, aes, release, SocketState::Connected),
            inherited(&endpoint, Crypto::Clear, "", SocketState::Special),
        );
        let (parent, family) = (claim_id("parent", release), claim_id("family:1", release));
        let private =
            format!(" SessionKey:{} FamilySessionKey:{}", parent.reveal(), family.reveal());
        let mut handed = [("CONDOR_INHERIT", inherit), ("CONDOR_PRIVATE_INHERIT", private)];
        (setup.spoil)(&mut handed);

        let transfer = files::Server::start(&setup, tell.clone());
        shadow::start(
            Stream::with_connection(shadow, shadow_socket),
            &setup,
            transfer.attributes(),
            tell.clone(),
        );
        follow_updates(Stream::new(updates), setup.updates, release, tell.clone());

        let mounts = cloister_tests::mounts();
        let (pid, parent_process) = spawn(machine, &handed, setup.proxy, setup.debug);
        drop((theirs, passed, endpoint));
        Self {
            pid,
            parent: parent_process,
            heard,
            events: Vec::new(),
            startd: startd::Startd {
                name,
                version: release,
                parent: Session::parent(&parent).unwrap(),
                family: Session::family(&family).unwrap(),
                claim: Session::of_claim(&claim_id(shadow::CLAIM_SESSION, release)).unwrap(),
                pid,
                _port: port,
            },
            mounts,
            removes: false,
            setup,
            tell,
            shadows: 1,
        }
    }

    /// Waits for an event; fails if the starter ends without.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut is: impl FnMut(&Event) -> bool) {
        let end = Instant::now() + HANG;
        if self.events.iter().any(&mut is) {
            return;
        }
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = is(&event);
                    self.events.push(event);
                    if found {
                        return;
                    }
                }
                Err(_) => panic!("{what} never came: {:#?}", self.events),
            }
        }
    }

    /// Waits until the shadow is asked for something.
    #[track_caller]
    pub(crate) fn asked(&mut self, number: i64) {
        self.until(
            &format!("request {number}"),
            |event| matches!(event, Event::Asked(request) if request.number == number),
        );
    }

    /// Waits until a transfer has begun.
    #[track_caller]
    pub(crate) fn transferring(&mut self, number: i32) {
        self.until(
            &format!("transfer {number}"),
            |event| matches!(event, Event::Files(begun) if *begun == number),
        );
    }

    /// Waits until the job has made a file.
    #[track_caller]
    pub(crate) fn made(&self, machine: &Machine, name: &str) {
        wait_until(&format!("the job's file {name}"), || {
            machine
                .sandboxes()
                .iter()
                .any(|dir| dir.join(name).exists() || dir.join("scratch").join(name).exists())
        });
    }

    /// Ends the process in the startd's place.
    pub(crate) fn startd_dies(&mut self) {
        let mut parent = self.parent.take().expect("there is no process in the startd's place");
        parent.kill().unwrap();
        parent.wait().unwrap();
    }

    /// Kills a process of the starter by its distance from the starter itself.
    pub(crate) fn kill_descendant(&self, machine: &Machine, distance: usize) {
        let mut pid = self.pid.as_raw();
        for _ in 0..distance {
            let child = |p: &cloister_tests::Process| p.parent == pid;
            pid = machine.processes().iter().find(|p| child(p)).expect("a child").pid;
        }
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }

    /// Waits for the end of a starter whose launcher was killed, so that the sandbox is left to the
    /// startd, which removes it when the starter is gone (23.9.6 and 25.14.1).
    #[track_caller]
    pub(crate) fn end_as_a_startd(mut self, machine: &Machine) -> Ended {
        self.removes = true;
        self.end(machine)
    }

    /// Waits for the end of the starter, and checks what is true of every end.
    #[track_caller]
    pub(crate) fn end(mut self, machine: &Machine) -> Ended {
        let start = Instant::now();
        let (status, cpu) = loop {
            if let Some(end) = reap(self.pid) {
                break end;
            }
            if start.elapsed() > HANG {
                let log = log(machine);
                let _ = kill(self.pid, Signal::SIGKILL);
                panic!("the starter doesn't end\n{log}\n{:#?}", self.events);
            }
            thread::sleep(Duration::from_millis(2));
        };
        // Its peers see its end a little later.
        let closed = |event: &&Event| matches!(event, Event::ShadowClosed | Event::UpdatesClosed);
        while self.events.iter().filter(closed).count() < self.shadows + 1 {
            let Ok(event) = self.heard.recv_timeout(Duration::from_secs(2)) else { break };
            self.events.push(event);
        }
        if let Some(mut parent) = self.parent.take() {
            let _ = parent.kill();
            let _ = parent.wait();
        }
        let ended = Ended { status, cpu, log: log(machine), events: self.events };
        assert_eq!(cloister_tests::mounts(), self.mounts, "mounts are left\n{ended}");
        if self.removes {
            // The kernel ends the job's processes, in its own time.
            wait_until(&format!("the end of all processes\n{ended}"), || {
                machine.processes().is_empty()
            });
            for sandbox in machine.sandboxes() {
                fs::remove_dir_all(sandbox).unwrap();
            }
        }
        machine.check_clean(&ended);
        assert!(cpu < CPU, "{cpu:?} of processor time: a busy loop?\n{ended}");
        ended
    }
}

/// The startd's end of the update socket: the ads of the slot, then what is said of the job.
fn follow_updates(
    mut stream: Stream<TcpStream>,
    deed: Updates,
    release: &str,
    tell: Sender<Event>,
) {
    let raw: &[u8] = match deed {
        Updates::Half => &[1, 0, 0, 1, 0, 0, 0, 0],
        Updates::Garbage => b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Updates::Huge => &[1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0],
        _ => &[],
    };
    if raw.is_empty() && deed != Updates::Close {
        let ads = MachineAds { machine: slot(release), overlay: ClassAd::new() };
        stream.send_value(&ads).unwrap();
        if release == NEW {
            let mut secrets = ClassAd::new();
            secrets.insert_value("ClaimId", "<127.0.0.1:1>#1#1#...");
            stream.send_value(&secrets).unwrap();
        }
    }
    stream.socket().write_all(raw).unwrap();
    thread::spawn(move || {
        match deed {
            Updates::Good => {
                while let Ok(update) = stream.receive_value() {
                    let _ = tell.send(Event::Update(update));
                }
            }
            Updates::Garbage | Updates::Huge | Updates::Deaf => thread::sleep(HANG),
            Updates::Close | Updates::Half | Updates::CloseAfter => {}
        }
        drop(stream);
        let _ = tell.send(Event::UpdatesClosed);
    });
}

fn log(machine: &Machine) -> String {
    fs::read_to_string(machine.path("log/StarterLog.slot1_1")).unwrap_or_default()
}

/// A machine in the domain of the test's submitters.
pub(crate) fn machine() -> Option<Machine> {
    Some(Machine::new()?.knob("UID_DOMAIN", "pool.test"))
}
