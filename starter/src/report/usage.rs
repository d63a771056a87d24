//! What a job's processes used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Sums over all processes of the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time in user mode.
    pub(crate) user: Duration,
    /// CPU time in the kernel.
    pub(crate) system: Duration,
    /// Largest resident set of any one process, in KiB.
    pub(crate) peak_memory_kib: u64,
    /// Blocks read, of 512 bytes.
    pub(crate) blocks_read: u64,
    /// Blocks written, of 512 bytes.
    pub(crate) blocks_written: u64,
}

impl Usage {
    /// From the kernel's accounting.
    pub(crate) fn from_kernel(usage: &libc::rusage) -> Self {
        let time = |value: &libc::timeval| {
            let seconds = u64::try_from(value.tv_sec).unwrap_or_default();
            let micros = u64::try_from(value.tv_usec).unwrap_or_default();
            Duration::from_secs(seconds) + Duration::from_micros(micros)
        };
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or_default();
        Self {
            user: time(&usage.ru_utime),
            system: time(&usage.ru_stime),
            peak_memory_kib: count(usage.ru_maxrss),
            blocks_read: count(usage.ru_inblock),
            blocks_written: count(usage.ru_oublock),
        }
    }

    /// Of the children that the calling process has waited for.
    pub(crate) fn of_children() -> Self {
        crate::sys::process::usage_of_children().unwrap_or_default()
    }
}

/// What a running job's processes use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// How many there are.
    pub(crate) processes: u64,
    /// CPU time in user mode since the start, of those that have ended too.
    pub(crate) user: Duration,
    /// CPU time in the kernel.
    pub(crate) system: Duration,
    /// Sum of their resident sets, in KiB; what they share counts for each.
    pub(crate) resident_kib: u64,
    /// Sum of their address spaces, in KiB.
    pub(crate) image_kib: u64,
    /// Read from disks since the start, in bytes.
    pub(crate) read_bytes: u64,
    /// Written to disks, in bytes.
    pub(crate) written_bytes: u64,
}
