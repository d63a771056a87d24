//! What a job takes, from its start to its end: what the shadow and the startd are told of it.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use classad::{ClassAd, Expr};

use super::super::ending::Ending;
use super::super::monitors;
use super::{NO_PROMISE, SLACK, SLOT_AD, number, promise};
use crate::clock;
use crate::failure::Failure;
use crate::knobs::Knobs;
use crate::launcher::message::{Ended, Status};
use crate::parent::startd::Release;
use crate::plan::Plan;
use crate::report::ad::{TIME_TO_EXEC, exit, milliseconds, seconds};
use crate::report::metrics::{Left, Tally};
use crate::report::{Disk, Sample};
use crate::supervisor::memory;

/// How far back "recent" reaches: STATISTICS_WINDOW_SECONDS of HTCondor.
const WINDOW: Duration = Duration::from_secs(1200);
/// The kernel counts bytes; of requests to disks it keeps no count for a process. A page is the least.
const BLOCK: u64 = 4096;

/// First release whose shadow has no use for `ToE`.
const NO_TOE: Release = Release(24, 1);

/// What is known of the job once its program has started.
#[derive(Clone, Debug)]
pub(in crate::supervisor::pool) struct Figures {
    pid: i32,
    /// Whether the shadow knows what came with 24.1 and after.
    modern: bool,
    started: SystemTime,
    /// From the start of the starter to the first start of the program.
    to_exec: Duration,
    /// Since the first start, and since the last one.
    clock: Instant,
    run: Instant,
    /// What ended runs used: the job was started again after a checkpoint.
    earlier: Sample,
    /// Whether it is suspended.
    pub(in crate::supervisor::pool) suspended: bool,
    /// The last look at its processes, with the largest memory so far.
    sample: Sample,
    /// The looks of the last minutes.
    window: VecDeque<(Instant, Sample)>,
    /// The last look at its sandbox.
    disk: Disk,
    /// What the startd's monitors measure of the slot's resources.
    monitored: ClassAd,
    /// The revision of its root, where that is known.
    pub(in crate::supervisor::pool) root_revision: Option<String>,
    /// The end, and when that was.
    ended: Option<(Ended, Instant)>,
}

impl Figures {
    /// Of a program that has just started.
    pub(in crate::supervisor::pool) fn new(pid: i32, shadow: Option<Release>) -> Self {
        Self {
            pid,
            modern: shadow.is_some_and(|release| release >= SLOT_AD),
            started: SystemTime::now(),
            to_exec: clock::since_begin(),
            clock: Instant::now(),
            run: Instant::now(),
            earlier: Sample::default(),
            suspended: false,
            sample: Sample { processes: 1, ..Sample::default() },
            window: VecDeque::new(),
            disk: Disk::default(),
            monitored: ClassAd::new(),
            root_revision: None,
            ended: None,
        }
    }

    /// The job was started again, as this process.
    pub(in crate::supervisor::pool) fn again(&mut self, pid: i32) {
        self.pid = pid;
        self.started = SystemTime::now();
        self.run = Instant::now();
        self.earlier = self.sample;
        self.sample.processes = 1;
        self.ended = None;
    }

    /// A look at the running job. Memory is reported at its largest, and CPU time never shrinks.
    pub(in crate::supervisor::pool) fn look(&mut self, sample: Sample, disk: Disk) {
        let before = self.sample;
        self.sample = Sample {
            processes: sample.processes,
            user: before.user.max(self.earlier.user + sample.user),
            system: before.system.max(self.earlier.system + sample.system),
            resident_kib: before.resident_kib.max(sample.resident_kib),
            image_kib: before.image_kib.max(sample.image_kib),
            read_bytes: before.read_bytes.max(self.earlier.read_bytes + sample.read_bytes),
            written_bytes: before
                .written_bytes
                .max(self.earlier.written_bytes + sample.written_bytes),
        };
        self.disk = disk;
        self.window.push_back((Instant::now(), self.sample));
        // One look from before the window stays, to tell what was added since.
        while self.window.get(1).is_some_and(|(when, _)| when.elapsed() > WINDOW) {
            self.window.pop_front();
        }
    }

    /// A look at the slot by the startd, if it has taken one.
    pub(in crate::supervisor::pool) fn monitor(
        &mut self,
        snapshot: &[u8],
        resources: &BTreeSet<String>,
    ) {
        self.monitored.update(&monitors::usage(snapshot, resources));
    }

    /// The end, with the kernel's own figures.
    pub(in crate::supervisor::pool) fn end(&mut self, ended: Ended, disk: Disk) {
        let peak = ended.usage.peak_memory_kib;
        let sample = Sample {
            processes: 0,
            user: ended.usage.user,
            system: ended.usage.system,
            resident_kib: peak,
            image_kib: peak,
            // The kernel counts blocks of 512 bytes.
            read_bytes: ended.usage.blocks_read * 512,
            written_bytes: ended.usage.blocks_written * 512,
        };
        self.look(sample, disk);
        self.suspended = false;
        self.ended = Some((ended, Instant::now()));
    }

    /// Process number of the job's main process on the machine.
    pub(in crate::supervisor::pool) fn pid(&self) -> i32 {
        self.pid
    }

    /// How the job ended, if it has.
    fn status(&self) -> Option<Status> {
        self.ended.as_ref().map(|(ended, _)| ended.status)
    }

    /// What becomes of the job if it was killed for its memory; `asked`: it was to end anyway.
    pub(in crate::supervisor::pool) fn out_of_memory(
        &self,
        plan: &Plan,
        knobs: &Knobs,
        asked: bool,
    ) -> Option<Failure> {
        let (ended, _) = self.ended.as_ref()?;
        memory::failure(ended, plan, knobs, asked)
    }

    /// An update while the job runs, and the first one after its end.
    pub(in crate::supervisor::pool) fn running(&self, knobs: &Knobs) -> ClassAd {
        let mut ad = self.common(knobs);
        ad.insert_value("JobState", if self.suspended { "Suspended" } else { "Running" });
        promise(&mut ad, knobs.starter_update_interval.saturating_mul(SLACK));
        ad
    }

    /// The same, with the account of the end that a shadow of 23 makes an event of.
    pub(in crate::supervisor::pool) fn reaped(
        &self,
        knobs: &Knobs,
        ending: &Ending,
        shadow: Option<Release>,
    ) -> ClassAd {
        let mut ad = self.running(knobs);
        if shadow.is_none_or(|release| release < NO_TOE)
            && let Some(status) = self.status()
            && ending.how.is_none()
        {
            ad.insert("ToE", ticket(status));
        }
        ad
    }

    /// The report of the end.
    pub(in crate::supervisor::pool) fn exited(&self, knobs: &Knobs) -> ClassAd {
        let mut ad = self.common(knobs);
        ad.insert_value("JobState", "Exited");
        if let Some((ended, at)) = &self.ended {
            exit(&mut ad, ended.status);
            ad.insert_value("JobDuration", seconds(at.duration_since(self.run)));
        }
        promise(&mut ad, NO_PROMISE);
        ad
    }

    /// The report of an end after which the job goes on, with what it has saved.
    pub(in crate::supervisor::pool) fn saved(&self, knobs: &Knobs, number: i64) -> ClassAd {
        let mut ad = self.exited(knobs);
        ad.insert_value("CheckpointNumber", number);
        if let Some((_, at)) = &self.ended {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let then = now.saturating_sub(at.elapsed());
            ad.insert_value("JobLastCheckpointTime", super::number(then.as_secs()));
            let run = at.duration_since(self.run).as_secs();
            ad.insert_value("NewlyCommittedTime", super::number(run));
        }
        promise(&mut ad, knobs.starter_update_interval.saturating_mul(SLACK));
        ad
    }

    /// What goes along with the last words.
    pub(in crate::supervisor::pool) fn last(&self) -> ClassAd {
        let mut ad = ClassAd::new();
        self.space(&mut ad);
        ad.insert_value("CpusUsage", self.cpus());
        ad.update(&self.monitored);
        ad
    }

    fn common(&self, knobs: &Knobs) -> ClassAd {
        let mut ad = ClassAd::new();
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        ad.insert_value("JobPid", i64::from(self.pid));
        ad.insert_value(TIME_TO_EXEC, milliseconds(self.to_exec));
        ad.insert_value("NumPids", number(self.sample.processes));
        ad.insert_value("JobStartDate", number(since.as_secs()));
        ad.insert_value("RemoteUserCpu", seconds(self.sample.user));
        ad.insert_value("RemoteSysCpu", seconds(self.sample.system));
        ad.insert_value("ImageSize", number(self.sample.image_kib));
        ad.insert_value("ResidentSetSize", number(self.sample.resident_kib));
        if let Ok(metric) = Expr::parse_old(&knobs.memory_usage_metric) {
            ad.insert("MemoryUsage", metric);
        }
        ad.insert_value("CpusUsage", self.cpus());
        self.statistics(&mut ad);
        if let Some(revision) = &self.root_revision {
            ad.insert_value("AssignedChrootRevision", revision.clone());
        }
        self.space(&mut ad);
        ad.update(&self.monitored);
        ad
    }

    /// What was read and written, all in all and lately.
    fn statistics(&self, ad: &mut ClassAd) {
        let time = self.time();
        let before = self.window.front().filter(|(when, _)| when.elapsed() > WINDOW);
        let before = before.map(|(_, sample)| *sample).unwrap_or_default();
        let rows = [
            ("Read", self.sample.read_bytes, before.read_bytes),
            ("Write", self.sample.written_bytes, before.written_bytes),
        ];
        for (what, now, before) in rows {
            for (prefix, bytes) in [("", now), ("Recent", now - before)] {
                ad.insert_value(format!("{prefix}Block{what}s"), number(bytes / BLOCK));
                ad.insert_value(format!("{prefix}Block{what}Kbytes"), number(bytes / 1024));
            }
        }
        ad.insert_value("StatsLifetime", number(time.as_secs()));
        ad.insert_value("RecentStatsLifetime", number(time.min(WINDOW).as_secs()));
    }

    fn space(&self, ad: &mut ClassAd) {
        if self.modern {
            ad.insert_value("ExecuteDirWasEncrypted", false);
            let [output, error] = self.disk.standard;
            for (name, changed) in [("StdoutMtime", output), ("StderrMtime", error)] {
                if let Some(changed) = changed {
                    ad.insert_value(name, changed);
                }
            }
        }
        // Zero would mean that it is empty, which no sandbox is: it hasn't been looked at yet.
        if self.disk != Disk::default() {
            ad.insert_value("DiskUsage", number(self.disk.kib));
            ad.insert_value("ScratchDirFileCount", number(self.disk.files));
        }
    }

    fn time(&self) -> Duration {
        self.ended
            .as_ref()
            .map_or_else(|| self.clock.elapsed(), |(_, at)| at.duration_since(self.clock))
    }

    /// What the job adds to the counters of its slot.
    pub(in crate::supervisor::pool) fn tally(&self, left: Left) -> Tally {
        let cpu = self.sample.user + self.sample.system;
        Tally { left, to_exec: Some(self.to_exec), wall: self.time(), cpu }
    }

    /// CPUs in use on average.
    fn cpus(&self) -> f64 {
        let used = (self.sample.user + self.sample.system).as_secs_f64();
        used / self.time().as_secs_f64().max(0.001)
    }
}

/// The ticket of execution of a job that ended by itself.
fn ticket(status: Status) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("Who", "itself");
    ad.insert_value("How", "OF_ITS_OWN_ACCORD");
    ad.insert_value("HowCode", 0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    ad.insert_value("When", number(now.as_secs()));
    match status {
        Status::Exited(code) => {
            ad.insert_value("ExitBySignal", false);
            ad.insert_value("ExitCode", i64::from(code));
        }
        Status::Signaled(signal, _) => {
            ad.insert_value("ExitBySignal", true);
            ad.insert_value("ExitSignal", i64::from(signal));
        }
    }
    ad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_used_adds_up_over_checkpoints() {
        let knobs = Knobs::from_text("UID_DOMAIN = here\n");
        let used = |user: u64, peak_memory_kib: u64| Ended {
            status: Status::Exited(85),
            usage: crate::report::Usage {
                user: Duration::from_secs(user),
                peak_memory_kib,
                ..Default::default()
            },
            out_of_memory: None,
        };
        let mut figures = Figures::new(7, None);
        figures.end(used(5, 300), Disk::default());
        let ad = figures.saved(&knobs, 4);
        assert_eq!((ad.eval_i64("CheckpointNumber"), ad.eval_i64("ExitCode")), (Some(4), Some(85)));
        assert_eq!(ad.eval_i64("NewlyCommittedTime"), Some(0));
        figures.again(9);
        let ad = figures.running(&knobs);
        assert_eq!((ad.eval_i64("JobPid"), ad.get("ExitCode").is_some()), (Some(9), false));
        assert_eq!(ad.eval("RemoteUserCpu"), classad::Value::Real(5.0));
        figures.end(used(3, 100), Disk::default());
        let ad = figures.exited(&knobs);
        assert_eq!(ad.eval("RemoteUserCpu"), classad::Value::Real(8.0));
        assert_eq!(ad.eval_i64("ResidentSetSize"), Some(300));
    }
}
