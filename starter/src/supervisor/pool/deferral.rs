//! A job that begins at a time of its own: the sandbox and its files are ready, and the program is
//! started when the time has come. Orders count meanwhile; a new configuration changes nothing.

use std::time::{Duration, Instant, SystemTime};

use super::{Broken, Pool, reason};
use crate::job::{Begin, Job};
use crate::parent::shadow::{Call, JobExit};

/// How often the clock is looked at, which may be set meanwhile.
const LOOK: Duration = Duration::from_secs(30);

impl Pool<'_> {
    /// Waits for the job's time.
    pub(super) fn deferred(&mut self, job: &Job) -> Result<(), Broken> {
        let time = match Begin::of(&job.ad, &job.id(), SystemTime::now()) {
            Begin::AtOnce => return Ok(()),
            Begin::At(time) => time,
            Begin::Missed(why) => return Err(Broken::Missed(why)),
        };
        let left = |now: SystemTime| time.duration_since(now).unwrap_or_default();
        let seconds = left(SystemTime::now()).as_secs();
        tracing::info!("Job {} deferred for {seconds} seconds", job.id());
        while let rest = left(SystemTime::now())
            && !rest.is_zero()
        {
            self.wait(Some(Instant::now() + rest.min(LOOK)))?;
            if let Some(lost) = self.line.lost.take() {
                return Err(lost.into());
            }
            self.stop_if_asked()?;
        }
        Ok(())
    }

    /// Tells the shadow that the job's time is over, which has the schedd hold the job (code 20).
    pub(super) fn missed(&mut self, why: &str) -> Result<(), Broken> {
        tracing::error!("{why}");
        let ad = self.last_words(None);
        self.startd.finish(&ad);
        let reason = reason::MISSED_DEFERRAL_TIME;
        self.tell(&Call::JobExit(JobExit { status: -1, reason, ad: &ad }))
    }
}
