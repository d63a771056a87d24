//! The limit on disk space of a running job. A fence (project quota), where there is one, is a little behind it; elsewhere
//! the sandbox is measured often enough, and what a job writes in between is the margin.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Step, hold};
use crate::report::Disk;

/// As often as the stock starter looks at its volumes.
const INTERVAL: Duration = Duration::from_secs(10);

/// What a job may take, and when that is looked at.
#[derive(Debug)]
pub(super) struct Watch {
    limit_kib: Option<u64>,
    due: Instant,
    /// The next measurement is for this alone, and nobody is told of it.
    pub(super) quiet: bool,
}

impl Watch {
    /// Of a job that has just begun; `None`: it may take what there is.
    pub(super) fn new(limit_kib: Option<u64>) -> Self {
        Self { limit_kib, due: Instant::now() + INTERVAL, quiet: false }
    }

    /// When to look, if at all.
    pub(super) fn due(&self) -> Option<Instant> {
        self.limit_kib.map(|_| self.due)
    }

    /// Whether it is time, once.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.due().is_some_and(|due| due <= Instant::now());
        if due {
            self.due = Instant::now() + INTERVAL;
        }
        due
    }

    /// The failure of a job that takes more, in the stock starter's words.
    pub(super) fn failure(&self, disk: Disk) -> Option<Failure> {
        let limit = self.limit_kib.filter(|limit| disk.kib > *limit)?;
        let message = format!(
            "Job has exceeded allocated disk ({}). Consider increasing the value of request_disk.",
            units(limit)
        );
        Some(Failure::job(Step::Watch, hold::OUT_OF_RESOURCES, hold::DISK, message))
    }
}

/// A size as HTCondor's messages show it.
fn units(kib: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits behind the point are shown")]
    let mut value = kib as f64;
    for unit in ["KB", "MB", "GB"] {
        if value < 1024.0 {
            return format!("{value:.2} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2} TB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Disposition;

    #[test]
    fn a_job_that_takes_more_is_held() {
        let disk = |kib| Disk { kib, ..Disk::default() };
        let watch = Watch::new(Some(2048));
        assert_eq!(watch.failure(disk(2048)), None);
        let held = watch.failure(disk(2049)).unwrap();
        assert_eq!(held.disposition, Disposition::Hold { code: 34, subcode: 104 });
        assert_eq!(
            held.message,
            "Job has exceeded allocated disk (2.00 MB). Consider increasing the value of request_disk."
        );
        let mut free = Watch::new(None);
        assert_eq!((free.due(), free.is_due(), free.failure(disk(1 << 40))), (None, false, None));
    }

    #[test]
    fn sizes_are_shown_as_the_field_does() {
        assert_eq!(units(1), "1.00 KB");
        assert_eq!(units(1536 * 1024), "1.50 GB");
        assert_eq!(units(3 << 40), "3072.00 TB");
    }
}
