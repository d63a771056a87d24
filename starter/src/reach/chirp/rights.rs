//! What a job may ask for: what it wants, as far as the admin lets it.

use classad::ClassAd;

use crate::knobs::Knobs;

/// Groups of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Files at the submit side.
    pub(crate) files: bool,
    /// Attributes of the job, and events in its log, at once.
    pub(crate) updates: bool,
    /// Attributes that go along with the next report.
    pub(crate) delayed: bool,
}

impl Rights {
    /// Those of a job.
    pub(crate) fn new(job: &ClassAd, knobs: &Knobs) -> Self {
        let files = job.eval_bool("WantIOProxy").unwrap_or(false) && knobs.enable_chirp_io;
        let updates = job.eval_bool("WantRemoteUpdates").unwrap_or(files);
        let delayed = job.eval_bool("WantDelayedUpdates").unwrap_or(true);
        let on = knobs.enable_chirp;
        Self {
            files: on && files,
            updates: on && updates && knobs.enable_chirp_updates,
            delayed: on && delayed && knobs.enable_chirp_delayed,
        }
    }

    /// Whether there is anything to ask for.
    pub(crate) fn any(self) -> bool {
        self.files || self.updates || self.delayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(job: &str, knobs: &str) -> [bool; 3] {
        let job = ClassAd::parse_old(job).unwrap();
        let rights = Rights::new(&job, &Knobs::from_text(knobs));
        [rights.files, rights.updates, rights.delayed]
    }

    #[test]
    fn the_job_wishes_and_the_admin_decides() {
        assert_eq!(rights("", ""), [false, false, true]);
        assert_eq!(rights("WantIOProxy = true\n", ""), [true, true, true]);
        let job = "WantIOProxy = true\nWantRemoteUpdates = false\nWantDelayedUpdates = false\n";
        assert_eq!(rights(job, ""), [true, false, false]);
        assert_eq!(rights("WantRemoteUpdates = true\n", ""), [false, true, true]);
        assert_eq!(rights("WantIOProxy = true\n", "ENABLE_CHIRP = False\n"), [false; 3]);
        assert_eq!(
            rights("WantIOProxy = true\n", "ENABLE_CHIRP_IO = False\n"),
            [false, false, true]
        );
        assert_eq!(
            rights("WantIOProxy = true\n", "ENABLE_CHIRP_UPDATES = False\n"),
            [true, false, true]
        );
        assert_eq!(rights("", "ENABLE_CHIRP_DELAYED = False\n"), [false; 3]);
    }
}
