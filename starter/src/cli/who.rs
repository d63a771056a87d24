//! `cloister who`: the jobs that run on this machine.

use std::ffi::OsString;

use super::live::{self, Live, Processes};
use crate::knobs::{self, Knobs};

/// Prints them, as a table or as JSON.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let json = match arguments {
        [] => false,
        [word] if word == "--json" => true,
        _ => return Err("who takes --json and nothing else".to_owned()),
    };
    let jobs = knobs::load(None, false)
        .and_then(|config| Knobs::read(&config))
        .map_err(|failure| failure.message)
        .and_then(|knobs| live::all(&knobs, &Processes::read()));
    let jobs = match jobs {
        Ok(jobs) => jobs,
        Err(why) => {
            complain!("cloister: {why}");
            return Ok(1);
        }
    };
    if json {
        say!("{}", serde_json::to_string(&jobs).map_err(|error| error.to_string())?);
        return Ok(0);
    }
    let head = ["SLOT", "JOB", "OWNER", "ACCOUNT", "ROOT", "MEMORY", "PROCESSES", "AGE", "PID"]
        .map(str::to_owned);
    let rows: Vec<[String; 9]> = std::iter::once(head).chain(jobs.iter().map(row)).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..9).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say!("{}", cells.join("  ").trim_end());
    }
    Ok(0)
}

fn row(job: &Live) -> [String; 9] {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    let of = |used: String, limit: Option<String>| {
        limit.map_or_else(|| used.clone(), |limit| format!("{used}/{limit}"))
    };
    [
        text(&job.slot),
        text(&job.job),
        text(&job.owner),
        text(&job.account),
        text(&job.root),
        of(bytes(job.memory), job.memory_limit.map(bytes)),
        of(job.processes.to_string(), job.processes_limit.map(|limit| limit.to_string())),
        job.age.map_or_else(|| "?".to_owned(), age),
        job.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
    ]
}

/// In the largest unit that leaves a number.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{}K", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{}M", bytes >> 20),
        _ => format!("{}G", bytes >> 30),
    }
}

/// As condor_q has it: days+hours:minutes:seconds.
pub(super) fn age(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("{days}+{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([0, 2048, 5 << 20, 64 << 30].map(bytes), ["0B", "2K", "5M", "64G"]);
        assert_eq!(age(90_061), "1+01:01:01");
    }
}
