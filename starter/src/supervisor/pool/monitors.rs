//! What the startd's monitors (`STARTD_CRON_<job>_METRICS`) measure of the resources of a slot. The
//! startd leaves its view of the slot in a file, from which starter and shadow learn it (23.9.6 and
//! 25.14.1).

use std::collections::BTreeSet;

use classad::{ClassAd, Value};

/// The figures of these resources in the startd's view of the slot. In the flat layout of sandboxes
/// the job could have written it: only numbers are taken.
pub(super) fn usage(snapshot: &[u8], resources: &BTreeSet<String>) -> ClassAd {
    let mut usage = ClassAd::new();
    if snapshot.is_empty() || resources.is_empty() {
        return usage;
    }
    let Ok(slot) = ClassAd::parse_old(snapshot) else { return usage };
    for resource in resources {
        let names = [
            format!("{resource}Usage"),
            format!("{resource}AverageUsage"),
            format!("Recent{resource}Usage"),
        ];
        for name in names {
            match slot.eval(&name) {
                Value::Int(number) => usage.insert_value(name, number),
                Value::Real(number) => usage.insert_value(name, number),
                _ => None,
            };
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_what_is_monitored_are_taken() {
        let resources = ["GPUs", "Tokens"].map(str::to_owned).into();
        let snapshot = b"GPUsUsage = 0.5\nGPUsAverageUsage = 1\nTokensUsage = \"x\"\n\
                         RecentTokensUsage = 3\nCpusUsage = 7\nOtherUsage = 1\n";
        let usage = usage(snapshot, &resources);
        let mut names: Vec<_> = usage.iter().map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        assert_eq!(names, ["GPUsAverageUsage", "GPUsUsage", "RecentTokensUsage"]);
        assert_eq!(usage.eval("GPUsUsage"), Value::Real(0.5));
    }

    #[test]
    fn what_is_no_ad_says_nothing() {
        let resources = ["GPUs".to_owned()].into();
        for bytes in [&b""[..], b"\xff\x00", b"GPUsUsage = = 1", b"GPUsUsage = GPUsUsage\n"] {
            assert!(usage(bytes, &resources).is_empty());
        }
    }
}
