//! What a job's URLs need: settings for the plugins that move them, and what becomes of their results,
//! which go to the shadow, to the log, and to the machine's own record of transfers.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use classad::{ClassAd, Expr};

use super::{Broken, Pool};
use crate::failure::Failure;
use crate::job::Job;
use crate::parent::startd::Release;
use crate::plan::Plan;
use crate::transfer::{Loudness, PluginSettings, Targets, Told};

/// First release whose shadow and schedd know the subcodes and ads of 25.
const MODERN: Release = Release(24, 10);
/// The record of transfers is begun anew when it has become so large.
const LARGEST_RECORD: u64 = 5_000_000;

/// What is known of a job's plugins.
#[derive(Debug, Default)]
pub(super) struct Plugins {
    /// `None`: it has no URLs.
    pub(super) settings: Option<Box<PluginSettings>>,
    /// Results that the shadow hasn't heard of.
    results: Vec<Expr>,
    /// For the record: who the job is.
    job: ClassAd,
}

impl Plugins {
    /// Those of a job.
    pub(super) fn of(
        pool: &Pool<'_>,
        job: &Job,
        plan: &Plan,
        machine: &ClassAd,
        shadow: Option<Release>,
    ) -> Result<Self, Failure> {
        let variables = || {
            let text = |bytes: &Vec<u8>| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            };
            plan.program.environment.iter().filter_map(text).collect()
        };
        let modern = shadow.is_some_and(|release| release >= MODERN);
        let settings = match &job.transfer {
            Some(_) => PluginSettings::of(pool.knobs, &job.ad, machine, variables, modern)?,
            None => None,
        };
        let mut ad = ClassAd::new();
        ad.insert("JobClusterId", job.cluster);
        ad.insert("JobProcId", job.proc);
        ad.insert("JobOwner", job.owner.clone().unwrap_or_default());
        Ok(Self { settings: settings.map(Box::new), results: Vec::new(), job: ad })
    }
}

/// Which output of the job goes to URLs.
pub(super) fn targets(job: &Job) -> Targets {
    let remaps = job.transfer.iter().flat_map(|transfer| &transfer.remaps);
    let remaps = remaps.filter_map(|(name, url)| Some((name.to_str()?, url.to_str()?)));
    let [_, out, err] = &job.stdio;
    let standard = [out, err].map(|path| path.as_ref().and_then(|path| path.to_str()));
    Targets::new(job.ad.eval_string("OutputDestination"), remaps, standard)
}

impl Pool<'_> {
    /// Takes what plugins have done for a transfer.
    pub(super) fn plugins_told(&mut self, told: &Told) {
        for (loudness, line) in &told.lines {
            match loudness {
                Loudness::Always => tracing::info!("{line}"),
                Loudness::Debug => tracing::debug!("{line}"),
            }
        }
        let mut record = String::new();
        for ad in told.plain.iter().filter_map(|text| ClassAd::parse(text).ok()) {
            self.record(&mut record, ad);
        }
        for result in &told.results {
            let Ok(ad) = ClassAd::parse(&result.ad) else { continue };
            if !result.is_call {
                self.record(&mut record, ad.clone());
            }
            self.plugins.results.push(ad.into());
        }
        if let Some(path) = self.plugins.settings.as_ref().and_then(|settings| settings.record())
            && !record.is_empty()
            && let Err(error) = append(path, record.as_bytes())
        {
            tracing::warn!("FILE_TRANSFER_STATS_LOG {}: {error}", path.display());
        }
    }

    fn record(&self, record: &mut String, mut ad: ClassAd) {
        ad.update(&self.plugins.job);
        record.push_str("***\n");
        record.push_str(&ad.to_old_string());
    }

    /// Tells the shadow what plugins have done: `which` is `Input`, `Output` or
    /// `Checkpoint`.
    pub(super) fn tell_results(&mut self, which: &str) -> Result<(), Broken> {
        let results = std::mem::take(&mut self.plugins.results);
        if results.is_empty() {
            return Ok(());
        }
        let mut ad = ClassAd::new();
        ad.insert(format!("{which}PluginResultList"), Expr::list(results));
        self.update(ad)
    }
}

/// Adds to the record; a full one becomes the old one.
fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    let full = fs::symlink_metadata(path).is_ok_and(|found| found.size() > LARGEST_RECORD);
    if full {
        let mut old = path.as_os_str().to_owned();
        old.push(".old");
        fs::rename(path, PathBuf::from(old))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)?.write_all(text)
}
