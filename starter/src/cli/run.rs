//! `starter run`: one job, isolated, for people.

use std::ffi::OsString;
use std::path::Path;

use super::invocation::Common;
use super::session::{self, Described, Session};
use crate::failure::Failure;
use crate::job::submit;
use crate::launcher::message::{Ended, Status};
use crate::parent::file;
use crate::plan::{Plan, Root, What};
use crate::report::ad::Outcome;
use crate::supervisor::Watch;

/// Exit code where the job could not be run, as `env` and `timeout` have it.
const EXIT_NOT_RUN: u8 = 125;

/// Runs a job and takes its exit code for its own: the job's, 128 + signal, or 125.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let mut verbose = false;
    let mut job = None;
    let mut output = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            lexopt::Arg::Short('v') | lexopt::Arg::Long("verbose") => verbose = true,
            lexopt::Arg::Short('o') | lexopt::Arg::Long("result") => {
                output = Some(parser.value().map_err(|error| error.to_string())?);
            }
            lexopt::Arg::Value(path) if job.is_none() => job = Some(path),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let text = |word: OsString| word.into_string().map_err(|_| "a path is not UTF-8".to_owned());
    let input = text(job.ok_or("run needs a job: a job ad or a submit description")?)?;
    let session = Session {
        common: Common { log_to_terminal: false, ..Common::default() },
        input: Described::File { name: input, reader: read_job },
        output: output.map(text).transpose()?,
        stdio: [None, None, None],
        ids: (None, None),
        for_people: true,
        verbose,
    };
    Ok(match session::run(session) {
        Ok(Outcome::Ended(ended)) => exit_code(&ended),
        Ok(Outcome::Killed(ended)) => {
            complain!("cloister: the job was killed");
            exit_code(&ended)
        }
        Ok(Outcome::Failed(failure)) | Err(failure) => {
            complain!("cloister: {}: {failure}", failure.step);
            EXIT_NOT_RUN
        }
    })
}

fn exit_code(ended: &Ended) -> u8 {
    match ended.status {
        Status::Exited(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        Status::Signaled(signal, _) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
    }
}

/// A job ad in any form, or a submit description. What has `queue` in a line of its own is the
/// latter.
pub(super) fn read_job(name: &str, text: &[u8]) -> Result<classad::ClassAd, Failure> {
    if submit::looks_like_one(text) {
        submit::read(name, text, Path::new(name).parent())
    } else {
        file::read_ad(name, text)
    }
}

/// Shows the cell as a small tree while the job runs.
pub(super) struct Tree {
    /// Whether to show anything.
    pub(super) verbose: bool,
}

impl Watch for Tree {
    fn planned(&mut self, _plan: &Plan) {}

    fn started(&mut self, plan: &Plan, pid: i32) {
        if self.verbose {
            complain_part!("{}", tree(plan, pid));
        }
    }
}

fn tree(plan: &Plan, pid: i32) -> String {
    use std::fmt::Write as _;
    let mut text = format!("job {} (process {pid})\n", plan.job);
    let root = match &plan.root {
        Root::Host => "the machine's root".to_owned(),
        Root::Named(root) => format!("root {} ({})", root.name, root.path.display()),
    };
    let mut rows = vec![
        format!("account    {}", plan.account),
        format!("namespaces {}", plan.namespaces),
        format!("/          {root}"),
    ];
    for mount in &plan.mounts {
        let what = match &mount.what {
            What::OwnSandboxOnly => "only this job's sandbox".to_owned(),
            What::Private(_) | What::Home(_) => "private, empty, in the sandbox".to_owned(),
            What::HomeReadOnly | What::ReadOnly => "read-only".to_owned(),
            What::Memory | What::MemoryIfThere => "private, in memory".to_owned(),
            What::Hidden => "out of sight".to_owned(),
            What::Devices { .. } => "harmless devices only".to_owned(),
            What::Processes => "only this job's processes".to_owned(),
            What::System => "read-only".to_owned(),
            What::Cgroup => "only this job's cgroup".to_owned(),
            What::Bind(_) | What::AsItIs => "the machine's".to_owned(),
        };
        rows.push(format!("{:<10} {what}", mount.target.display()));
    }
    if let Some(cgroup) = plan.together.cgroup() {
        rows.push(format!("cgroup     {}", cgroup.name));
    }
    rows.push(format!("sandbox    {}", plan.sandbox.path().display()));
    rows.extend(plan.not_applied.iter().map(|item| format!("not had    {item}")));
    let last = rows.len() - 1;
    for (index, row) in rows.iter().enumerate() {
        let branch = if index == last { "└─" } else { "├─" };
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "{branch} {row}");
    }
    text
}
