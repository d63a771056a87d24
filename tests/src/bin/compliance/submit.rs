//! One case in a running pool: its directory, its submission, its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::Result;
use crate::case::Case;
use crate::event_log::{self, Event};
use crate::files::{self, Snapshot};

/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A case whose jobs are in the queue.
#[derive(Debug)]
pub(crate) struct Submitted<'a> {
    pub(crate) case: &'a Case,
    /// Where it was submitted.
    pub(crate) directory: PathBuf,
    /// Its jobs' ClusterId.
    pub(crate) cluster: i64,
    /// How many jobs it has.
    pub(crate) jobs: usize,
    /// The directory as it was when it was submitted.
    pub(crate) before: Snapshot,
}

/// A command as an ordinary user with a small, known environment.
pub(crate) fn as_user(user: &str, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "env", "-i"]);
    command.args(["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"]);
    command.arg(format!("HOME=/home/{user}")).arg(format!("USER={user}"));
    if let Ok(configuration) = std::env::var("CONDOR_CONFIG") {
        command.arg(format!("CONDOR_CONFIG={configuration}"));
    }
    command.arg(program);
    command
}

/// Runs a command to its end.
///
/// # Errors
///
/// With everything that it said, unless it exits with 0.
fn run(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if status.success() {
        Ok(said(&stdout))
    } else {
        Err(format!("{status}: {} {}", said(&stdout), said(&stderr)).into())
    }
}

impl<'a> Submitted<'a> {
    /// Makes the directory, runs the case's `setup` in it, submits.
    ///
    /// # Errors
    ///
    /// If any of these fails: the case is wrong, not the starter.
    pub(crate) fn new(case: &'a Case, suite: &Path) -> Result<Self> {
        let user = &case.submitter;
        let directory = PathBuf::from(format!("/home/{user}/cases")).join(&case.name);
        let text = fs::read_to_string(case.directory.join("job.sub"))?;
        fs::create_dir_all(&directory)?;
        run(Command::new("cp").arg("-r").arg(case.directory.join(".")).arg(&directory))?;
        fs::write(directory.join("job.sub"), prelude(&directory, suite) + &text)?;
        run(Command::new("chown").arg("-R").arg(format!("{user}:")).arg(&directory))?;
        if directory.join("setup").exists() {
            run(as_user(user, "sh").args(["-eu", "setup"]).current_dir(&directory))
                .map_err(|e| format!("setup: {e}"))?;
        }
        let before = files::snapshot(&directory);
        let mut submit = as_user(user, "condor_submit");
        if case.spool {
            submit.arg("-spool");
        }
        let said = run(submit.arg("job.sub").current_dir(&directory))?;
        let (jobs, cluster) = submitted(&said).ok_or_else(|| format!("condor_submit: {said}"))?;
        Ok(Self { case, directory, cluster, jobs, before })
    }

    /// Runs the case's `stranger` and `drive`, which do things to the running job, and waits for the end,
    /// at most for `limit`.
    ///
    /// # Errors
    ///
    /// If one of them fails or there is no end in time.
    pub(crate) fn wait(&self, suite: &Path, limit: Duration) -> Result<()> {
        let started = Instant::now();
        if self.directory.join("stranger").exists() {
            self.stranger(limit).map_err(|e| format!("stranger: {e}"))?;
        }
        if self.directory.join("drive").exists() {
            let script = format!(". {}/drive.sh; . ./drive", suite.display());
            let mut shell = as_user(&self.case.submitter, "timeout");
            shell.arg(limit.as_secs().to_string()).args(["sh", "-eu", "-c", &script]);
            shell.args(["drive", &self.cluster.to_string()]);
            run(shell.current_dir(&self.directory)).map_err(|e| format!("drive: {e}"))?;
        }
        while !self.case.spool && !event_log::at_rest(&self.log(), self.jobs) {
            if started.elapsed() > limit {
                return Err(format!("no end after {} s", limit.as_secs()).into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Runs `stranger` as an account that isn't the job's owner, once the job runs. What it says, to either
    /// of its outputs, is in the file `said`.
    fn stranger(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        while !self.log().iter().any(|event| event.number == "001") {
            if started.elapsed() > limit {
                return Err("the job doesn't run".into());
            }
            std::thread::sleep(LOOK);
        }
        let script = fs::read_to_string(self.directory.join("stranger"))?;
        let other = if self.case.submitter == "bob" { "alice" } else { "bob" };
        let file = fs::File::create(self.directory.join("said"))?;
        let mut shell = as_user(other, "timeout");
        shell.arg(limit.as_secs().to_string()).args(["sh", "-u", "-c", &script, "stranger"]);
        shell.arg(self.cluster.to_string()).arg(&self.directory).current_dir("/tmp");
        let status = shell.stdout(file.try_clone()?).stderr(file).status()?;
        if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
    }

    /// The events so far.
    pub(crate) fn log(&self) -> Vec<Event> {
        let bytes = fs::read(self.directory.join("log")).unwrap_or_default();
        event_log::parse(&String::from_utf8_lossy(&bytes))
    }
}

/// What every description starts with: what most cases want, and the names of places. A case's own lines
/// come later and win.
fn prelude(directory: &Path, suite: &Path) -> String {
    format!(
        "universe = vanilla\nhere = {}\nwitness = {}/witness\nlog = log\noutput = out\nerror = err\n\
         should_transfer_files = YES\nwhen_to_transfer_output = ON_EXIT\n",
        directory.display(),
        suite.display()
    )
}

/// `N job(s) submitted to cluster C.`
fn submitted(said: &str) -> Option<(usize, i64)> {
    let line = said.lines().find(|line| line.contains("submitted to cluster"))?;
    let jobs = line.split(' ').next()?.parse().ok()?;
    let cluster = line.rsplit(' ').next()?.trim_end_matches('.').parse().ok()?;
    Some((jobs, cluster))
}
