//! Outside: starts a pool per place and starter, has the cases run in it, and reads the verdicts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::case::{self, Case, Place};

/// Which starter runs the jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// HTCondor's own.
    Stock,
    /// A program on this machine.
    Ours(PathBuf),
}

impl Starter {
    /// What its results are filed under.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Starter::Stock => "stock",
            Starter::Ours(_) => "ours",
        }
    }
}

/// What a run is asked to do, the same in every place.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Only cases that are marked as fast.
    pub(crate) fast: bool,
    /// Only these; all if empty.
    pub(crate) names: Vec<String>,
    /// Without the shared port daemon.
    pub(crate) no_shared_port: bool,
    /// How many seconds a case may take.
    pub(crate) limit: u64,
    /// More configuration for every pool.
    pub(crate) config: Vec<PathBuf>,
    /// Where results go: `SUITE-FLAVOUR/LABEL/`.
    pub(crate) out: PathBuf,
}

/// The result of one case: its name, and what is wrong if anything is.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) fault: Option<String>,
}

/// The folder `tests` of the project.
pub(crate) fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Wanted {
    /// Where the results of one place and starter are.
    pub(crate) fn results(&self, place: &Place, label: &str) -> PathBuf {
        self.out.join(format!("{}-{}", place.suite, place.flavour)).join(label)
    }

    /// Where `run` puts the packages of PyPI that cases need.
    fn python(&self) -> PathBuf {
        self.out.join("python")
    }

    /// Runs all wanted cases in one place: one pool for those of the common configuration, then one per
    /// other configuration.
    ///
    /// # Errors
    ///
    /// If a pool can't be started, or a case that was asked for isn't there.
    pub(crate) fn run(&self, place: &Place, starter: &Starter) -> Result<Vec<Verdict>> {
        let cases = case::read_all(&tests().join("compliance/cases"), place)?;
        if let Some(name) = self.names.iter().find(|name| !cases.iter().any(|c| c.name == **name)) {
            return Err(format!("no case {name}").into());
        }
        let wanted = |case: &&Case| {
            case.here
                && (!self.fast || case.fast)
                && (self.names.is_empty() || self.names.contains(&case.name))
        };
        let python = self.python();
        let there = |case: &&Case| {
            let missing = case.needs.as_ref().filter(|name| !python.join(name).is_dir());
            if let Some(name) = missing {
                println!("SKIPPED: {}, because {name} could not be fetched from PyPI", case.name);
            }
            missing.is_none()
        };
        let cases: Vec<&Case> = cases.iter().filter(wanted).filter(there).collect();
        let results = self.results(place, starter.label());
        if results.exists() {
            fs::remove_dir_all(&results)?;
        }
        let configurations: BTreeSet<Option<&str>> =
            cases.iter().map(|case| case.config.as_deref()).collect();
        let mut verdicts = Vec::new();
        for config in configurations {
            let names = cases.iter().filter(|case| case.config.as_deref() == config);
            let names: Vec<&str> = names.map(|case| case.name.as_str()).collect();
            verdicts.extend(self.pool(place, starter, config, &names, &results)?);
        }
        Ok(verdicts)
    }

    fn pool(
        &self,
        place: &Place,
        starter: &Starter,
        config: Option<&str>,
        names: &[&str],
        results: &Path,
    ) -> Result<Vec<Verdict>> {
        let logs = results.join("daemons").join(config.unwrap_or("common"));
        fs::create_dir_all(&logs)?;
        let tests = tests();
        let mut enter = Command::new(tests.join("pool/enter"));
        let mut bind = |source: &Path, target: &str| {
            enter.arg("-b").arg(format!("{}:{target}", source.display()));
        };
        bind(&tests.join("pool"), "/opt/pool");
        bind(&tests.join("compliance"), SUITE);
        bind(&std::env::current_exe()?, DRIVER);
        bind(results, OUT);
        bind(&logs, LOGS);
        if self.python().is_dir() {
            bind(&self.python(), PYTHON);
        }
        let mut configs = vec![tests.join("compliance/config/common")];
        configs.extend(config.map(|name| tests.join("compliance/config").join(name)));
        configs.extend(self.config.iter().cloned());
        for (number, file) in configs.iter().enumerate() {
            bind(file, &format!("/opt/config/{number}"));
        }
        if let Starter::Ours(path) = starter {
            bind(path, STARTER);
        }

        enter.arg(&place.suite).args(["/opt/pool/pool", "-l", LOGS]);
        // beyond the cases' limit there are submission, the queue's settling and what is left behind
        enter.arg("-t").arg((self.limit + 300).to_string());
        if place.flavour == "user" {
            enter.args(["-u", "alice"]);
        }
        if self.no_shared_port {
            enter.arg("-n");
        }
        if *starter != Starter::Stock {
            enter.args(["-s", STARTER]);
        }
        for number in 0..configs.len() {
            enter.arg("-c").arg(format!("/opt/config/{number}"));
        }
        enter
            .args([DRIVER, "drive", SUITE, OUT, &place.suite, &place.flavour])
            .arg(self.limit.to_string())
            .args(names);
        let status = enter.status()?;
        if !status.success() {
            return Err(format!("the pool ended with {status}; logs: {}", logs.display()).into());
        }
        let text = fs::read_to_string(results.join("verdicts"))?;
        let verdict = |line: &str| {
            let (name, fault) = line.split_once('\t')?;
            Some(Verdict {
                name: name.to_owned(),
                fault: (!fault.is_empty()).then(|| fault.to_owned()),
            })
        };
        Ok(text.lines().filter_map(verdict).collect())
    }
}

/// The places of things inside.
const SUITE: &str = "/opt/compliance";
const DRIVER: &str = "/opt/driver";
const OUT: &str = "/opt/results";
const PYTHON: &str = "/opt/python";
const LOGS: &str = "/opt/logs";
const STARTER: &str = "/opt/starter";
