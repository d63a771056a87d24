//! What is taken back of a job that has ended, and how.

use std::time::{Duration, Instant};

use super::super::unexpected;
use super::contents::contents;
use super::ending::How;
use super::{Broken, Pool, Stage, plugins};
use crate::failure::{Disposition, Failure};
use crate::job::{Job, When};
use crate::launcher::message::{Order, Report, Status};
use crate::parent::startd::Release;
use crate::plan::Plan;
use crate::transfer::{Core, Delivered, Destination, Output};

/// First release that brings the standard files of every job that failed.
const FAILURE_FILES: Release = Release(24, 1);
/// How often a transfer of output is tried whose connection is lost, with pauses that begin with a
/// second and double each time: two minutes.
pub(super) const TRIES: u32 = 8;

/// Longest that the end of the job is kept from the shadow while the sandbox is removed.
const SETTLE: Duration = Duration::from_millis(20);

/// What is taken back of an ended job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Its output.
    Output,
    /// Standard output and error, and what it listed for the case that it fails.
    OfFailure,
}

impl Pool<'_> {
    /// What a job wants back that was made to end.
    pub(super) fn wanted_of_evicted(&self, job: &Job) -> Option<Wanted> {
        let transfer = job.transfer.as_ref()?;
        let is_wanted = match (self.ending.how, transfer.when) {
            (Some(How::Hard), _) => false,
            (_, When::ExitOrEvict) => true,
            _ => self.ending.wants_final_output(),
        };
        is_wanted.then_some(Wanted::Output)
    }

    /// Brings output to the shadow, in so many tries; `what` it is for the results of plugins, `Output` or
    /// `Checkpoint`. `None` if the job had to end at once meanwhile.
    pub(super) fn deliver(
        &mut self,
        output: &Output,
        tries: u32,
        what: &str,
    ) -> Result<Option<Delivered>, Broken> {
        let mut pause = Duration::from_secs(1);
        let mut turn = 1;
        loop {
            if self.ending.how == Some(How::Hard) {
                break;
            }
            self.present()?;
            let Some(peer) = self.submit.peer.clone() else { return Ok(None) };
            let destination = Destination::Shadow(peer, Box::new(output.clone()));
            self.stage = Stage::Delivering;
            self.desk.order(&Order::Deliver(destination))?;
            let report = self.report();
            self.stage = Stage::Quiet;
            self.tell_results(what)?;
            match report {
                Ok(Report::Delivered(delivered)) => {
                    let stats = delivered.stats;
                    tracing::info!("output: {} files, {} bytes", stats.files, stats.bytes);
                    for warning in &delivered.warnings {
                        tracing::warn!("output: {warning}");
                    }
                    return Ok(Some(delivered));
                }
                Ok(other) => return Err(unexpected(&other).into()),
                // What was ended on purpose is no failure.
                Err(Broken::Failed(_)) if self.ending.how == Some(How::Hard) => break,
                Err(Broken::Failed(failure)) if self.is_away() || self.has_newcomer() => {
                    tracing::warn!("{failure}; once more when there is a shadow again");
                    (turn, pause) = (1, Duration::from_secs(1));
                }
                Err(Broken::Failed(failure))
                    if failure.disposition == Disposition::Elsewhere && turn < tries =>
                {
                    tracing::warn!("{failure}; once more in {} s", pause.as_secs());
                    self.pause(pause)?;
                    pause *= 2;
                    turn += 1;
                }
                Err(broken) => return Err(broken),
            }
        }
        tracing::warn!("output is left behind: the job has to end at once");
        Ok(None)
    }

    /// Lets time pass, unless the job has to end at once.
    pub(super) fn pause(&mut self, time: Duration) -> Result<(), Broken> {
        let end = Instant::now() + time;
        while Instant::now() < end && self.ending.how != Some(How::Hard) {
            self.wait(Some(end))?;
            self.keep()?;
            if self.is_away() || self.has_newcomer() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn output(&self, job: &Job, plan: &Plan, pid: i32) -> Output {
        let transfer = job.transfer.clone().unwrap_or_default();
        let [_, out, err] = &job.stdio;
        let name = job.cmd.file_name().map(|name| name.to_string_lossy().into_owned());
        let cores = [format!("core.{pid}"), "core.2".into(), "core.1".into(), "core".into()];
        Output {
            sandbox: plan.sandbox.path(),
            list: transfer.output,
            standard: [
                out.is_some() && !job.streams[1],
                err.is_some() && out != err && !job.streams[2],
            ],
            program: name.filter(|_| transfer.executable),
            hidden: self.credentials.proxy.iter().map(Into::into).collect(),
            earlier: job.spooled.iter().map(Into::into).collect(),
            preserve_paths: transfer.preserve_paths,
            is_final: true,
            core: Some(Core {
                found: cores.map(Into::into).to_vec(),
                name: format!("core.{}.{}", job.cluster, job.proc).into(),
            }),
            contents: contents(job, plan),
            urls: plugins::targets(job),
            plugins: self.plugins.settings.clone(),
        }
    }

    /// Leaves the shadow the time to notice that its transfer is over, for which the sandbox's removal
    /// is long enough: one that hears of the job's end before that looks again only after a second
    /// (`attemptShutdown`, 23.9.6 and 25.14.1).
    pub(super) fn settle(&mut self, transferred: bool) -> Result<(), Failure> {
        let until = Instant::now() + SETTLE;
        while transferred && !self.desk.is_gone() && Instant::now() < until {
            self.wait(Some(until))?;
        }
        Ok(())
    }
}

/// What a job wants back that ended by itself.
pub(super) fn wanted_of_ended(job: &Job, ended: Status, shadow: Option<Release>) -> Option<Wanted> {
    let transfer = job.transfer.as_ref()?;
    if transfer.when == When::Success && !job.succeeded(ended) {
        // Older starters send nothing then if nothing is listed.
        let wanted =
            job.failure_files.is_some() || shadow.is_some_and(|release| release >= FAILURE_FILES);
        return wanted.then_some(Wanted::OfFailure);
    }
    Some(Wanted::Output)
}
