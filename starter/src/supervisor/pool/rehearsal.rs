//! What an admin can have a job do to see how a pool takes it.

use classad::Value;

use super::Pool;
use crate::job::Job;

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
}
