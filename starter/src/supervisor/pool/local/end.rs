//! The end of a job of the local universe: what is said of it to its log, to the queue, and by the exit
//! code.

use std::time::{Duration, Instant};

use classad::ClassAd;

use super::decide::{Decision, decide};
use super::{Broken, Local, mail};
use crate::failure::Disposition;
use crate::job::Job;
use crate::launcher::message::Status;
use crate::report::events::Event;
use crate::supervisor::pool::ending::How;
use crate::supervisor::pool::reason;
use crate::supervisor::pool::user_log::times;

/// Attributes that go into the queue at every end.
const ALWAYS: [&str; 17] = [
    "ImageSize",
    "ResidentSetSize",
    "MemoryUsage",
    "DiskUsage",
    "ScratchDirFileCount",
    "RemoteSysCpu",
    "RemoteUserCpu",
    "StdoutMtime",
    "StderrMtime",
    "BlockReads",
    "BlockWrites",
    "BlockReadKbytes",
    "BlockWriteKbytes",
    "RecentBlockReads",
    "RecentBlockWrites",
    "RecentBlockReadKbytes",
    "RecentBlockWriteKbytes",
];
/// Those of a job that has ended for good.
const OF_THE_END: [&str; 5] =
    ["ExitBySignal", "ExitCode", "ExitSignal", "ExitReason", "JobCoreDumped"];

impl Local<'_> {
    /// The job has ended: what that means is said to the log, the queue and the schedd.
    pub(super) fn over(&mut self, job: &Job, status: Status) -> u8 {
        let mut ad = self.usage();
        let times = times(&ad);
        if let Some(code) = self.ordered() {
            self.log(&match code {
                reason::SHOULD_REQUEUE => Event::Requeued(status, times, String::new()),
                _ => Event::Evicted(times),
            });
            return self.settle(&ad, code);
        }
        let mut outcome = job.ad.clone();
        outcome.update(&ad);
        match decide(&outcome) {
            Decision::Leave => {
                self.log(&Event::Terminated(status, times));
                self.settle(&ad, reason::EXITED)
            }
            Decision::Requeue(why) => {
                self.log(&Event::Requeued(status, times, why.clone()));
                ad.insert_value("RequeueReason", why);
                self.settle(&ad, reason::SHOULD_REQUEUE)
            }
            Decision::Hold { why, code, subcode } => {
                self.log(&Event::Evicted(times));
                hold(&mut ad, &why, code, subcode);
                self.settle(&ad, reason::SHOULD_HOLD)
            }
        }
    }

    /// What the schedd has asked for, as an exit code.
    fn ordered(&self) -> Option<u8> {
        let ending = &self.course.ending;
        if self.course.remove {
            Some(reason::SHOULD_REMOVE)
        } else if ending.hold.is_some() {
            // The schedd has its reason already.
            Some(reason::SHOULD_HOLD)
        } else {
            ending.is_under_way().then_some(reason::SHOULD_REQUEUE)
        }
    }

    /// The last words of a life that ended early; the exit code.
    pub(super) fn broken(&mut self, broken: Broken) -> u8 {
        let mut ad = self.usage();
        let times = times(&ad);
        match broken {
            Broken::NotStarted => {
                self.log(&Event::Evicted(times));
                self.ordered().unwrap_or(reason::SHOULD_REQUEUE)
            }
            Broken::Missed(why) => {
                tracing::error!("{why}");
                self.log(&Event::Evicted(times));
                reason::MISSED_DEFERRAL_TIME
            }
            Broken::Failed(failure) => {
                tracing::error!("{}: {failure}", failure.step);
                let address = self.schedd.address().to_string();
                self.log(&Event::Error(address, failure.message.clone()));
                self.log(&Event::Evicted(times));
                match failure.disposition {
                    Disposition::Hold { code, subcode } => {
                        hold(&mut ad, &failure.message, code, subcode);
                        self.settle(&ad, reason::SHOULD_HOLD)
                    }
                    Disposition::Elsewhere => reason::EXCEPTION,
                }
            }
        }
    }

    fn usage(&self) -> ClassAd {
        self.course.figures.as_ref().map(|figures| figures.exited(self.knobs)).unwrap_or_default()
    }

    /// The last change of the queue, before an end with this exit code. It is tried more than once unless
    /// somebody is in a hurry. A job whose end can't be recorded has to run again, as with stock.
    fn settle(&mut self, ad: &ClassAd, code: u8) -> u8 {
        let settled = self.record(ad, code);
        if settled == code {
            let mut all = std::mem::take(&mut self.course.ad);
            all.update(ad);
            mail::send(self.knobs, &all, code);
        }
        settled
    }

    fn record(&mut self, ad: &ClassAd, code: u8) -> u8 {
        let end = code == reason::EXITED;
        let mut change = ClassAd::new();
        let more = ["HoldReason", "HoldReasonCode", "HoldReasonSubCode", "RequeueReason"];
        let names = ALWAYS.iter().chain(&more).chain(if end { &OF_THE_END[..] } else { &[] });
        for name in names {
            if let Some((name, value)) = ad.get_entry(name) {
                change.insert(name.clone(), value.clone());
            }
        }
        let delay = u64::try_from(self.knobs.local_universe_job_cleanup_retry_delay).unwrap_or(0);
        for _ in 0..self.knobs.local_universe_max_job_cleanup_retries.max(0) {
            if self.tell(&change) || self.course.ending.how == Some(How::Hard) {
                return code;
            }
            let end = Instant::now() + Duration::from_secs(delay);
            while Instant::now() < end && self.course.ending.how != Some(How::Hard) {
                if self.wait(Some(end)).is_err() {
                    return reason::EXCEPTION;
                }
            }
        }
        if self.tell(&change) { code } else { reason::EXCEPTION }
    }

    /// Changes the queue; whether that was possible.
    pub(super) fn tell(&self, ad: &ClassAd) -> bool {
        let Some(queue) = &self.course.queue else { return true };
        match queue.set(ad) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!("the job's attributes can't be changed in the queue: {error}");
                false
            }
        }
    }
}

fn hold(ad: &mut ClassAd, why: &str, code: i32, subcode: i32) {
    ad.insert_value("HoldReason", why.to_owned());
    ad.insert_value("HoldReasonCode", i64::from(code));
    ad.insert_value("HoldReasonSubCode", i64::from(subcode));
}
