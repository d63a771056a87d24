//! Knobs whose names are made of something: of a slot, a resource, a monitor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use condor_config::Config;

use super::unusable;
use crate::failure::Failure;

/// Which variables tell a job what it was assigned of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceEnvironment {
    /// `ENVIRONMENT_FOR_Assigned<resource>`: names, with substitutions.
    pub(crate) variables: String,
    /// `ENVIRONMENT_VALUE_FOR_UnAssigned<resource>`: their value where there is nothing assigned.
    pub(crate) unassigned: String,
}

/// The variables of each resource.
pub(super) fn resource_environment(
    config: &Config,
) -> Result<BTreeMap<String, ResourceEnvironment>, Failure> {
    const VARIABLES: &str = "ENVIRONMENT_FOR_ASSIGNED";
    const UNASSIGNED: &str = "ENVIRONMENT_VALUE_FOR_UNASSIGNED";
    let mut resources = vec!["gpus".to_owned()];
    for name in config.names() {
        resources.extend(after(name, VARIABLES).map(str::to_ascii_lowercase));
    }
    let text = |name: String| config.string(&name).map_err(unusable).map(Option::unwrap_or_default);
    let mut found = BTreeMap::new();
    for resource in resources {
        let variables = text(format!("{VARIABLES}{resource}"))?;
        let unassigned = text(format!("{UNASSIGNED}{resource}"))?;
        if !variables.is_empty() {
            found.insert(resource, ResourceEnvironment { variables, unassigned });
        }
    }
    Ok(found)
}

/// From STARTD_CRON_JOBLIST and, say, STARTD_CRON_GPU_METRICS = SUM:GPUs, PEAK:GPUsMemory.
pub(super) fn monitored_resources(config: &Config) -> Result<BTreeSet<String>, Failure> {
    let words = |name: &str| -> Result<Vec<String>, Failure> {
        let text = config.string(name).map_err(unusable)?.unwrap_or_default();
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    };
    let mut resources = BTreeSet::new();
    for job in words("STARTD_CRON_JOBLIST")? {
        let metrics = words(&format!("STARTD_CRON_{job}_METRICS"))?;
        let named = metrics.iter().filter_map(|metric| Some(metric.split_once(':')?.1));
        resources.extend(named.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok(resources)
}

/// Directories that are named by path, or by a knob that has one; those below others are left out.
pub(super) fn directories(
    config: &Config,
    knob: &str,
    words: &[String],
) -> Result<Vec<PathBuf>, Failure> {
    let mut found = rules(config, knob, words, false)?;
    if found.iter().any(|path| path == Path::new("/")) {
        return Err(unfit(knob, "/"));
    }
    // Parents come before what is below them.
    found.dedup_by(|next, before| next.starts_with(&*before));
    Ok(found)
}

/// The same, with those below others, and with `/`; `strict`: a knob that nobody has set is an error.
pub(super) fn rules(
    config: &Config,
    knob: &str,
    words: &[String],
    strict: bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut found: Vec<PathBuf> = Vec::new();
    for word in words {
        let path = match word.starts_with('/') {
            true => Some(PathBuf::from(word)),
            // Defaults are below LOCAL_DIR, whose own is a home that would have to be looked up.
            false if !config.is_assigned(word) && !config.is_assigned("LOCAL_DIR") => None,
            // Some have other values than paths, such as auto.
            false if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => config
                .string(word)
                .map_err(unusable)?
                .map(PathBuf::from)
                .filter(|p| p.is_absolute()),
            false => None,
        };
        let named = path.is_some() || !word.contains(['/', '.']);
        let path: Option<PathBuf> = path.map(|path| path.components().collect());
        let plain = path
            .as_ref()
            .is_none_or(|path| !path.components().any(|part| part == Component::ParentDir));
        if !named || !plain || strict && path.is_none() {
            return Err(unfit(knob, word));
        }
        found.extend(path);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn unfit(knob: &str, word: &str) -> Failure {
    unusable(format!(
        "{knob}: {word}: an absolute directory without .., or the name of a knob, is needed"
    ))
}

/// The same directories by the paths that have no links in them.
pub(super) fn add_real(directories: &mut Vec<PathBuf>) {
    let real: Vec<PathBuf> =
        directories.iter().filter_map(|dir| std::fs::canonicalize(dir).ok()).collect();
    directories.extend(real);
    directories.sort();
    directories.dedup_by(|next, before| next.starts_with(&*before));
}

/// Whether this can be a name below /dev.
pub(super) fn plain_device(name: &str) -> bool {
    let parts: Vec<_> = Path::new(name).components().collect();
    !parts.is_empty() && parts.iter().all(|part| matches!(part, Component::Normal(_)))
}

/// SLOT1_USER, SLOT1_2_USER, ... if that is how the names end.
pub(super) fn by_slot(config: &Config, end: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    for name in config.names() {
        if !after(name, "SLOT").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            continue;
        }
        let upper = name.to_ascii_uppercase();
        if let Some(slot) = upper.strip_suffix(end)
            && let Some(text) = config.string(name).map_err(unusable)?
        {
            found.insert(slot.to_owned(), text);
        }
    }
    Ok(found)
}

/// The rest of a name that begins so, whatever the case.
fn after<'a>(name: &'a str, beginning: &str) -> Option<&'a str> {
    let (head, rest) = name.split_at_checked(beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then_some(rest)
}
