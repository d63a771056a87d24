//! Lives that end early: what the shadow and the startd are told, and the exit code.

use super::{Broken, EXIT_LOST, EXIT_OK, Pool, Stage, ads, reason};
use crate::failure::{Disposition, Failure, hold};
use crate::launcher::message::Order;
use crate::parent::shadow::{Call, JobExit, Lost};

impl Pool<'_> {
    /// The last words of a life that ended early; the exit code.
    pub(super) fn broken(&mut self, broken: Broken) -> u8 {
        match broken {
            Broken::NotStarted => match self.not_started() {
                Ok(()) => EXIT_OK,
                Err(broken) => self.broken(broken),
            },
            Broken::Failed(failure) => self.failed(&failure),
            Broken::Missed(why) => match self.missed(&why) {
                Ok(()) => EXIT_OK,
                Err(broken) => self.broken(broken),
            },
            Broken::Lost(Lost(why)) => {
                let ad = self.last_words(None);
                self.startd.finish(&ad);
                if self.ending.is_under_way() {
                    // The claim is as good as before: nobody waited for more than the end.
                    tracing::warn!("the shadow did not wait for the end of the job: {why}");
                    return EXIT_OK;
                }
                tracing::error!("lost the connection with the shadow: {why}");
                EXIT_LOST
            }
        }
    }

    /// The order to end came before the program was started.
    fn not_started(&mut self) -> Result<(), Broken> {
        let ad = self.last_words(None);
        self.startd.finish(&ad);
        if self.ending.hold.is_some() {
            return self.tell_hold();
        }
        self.tell(&Call::JobExit(JobExit { status: 0, reason: reason::NOT_STARTED, ad: &ad }))
    }

    /// Tells the shadow why the job can't go on. It has nothing to say to that: a shadow of 25.14.1 waits
    /// ten seconds for this starter to be gone, and only then the job is held.
    fn failed(&mut self, failure: &Failure) -> u8 {
        tracing::error!("{}: {failure}", failure.step);
        let (code, subcode) = match failure.disposition {
            Disposition::Hold { code, subcode } => (code, subcode),
            Disposition::Elsewhere => (hold::STARTER_ERROR, 0),
        };
        if self.is_away() || self.line.lost.is_some() {
            // Nothing of it is needed while somebody is waited for who may hear it.
            self.stage = Stage::Quiet;
            let _ = self.desk.order(&Order::Finish);
        }
        let event = ads::error(failure, code, subcode);
        if let Err(Broken::Lost(lost)) = self.call(&Call::UserLog(&event), |_| Ok(())) {
            return self.broken(lost.into());
        }
        // A job that runs still doesn't run on meanwhile; where the launcher is gone it doesn't.
        let _ = self.desk.order(&Order::Finish);
        let ad = self.last_words(None);
        self.startd.finish(&ad);
        EXIT_OK
    }
}
