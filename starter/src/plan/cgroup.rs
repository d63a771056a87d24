//! The cgroup of a job: its name, and what the kernel is to allow it.

use classad::{ClassAd, Expr, Value};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Step};
use crate::host::cgroups::Cgroups;
use crate::job::Job;
use crate::knobs::Knobs;

/// Largest weight that the kernel takes.
const MAX_WEIGHT: i64 = 10_000;
/// For each CPU, as with the stock starter.
const WEIGHT_OF_CPU: i64 = 100;

/// The file with the CPUs that a cgroup may use.
pub(crate) const CPUS: &str = "cpuset.cpus";

/// What a job's processes are kept together by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Together {
    /// A cgroup.
    In(Box<Cgroup>),
    /// None, for this reason.
    No(String),
}

impl Together {
    /// The cgroup, if there is to be one.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        match self {
            Self::In(cgroup) => Some(cgroup),
            Self::No(_) => None,
        }
    }
}

/// A cgroup. Limits that are `None` aren't set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    /// Its name in BASE_CGROUP.
    pub(crate) name: String,
    /// The memory that the slot has set aside, in bytes.
    pub(crate) slot_memory: Option<u64>,
    /// The job is killed above it, in bytes.
    pub(crate) memory_max: Option<u64>,
    /// The job is made to give memory back above it.
    pub(crate) memory_high: Option<u64>,
    /// It is spared when others need memory below it.
    pub(crate) memory_low: Option<u64>,
    /// Swap space besides, in bytes.
    pub(crate) swap_max: Option<u64>,
    /// Its share of busy CPUs, 1 to 10000.
    pub(crate) cpu_weight: Option<u64>,
    /// Its share of busy disks, 1 to 10000.
    pub(crate) io_weight: Option<u64>,
    /// Processes and threads.
    pub(crate) pids_max: Option<u64>,
    /// The CPUs it may run on, whatever it asks the scheduler for; empty: all.
    pub(crate) cpus: Vec<usize>,
    /// Files without which the job doesn't run, because the admin has asked for what they do.
    pub(crate) needed: Vec<String>,
}

impl Cgroup {
    /// The files of the cgroup that limits are written to, and what.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let numbers = [
            ("memory.max", self.memory_max),
            ("memory.high", self.memory_high),
            ("memory.low", self.memory_low),
            ("memory.swap.max", self.swap_max),
            // The job ends as a whole, not one process of it that others wait for.
            ("memory.oom.group", Some(1)),
            ("cpu.weight", self.cpu_weight),
            ("io.weight", self.io_weight),
            ("pids.max", self.pids_max),
        ];
        let numbers =
            numbers.into_iter().filter_map(|(file, value)| Some((file, value?.to_string())));
        let cpus: Vec<String> = self.cpus.iter().map(ToString::to_string).collect();
        let cpus = (!cpus.is_empty()).then(|| (CPUS, cpus.join(",")));
        numbers.chain(cpus).collect()
    }
}

/// What a name in BASE_CGROUP begins and ends with, for jobs of a slot of this EXECUTE directory, or for
/// a starter by its number. Between them is the slot's name.
pub(crate) fn name(knobs: &Knobs, slot: &str) -> String {
    let execute = knobs.execute.to_string_lossy().replace('/', "_");
    let slot = slot.replace('/', "_");
    match knobs.old_pool {
        true => format!("condor{execute}_{slot}"),
        false => format!("{execute}_{slot}.slice"),
    }
}

/// CGROUP_PIDS_LIMIT for this job.
pub(super) fn most_processes(job: &Job, knobs: &Knobs, machine: &ClassAd) -> Option<u64> {
    let limit = number(knobs.cgroup_pids_limit.as_deref(), job, machine);
    limit.and_then(|limit| u64::try_from(limit).ok())
}

/// The cgroup of a job: HTCondor's rules for its limits, and ours where it has none.
/// `cpus`: those it is to stay on, empty for all. `counted`: without one, its PID namespace limits the number of its processes.
pub(super) fn together(
    job: &Job,
    knobs: &Knobs,
    machine: &ClassAd,
    cgroups: &Cgroups,
    slot: &str,
    cpus: &[usize],
    counted: bool,
) -> Result<Together, Failure> {
    let pids = most_processes(job, knobs, machine);
    let mut needed = Vec::new();
    if pids.is_some() && knobs.is_set("CGROUP_PIDS_LIMIT") {
        needed.push("pids.max".to_owned());
    }
    if let Cgroups::None(why) = cgroups {
        if !needed.is_empty() && !counted {
            let message = format!("CGROUP_PIDS_LIMIT can't be had here: {why}");
            return Err(Failure::host(Step::Plan, message));
        }
        return Ok(Together::No(why.clone()));
    }
    let expression = |text: &Option<String>| number(text.as_deref(), job, machine).and_then(mib);
    // Without a pool there is no slot; the job's own word counts.
    let memory = machine
        .eval_i64("Memory")
        .or_else(|| match machine.contains("MachineResources") {
            true => None,
            false => job.ad.eval_i64("RequestMemory"),
        })
        .and_then(mib);
    let (max, high) = match knobs.cgroup_memory_limit_policy.to_ascii_lowercase().as_str() {
        "hard" => (memory, None),
        "soft" => (None, memory),
        "custom" => (
            expression(&knobs.cgroup_hard_memory_limit_expr),
            expression(&knobs.cgroup_soft_memory_limit_expr),
        ),
        "none" => (None, None),
        other => {
            let message = format!(
                "CGROUP_MEMORY_LIMIT_POLICY is {other}: hard, soft, custom or none is needed"
            );
            return Err(Failure::host(Step::Plan, message));
        }
    };
    let weight = |value: i64| u64::try_from(value.clamp(1, MAX_WEIGHT)).ok();
    let share = machine.eval_i64("Cpus").unwrap_or(job.cpus);
    Ok(Together::In(Box::new(Cgroup {
        name: name(knobs, slot),
        slot_memory: memory,
        memory_max: max,
        memory_high: high,
        memory_low: expression(&knobs.cgroup_low_memory_limit),
        swap_max: max.filter(|_| knobs.disable_swap_for_job).map(|_| 0),
        cpu_weight: weight(share.saturating_mul(WEIGHT_OF_CPU)),
        io_weight: number(knobs.cgroup_io_weight.as_deref(), job, machine).and_then(weight),
        pids_max: pids,
        cpus: cpus.to_vec(),
        needed,
    })))
}

/// Whether a name is that of this slot's job, or of this starter's where there is no slot.
pub(crate) fn is_own(given: &str, knobs: &Knobs, slot: Option<&str>, starter: u32) -> bool {
    let Some(slot) = slot else { return given == name(knobs, &starter.to_string()) };
    let rest = slot_of(given, knobs).and_then(|given| given.strip_prefix(slot));
    rest.is_some_and(|host| host.is_empty() || host.starts_with('@')) && !given.contains('/')
}

/// The number of the starter that a name is for, if it is for one without a slot.
pub(crate) fn starter_of(given: &str, knobs: &Knobs) -> Option<i32> {
    slot_of(given, knobs)?.parse().ok().filter(|number| *number > 0)
}

/// The slot that a name is for, if it is one of this EXECUTE directory.
fn slot_of<'a>(given: &'a str, knobs: &Knobs) -> Option<&'a str> {
    let whole = name(knobs, "");
    let (start, end) = match whole.strip_suffix(".slice") {
        Some(start) => (start, ".slice"),
        None => (whole.as_str(), ""),
    };
    given.strip_prefix(start)?.strip_suffix(end)
}

/// An expression over the slot's and the job's ad that gives a number above 0; text that gives none says
/// nothing.
fn number(text: Option<&str>, job: &Job, machine: &ClassAd) -> Option<i64> {
    let expr = Expr::parse_old(text?).ok()?;
    match expr.eval_in_match(machine, &job.ad) {
        Value::Int(number) if number > 0 => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is left out on purpose")]
        Value::Real(number) if (1.0..1e18).contains(&number) => Some(number as i64),
        _ => None,
    }
}

fn mib(mib: i64) -> Option<u64> {
    u64::try_from(mib).ok().filter(|mib| *mib > 0)?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn job(text: &str) -> Job {
        let text = format!("Cmd = \"/bin/true\"\nIwd = \"/\"\nOwner = \"alice\"\n{text}");
        Job::from_ad(ClassAd::parse_old(text.as_str()).unwrap(), Path::new("/"), None).unwrap()
    }

    fn made(knobs: &str, ad: &str, slot: &str) -> Cgroup {
        let knobs = Knobs::from_text(&format!("EXECUTE = /var/lib/condor/execute\n{knobs}"));
        let machine = ClassAd::parse_old(slot).unwrap();
        let cgroups = Cgroups::Below("/sys/fs/cgroup/htcondor".into());
        match together(&job(ad), &knobs, &machine, &cgroups, "slot1_1@host", &[], false).unwrap() {
            Together::In(cgroup) => *cgroup,
            Together::No(why) => panic!("{why}"),
        }
    }

    const SLOT: &str = "Memory = 128\nCpus = 2\nMachineResources = \"Cpus Memory\"\n";
    const MIB: u64 = 1 << 20;

    #[test]
    fn limits_are_those_of_the_slot() {
        let cgroup = made("", "RequestMemory = 1\n", SLOT);
        assert_eq!(cgroup.name, "_var_lib_condor_execute_slot1_1@host.slice");
        let written = |cgroup: &Cgroup| {
            let lines =
                cgroup.settings().into_iter().map(|(file, value)| format!("{file} {value}"));
            lines.collect::<Vec<_>>()
        };
        let memory = format!("memory.max {}", 128 * MIB);
        let rest = ["memory.swap.max 0", "memory.oom.group 1", "cpu.weight 200", "pids.max 2048"];
        assert_eq!(written(&cgroup), [&[memory.as_str()], &rest[..]].concat());
        let on_cpus = Cgroup { cpus: vec![3, 1], ..cgroup.clone() };
        assert_eq!(written(&on_cpus).last().unwrap(), "cpuset.cpus 3,1");
        assert!(cgroup.needed.is_empty());
    }

    #[test]
    fn memory_by_policy() {
        let policy = |knobs: &str, ad: &str| {
            let made = made(&format!("CGROUP_MEMORY_LIMIT_POLICY = {knobs}"), ad, SLOT);
            [made.memory_max, made.memory_high, made.memory_low, made.swap_max]
                .map(|limit| limit.map(|bytes| bytes / MIB))
        };
        assert_eq!(policy("soft\n", ""), [None, Some(128), None, None]);
        assert_eq!(policy("None\n", ""), [None; 4]);
        let custom = "custom\nCGROUP_HARD_MEMORY_LIMIT_EXPR = Memory * 2\n\
                      CGROUP_SOFT_MEMORY_LIMIT_EXPR = TARGET.RequestMemory\n\
                      CGROUP_LOW_MEMORY_LIMIT = 0.9 * Memory\n";
        assert_eq!(
            policy(custom, "RequestMemory = 100\n"),
            [Some(256), Some(100), Some(115), Some(0)]
        );
        assert_eq!(policy("hard\nDISABLE_SWAP_FOR_JOB = False\n", "")[3], None);
        let knobs = Knobs::from_text("CGROUP_MEMORY_LIMIT_POLICY = hart\n");
        let cgroups = Cgroups::Below("/x".into());
        assert!(together(&job(""), &knobs, &ClassAd::new(), &cgroups, "1", &[], false).is_err());
    }

    #[test]
    fn without_a_slot_the_jobs_word_counts() {
        let cgroup = made("", "RequestMemory = 64\n", "Cpus = 1\n");
        assert_eq!(cgroup.memory_max, Some(64 * MIB));
        let cgroup = made("", "RequestMemory = 64\n", "MachineResources = \"Cpus\"\n");
        assert_eq!(cgroup.memory_max, None);
    }

    #[test]
    fn what_the_admin_asked_for_is_needed() {
        let cgroup = made("CGROUP_PIDS_LIMIT = 100 * Cpus\nCGROUP_IO_WEIGHT = 99999\n", "", SLOT);
        assert_eq!((cgroup.pids_max, cgroup.io_weight), (Some(200), Some(10_000)));
        assert_eq!(cgroup.needed, ["pids.max"]);
        let none = Cgroups::None("there is none".into());
        let with = |text: &str| {
            let knobs = Knobs::from_text(text);
            together(&job(""), &knobs, &ClassAd::new(), &none, "1", &[], false)
        };
        assert_eq!(with("").unwrap(), Together::No("there is none".into()));
        assert!(with("CGROUP_PIDS_LIMIT = 100\n").is_err());
        assert!(with("CGROUP_PIDS_LIMIT = 0\n").is_ok());
    }

    #[test]
    fn only_the_own_slot_is_named() {
        for old in [false, true] {
            let mut knobs = Knobs::from_text("EXECUTE = /e\n");
            knobs.old_pool = old;
            let own = |given: &str| is_own(&name(&knobs, given), &knobs, Some("slot1_1"), 7);
            assert!(own("slot1_1@host") && own("slot1_1@a@b") && own("slot1_1"));
            assert!(!own("slot1_12@host") && !own("slot1_2@host") && !own("7"));
            assert!(!is_own("../x", &knobs, Some("slot1_1"), 7));
            assert!(is_own(&name(&knobs, "7"), &knobs, None, 7));
            assert!(!is_own(&name(&knobs, "8"), &knobs, None, 7));
            assert_eq!(starter_of(&name(&knobs, "8"), &knobs), Some(8));
            for other in ["", "slot1_1@host", "8x", "0", "-1"] {
                assert_eq!(starter_of(&name(&knobs, other), &knobs), None);
            }
            assert_eq!(starter_of("8", &knobs), None);
            assert_eq!(starter_of("_f_8.slice", &knobs), None);
        }
    }
}
