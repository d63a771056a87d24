//! A starter that runs a job, and what came of it.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use classad::ClassAd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::leaks::wait_until;
use crate::{Job, Machine};

/// A starter at work.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    files: Files,
}

/// Where one run writes to.
#[derive(Debug)]
struct Files {
    result: PathBuf,
    output: PathBuf,
    error: PathBuf,
    said: PathBuf,
}

impl Running {
    pub(crate) fn start(machine: &Machine, mut starter: Command, job: &Job) -> Self {
        let number = machine.next_run();
        let path = |name: &str| machine.path(&format!("out/{number}.{name}"));
        let ad = path("ad");
        let job = machine.submitted(job);
        fs::write(&ad, job.text()).unwrap();
        let files = Files {
            result: path("result"),
            output: path("out"),
            error: path("err"),
            said: path("said"),
        };
        starter.arg("-job-input-ad").arg(&ad).arg("-job-output-ad").arg(&files.result);
        starter.arg("-job-stdout").arg(&files.output).arg("-job-stderr").arg(&files.error);
        if job.fed {
            starter.args(["-job-stdin", "-"]).stdin(Stdio::piped());
        } else {
            starter.stdin(Stdio::null());
        }
        Self::spawn(starter, files)
    }

    fn spawn(mut command: Command, files: Files) -> Self {
        let said = File::create(&files.said).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { stdin: child.stdin.take(), child, files }
    }

    /// Runs any command of the starter, to see what it says.
    pub fn command(machine: &Machine, mut command: Command) -> Ran {
        let number = machine.next_run();
        let path = |name: &str| machine.path(&format!("out/{number}.{name}"));
        let files = Files {
            result: path("result"),
            output: path("out"),
            error: path("err"),
            said: path("said"),
        };
        command.stdin(Stdio::null());
        Self::spawn(command, files).wait()
    }

    /// The process number of the supervisor, which is the starter that was started.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What the job has written so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.files.output).unwrap_or_default()
    }

    /// Waits until the job has written a line that starts with a word; what follows it. Fails if the
    /// starter ends without.
    pub fn line(&mut self, word: &str) -> String {
        let mut found = None;
        let mut status = None;
        wait_until(&format!("the job's line {word:?}"), || {
            status = self.child.try_wait().unwrap();
            let text = self.output();
            let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            found =
                lines.find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned());
            found.is_some() || status.is_some()
        });
        match found {
            Some(rest) => rest,
            None => panic!("the job never wrote {word:?}\n{}", self.files.read(status.unwrap())),
        }
    }

    /// Sends a signal to the starter.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Closes the job's standard input and waits for the end of the starter. One that hangs is killed
    /// and fails the test.
    pub fn wait(mut self) -> Ran {
        drop(self.stdin.take());
        let mut status = None;
        wait_until("the end of the starter", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.files.read(status.unwrap())
    }
}

impl Drop for Running {
    /// A test that fails half-way leaves no starter; the starter's own processes go with it.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Files {
    fn read(&self, status: ExitStatus) -> Ran {
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let result = fs::read(&self.result).unwrap_or_default();
        Ran {
            code: status.code(),
            signal: status.signal(),
            ad: ClassAd::parse_old(&result).unwrap_or_default(),
            output: text(&self.output),
            error: text(&self.error),
            said: text(&self.said),
        }
    }
}

/// The end of a starter.
#[derive(Debug)]
pub struct Ran {
    /// The starter's exit code.
    pub code: Option<i32>,
    /// The signal that killed the starter.
    pub signal: Option<i32>,
    /// The result ad; empty if there is none.
    pub ad: ClassAd,
    /// The job's standard output.
    pub output: String,
    /// The job's standard error.
    pub error: String,
    /// What the starter itself wrote to its output and error.
    pub said: String,
}

impl Ran {
    /// The job's output; fails unless the job ended with code 0 and the starter with 0.
    #[track_caller]
    pub fn ok(&self) -> &str {
        self.exited(0)
    }

    /// The job's output; fails unless the job ended with this code and the starter with 0.
    #[track_caller]
    pub fn exited(&self, code: i64) -> &str {
        let ended = self.ad.eval_bool("ExitBySignal") == Some(false)
            && self.ad.eval_i64("ExitCode") == Some(code);
        assert!(self.code == Some(0) && ended, "the job didn't end with {code}\n{self}");
        &self.output
    }

    /// Fails unless the job was killed by this signal and the starter ended with 0.
    #[track_caller]
    pub fn killed(&self, signal: Signal) {
        let ended = self.ad.eval_bool("ExitBySignal") == Some(true)
            && self.ad.eval_i64("ExitSignal") == Some(i64::from(signal as i32));
        assert!(self.code == Some(0) && ended, "the job didn't die of {signal}\n{self}");
    }

    /// The reason for the hold; fails unless the job never ran and is held with this code and subcode.
    #[track_caller]
    pub fn held(&self, code: i64, subcode: i64) -> String {
        self.never_ran();
        let is = (self.ad.eval_i64("HoldReasonCode"), self.ad.eval_i64("HoldReasonSubCode"));
        assert_eq!(is, (Some(code), Some(subcode)), "another hold was expected\n{self}");
        assert_eq!(self.code, Some(0), "a hold is a result\n{self}");
        self.reason("HoldReason")
    }

    /// The reason why the job goes elsewhere; fails unless it never ran and the starter ended with 1.
    #[track_caller]
    pub fn refused(&self) -> String {
        self.never_ran();
        assert_eq!(self.code, Some(1), "the starter could not do its work\n{self}");
        self.reason("VacateReason")
    }

    /// The one sentence that is both in the ad and on the terminal.
    #[track_caller]
    fn reason(&self, attribute: &str) -> String {
        let reason = self.ad.eval_string(attribute).unwrap_or_default();
        assert!(!reason.is_empty() && !reason.contains('\n'), "{attribute} is missing\n{self}");
        let lines: Vec<&str> = self.said.lines().collect();
        assert_eq!(lines.len(), 1, "one line says it all\n{self}");
        assert!(lines[0].contains(&reason), "ad and terminal differ\n{self}");
        reason
    }

    /// Fails if there is any trace of a job that ran.
    #[track_caller]
    pub fn never_ran(&self) {
        let ran = ["ExitCode", "ExitSignal", "JobPid"].iter().any(|name| self.ad.contains(name));
        assert!(!ran && self.output.is_empty(), "the job ran\n{self}");
    }

    /// A line of the job's output, without the word that starts it.
    #[track_caller]
    pub fn line(&self, word: &str) -> &str {
        let found = self.output.lines().find_map(|line| line.strip_prefix(word));
        found.unwrap_or_else(|| panic!("the job wrote no line {word:?}\n{self}")).trim()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, signal, ad, output, error, said } = self;
        write!(
            f,
            "starter: code {code:?}, signal {signal:?}\n--- it said\n{said}\n--- result ad\n{}\n\
             --- job's output\n{output}\n--- job's error\n{error}",
            ad.to_old_string()
        )
    }
}
