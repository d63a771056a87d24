//! What a job adds to the counters of its slot (STARTER_METRICS_DIRECTORY).

use std::time::Duration;

use super::{Broken, Pool};
use crate::failure::Disposition;
use crate::report::metrics::{self, Left, Tally};

impl Pool<'_> {
    /// How the job leaves the slot.
    pub(super) fn left(&self, life: &Result<(), Broken>) -> Left {
        match life {
            Err(Broken::Lost(_)) => Left::Lost,
            Err(Broken::Missed(_)) => Left::Held,
            Err(Broken::Failed(failure)) => match failure.disposition {
                Disposition::Hold { .. } => Left::Held,
                Disposition::Elsewhere => Left::Failed,
            },
            Err(Broken::NotStarted) => Left::Evicted,
            Ok(()) if self.ending.is_under_way() => Left::Evicted,
            Ok(()) => Left::Ended,
        }
    }

    /// Figures that can't be kept are no reason to fail a job.
    pub(super) fn count(&self, slot: &str, left: Left) {
        let Some(directory) = &self.knobs.starter_metrics_directory else { return };
        let none = Tally { left, to_exec: None, wall: Duration::ZERO, cpu: Duration::ZERO };
        let tally = self.figures.as_ref().map_or(none, |figures| figures.tally(left));
        if let Err(error) = metrics::add(directory, slot, &tally) {
            tracing::warn!("STARTER_METRICS_DIRECTORY: {}: {error}", directory.display());
        }
    }
}
