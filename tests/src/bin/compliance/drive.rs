//! Inside a running pool: all cases at once, and what each left behind, into a directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use classad::ClassAd;

use crate::Result;
use crate::ads::{self, Attributes};
use crate::case::{self, Case, Place};
use crate::files;
use crate::normal::Normal;
use crate::record::Record;
use crate::submit::Submitted;

/// How long the queue and the machine may take to settle after the last end.
const SETTLE: Duration = Duration::from_secs(30);

/// What to run, and where things are inside.
#[derive(Debug)]
pub(crate) struct Drive {
    /// The directory with `cases` and the scripts.
    pub(crate) suite: PathBuf,
    /// Where the records go.
    pub(crate) out: PathBuf,
    pub(crate) place: Place,
    /// How long a case may take, with all others at its side.
    pub(crate) limit: Duration,
    /// The names of the cases.
    pub(crate) names: Vec<String>,
}

/// The ads of all jobs that have ended, by cluster and proc.
type Ads = BTreeMap<(i64, i64), ClassAd>;

impl Drive {
    /// Runs the cases and writes, per case, `NAME` (the record) and `raw/NAME.ad` and `raw/NAME.log`; then
    /// `verdicts`, one line per case: name, tab, nothing or what is wrong.
    ///
    /// # Errors
    ///
    /// If the pool can't be used at all.
    pub(crate) fn run(&self) -> Result<()> {
        let all = case::read_all(&self.suite.join("cases"), &self.place)?;
        let cases: Vec<Case> =
            all.into_iter().filter(|case| self.names.contains(&case.name)).collect();
        let raw = self.out.join("raw");
        fs::create_dir_all(&raw)?;

        let mut faults: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut submitted = Vec::new();
        for case in &cases {
            let list = faults.entry(&case.name).or_default();
            match Submitted::new(case, &self.suite) {
                Ok(jobs) => submitted.push(jobs),
                Err(error) => list.push(format!("not submitted: {error}")),
            }
        }
        let ends: Vec<Option<String>> = thread::scope(|scope| {
            let (suite, limit) = (&self.suite, self.limit);
            let waiting: Vec<_> = submitted
                .iter()
                .map(|jobs| {
                    scope.spawn(move || jobs.wait(suite, limit).err().map(|e| e.to_string()))
                })
                .collect();
            waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (jobs, end) in submitted.iter().zip(ends) {
            faults.entry(&jobs.case.name).or_default().extend(end);
        }

        let ads = collect(&submitted)?;
        let (normal, attributes) = (Normal::new()?, Attributes::new()?);
        for jobs in &submitted {
            let case = jobs.case;
            let list = faults.entry(&case.name).or_default();
            let log = jobs.log();
            let its: Vec<&ClassAd> = ads
                .iter()
                .filter(|((cluster, _), _)| *cluster == jobs.cluster)
                .map(|(_, ad)| ad)
                .collect();
            if its.len() != jobs.jobs {
                list.push(format!("{} of {} jobs are known in the end", its.len(), jobs.jobs));
            }
            for ad in its.iter().filter(|ad| ad.eval_i64("JobStatus") != Some(case.end.status())) {
                let shown = |name| ad.get(name).map(|e| e.to_old_string()).unwrap_or_default();
                list.push(format!("JobStatus = {}: {}", shown("JobStatus"), shown("HoldReason")));
            }
            list.extend(
                case.expectations.iter().filter_map(|e| e.fault(&its, &log, &jobs.directory)),
            );

            let changed = files::changed(&jobs.directory, &jobs.before, &["log"], &normal);
            let record = Record::new(&its, &log, changed, &case.chance, &attributes, &normal);
            fs::write(self.out.join(&case.name), record.to_text())?;
            let text: Vec<String> = its.iter().map(|ad| ad.to_old_string()).collect();
            fs::write(raw.join(format!("{}.ad", case.name)), text.join("\n"))?;
            let _ = fs::copy(jobs.directory.join("log"), raw.join(format!("{}.log", case.name)));
        }
        faults.insert(LEFT, left_behind()?);
        self.write_verdicts(&faults)
    }

    fn write_verdicts(&self, faults: &BTreeMap<&str, Vec<String>>) -> Result<()> {
        let mut text = String::new();
        for (name, faults) in faults {
            let _ = writeln!(text, "{name}\t{}", faults.join("; ").replace('\n', "\\n"));
        }
        Ok(fs::write(self.out.join("verdicts"), text)?)
    }
}

/// The verdict on what all cases together left on the machine.
const LEFT: &str = "(left behind)";

/// Asks history and queue until every job is in one of them, at rest.
fn collect(submitted: &[Submitted<'_>]) -> Result<Ads> {
    let started = Instant::now();
    loop {
        let mut ads = Ads::new();
        for (program, arguments) in
            [("condor_history", &["-l"][..]), ("condor_q", &["-allusers", "-l"])]
        {
            let output = Command::new(program).args(arguments).output()?;
            for ad in ads::parse_all(&String::from_utf8_lossy(&output.stdout)) {
                if let Some(number) = ads::number(&ad) {
                    ads.insert(number, ad);
                }
            }
        }
        let rests = |ad: &&ClassAd| matches!(ad.eval_i64("JobStatus"), Some(3..=5));
        let expected: usize = submitted.iter().map(|jobs| jobs.jobs).sum();
        if ads.values().filter(rests).count() >= expected || started.elapsed() > SETTLE {
            return Ok(ads);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Sandboxes and processes of jobs that are still there when every job is at rest. They are given time:
/// a starter cleans up after it has told the shadow.
fn left_behind() -> Result<Vec<String>> {
    let output = Command::new("condor_config_val").arg("EXECUTE").output()?;
    let execute = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let started = Instant::now();
    loop {
        let mut left = sandboxes(&execute)?;
        left.extend(processes()?);
        if left.is_empty() || started.elapsed() > SETTLE {
            return Ok(left);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn sandboxes(execute: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(execute)?;
    entries.map(|entry| Ok(format!("sandbox {}", entry?.path().display()))).collect()
}

/// Processes with a job's environment, and those that a case marked by their name.
fn processes() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let read = |name| fs::read(entry.path().join(name)).unwrap_or_default();
        let (environment, command) = (read("environ"), read("cmdline"));
        let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        if has(&environment, b"\0_CONDOR_SCRATCH_DIR=") || has(&command, b"left-by-a-case") {
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(format!("process {}: {command}", entry.file_name().display()));
        }
    }
    Ok(found)
}
