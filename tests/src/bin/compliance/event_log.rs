//! The user's event log: its events, and whether it says that the jobs have ended.

use std::collections::BTreeMap;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its number, three digits as in the log.
    pub(crate) number: String,
    /// The job's number in its cluster (ProcId).
    pub(crate) proc: u32,
    /// The rest of its first line after the time, and its other lines.
    pub(crate) text: String,
}

/// The events of a log, in order. An event that isn't complete yet, at the end of a log that is being
/// written, is left out.
pub(crate) fn parse(log: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for line in log.lines() {
        if line == "..." {
            events.extend(event(&lines));
            lines.clear();
        } else {
            lines.push(line);
        }
    }
    events
}

/// `NNN (CLUSTER.PROC.SUBPROC) DATE TIME TEXT` and what follows.
fn event(lines: &[&str]) -> Option<Event> {
    let (first, more) = lines.split_first()?;
    let (number, rest) = first.split_once(" (")?;
    let (job, rest) = rest.split_once(") ")?;
    let text = rest.splitn(3, ' ').nth(2)?;
    let mut text = text.to_owned();
    for line in more {
        text.push('\n');
        text.push_str(line);
    }
    Some(Event { number: number.to_owned(), proc: job.split('.').nth(1)?.parse().ok()?, text })
}

/// Whether this many jobs have ended (005), were removed (009) or are held (012), and nothing has
/// happened to them since.
pub(crate) fn at_rest(events: &[Event], jobs: usize) -> bool {
    let mut resting = BTreeMap::new();
    for event in events {
        match event.number.as_str() {
            "005" | "009" | "012" => resting.insert(event.proc, true),
            "001" | "004" | "013" => resting.insert(event.proc, false),
            _ => None,
        };
    }
    resting.values().filter(|rests| **rests).count() == jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "000 (007.000.000) 2026-11-25 08:23:05 Job submitted from host: <1>\n...\n\
        000 (007.001.000) 2026-11-25 08:23:05 Job submitted from host: <1>\n...\n\
        001 (007.000.000) 2026-11-25 08:23:06 Job executing on host: <2>\n\tSlotName: slot1_1\n...\n\
        005 (007.000.000) 2026-11-25 08:23:07 Job terminated.\n\t(1) Normal\n...\n";

    #[test]
    fn an_event_is_its_number_its_job_and_its_text() {
        let events = parse(LOG);
        assert_eq!(events.len(), 4);
        let text = "Job executing on host: <2>\n\tSlotName: slot1_1".to_owned();
        assert_eq!(events[2], Event { number: "001".into(), proc: 0, text });
        assert_eq!(events[1].proc, 1);
    }

    #[test]
    fn an_event_that_is_still_being_written_does_not_count() {
        let cut = LOG.len() - 5;
        assert_eq!(parse(&LOG[..cut]).len(), 3);
    }

    #[test]
    fn rest_is_the_end_of_every_job_with_nothing_after_it() {
        let mut log = LOG.to_owned();
        assert!(!at_rest(&parse(&log), 2), "the second job isn't over");
        log.push_str("012 (007.001.000) 2026-11-25 08:23:08 Job was held.\n...\n");
        assert!(at_rest(&parse(&log), 2));
        log.push_str("013 (007.001.000) 2026-11-25 08:23:09 Job was released.\n...\n");
        assert!(!at_rest(&parse(&log), 2), "it was released");
        log.push_str("009 (007.001.000) 2026-11-25 08:23:10 Job was aborted.\n...\n");
        assert!(at_rest(&parse(&log), 2));
    }
}
