//! What becomes of a job that the kernel killed for its memory.

use crate::failure::{Failure, Step, hold};
use crate::knobs::Knobs;
use crate::launcher::message::{Ended, Status};
use crate::plan::Plan;

/// Below this part of its memory, in per cent, a job isn't the one to blame.
const BLAME: u64 = 90;

/// The failure, in the stock starter's words, if that is how the job ended. `asked`: it was being made to
/// end anyway.
pub(super) fn failure(ended: &Ended, plan: &Plan, knobs: &Knobs, asked: bool) -> Option<Failure> {
    let out = ended.out_of_memory?;
    if asked || !matches!(ended.status, Status::Signaled(libc::SIGKILL, _)) {
        return None;
    }
    let slot = plan.together.cgroup().and_then(|cgroup| cgroup.slot_memory);
    let (old, subcode) = (knobs.old_pool, if knobs.old_pool { 0 } else { hold::MEMORY });
    let hold =
        |text: String| Some(Failure::job(Step::Watch, hold::OUT_OF_RESOURCES, subcode, text));
    let Some(slot) = slot.map(|bytes| bytes >> 20) else {
        return hold("Job has encountered an out-of-memory event.".to_owned());
    };
    let peak = out.peak_kib / 1024;
    // The stock starter's default is to hold in any case; here that has to be said, as the kernel tells
    // whose limit it was.
    let insists = knobs.starter_always_hold_on_oom
        && (out.own_limit || knobs.is_set("STARTER_ALWAYS_HOLD_ON_OOM"));
    if !insists && peak * 100 < slot * BLAME {
        return Some(Failure::host(Step::Watch, "Worker node is out of memory"));
    }
    let measured = if old { "Peak usage" } else { "Last measured usage" };
    hold(format!(
        "Job has gone over cgroup memory limit of {slot} megabytes. {measured}: {peak} megabytes.  \
         Consider resubmitting with a higher request_memory."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Disposition;
    use crate::launcher::message::OutOfMemory;
    use crate::plan::{Together, cgroup::Cgroup, tests::any};
    use crate::report::Usage;

    const KILLED: Status = Status::Signaled(9, false);

    fn end(status: Status, own_limit: bool, peak_mib: u64) -> Ended {
        let out = OutOfMemory { own_limit, peak_kib: peak_mib * 1024 };
        Ended { status, usage: Usage::default(), out_of_memory: Some(out) }
    }

    fn say(ended: &Ended, knobs: &str, old: bool) -> Option<Failure> {
        let mut plan = any();
        let cgroup = Cgroup { slot_memory: Some(128 << 20), ..Cgroup::default() };
        plan.together = Together::In(Box::new(cgroup));
        let mut knobs = Knobs::from_text(knobs);
        knobs.old_pool = old;
        failure(ended, &plan, &knobs, false)
    }

    #[test]
    fn a_job_over_its_limit_is_held_in_the_words_of_the_version() {
        let ended = end(KILLED, true, 127);
        let held = say(&ended, "", false).unwrap();
        assert_eq!(held.disposition, Disposition::Hold { code: 34, subcode: 102 });
        assert_eq!(
            held.message,
            "Job has gone over cgroup memory limit of 128 megabytes. Last measured usage: 127 \
             megabytes.  Consider resubmitting with a higher request_memory."
        );
        let held = say(&ended, "", true).unwrap();
        assert_eq!(held.disposition, Disposition::Hold { code: 34, subcode: 0 });
        assert!(held.message.contains("megabytes. Peak usage: 127 megabytes."), "{held}");
    }

    #[test]
    fn a_job_that_was_not_to_blame_goes_elsewhere() {
        let elsewhere =
            |failure: Option<Failure>| failure.unwrap().disposition == Disposition::Elsewhere;
        let machine = end(KILLED, false, 20);
        assert!(elsewhere(say(&machine, "", false)));
        assert!(!elsewhere(say(&machine, "STARTER_ALWAYS_HOLD_ON_OOM = True\n", false)));
        assert!(!elsewhere(say(&end(KILLED, false, 120), "", false)));
        // A burst that nobody saw: the kernel says it was its own limit.
        assert!(!elsewhere(say(&end(KILLED, true, 20), "", false)));
        assert!(elsewhere(say(
            &end(KILLED, true, 20),
            "STARTER_ALWAYS_HOLD_ON_OOM = False\n",
            false
        )));
    }

    #[test]
    fn other_ends_are_what_they_are() {
        assert_eq!(say(&end(Status::Exited(3), true, 127), "", false), None);
        let ended = Ended { out_of_memory: None, ..end(KILLED, true, 127) };
        assert_eq!(say(&ended, "", false), None);
        let ended = end(KILLED, true, 127);
        assert_eq!(failure(&ended, &any(), &Knobs::from_text(""), true), None);
        // Without a known limit.
        let held = failure(&ended, &any(), &Knobs::from_text(""), false).unwrap();
        assert_eq!(held.message, "Job has encountered an out-of-memory event.");
    }
}
