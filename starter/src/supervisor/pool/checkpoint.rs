//! Checkpoints: a job that has saved itself ends with a status of its own, has what it saved taken to
//! the submit side, and is started again in the same sandbox.

use super::assignment::Assignment;
use super::{Broken, Pool, Stage, ads};
use crate::failure::{Disposition, Failure, Step, hold};
use crate::job::{Checkpoint, Job};
use crate::launcher::message::{Order, Status};
use crate::parent::shadow::Call;
use crate::transfer::{Delivered, Output, Targets};

/// Of one that fails the next takes the place.
const TRIES: u32 = 1;

/// Checkpoints of the job so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checkpoints {
    /// The signal that the job wants to be sent for one.
    pub(super) signal: Option<i32>,
    /// It was sent.
    pub(super) asked: bool,
    /// The number of the last attempt. Each has its own, as not every one that fails leaves nothing.
    number: i64,
}

impl Checkpoints {
    pub(super) fn of(job: &Job) -> Self {
        let checkpoint = job.checkpoint.as_ref();
        Self {
            signal: checkpoint.and_then(|checkpoint| checkpoint.signal),
            asked: false,
            number: checkpoint.map_or(-1, |checkpoint| checkpoint.number),
        }
    }
}

impl Pool<'_> {
    /// The startd wants a checkpoint. A job that takes some time for it isn't asked again meanwhile.
    pub(super) fn ask_for_checkpoint(&mut self) -> Result<(), Failure> {
        let Some(signal) = self.checkpoints.signal else { return Ok(()) };
        if !matches!(self.stage, Stage::Running(_))
            || self.checkpoints.asked
            || self.ending.is_under_way()
        {
            return Ok(());
        }
        tracing::info!("sending signal {signal} to the job for a checkpoint");
        self.checkpoints.asked = true;
        self.desk.order(&Order::Signal(signal))
    }

    /// The checkpoint that an end of the program is, if it is one. What a job does that was asked to
    /// end is no checkpoint: it is over.
    pub(super) fn saved<'j>(
        &mut self,
        job: &'j Job,
        ended: Status,
    ) -> Result<Option<&'j Checkpoint>, Broken> {
        let Some(checkpoint) = job.checkpoint.as_ref().filter(|_| !self.ending.is_under_way())
        else {
            return Ok(None);
        };
        match (self.checkpoints.asked, checkpoint.is(ended)) {
            (true, false) => {
                self.tell(&Call::Event(&ads::execution_exit()))?;
                self.tell_reaped()?;
                Err(Failure::job(
                    Step::Watch,
                    hold::FAILED_TO_CHECKPOINT,
                    ended.wait(),
                    checkpoint.broken_promise(ended),
                )
                .into())
            }
            (asked, true) if asked || checkpoint.on_exit => Ok(Some(checkpoint)),
            _ => Ok(None),
        }
    }

    /// Tells how the program ended and what it took, once it isn't started again.
    pub(super) fn tell_reaped(&mut self) -> Result<(), Broken> {
        match &self.figures {
            Some(figures) => {
                let reaped = figures.reaped(self.knobs, &self.ending, self.submit.release);
                self.update(reaped)
            }
            None => Ok(()),
        }
    }

    /// Takes what the job has saved; whether it is to be started again.
    pub(super) fn checkpoint(
        &mut self,
        assignment: &Assignment,
        checkpoint: &Checkpoint,
        pid: i32,
    ) -> Result<bool, Broken> {
        self.checkpoints.asked = false;
        self.checkpoints.number = self.checkpoints.number.saturating_add(1);
        let number = self.checkpoints.number;
        tracing::info!("the job has saved itself: checkpoint {number}");
        self.tell(&Call::Event(&ads::execution_exit()))?;
        match self.upload(assignment, checkpoint, pid) {
            Ok(Some(delivered)) => {
                let saved = self.figures.as_ref().map(|figures| figures.saved(self.knobs, number));
                let mut ad = saved.unwrap_or_default();
                ad.insert_value("SpooledOutputFiles", delivered.spooled.join(","));
                self.update(ad)?;
                self.tell(&Call::Event(&ads::checkpoint("SuccessfulCheckpoint", number)))?;
            }
            Ok(None) => return Ok(false),
            Err(Broken::Failed(failure)) => {
                tracing::warn!("Failed to transfer checkpoint {number}: {failure}");
                self.tell(&Call::Event(&ads::checkpoint("FailedCheckpoint", number)))?;
                if matches!(failure.disposition, Disposition::Hold { .. }) {
                    self.tell_reaped()?;
                    let text = format!("Starter failed to upload checkpoint: {failure}");
                    let code = hold::FAILED_TO_CHECKPOINT;
                    return Err(Failure::job(Step::Output, code, -1, text).into());
                }
            }
            Err(broken) => return Err(broken),
        }
        if self.ending.is_under_way() {
            return Ok(false);
        }
        self.may_go_on()
    }

    /// Brings it to the submit side; `None` if the job had to end at once meanwhile.
    fn upload(
        &mut self,
        assignment: &Assignment,
        checkpoint: &Checkpoint,
        pid: i32,
    ) -> Result<Option<Delivered>, Broken> {
        let Assignment { job, plan, .. } = assignment;
        if self.submit.peer.is_none() || job.transfer.is_none() {
            return Err(Failure::host(Step::Output, "this job's files are not moved").into());
        }
        let urls = match &checkpoint.destination {
            None => Targets::default(),
            Some(destination) => {
                let (Some(id), Some(_)) = (&job.global_id, &self.plugins.settings) else {
                    // In the spool nobody would look for it.
                    let text = format!("checkpoints can't be stored at {destination}");
                    return Err(Failure::job(Step::Output, hold::UPLOAD_FILE, 0, text).into());
                };
                Targets::of_checkpoint(destination, id, self.checkpoints.number)
            }
        };
        let output = self.output(job, plan, pid);
        let mut output = Output { core: None, contents: None, is_final: false, urls, ..output };
        if let Some(files) = &checkpoint.files {
            output.list = Some(files.clone());
        }
        self.deliver(&output, TRIES, "Checkpoint")
    }

    /// Whether the startd would have the claim used again, which is what a job does that goes on after
    /// a checkpoint.
    fn may_go_on(&mut self) -> Result<bool, Broken> {
        if !self.knobs.check_reactivate_after_checkpoint || !self.startd.ask_whether_to_go_on() {
            return Ok(true);
        }
        let closing = loop {
            if let Some(closing) = self.startd.is_closing() {
                break closing;
            }
            if self.ending.is_under_way() {
                return Ok(false);
            }
            self.wait(None)?;
            self.keep()?;
        };
        if !closing {
            return Ok(true);
        }
        tracing::info!("This checkpointed job should NOT restart.");
        let text = "Rescheduling self-checkpoint job after checkpoint upload because reactivating the \
                    claim would have failed.";
        Err(Failure::job(Step::Watch, hold::SUCCESSFUL_CHECKPOINT, 0, text).into())
    }
}
