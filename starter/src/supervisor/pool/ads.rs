//! What the shadow and the startd are told, as ads (23.9.6 and 25.14.1).

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use base64ct::{Base64, Encoding};
use classad::{ClassAd, Expr};

use crate::failure::{Failure, Step};
use crate::hooks::{End, Ran};
use crate::knobs::Knobs;
use crate::launcher::message::{Ended, Status};
use crate::parent::startd::Release;
use crate::plan::Plan;
use crate::report::ad::{exit, isolation, seconds};
use crate::report::{Disk, Sample};
use crate::{abilities, version};

use super::super::memory;
use super::ending::Ending;
use super::monitors;

/// Longest time between two updates that is promised, as a multiple of the usual one: updates may
/// take a tenth of the time.
const SLACK: i64 = 10;
/// The promise of no further update.
const NO_PROMISE: i64 = -1;

/// How far back "recent" reaches: STATISTICS_WINDOW_SECONDS of HTCondor.
const WINDOW: Duration = Duration::from_secs(1200);
/// The kernel counts bytes; of requests to disks it keeps no count for a process. A page is the least.
const BLOCK: u64 = 4096;

/// First release whose shadow wants the whole ad of the slot.
const SLOT_AD: Release = Release(24, 1);
/// First release whose shadow has no use for `ToE`.
const NO_TOE: Release = Release(24, 1);

/// Attributes of the slot that describe what the job gets of a resource.
fn resources(slot: &ClassAd) -> Vec<String> {
    let list = slot.eval_string("MachineResources").unwrap_or_default();
    list.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Who this starter is (`register_starter_info`).
pub(super) fn starter(
    slot: &ClassAd,
    address: &str,
    scratch: &Path,
    knobs: &Knobs,
    shadow: Option<Release>,
) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("StarterIpAddr", address.to_owned());
    ad.insert_value("MyAddress", address.to_owned());
    ad.insert_value("CondorVersion", version::CONDOR_VERSION);
    ad.insert_value("CondorPlatform", version::CONDOR_PLATFORM);
    ad.insert_value("HasReconnect", abilities::RECONNECT);
    ad.insert_value("UidDomain", knobs.uid_domain.clone());
    ad.insert_value("FileSystemDomain", knobs.filesystem_domain.clone());
    ad.insert_value("CondorScratchDir", scratch.to_string_lossy().into_owned());
    let mut names: Vec<String> =
        ["Name", "Machine", "MachineResources"].map(str::to_owned).to_vec();
    for resource in resources(slot) {
        names.push(format!("Assigned{resource}"));
        names.push(format!("Available{resource}"));
        names.push(resource);
    }
    copy(&mut ad, slot, &names);
    if shadow.is_some_and(|release| release >= SLOT_AD) {
        ad.insert("SlotAd", slot.without_private());
    }
    ad
}

/// The first update: what the slot has set aside for the job.
pub(super) fn provisioned(slot: &ClassAd, plan: &Plan) -> ClassAd {
    let mut ad = ClassAd::new();
    let resources = resources(slot);
    for resource in resources.iter().filter(|name| !name.eq_ignore_ascii_case("swap")) {
        if let Some(amount) = slot.get(resource) {
            ad.insert(format!("{resource}Provisioned").as_str(), amount.clone());
        }
        copy(&mut ad, slot, &[format!("Assigned{resource}")]);
    }
    if !resources.is_empty() {
        ad.insert_value("ProvisionedResources", resources.join(" "));
    }
    isolation(&mut ad, plan);
    promise(&mut ad, NO_PROMISE);
    ad
}

fn copy(to: &mut ClassAd, from: &ClassAd, names: &[String]) {
    for name in names {
        if let Some((name, value)) = from.get_entry(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

fn promise(ad: &mut ClassAd, seconds: i64) {
    ad.insert_value("_condor_JOBINFO_MAXINTERVAL", seconds);
}

/// What is known of the job once its program has started.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pid: i32,
    /// Whether the shadow knows what came with 24.1 and after.
    modern: bool,
    started: SystemTime,
    /// Since the first start, and since the last one.
    clock: Instant,
    run: Instant,
    /// What ended runs used: the job was started again after a checkpoint.
    earlier: Sample,
    /// Whether it is suspended.
    pub(super) suspended: bool,
    /// The last look at its processes, with the largest memory so far.
    sample: Sample,
    /// The looks of the last minutes.
    window: VecDeque<(Instant, Sample)>,
    /// The last look at its sandbox.
    disk: Disk,
    /// What the startd's monitors measure of the slot's resources.
    monitored: ClassAd,
    /// The revision of its root, where that is known.
    pub(super) root_revision: Option<String>,
    /// The end, and when that was.
    ended: Option<(Ended, Instant)>,
}

impl Figures {
    /// Of a program that has just started.
    pub(super) fn new(pid: i32, shadow: Option<Release>) -> Self {
        Self {
            pid,
            modern: shadow.is_some_and(|release| release >= SLOT_AD),
            started: SystemTime::now(),
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
    pub(super) fn again(&mut self, pid: i32) {
        self.pid = pid;
        self.started = SystemTime::now();
        self.run = Instant::now();
        self.earlier = self.sample;
        self.sample.processes = 1;
        self.ended = None;
    }

    /// A look at the running job. Memory is reported at its largest, and CPU time never shrinks.
    pub(super) fn look(&mut self, sample: Sample, disk: Disk) {
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
    pub(super) fn monitor(&mut self, snapshot: &[u8], resources: &BTreeSet<String>) {
        self.monitored.update(&monitors::usage(snapshot, resources));
    }

    /// The end, with the kernel's own figures.
    pub(super) fn end(&mut self, ended: Ended, disk: Disk) {
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
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// How the job ended, if it has.
    fn status(&self) -> Option<Status> {
        self.ended.as_ref().map(|(ended, _)| ended.status)
    }

    /// What becomes of the job if it was killed for its memory; `asked`: it was to end anyway.
    pub(super) fn out_of_memory(&self, plan: &Plan, knobs: &Knobs, asked: bool) -> Option<Failure> {
        let (ended, _) = self.ended.as_ref()?;
        memory::failure(ended, plan, knobs, asked)
    }

    /// An update while the job runs, and the first one after its end.
    pub(super) fn running(&self, knobs: &Knobs) -> ClassAd {
        let mut ad = self.common(knobs);
        ad.insert_value("JobState", if self.suspended { "Suspended" } else { "Running" });
        promise(&mut ad, knobs.starter_update_interval.saturating_mul(SLACK));
        ad
    }

    /// The same, with the account of the end that a shadow of 23 makes an event of.
    pub(super) fn reaped(
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
    pub(super) fn exited(&self, knobs: &Knobs) -> ClassAd {
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
    pub(super) fn saved(&self, knobs: &Knobs, number: i64) -> ClassAd {
        let mut ad = self.exited(knobs);
        ad.insert_value("CheckpointNumber", number);
        if let Some((_, at)) = &self.ended {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let then = now.saturating_sub(at.elapsed());
            ad.insert_value("JobLastCheckpointTime", self::number(then.as_secs()));
            let run = at.duration_since(self.run).as_secs();
            ad.insert_value("NewlyCommittedTime", self::number(run));
        }
        promise(&mut ad, knobs.starter_update_interval.saturating_mul(SLACK));
        ad
    }

    /// What goes along with the last words.
    pub(super) fn last(&self) -> ClassAd {
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

    /// CPUs in use on average.
    fn cpus(&self) -> f64 {
        let used = (self.sample.user + self.sample.system).as_secs_f64();
        used / self.time().as_secs_f64().max(0.001)
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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

/// An event for the user's log.
fn event(name: &str, number: i64) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("MyType", name);
    ad.insert_value("EventTypeNumber", number);
    ad.insert_value(
        "EventTime",
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    );
    ad
}

/// `GenericEvent`: a line that the job wants to see there.
pub(super) fn generic(text: &str) -> ClassAd {
    let mut ad = event("GenericEvent", 8);
    ad.insert_value("Info", text);
    ad
}

/// `RemoteErrorEvent`: something went wrong here, and what is to become of the job.
pub(super) fn error(failure: &Failure, code: i32, subcode: i32) -> ClassAd {
    let mut ad = event("RemoteErrorEvent", 21);
    ad.insert_value("Daemon", "starter");
    ad.insert_value("ErrorMsg", failure.message.clone());
    ad.insert_value("HoldReasonCode", i64::from(code));
    ad.insert_value("HoldReasonSubCode", i64::from(subcode));
    ad
}

/// The same event where the job goes on: a message for the user.
pub(super) fn notice(message: String) -> ClassAd {
    let mut ad = error(&Failure::host(Step::Hook, message), 0, 0);
    ad.insert_value("CriticalError", 0);
    ad
}

/// `DiagnosticResult`: what a diagnostic has found.
pub(super) fn diagnostic(name: &str, ran: &Ran) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", "DiagnosticResult");
    ad.insert_value("Diagnostic", name.to_owned());
    let result = match ran.end {
        End::Ended(status) => {
            ad.insert_value("Contents", Base64::encode_string(&ran.output));
            ad.insert_value("ExitStatus", i64::from(status.wait()));
            "Completed"
        }
        End::Unregistered => "Error - Unregistered",
        End::Missing => "Error - specified path does not exist",
        End::TimedOut => "Error - Timed Out",
        End::TooMuch => "Error - wrote too much",
        End::NotExecuted(_) => "Error - could not be executed",
    };
    ad.insert_value("Result", result);
    ad
}

/// `ActivationExecutionExit`: the job's processes are gone, output comes next.
pub(super) fn execution_exit() -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", "ActivationExecutionExit");
    ad
}

/// `SuccessfulCheckpoint` or `FailedCheckpoint`.
pub(super) fn checkpoint(event: &str, number: i64) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", event);
    ad.insert_value("CheckpointNumber", number);
    ad
}

/// Why the job was made to end, where it was.
pub(super) fn vacated(ad: &mut ClassAd, ending: &Ending) {
    if let Some(why) = &ending.why {
        ad.insert_value("VacateReason", why.text.clone());
        ad.insert_value("VacateReasonCode", i64::from(why.code));
        ad.insert_value("VacateReasonSubCode", i64::from(why.subcode));
    }
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

    #[test]
    fn the_shadow_learns_what_the_slot_has() {
        let slot = ClassAd::parse_old(
            "Name = \"slot1_1@here\"\nCpus = 2\nMemory = 64\nTokens = 3\nSecret = 1\n\
             AssignedTokens = \"a,b,c\"\nAvailableTokens = { Tokens_d }\n\
             MachineResources = \"Cpus Memory Tokens\"\nClaimId = \"x#1#y\"\n",
        )
        .unwrap();
        let knobs = Knobs::from_text("UID_DOMAIN = here\n");
        for (release, nested) in [(Release(23, 9), false), (Release(25, 14), true)] {
            let scratch = Path::new("/execute/dir_1");
            let ad = starter(&slot, "<127.0.0.1:1>", scratch, &knobs, Some(release));
            for (name, value) in
                [("Cpus", "2"), ("Memory", "64"), ("Tokens", "3"), ("AssignedTokens", "\"a,b,c\"")]
            {
                assert_eq!(ad.get(name).unwrap().to_string(), value, "{name}");
            }
            assert!(ad.contains("AvailableTokens") && !ad.contains("Secret"));
            assert_eq!(ad.eval_string("Name").as_deref(), Some("slot1_1@here"));
            assert_eq!(ad.contains("SlotAd"), nested);
            assert!(!ad.to_old_string().contains("x#1#y"), "the claim's secret is told");
        }
    }
}
