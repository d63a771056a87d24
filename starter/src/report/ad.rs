//! The result of a job as an ad: how it ended, what it used, what isolation it had.

use std::time::Duration;

use classad::ClassAd;

use super::{Disk, Usage};
use crate::failure::{Disposition, Failure};
use crate::launcher::message::{Ended, Status};
use crate::plan::{Plan, Root};

/// The end of a job as the parent needs it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The job's program ran and ended by itself.
    Ended(Ended),
    /// It was killed because the starter was told so.
    Killed(Ended),
    /// It could not be run, or its files could not be moved.
    Failed(Failure),
}

/// Everything the result ad is made of.
pub(crate) struct Result<'a> {
    /// The plan, if there was one.
    pub(crate) plan: Option<&'a Plan>,
    /// The end.
    pub(crate) outcome: &'a Outcome,
    /// Start of the program, seconds since the epoch.
    pub(crate) started: Option<i64>,
    /// From the start of the starter to that of the program.
    pub(crate) to_exec: Duration,
    /// How long the program ran.
    pub(crate) wall: Duration,
    /// Process number on the machine.
    pub(crate) pid: i32,
    /// What the sandbox took at the end.
    pub(crate) disk: Disk,
}

/// The result alone, as the stock starter writes it, and what isolation was applied.
pub(crate) fn result(result: &Result<'_>) -> ClassAd {
    let mut ad = ClassAd::new();
    if let Some(plan) = result.plan {
        isolation(&mut ad, plan);
    }
    if let Some(started) = result.started {
        ad.insert_value("JobStartDate", started);
        ad.insert_value("JobPid", i64::from(result.pid));
        ad.insert_value(TIME_TO_EXEC, milliseconds(result.to_exec));
        ad.insert_value("JobDuration", seconds(result.wall));
        ad.insert_value("RemoteWallClockTime", seconds(result.wall));
    }
    match result.outcome {
        Outcome::Ended(ended) => {
            exit(&mut ad, ended.status);
            usage(&mut ad, &ended.usage, result.disk);
            ad.insert_value("JobState", "Exited");
        }
        Outcome::Killed(ended) => {
            exit(&mut ad, ended.status);
            usage(&mut ad, &ended.usage, result.disk);
            ad.insert_value("JobState", "Exited");
            ad.insert_value("ExitReason", "killed because the starter was told to end");
        }
        Outcome::Failed(failure) => failed(&mut ad, failure),
    }
    ad
}

/// Milliseconds from the start of the starter to that of the job's program. A shadow passes on what
/// begins with `Assigned`, and few other names.
pub(crate) const TIME_TO_EXEC: &str = "AssignedTimeToExec";

/// Whole milliseconds.
pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Microseconds are as fine as the kernel's own figures, and print short.
pub(crate) fn seconds(time: Duration) -> f64 {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// What isolation was applied, in words.
pub(crate) fn isolation(ad: &mut ClassAd, plan: &Plan) {
    ad.insert_value("AssignedIsolation", plan.applied().join(" "));
    if !plan.not_applied.is_empty() {
        ad.insert_value("IsolationNotApplied", plan.not_applied.join("; "));
    }
    if let Root::Named(root) = &plan.root {
        ad.insert_value("AssignedChroot", root.name.clone());
    }
    if let Some(revision) = &plan.root_revision {
        ad.insert_value("AssignedChrootRevision", revision.clone());
    }
    ad.insert_value("CondorScratchDir", plan.sandbox.path().to_string_lossy().into_owned());
}

/// What the C library calls a signal, as far as people know it.
fn signal_text(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGSYS => "Bad system call",
        _ => "Unknown signal",
    }
}

/// How the job's main process ended.
pub(crate) fn exit(ad: &mut ClassAd, status: Status) {
    match status {
        Status::Exited(code) => {
            ad.insert_value("ExitBySignal", false);
            ad.insert_value("ExitCode", i64::from(code));
        }
        Status::Signaled(signal, core) => {
            ad.insert_value("ExitBySignal", true);
            ad.insert_value("ExitSignal", i64::from(signal));
            let reason = format!("died on signal {signal} ({})", signal_text(signal));
            ad.insert_value("ExitReason", reason);
            if core {
                ad.insert_value("JobCoreDumped", core);
            }
        }
    }
}

fn usage(ad: &mut ClassAd, usage: &Usage, disk: Disk) {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ad.insert_value("RemoteUserCpu", seconds(usage.user));
    ad.insert_value("RemoteSysCpu", seconds(usage.system));
    ad.insert_value("ImageSize", count(usage.peak_memory_kib));
    ad.insert_value("ResidentSetSize", count(usage.peak_memory_kib));
    ad.insert_value("MemoryUsage", count(usage.peak_memory_kib.div_ceil(1024)));
    ad.insert_value("BlockReadKbytes", count(usage.blocks_read / 2));
    ad.insert_value("BlockWriteKbytes", count(usage.blocks_written / 2));
    ad.insert_value("DiskUsage", count(disk.kib));
    ad.insert_value("ScratchDirFileCount", count(disk.files));
}

fn failed(ad: &mut ClassAd, failure: &Failure) {
    match failure.disposition {
        Disposition::Hold { code, subcode } => {
            ad.insert_value("HoldReason", failure.message.clone());
            ad.insert_value("HoldReasonCode", i64::from(code));
            ad.insert_value("HoldReasonSubCode", i64::from(subcode));
        }
        Disposition::Elsewhere => {
            ad.insert_value("VacateReason", failure.message.clone());
        }
    }
    ad.insert_value("FailedStep", failure.step.to_string());
}
