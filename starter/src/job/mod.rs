//! The job: its ad, read once into types. No other code looks up job attributes.

mod arguments;
mod checkpoint;
mod credentials;
mod deferral;
mod environment;
mod files;
mod script;
pub(crate) mod submit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use classad::ClassAd;

pub(crate) use arguments::{parse_v1, parse_v2};
pub(crate) use checkpoint::Checkpoint;
pub(crate) use credentials::{Credentials, TOKENS};
pub(crate) use deferral::Begin;
pub(crate) use environment::{Variables, parse_env_either, parse_env_v1, parse_env_v2};
pub(crate) use files::{Transfer, When};
pub(crate) use script::{Script, Which};

use crate::failure::{Failure, Step, hold};
use crate::launcher::message::Status;

/// The largest job ad that is read, in bytes. Real ones have tens of kilobytes.
pub(crate) const MAX_AD: u64 = 16 << 20;

/// What the starter knows of a job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// `ClusterId`.
    pub(crate) cluster: i64,
    /// `ProcId`.
    pub(crate) proc: i64,
    /// Account at the submit machine: `OsUser` (25.x), else `Owner`.
    pub(crate) owner: Option<String>,
    /// `UidDomain`; `None` if the ad has none.
    pub(crate) uid_domain: Option<String>,
    /// `RunAsOwner`, true unless the job says otherwise.
    pub(crate) run_as_owner: bool,
    /// `PrimaryUnixGroup`: the group to run in, one of the owner's.
    pub(crate) primary_group: Option<String>,
    /// `Cmd`, as given.
    pub(crate) cmd: PathBuf,
    /// `Iwd`: the directory at the submit machine.
    pub(crate) iwd: PathBuf,
    /// `RemoteIwd`: where the program starts at the execute side, in place of the sandbox or `Iwd`.
    pub(crate) remote_iwd: Option<PathBuf>,
    /// Arguments after the program's name.
    pub(crate) arguments: Vec<String>,
    /// Variables the job asked for.
    pub(crate) environment: Variables,
    /// `In`, `Out`, `Err`; `None` where nothing or /dev/null was given.
    pub(crate) stdio: [Option<PathBuf>; 3],
    /// `StreamIn`, `StreamOut`, `StreamErr`: read and written at the submit side while the job runs.
    pub(crate) streams: [bool; 3],
    /// Whether output is appended to (`DontAppend = False`, checkpointing jobs).
    pub(crate) append: bool,
    /// What it says of checkpoints, if it takes any.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Files to move, if the job wants its files moved.
    pub(crate) transfer: Option<Transfer>,
    /// `RequestedChroot`: the root it asked for by name.
    pub(crate) root: Option<String>,
    /// `MinIsolation`: words of `AssignedIsolation` that it doesn't run without.
    pub(crate) demands: Vec<String>,
    /// `CoreSize` in bytes; negative is unlimited.
    pub(crate) core_size: Option<i64>,
    /// Signal number for a soft kill.
    pub(crate) kill_signal: i32,
    /// `RequestCpus`, at least 1.
    pub(crate) cpus: i64,
    /// `SpooledOutputFiles`: output that came back from an earlier run.
    pub(crate) spooled: Vec<String>,
    /// `JobStarterLog`: the starter's log comes back with the output.
    pub(crate) wants_log: bool,
    /// `JobLeaseDuration`: how long the job goes on without its shadow; `None`: not at all.
    pub(crate) lease: Option<Duration>,
    /// `GlobalJobId`.
    pub(crate) global_id: Option<String>,
    /// `FailureFiles`: what comes back of a job that failed; `None` if it doesn't say.
    pub(crate) failure_files: Option<Vec<String>>,
    /// Tokens and a proxy.
    pub(crate) credentials: Credentials,
    /// The ad itself, for expressions that an admin configured over it and for the copy in the sandbox.
    pub(crate) ad: ClassAd,
}

impl Job {
    /// Reads the ad. `here` is the directory that a relative `Iwd` is taken from; `file_system` the
    /// FILESYSTEM_DOMAIN of this machine, where the job may come from one with another.
    pub(crate) fn from_ad(
        ad: ClassAd,
        here: &Path,
        file_system: Option<&str>,
    ) -> Result<Self, Failure> {
        let universe = ad.eval_i64("JobUniverse").unwrap_or(5);
        if !matches!(universe, 5 | 12) {
            return Err(invalid(format!(
                "JobUniverse {universe} is not one this starter runs: use the vanilla universe (5)"
            )));
        }
        let iwd = here.join(ad.eval_string("Iwd").unwrap_or_default());
        let cmd = match text(&ad, "Cmd")? {
            Some(cmd) => PathBuf::from(cmd),
            None => return Err(invalid("the job ad has no Cmd: name the program to run")),
        };
        let transfer = Transfer::from_ad(&ad, file_system)?;
        let kill_signal = signal_number(&ad, "KillSig").unwrap_or(libc::SIGTERM);
        let checkpoint = Checkpoint::from_ad(&ad, kill_signal, file_system)?;
        Ok(Self {
            cluster: ad.eval_i64("ClusterId").unwrap_or(1),
            proc: ad.eval_i64("ProcId").unwrap_or(0),
            owner: text(&ad, "OsUser")?.or(text(&ad, "Owner")?),
            uid_domain: text(&ad, "UidDomain")?,
            run_as_owner: ad.eval_bool("RunAsOwner").unwrap_or(true),
            primary_group: text(&ad, "PrimaryUnixGroup")?,
            cmd,
            iwd,
            remote_iwd: text(&ad, "RemoteIwd")?.map(PathBuf::from),
            arguments: arguments(&ad)?,
            environment: environment(&ad)?,
            stdio: [stdio(&ad, "In")?, stdio(&ad, "Out")?, stdio(&ad, "Err")?],
            streams: ["StreamIn", "StreamOut", "StreamErr"]
                .map(|name| ad.eval_bool(name).unwrap_or(false)),
            append: ad.eval_bool("DontAppend") == Some(false) || checkpoint.is_some(),
            checkpoint,
            transfer,
            root: text(&ad, "RequestedChroot")?,
            demands: words(text(&ad, "MinIsolation")?),
            core_size: ad.eval_i64("CoreSize"),
            kill_signal,
            spooled: names(&text(&ad, "SpooledOutputFiles")?.unwrap_or_default()),
            wants_log: ad.contains("JobStarterLog"),
            lease: lease(&ad),
            global_id: ad.eval_string("GlobalJobId"),
            failure_files: text(&ad, "FailureFiles")?.map(|list| names(&list)),
            credentials: Credentials::from_ad(&ad)?,
            cpus: ad
                .eval_i64("CpusProvisioned")
                .or_else(|| ad.eval_i64("RequestCpus"))
                .unwrap_or(1)
                .max(1),
            ad,
        })
    }

    /// Whether an end counts as success, by `JobSuccessExitCode` and its like; every end does if the
    /// job doesn't say.
    pub(crate) fn succeeded(&self, status: Status) -> bool {
        let says = ["JobSuccessExitCode", "JobSuccessExitBySignal", "JobSuccessExitSignal"];
        if !says.iter().any(|name| self.ad.contains(name)) {
            return true;
        }
        let by_signal = self.ad.eval_bool("JobSuccessExitBySignal").unwrap_or(false);
        match status {
            Status::Exited(code) => {
                !by_signal && i64::from(code) == self.ad.eval_i64("JobSuccessExitCode").unwrap_or(0)
            }
            Status::Signaled(signal, _) => {
                by_signal && Some(i64::from(signal)) == self.ad.eval_i64("JobSuccessExitSignal")
            }
        }
    }

    /// `cluster.proc`.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.cluster, self.proc)
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::job(Step::JobAd, hold::JOB_NOT_VALID, 0, message)
}

/// A string attribute. An empty one counts as absent; one with a NUL byte can't reach the kernel.
fn text(ad: &ClassAd, name: &str) -> Result<Option<String>, Failure> {
    match ad.eval_string(name) {
        Some(value) if value.contains('\0') => {
            Err(invalid(format!("{name} has a NUL character, which no path or name can have")))
        }
        Some(value) if !value.is_empty() => Ok(Some(value)),
        Some(_) => Ok(None),
        None if ad.get(name).is_some() && !ad.eval(name).is_undefined() => Err(invalid(format!(
            "{name} is not a string: {}",
            ad.get(name).map(ToString::to_string).unwrap_or_default()
        ))),
        None => Ok(None),
    }
}

fn words(list: Option<String>) -> Vec<String> {
    let list = list.unwrap_or_default();
    let words = list.split([' ', ',', '\t', '\n']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// More than a century is none.
fn lease(ad: &ClassAd) -> Option<Duration> {
    let seconds = u32::try_from(ad.eval_i64("JobLeaseDuration")?.max(0)).unwrap_or(u32::MAX);
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn stdio(ad: &ClassAd, name: &str) -> Result<Option<PathBuf>, Failure> {
    Ok(text(ad, name)?.filter(|path| path != "/dev/null").map(PathBuf::from))
}

/// `Arguments` (V2) wins over `Args` (V1).
fn arguments(ad: &ClassAd) -> Result<Vec<String>, Failure> {
    if let Some(raw) = text(ad, "Arguments")? {
        return parse_v2(&raw).map_err(|error| invalid(format!("Arguments: {error}")));
    }
    match text(ad, "Args")? {
        Some(raw) => parse_v1(&raw).map_err(|error| invalid(format!("Args: {error}"))),
        None => Ok(Vec::new()),
    }
}

/// `Environment` (V2) wins over `Env` (V1, separated by the first character of `EnvDelim`).
fn environment(ad: &ClassAd) -> Result<Variables, Failure> {
    if let Some(raw) = text(ad, "Environment")? {
        return parse_env_v2(&raw).map_err(|error| invalid(format!("Environment: {error}")));
    }
    let separator =
        ad.eval_string("EnvDelim").and_then(|delimiter| delimiter.chars().next()).unwrap_or(';');
    match text(ad, "Env")? {
        Some(raw) => {
            parse_env_v1(&raw, separator).map_err(|error| invalid(format!("Env: {error}")))
        }
        None => Ok(Variables::default()),
    }
}

/// An attribute that is a signal: a number or a name with or without SIG.
fn signal_number(ad: &ClassAd, name: &str) -> Option<i32> {
    if let Some(number) = ad.eval_i64(name) {
        return i32::try_from(number).ok();
    }
    let name = ad.eval_string(name)?.to_ascii_uppercase();
    let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    full.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}
