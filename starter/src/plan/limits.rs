//! Limits and priorities of the job's processes.

use classad::ClassAd;
use serde::{Deserialize, Serialize};

use super::Host;
use crate::job::Job;
use crate::knobs::Knobs;

/// More CPUs than the kernel's own type for a set of them has room for aren't named.
const MAX_CPU: usize = rustix::thread::CpuSet::MAX_CPU;
/// oom_score_adj of a job: the kernel kills jobs before daemons. The value is the stock starter's.
const OOM_SCORE_ADJ: i32 = 800;

/// What the job's process is given just before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Added to the niceness, 0 to 19.
    pub(crate) nice: i32,
    /// RLIMIT_CORE in bytes; `None` is unlimited.
    pub(crate) core: Option<u64>,
    /// RLIMIT_STACK in bytes (`StackSize` of the job); `None`: as much as there may be.
    pub(crate) stack: Option<u64>,
    /// RLIMIT_AS in bytes, where the admin set one.
    pub(crate) address_space: Option<u64>,
    /// The CPUs it may run on, by number; empty: all.
    pub(crate) cpus: Vec<usize>,
    /// Disk space of the sandbox in KiB, where the admin enforces that.
    pub(crate) disk_kib: Option<u64>,
    /// oom_score_adj.
    pub(crate) oom_score_adj: i32,
    /// File creation mask.
    pub(crate) umask: u32,
    /// How many processes and threads, where no cgroup counts them but a PID namespace does.
    pub(crate) processes: Option<u64>,
    /// No signals and traces to processes outside, no abstract Unix sockets of theirs.
    pub(crate) scoped: bool,
}

impl Limits {
    /// From the knobs and the job, by the stock starter's rules.
    pub(crate) fn new(
        job: &Job,
        knobs: &Knobs,
        machine: &ClassAd,
        slot: &str,
        host: &Host,
    ) -> Self {
        Self {
            nice: nice(job, knobs),
            core: core(job),
            stack: job.ad.eval_i64("StackSize").and_then(|size| u64::try_from(size).ok()),
            address_space: address_space(job, knobs, machine),
            cpus: cpus(knobs, slot),
            disk_kib: machine
                .eval_i64("Disk")
                .filter(|_| knobs.starter_enforce_disk_limits || knobs.startd_enforce_disk_limits)
                .and_then(|kib| u64::try_from(kib).ok()),
            oom_score_adj: OOM_SCORE_ADJ,
            umask: 0o022,
            processes: None,
            scoped: host.scopes,
        }
    }
}

/// JOB_RENICE_INCREMENT, evaluated in the job ad: a bad value counts as 10.
fn nice(job: &Job, knobs: &Knobs) -> i32 {
    let Some(text) = &knobs.job_renice_increment else { return 0 };
    let value = classad::Expr::parse_old(text).ok().map(|expr| expr.eval_in(&job.ad));
    match value {
        Some(classad::Value::Int(number)) => i32::try_from(number.clamp(0, 19)).unwrap_or(19),
        _ => 10,
    }
}

/// CoreSize of the job: absent means none, negative means unlimited.
fn core(job: &Job) -> Option<u64> {
    match job.core_size {
        None => Some(0),
        Some(size) => u64::try_from(size).ok(),
    }
}

/// STARTER_RLIMIT_AS, in MiB, an expression over the machine and the job ad.
fn address_space(job: &Job, knobs: &Knobs, machine: &ClassAd) -> Option<u64> {
    let text = knobs.starter_rlimit_as.as_ref()?;
    let expr = classad::Expr::parse_old(text).ok()?;
    match expr.eval_in_match(machine, &job.ad) {
        classad::Value::Int(mib) if mib > 0 => u64::try_from(mib).ok()?.checked_mul(1 << 20),
        _ => None,
    }
}

/// The CPUs of a slot, if jobs are to stay on theirs. Without a list it is the one of the slot's
/// number, but not for the slots that one was divided into: they would all get the same (stock 25.14.1).
fn cpus(knobs: &Knobs, slot: &str) -> Vec<usize> {
    let name = slot.to_ascii_uppercase();
    let Some(number) = name.strip_prefix("SLOT").filter(|_| knobs.enforce_cpu_affinity) else {
        return Vec::new();
    };
    let (number, divided) = match number.split_once('_') {
        Some((number, _)) => (number, true),
        None => (number, false),
    };
    let list = knobs.startd_assigned_affinity.as_ref().or_else(|| {
        let of_all = || knobs.slot_affinity.get(&format!("SLOT{number}"));
        knobs.slot_affinity.get(&name).or_else(of_all)
    });
    match list {
        Some(list) => {
            let words = list.split([',', ' ', '\t']);
            words.filter_map(|word| word.parse().ok()).filter(|cpu| *cpu < MAX_CPU).collect()
        }
        None if divided => Vec::new(),
        None => {
            let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            number.filter(|cpu| *cpu < MAX_CPU).into_iter().collect()
        }
    }
}
