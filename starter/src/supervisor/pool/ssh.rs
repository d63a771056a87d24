//! condor_ssh_to_job: a shell for the job's owner, where the job is. First a script makes keys and a
//! configuration there, then sshd gets the connection that the request came by. Both run as the job's
//! account in its cell; what they write is believed as little as the job.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use classad::ClassAd;
use nix::poll::{PollFd, PollFlags};

use super::{Pool, Stage};
use crate::failure::{Context, Failure, Step, for_the_wire};
use crate::parent::startd::Peek;
use crate::plan::{Plan, Program, Stdio};
use crate::reach::peek::Refusal;

/// Sessions that are being made.
const MOST: usize = 32;
/// Bytes that the script may write. Two keys have some thousand.
const MAX_OUTPUT: usize = 64 << 10;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Characters of a line of base64.
const LINE: usize = 64;
/// Begins each line of the script's that means something.
const MARK: &str = "condor_ssh_to_job_sshd_setup";

/// Sessions that are being made.
#[derive(Debug, Default)]
pub(super) struct Visits(Vec<Visit>);

#[derive(Debug)]
struct Visit {
    call: u64,
    script: UnixStream,
    said: Vec<u8>,
    deadline: Instant,
}

impl Visits {
    /// What to wait for.
    pub(super) fn sources(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.iter().map(|visit| PollFd::new(visit.script.as_fd(), PollFlags::POLLIN))
    }

    /// When one has taken too long.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|visit| visit.deadline).min()
    }
}

impl Visit {
    /// Whether all was said that will be, or more than there can be.
    fn is_done(&mut self) -> bool {
        let mut part = [0; 4096];
        while self.said.len() < MAX_OUTPUT {
            match self.script.read(&mut part) {
                Ok(0) => return true,
                Ok(count) => self.said.extend(part.iter().take(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.deadline <= Instant::now();
                }
                Err(_) => return true,
            }
        }
        true
    }
}

impl Pool<'_> {
    /// Takes a request on.
    pub(super) fn ssh(&mut self, wish: &Peek) -> Result<(), Failure> {
        let program = match self.set_up(&wish.ad) {
            Ok(program) => program,
            Err(refusal) => {
                self.refuse(wish.call, &refusal);
                return Ok(());
            }
        };
        let (script, own) = UnixStream::pair().at(Step::Internal, "socketpair")?;
        own.set_nonblocking(true).at(Step::Internal, "socketpair")?;
        let deadline = Instant::now() + PATIENCE;
        self.visits.0.push(Visit { call: wish.call, script: own, said: Vec::new(), deadline });
        self.desk.join(program, script.into())
    }

    /// The script for a session, if there may be one now.
    fn set_up(&self, ad: &ClassAd) -> Result<Program, Refusal> {
        let Some((job, plan)) = &self.peeking.of else {
            return Err(match self.peeking.over {
                true => Refusal::last("Rejecting request, because the job is finished."),
                false => Refusal::now(
                    "Retrying request, because the job execution environment is not yet ready.",
                ),
            });
        };
        let knobs = self.knobs;
        if !knobs.enable_ssh_to_job.allows(&job.ad) {
            return Err(Refusal::last("Rejecting request, because ENABLE_SSH_TO_JOB=false"));
        }
        if !matches!(self.stage, Stage::Running(_)) {
            return Err(Refusal::last("Rejecting request, because the job is finished."));
        }
        if self.suspended {
            return Err(Refusal::now("Retrying request, because the job is suspended."));
        }
        if self.visits.0.len() >= MOST {
            return Err(Refusal::now("Retrying request, because there are too many of them."));
        }
        let keygen = quoted(&knobs.ssh_to_job_ssh_keygen_args);
        let extra = ad.eval_string("SSHKeyGenArgs").unwrap_or_default();
        let keygen = format!("{} {keygen} {extra}", knobs.ssh_to_job_ssh_keygen.display());
        let template = knobs.ssh_to_job_sshd_config_template.clone();
        let template =
            template.unwrap_or_else(|| knobs.lib.join("condor_ssh_to_job_sshd_config_template"));
        let arguments = vec![
            scratch(plan).as_os_str().as_bytes().to_vec(),
            knobs.libexec.join("condor_ssh_to_job_shell_setup").into_os_string().into_vec(),
            template.into_os_string().into_vec(),
            keygen.into_bytes(),
        ];
        let setup = knobs.libexec.join(MARK);
        let mut program = beside(plan, &setup, arguments);
        for (attribute, name) in [("Name", "_CONDOR_SLOT_NAME"), ("Shell", "_CONDOR_SHELL")] {
            let Some(value) = ad.eval_string(attribute) else { continue };
            if value.contains('\0') {
                return Err(Refusal::last(format!("{attribute} has a NUL")));
            }
            program.environment.push(format!("{name}={value}").into_bytes());
        }
        if extra.contains('\0') {
            return Err(Refusal::last("SSHKeyGenArgs has a NUL"));
        }
        Ok(program)
    }

    /// Lets those in for whom everything is ready.
    pub(super) fn admit(&mut self) -> Result<(), Failure> {
        let mut at = 0;
        while let Some(visit) = self.visits.0.get_mut(at) {
            if !visit.is_done() {
                at += 1;
                continue;
            }
            let visit = self.visits.0.swap_remove(at);
            let said = String::from_utf8_lossy(&visit.said);
            let (Some((_, plan)), Some(session)) = (&self.peeking.of, Session::read(&said)) else {
                let printable = |c: &char| !c.is_control() || *c == '\n';
                let text = said.chars().filter(printable).take(1024).collect::<String>();
                let why =
                    for_the_wire(format!("Failed to set up sshd in the job: {}", text.trim()));
                self.refuse(visit.call, &Refusal::last(why));
                continue;
            };
            let config = format!("{}/sshd_config", session.directory);
            let arguments = quoted(&self.knobs.ssh_to_job_sshd_args)
                .split_ascii_whitespace()
                .map(|word| word.replace("%f", &config).into_bytes());
            let log = format!("{}/sshd.log", session.directory);
            let log = ["-E".to_owned(), log].map(String::into_bytes);
            // The last one of -e and -E counts.
            let arguments = arguments.filter(|word| word != b"-e").chain(log).collect();
            let program = beside(plan, &self.knobs.ssh_to_job_sshd, arguments);
            if let Some(socket) = self.startd.hand_over(visit.call, &session.ad()) {
                tracing::info!("condor_ssh_to_job: a session in {}", session.directory);
                self.desk.join(program, socket.into())?;
            }
        }
        Ok(())
    }
}

/// What the script has made.
#[derive(Debug, PartialEq, Eq)]
struct Session {
    directory: String,
    user: String,
    server_key: String,
    client_key: String,
}

impl Session {
    fn read(said: &str) -> Option<Self> {
        if !said.lines().any(|line| line == format!("{MARK} SUCCESS")) {
            return None;
        }
        let part = |name: &str| {
            let (_, rest) = said.split_once(&format!("{MARK} {name} BEGIN\n"))?;
            Some(rest.split_once(&format!("{MARK} {name} END"))?.0.to_owned())
        };
        let line = |name: &str| {
            let text = part(name)?.trim_end().to_owned();
            let plain = !text.is_empty() && !text.contains(|c: char| c.is_control());
            plain.then_some(text)
        };
        Some(Self {
            directory: line("SSHD DIR").filter(|directory| directory.starts_with('/'))?,
            user: line("SSHD USER")?,
            server_key: part("PUBLIC SERVER KEY")?,
            client_key: part("AUTHORIZED CLIENT KEY")?,
        })
    }

    fn ad(&self) -> ClassAd {
        let mut ad = ClassAd::new();
        ad.insert_value("Result", true);
        ad.insert_value("RemoteUser", self.user.clone());
        ad.insert_value("SSHPublicServerKey", lines(&self.server_key));
        ad.insert_value("SSHPrivateClientKey", lines(&self.client_key));
        ad
    }
}

/// Base64 in lines: the tool reads no longer ones.
fn lines(key: &str) -> String {
    let text = Base64::encode_string(key.as_bytes());
    let mut lines = String::with_capacity(text.len() + text.len() / LINE + 1);
    for (at, character) in text.chars().enumerate() {
        lines.push(character);
        if (at + 1) % LINE == 0 {
            lines.push('\n');
        }
    }
    if !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines
}

/// A program beside the job, in the job's directory and environment.
fn beside(plan: &Plan, path: &Path, arguments: Vec<Vec<u8>>) -> Program {
    Program {
        path: path.to_owned(),
        arguments,
        // Given by the launcher.
        stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
        ..plan.program.clone()
    }
}

/// The sandbox as the job sees it.
fn scratch(plan: &Plan) -> PathBuf {
    let name = b"_CONDOR_SCRATCH_DIR=";
    let value = plan.program.environment.iter().find_map(|entry| entry.strip_prefix(name));
    value.map_or_else(
        || plan.program.directory.clone(),
        |value| PathBuf::from(std::ffi::OsStr::from_bytes(value)),
    )
}

/// Arguments as the configuration has them, between double quotes.
fn quoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(end: &str) -> String {
        let part =
            |name: &str, text: &str| format!("{MARK} {name} BEGIN\n{text}\n{MARK} {name} END\n");
        part("SSHD USER", "alice")
            + &part("SSHD DIR", "/s/.condor_ssh_to_job_1")
            + &part("PUBLIC SERVER KEY", "ssh-rsa AAAA")
            + &part("AUTHORIZED CLIENT KEY", "-----BEGIN\nx\n-----END")
            + end
    }

    #[test]
    fn what_the_script_says_is_read() {
        let session = Session::read(&said(&format!("{MARK} SUCCESS\n"))).unwrap();
        assert_eq!(session.user, "alice");
        assert_eq!(session.directory, "/s/.condor_ssh_to_job_1");
        assert_eq!(session.client_key, "-----BEGIN\nx\n-----END\n");
        assert_eq!(lines(&"x".repeat(48)).find('\n'), Some(LINE));
        assert_eq!(lines("x"), "eA==\n");
    }

    #[test]
    fn what_is_incomplete_or_odd_is_no_session() {
        let done = format!("{MARK} SUCCESS\n");
        assert_eq!(Session::read(&said("")), None);
        assert_eq!(Session::read(&done), None);
        for (good, bad) in [("/s/.condor", "s/.condor"), ("alice", "al\nice"), ("alice", "")] {
            assert_eq!(Session::read(&said(&done).replace(good, bad)), None, "{bad}");
        }
    }
}
