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
