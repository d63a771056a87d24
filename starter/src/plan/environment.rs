//! The environment of the job: who sets what, and who wins.

use std::path::Path;

use classad::ClassAd;

use super::{Account, Sandbox, resources};
use crate::failure::{Failure, Step};
use crate::job::{Job, TOKENS, Variables, parse_env_either};
use crate::knobs::Knobs;
use crate::launcher::sandbox::WRAPPER_ERROR;

/// What the environment depends on besides the job and the knobs.
pub(super) struct Surroundings<'a> {
    pub(super) account: &'a Account,
    pub(super) sandbox: &'a Sandbox,
    /// The machine ad.
    pub(super) machine: &'a ClassAd,
    /// Name of the slot without the host, e.g. `slot1_1`.
    pub(super) slot: &'a str,
    pub(super) directory: &'a str,
    pub(super) pid: u32,
    /// Whether the job comes from a pool, which gives it tokens.
    pub(super) pool: bool,
    /// Whether /tmp is private, so that TMPDIR can point there.
    pub(super) private_tmp: bool,
    /// Whether the job's processes are found by a PID namespace or a cgroup.
    pub(super) together: bool,
    /// The starter's own environment, for JOB_INHERITS_STARTER_ENVIRONMENT.
    pub(super) own: &'a [(String, String)],
}

/// Variables in the order of precedence of spec: admin, job, starter.
pub(super) fn environment(
    job: &Job,
    knobs: &Knobs,
    at: &Surroundings<'_>,
) -> Result<Variables, Failure> {
    let mut all = Variables::default();
    inherit(&mut all, knobs, at.own);
    if let Some(text) = &knobs.starter_job_environment {
        let admin = parse_env_either(text)
            .map_err(|e| Failure::host(Step::Plan, format!("STARTER_JOB_ENVIRONMENT: {e}")))?;
        all.extend(&admin);
    }
    all.extend(&job.environment);
    publish(&mut all, job, knobs, at);
    // By these the daemons find processes that got away from their parents.
    if !at.together || knobs.job_stock_view {
        for (name, value) in at.own.iter().filter(|(n, _)| n.starts_with("_CONDOR_ANCESTOR_")) {
            all.set(name.clone(), value.clone());
        }
    }
    resources::publish(&mut all, at.machine, knobs)?;
    let scratch = at.sandbox.path().to_string_lossy().into_owned();
    let mut result = Variables::default();
    for (name, value) in all.iter() {
        // The machine ad carries this token where the sandbox's path belongs.
        result.set(name, value.replace("#CoNdOrScRaTcHdIr#", &scratch));
    }
    Ok(result)
}

/// True: everything; a list of names with `*`, `!` excluding: those; False: nothing.
fn inherit(all: &mut Variables, knobs: &Knobs, own: &[(String, String)]) {
    let Some(text) = knobs.job_inherits_starter_environment.as_deref() else { return };
    let text = text.trim();
    if text.eq_ignore_ascii_case("false") || text.is_empty() {
        return;
    }
    let everything = text.eq_ignore_ascii_case("true");
    let patterns: Vec<&str> =
        text.split([',', ' ', ';', '\t']).filter(|word| !word.is_empty()).collect();
    for (name, value) in own {
        // What lets a process act as a daemon never reaches a job.
        let secret = name.to_ascii_uppercase().starts_with("CONDOR_");
        if !secret && (everything || selected(name, &patterns)) {
            all.set(name.clone(), value.clone());
        }
    }
}

fn selected(name: &str, patterns: &[&str]) -> bool {
    let excluded = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(|p| matches(name, p));
    !excluded && patterns.iter().any(|p| !p.starts_with('!') && matches(name, p))
}

/// One `*` anywhere stands for any text.
pub(crate) fn matches(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}

fn publish(all: &mut Variables, job: &Job, knobs: &Knobs, at: &Surroundings<'_>) {
    let scratch = at.sandbox.path();
    let in_scratch = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let scratch_text = scratch.to_string_lossy().into_owned();
    let tmp = if at.private_tmp { "/tmp".to_owned() } else { scratch_text.clone() };

    all.set("BATCH_SYSTEM", "HTCondor");
    all.set("_CONDOR_SCRATCH_DIR", &scratch_text);
    all.set("_CONDOR_SLOT", at.slot);
    all.set("_CONDOR_JOB_IWD", at.directory);
    all.set("_CONDOR_JOB_AD", in_scratch(".job.ad"));
    all.set("_CONDOR_MACHINE_AD", in_scratch(".machine.ad"));
    all.set("_CONDOR_JOB_PIDS", "");
    if let Some(config) = at.sandbox.chirp_config() {
        all.set("_CONDOR_CHIRP_CONFIG", config.to_string_lossy());
    }
    if at.sandbox.pool {
        all.set("_CHIRP_DELAYED_UPDATE_PREFIX", &knobs.chirp_delayed_update_prefix);
    }
    if let Some(bin) = &knobs.bin {
        all.set("_CONDOR_BIN", bin);
    }
    if knobs.user_job_wrapper.is_some() {
        all.set("_CONDOR_WRAPPER_ERROR_FILE", in_scratch(WRAPPER_ERROR));
    }
    for name in ["TMPDIR", "TEMP", "TMP"] {
        all.set(name, &tmp);
    }
    for name in ["APPTAINER_CACHEDIR", "SINGULARITY_CACHEDIR"] {
        all.set(name, &scratch_text);
    }
    if at.pool && !job.credentials.services.is_empty() {
        all.set("_CONDOR_CREDS", in_scratch(TOKENS));
    }
    if let Some(proxy) = &job.credentials.proxy {
        all.set("X509_USER_PROXY", proxy_path(job, proxy, at.directory));
    }
    all.set("CONDOR_STARTER_PID", at.pid.to_string());
    if knobs.starter_sets_home_env {
        all.set("HOME", at.account.home.to_string_lossy());
    }
    for name in &knobs.starter_num_threads_env_vars {
        all.set_default(name, job.cpus.to_string());
    }
}

/// Where the job finds its proxy: with transfer next to its files, else where it is.
fn proxy_path(job: &Job, proxy: &Path, directory: &str) -> String {
    let path = match (&job.transfer, proxy.file_name()) {
        (Some(_), Some(name)) => Path::new(directory).join(name),
        _ => job.iwd.join(proxy),
    };
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_lists_select_with_wildcards_and_exclusions() {
        let patterns = ["LC_*", "!LC_ALL", "PATH"];
        assert!(selected("LC_TIME", &patterns));
        assert!(!selected("LC_ALL", &patterns));
        assert!(selected("PATH", &patterns));
        assert!(!selected("HOME", &patterns));
        assert!(!matches("A", "A*A"));
    }
}
