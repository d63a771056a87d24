//! The ads of jobs that have ended: where they come from, and which of their values can be compared.

use classad::{ClassAd, Expr, Value};
use glob::{MatchOptions, Pattern};

use crate::Result;
use crate::normal::Normal;

/// The ads in the output of `condor_history -l` or `condor_q -l`. What doesn't parse is an error of the
/// caller's command and skipped: the job will be missed.
pub(crate) fn parse_all(text: &str) -> Vec<ClassAd> {
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| ClassAd::parse_old(part).ok()).collect()
}

/// An ad's place in the queue: ClusterId and ProcId.
pub(crate) fn number(ad: &ClassAd) -> Option<(i64, i64)> {
    Some((ad.eval_i64("ClusterId")?, ad.eval_i64("ProcId")?))
}

/// Attributes whose value was measured, is a time, or counts what the pool did meanwhile: that they are
/// there and of which type is compared. `*` stands for anything.
const SHAPE: &[&str] = &[
    // times and durations
    "*Date",
    "*Time",
    "*Duration",
    "*Seconds",
    "*Started",
    "*Finished",
    "*Mtime",
    "JobFinishedHookDone",
    "LastJobLeaseRenewal",
    "StatsLifetime*",
    // use of the machine
    "*Cpu",
    "*Usage",
    "*Usage_RAW",
    "*SizeKb",
    "*SizeKb_RAW",
    "BlockRead*",
    "BlockWrite*",
    "Bytes*",
    "ImageSize*",
    "ResidentSetSize*",
    "RemoteSysCpu",
    "ScratchDirFileCount",
    "Recent*",
    // names of this job and this run
    "ClusterId",
    "GlobalJobId",
    "*PublicClaimId*",
    "JobPid",
];

/// Attributes that a run has or hasn't by chance: not compared.
const CHANCE: &[&str] = &[
    // depends on whether a measurement fell between two updates
    "CpusUsage",
    "NumPids",
    // the queue's own bookkeeping
    "FirstJobMatchDate",
    "AutoClusterId",
    "AutoClusterAttrs",
    "LastRejMatch*",
    "ServerTime",
    "NumJobMatches",
    "MachineAttr*",
];

/// Which rule applies to an attribute.
#[derive(Debug)]
pub(crate) struct Attributes {
    shape: Vec<Pattern>,
    chance: Vec<Pattern>,
}

impl Attributes {
    /// Compiles the two lists.
    ///
    /// # Errors
    ///
    /// If one of their patterns is none.
    pub(crate) fn new() -> Result<Self> {
        let compile = |list: &[&str]| -> Result<Vec<Pattern>> {
            list.iter().map(|text| Ok(Pattern::new(text)?)).collect()
        };
        Ok(Self { shape: compile(SHAPE)?, chance: compile(CHANCE)? })
    }

    /// The ad as lines that can be compared, sorted.
    pub(crate) fn lines(&self, ad: &ClassAd, normal: &Normal) -> Vec<String> {
        let any = |list: &[Pattern], name: &str| {
            let options = MatchOptions { case_sensitive: false, ..MatchOptions::default() };
            list.iter().any(|pattern| pattern.matches_with(name, options))
        };
        let mut lines: Vec<String> = ad
            .iter()
            .map(|(name, expr)| (name.to_string_lossy(), expr))
            .filter(|(name, _)| !any(&self.chance, name))
            .map(|(name, expr)| {
                if any(&self.shape, &name) {
                    format!("{name} : {}", shape(expr, ad))
                } else {
                    format!("{name} = {}", normal.line(&expr.to_old_string()))
                }
            })
            .collect();
        lines.sort();
        lines
    }
}

/// The type of a value.
fn shape(expr: &Expr, ad: &ClassAd) -> &'static str {
    match expr.eval_in(ad) {
        Value::Int(_) => "integer",
        Value::Real(_) => "real",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Undefined => "undefined",
        Value::Error => "error",
        _ => "other",
    }
}
