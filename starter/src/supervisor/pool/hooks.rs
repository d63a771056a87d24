//! Job hooks in the life of a job: when they run, and what their answers change.

use std::time::Instant;

use classad::ClassAd;

use super::super::unexpected;
use super::assignment::Assignment;
use super::ending::How;
use super::wait::HURRY;
use super::{Broken, Pool, Stage, ads};
use crate::hooks::{Answer, End, Errand, Kind, Ran, Reason, answer};
use crate::job::Job;
use crate::launcher::message::{Order, Report};
use crate::parent::shadow::Call;

impl Pool<'_> {
    /// Runs a hook before the job, if there is one, and takes over what it changes.
    pub(super) fn prepare_hook(
        &mut self,
        kind: Kind,
        assignment: &mut Assignment,
    ) -> Result<(), Broken> {
        let Some(path) = self.hook(kind) else { return Ok(()) };
        self.stop_if_asked()?;
        self.invoke(kind, None, &assignment.job.ad)?;
        self.stage = Stage::Fetching;
        let ran = self.ran();
        self.stage = Stage::Quiet;
        // What was ended on purpose is no failure.
        self.stop_if_asked()?;
        let ran = ran?;
        log_errors(kind.name(), &ran);
        let changes = match answer(kind, &path, &ran) {
            Answer::Failed(failure) => return Err(failure.into()),
            Answer::GoOn { changes, message } => {
                if let Some(message) = message {
                    tracing::info!("{message}");
                    self.call(&Call::UserLog(&ads::notice(message)), |_| Ok(()))?;
                }
                changes
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        let mut ad = assignment.job.ad.clone();
        ad.update(&changes);
        let domain = Some(self.knobs.filesystem_domain.as_str());
        assignment.job = Job::from_ad(ad, std::path::Path::new("/"), domain)?;
        assignment.plan = self.plan(&assignment.job, &assignment.machine)?;
        Ok(self.desk.order(&Order::Revise(Box::new(assignment.plan.clone())))?)
    }

    /// Has others told about the running job; nobody waits for that.
    pub(super) fn update_hook(&mut self, job: &Job, news: &ClassAd) -> Result<(), Broken> {
        if self.hook(Kind::Update).is_none() {
            return Ok(());
        }
        self.invoke(Kind::Update, None, &with(&job.ad, news))
    }

    /// Runs the hook after the job, if there is one. Whatever becomes of it, the job goes on.
    pub(super) fn exit_hook(&mut self, job: &Job, news: &ClassAd) -> Result<(), Broken> {
        if self.hook(Kind::Exit).is_none() {
            return Ok(());
        }
        let reason = match &self.ending {
            ending if !ending.is_under_way() => Reason::Exit,
            ending if ending.hold.is_some() => Reason::Hold,
            ending if ending.remove => Reason::Remove,
            _ => Reason::Evict,
        };
        self.invoke(Kind::Exit, Some(reason), &with(&job.ad, news))?;
        self.stage = Stage::Delivering;
        let ran = self.ran();
        self.stage = Stage::Quiet;
        let ran = ran?;
        log_errors(Kind::Exit.name(), &ran);
        if ran.end == End::TimedOut {
            tracing::warn!("{} took too long, and was ended", Kind::Exit.name());
        }
        Ok(())
    }

    /// The path of this job's hook.
    fn hook(&self, kind: Kind) -> Option<std::path::PathBuf> {
        self.hooks.as_ref()?.path(kind).map(std::path::Path::to_path_buf)
    }

    fn invoke(&mut self, kind: Kind, reason: Option<Reason>, ad: &ClassAd) -> Result<(), Broken> {
        let Some(chosen) = &self.hooks else { return Ok(()) };
        let path = chosen.path(kind).unwrap_or_else(|| std::path::Path::new(""));
        tracing::info!("HOOK_{} ({}) invoked.", kind.name(), path.display());
        let ad = ad.without_private().to_old_bytes();
        let keyword = chosen.keyword.clone();
        Ok(self.desk.order(&Order::Run(Errand::Hook { keyword, kind, reason, ad }))?)
    }

    /// What has become of a program that was started. Once the job has to end at once, there is not
    /// much time left.
    pub(super) fn ran(&mut self) -> Result<Ran, Broken> {
        let mut end = None;
        let mut told = false;
        loop {
            match self.desk.report() {
                Some(Report::Ran(ran)) => return Ok(ran),
                // A look at the job that was asked for before it ended.
                Some(Report::Measured { .. }) => continue,
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(other) => return Err(unexpected(&other).into()),
                None => {}
            }
            self.keep()?;
            if end.is_none() && !told && self.ending.how == Some(How::Hard) {
                end = Some(Instant::now() + HURRY);
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                (end, told) = (None, true);
                self.desk.order(&Order::Kill)?;
            }
            self.wait(end)?;
        }
    }
}

/// The job, with what is known of it by now.
fn with(job: &ClassAd, news: &ClassAd) -> ClassAd {
    let mut ad = job.clone();
    ad.update(news);
    ad
}

/// What a program has written to its standard error.
fn log_errors(name: &str, ran: &Ran) {
    let failed = ran.end != End::Ended(crate::launcher::message::Status::Exited(0));
    for line in String::from_utf8_lossy(&ran.errors).lines() {
        if failed {
            tracing::error!("({name} Failure): {line}");
        } else {
            tracing::debug!("({name}): {line}");
        }
    }
}
