//! The order of events in a job's life, from its ad to the word that it is over.

use super::ads;
use super::assignment::Assignment;
use super::checkpoint::Checkpoints;
use super::output::{TRIES, Wanted, wanted_of_ended};
use super::{Broken, Pool, reason};
use crate::hooks::Kind;
use crate::launcher::SANDBOX_LOG;
use crate::launcher::message::Order;
use crate::parent::shadow::{Call, JobExit};
use crate::transfer::Delivered;

impl Pool<'_> {
    /// The whole of it, where nothing is in its way.
    pub(super) fn life(&mut self) -> Result<(), Broken> {
        let mut assignment = self.assignment()?;
        self.fetched(&assignment)?;
        self.stop_if_asked()?;
        self.deferred(&assignment.job)?;
        self.color(&assignment.job);
        self.prepare_hook(Kind::Prepare, &mut assignment)?;
        let Assignment { job, plan, scripts, .. } = &assignment;
        self.before(job, scripts)?;
        self.checkpoints = Checkpoints::of(job);
        let (pid, ended) = loop {
            let (pid, ended) = self.execution(&assignment)?;
            let Some(checkpoint) = self.saved(job, ended)? else { break (pid, ended) };
            // One that was to end meanwhile has ended.
            if !self.checkpoint(&assignment, checkpoint, pid)? {
                break (pid, ended);
            }
        };

        // Orders that come later don't make it another end.
        let by_itself = !self.ending.is_under_way();
        self.tell_hold()?;
        self.tell_reaped()?;
        // Nothing of such a job is worth having.
        let figures = self.figures.as_ref();
        if let Some(failure) = figures.and_then(|f| f.out_of_memory(plan, self.knobs, !by_itself)) {
            return Err(failure.into());
        }
        if by_itself {
            self.after(job, scripts, ended)?;
        }
        self.log_end(ended, by_itself);
        self.tell(&Call::Event(&ads::execution_exit()))?;
        if let Some(figures) = &self.figures {
            let exited = figures.exited(self.knobs);
            self.update_hook(job, &exited)?;
            self.exit_hook(job, &exited)?;
            self.update(exited)?;
        }
        // Not sooner: a shadow that hasn't seen the end of the input's transfer yet, which comes from a
        // process of its own, gives up the job when that of the output begins.
        let wanted = if by_itself {
            wanted_of_ended(job, ended, self.submit.release)
        } else {
            self.wanted_of_evicted(job)
        };
        let transfers = self.submit.peer.is_some();
        let delivered = match wanted {
            Some(wanted) if transfers => {
                let mut output = self.output(job, plan, pid);
                output.is_final = by_itself || self.ending.wants_final_output();
                if wanted == Wanted::OfFailure {
                    output.list =
                        Some(job.failure_files.iter().flatten().map(Into::into).collect());
                }
                if job.wants_log && crate::log::has_second() {
                    self.desk.order(&Order::KeepLog)?;
                    output.list.iter_mut().for_each(|list| list.push(SANDBOX_LOG.into()));
                }
                self.deliver(&output, TRIES, "Output")?
            }
            _ => None,
        };
        self.desk.order(&Order::Finish)?;
        self.settle(transfers)?;
        let last = self.last_words(delivered.as_ref());
        self.startd.finish(&last);
        if self.ending.hold_told {
            // The shadow hears nothing after that.
            return Ok(());
        }
        let reason = match &delivered {
            _ if !by_itself => reason::SHOULD_REQUEUE,
            Some(Delivered { core: Some(_), .. }) => reason::COREDUMPED,
            // Somebody was in a hurry.
            None if wanted.is_some() && transfers => reason::SHOULD_REQUEUE,
            _ => reason::EXITED,
        };
        let exit = JobExit { status: ended.wait(), reason, ad: &last };
        self.tell(&Call::JobExit(exit))?;
        tracing::info!("told the shadow that the job is over (reason {reason})");
        Ok(())
    }
}
