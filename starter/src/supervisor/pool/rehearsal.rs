//! What an admin can have a job do to see how a pool takes it. Both have a knob of their own, off by
//! default.

use classad::Value;

use super::Pool;
use crate::job::Job;

/// Exit code after which a startd of 25 takes the slot's resources out of use.
const EXIT_BROKEN: u8 = 17;

impl Pool<'_> {
    /// Puts what the job says into the ads of the slots, while it runs.
    pub(super) fn color(&mut self, job: &Job) {
        if !self.knobs.testing_color_from_job_ad {
            return;
        }
        match job.ad.eval("ColorAd") {
            Value::Ad(ad) => self.startd.color(&ad),
            _ => tracing::debug!("TESTING_COLOR_FROM_JOB_AD: ColorAd is no ad"),
        }
    }

    /// The exit code after a job, which may be one that breaks the slot.
    pub(super) fn rehearsed(&self, job: &Job, code: u8) -> u8 {
        let asked = job.ad.eval_bool("StarterShouldExitBroken") == Some(true);
        match (asked, self.knobs.test_job_can_break_slot) {
            (true, true) => {
                tracing::info!("TEST_JOB_CAN_BREAK_SLOT: the job breaks this slot");
                EXIT_BROKEN
            }
            (true, false) => {
                tracing::info!(
                    "StarterShouldExitBroken is ignored, because TEST_JOB_CAN_BREAK_SLOT is False"
                );
                code
            }
            (false, _) => code,
        }
    }
}
