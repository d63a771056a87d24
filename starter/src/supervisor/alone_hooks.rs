//! Job hooks around a job without a shadow, such as one that a startd has fetched.

use super::alone::{End, Supervisor, interrupted};
use super::unexpected;
use crate::failure::Failure;
use crate::hooks::{Answer, Chosen, Errand, Kind, Ran, Reason, answer};
use crate::job::Job;
use crate::launcher::message::{Order, Report};
use crate::plan::Plan;

impl Supervisor<'_> {
    /// Runs the hook before the job; the plan that it makes another one of, if it does.
    pub(super) fn prepare_hook(
        &mut self,
        hooks: &Chosen,
        job: &mut Job,
    ) -> Result<Option<Plan>, Failure> {
        let Some(path) = hooks.path(Kind::Prepare) else { return Ok(None) };
        let ran = self.hook(hooks, Kind::Prepare, None, job)?;
        let changes = match answer(Kind::Prepare, path, &ran) {
            Answer::Failed(failure) => return Err(failure),
            Answer::GoOn { changes, message } => {
                if let Some(message) = message {
                    tracing::info!("{message}");
                }
                changes
            }
        };
        if changes.is_empty() {
            return Ok(None);
        }
        let mut ad = job.ad.clone();
        ad.update(&changes);
        *job = Job::from_ad(ad, &self.here, None)?;
        let plan = self.plan(job)?;
        self.desk.order(&Order::Revise(Box::new(plan.clone())))?;
        Ok(Some(plan))
    }

    /// Runs the hook after the job. Whatever it says, the job is over.
    pub(super) fn exit_hook(
        &mut self,
        hooks: &Chosen,
        job: &Job,
        killed: bool,
    ) -> Result<(), Failure> {
        if hooks.path(Kind::Exit).is_none() {
            return Ok(());
        }
        let reason = if killed { Reason::Evict } else { Reason::Exit };
        self.hook(hooks, Kind::Exit, Some(reason), job).map(drop)
    }

    fn hook(
        &mut self,
        hooks: &Chosen,
        kind: Kind,
        reason: Option<Reason>,
        job: &Job,
    ) -> Result<Ran, Failure> {
        tracing::info!("HOOK_{} invoked.", kind.name());
        let ad = job.ad.without_private().to_old_bytes();
        let keyword = hooks.keyword.clone();
        self.desk.order(&Order::Run(Errand::Hook { keyword, kind, reason, ad }))?;
        let mut end = End::copying();
        match self.answer(&mut end)? {
            Report::Ran(_) if end.killed => Err(interrupted()),
            Report::Ran(ran) => Ok(ran),
            other => Err(unexpected(&other)),
        }
    }
}
