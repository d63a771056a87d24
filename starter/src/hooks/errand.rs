//! The launcher's part: from a keyword or a name to a program with an environment, in the sandbox.

use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::process::{Output, Program};
use super::{End, Errand, Kind, Ran, Running, configured};
use crate::failure::{Failure, Step};
use crate::job::parse_v2;
use crate::knobs::Knobs;
use crate::plan::Plan;
use crate::sys::privilege::Ids;

/// What a diagnostic may take.
const DIAGNOSTIC: Duration = Duration::from_secs(20);
/// What a hook may take that tells others about a running job; the next one is due then.
const UPDATE: Duration = Duration::from_secs(300);

/// Variables of the job that the starter has set in every case, so that their values aren't the
/// job's; the paths among them are the same outside of the cell.
const PUBLISHED: [&str; 9] = [
    "BATCH_SYSTEM",
    "_CONDOR_SCRATCH_DIR",
    "_CONDOR_SLOT",
    "_CONDOR_JOB_IWD",
    "_CONDOR_JOB_AD",
    "_CONDOR_MACHINE_AD",
    "APPTAINER_CACHEDIR",
    "SINGULARITY_CACHEDIR",
    "CONDOR_STARTER_PID",
];

/// Starts the program of an errand, or says why there is none to start.
pub(crate) fn start(
    errand: &Errand,
    plan: &Plan,
    knobs: &Knobs,
    sandbox: BorrowedFd<'_>,
    job_pid: Option<i32>,
) -> Result<Result<Running, Ran>, Failure> {
    let ids = Some(&plan.account.ids).filter(|_| rustix::process::geteuid().is_root());
    let what = match errand {
        Errand::Hook { keyword, kind, reason, ad } => {
            match hook(knobs, keyword, *kind, reason.map(super::Reason::word))? {
                Some(what) => What { input: ad, ..what },
                None => return Ok(Err(End::Unregistered.without_output())),
            }
        }
        Errand::Diagnostic(name) => match knobs.hooks.diagnostic(name) {
            None => return Ok(Err(End::Unregistered.without_output())),
            Some(path) if !path.exists() => return Ok(Err(End::Missing.without_output())),
            Some(path) => {
                configured::check("diagnostic", path)?;
                What {
                    name: format!("diagnostic {name}"),
                    path: path.to_owned(),
                    arguments: Vec::new(),
                    input: &[],
                    patience: Some(DIAGNOSTIC),
                    output: Output::Together,
                }
            }
        },
    };
    let environment = environment(plan, knobs, job_pid, what.output == Output::Together);
    warn_of_owner(&what.path, ids);
    Running::start(&Program {
        name: what.name,
        path: &what.path,
        arguments: what.arguments,
        environment,
        input: what.input,
        ids: ids.cloned(),
        directory: sandbox,
        patience: what.patience,
        output: what.output,
    })
    .map(Ok)
}

/// What is to be run, as the configuration has it.
struct What<'a> {
    name: String,
    path: PathBuf,
    arguments: Vec<String>,
    input: &'a [u8],
    patience: Option<Duration>,
    output: Output,
}

fn hook<'a>(
    knobs: &Knobs,
    keyword: &str,
    kind: Kind,
    reason: Option<&'static str>,
) -> Result<Option<What<'a>>, Failure> {
    let Some(hook) = knobs.hooks.of(keyword) else { return Ok(None) };
    let Some(path) = hook.path(kind) else { return Ok(None) };
    configured::check(&format!("the {} hook", kind.name()), path)?;
    let arguments = match kind {
        Kind::BeforeTransfer | Kind::Prepare => {
            let text = hook.arguments.as_deref().unwrap_or_default();
            parse_v2(text).map_err(|error| {
                Failure::host(Step::Hook, format!("{keyword}_HOOK_PREPARE_JOB_ARGS: {error}"))
            })?
        }
        Kind::Update => Vec::new(),
        Kind::Exit => reason.map(str::to_owned).into_iter().collect(),
    };
    let (patience, output) = match kind {
        Kind::BeforeTransfer | Kind::Prepare => (None, Output::Kept),
        Kind::Update => (Some(UPDATE), Output::Ignored),
        Kind::Exit => (Some(Duration::from_secs(hook.exit_seconds())), Output::Kept),
    };
    let name = kind.name().to_owned();
    Ok(Some(What { name, path: path.to_owned(), arguments, input: &[], patience, output }))
}

/// The starter's own variables, as an admin's program expects them, and what describes the job.
fn environment(plan: &Plan, knobs: &Knobs, job_pid: Option<i32>, diagnostic: bool) -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    // What lets a process act as a daemon isn't for others.
    let secret =
        |name: &[u8]| name.starts_with(b"CONDOR_INHERIT") || name.starts_with(b"CONDOR_PRIVATE");
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| !secret(name))
        .collect();
    let mut set = |name: &[u8], value: &[u8]| {
        all.retain(|(one, _)| one != name);
        all.push((name.to_vec(), value.to_vec()));
    };
    for variable in &plan.program.environment {
        let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&variable[..at], &variable[at + 1..]);
        let published = PUBLISHED.iter().any(|one| one.as_bytes() == name);
        if !diagnostic && (published || name.starts_with(b"_CONDOR_Assigned")) {
            set(name, value);
        }
    }
    if let Some(bin) = &knobs.bin {
        set(b"_CONDOR_BIN", bin.as_bytes());
    }
    if diagnostic {
        set(b"_CONDOR_STARTER_PID", own_number(plan).as_bytes());
    } else {
        let scratch = plan.sandbox.path().into_os_string().into_vec();
        // The job's own /tmp is out of a hook's sight.
        for name in ["TMPDIR", "TEMP", "TMP"] {
            set(name.as_bytes(), &scratch);
        }
        if knobs.starter_sets_home_env {
            set(b"HOME", &plan.account.home.clone().into_os_string().into_vec());
        }
        let pids = job_pid.map(|pid| pid.to_string()).unwrap_or_default();
        set(b"_CONDOR_JOB_PIDS", pids.as_bytes());
    }
    let text = |(name, value): (Vec<u8>, Vec<u8>)| CString::new([name, value].join(&b'=')).ok();
    all.into_iter().filter_map(text).collect()
}

/// The starter's number, which the sandbox is named after.
fn own_number(plan: &Plan) -> &str {
    plan.sandbox.slot.strip_prefix("dir_").unwrap_or_default()
}

/// A job that can change what runs outside of its cell gets out of it.
fn warn_of_owner(path: &std::path::Path, ids: Option<&Ids>) {
    use std::os::unix::fs::MetadataExt;
    let Some(ids) = ids else { return };
    if std::fs::metadata(path).is_ok_and(|meta| meta.uid() == ids.uid) {
        tracing::warn!("{} belongs to the account of the job, which can change it", path.display());
    }
}
