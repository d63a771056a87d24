//! Counters for a site's monitoring (STARTER_METRICS_DIRECTORY): one file a slot, in the text format of
//! Prometheus, for the textfile collector of its node exporter.
//!
//! A slot has one starter at a time, so nobody else adds to its file; a reader sees the old one or the
//! new one. The file belongs to the daemons' account, with whose rights it is written.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a job left the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its program ended.
    Ended,
    /// It was told to end.
    Evicted,
    /// It was at fault.
    Held,
    /// The machine was.
    Failed,
    /// Its shadow was lost.
    Lost,
}

/// What a job adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// How it left.
    pub(crate) left: Left,
    /// From the start of the starter to that of the program, if it was started.
    pub(crate) to_exec: Option<Duration>,
    /// How long it ran.
    pub(crate) wall: Duration,
    /// CPU time.
    pub(crate) cpu: Duration,
}

/// Larger files aren't ours.
const LARGEST: u64 = 64 << 10;

/// Name and text for people of each counter; the names of a summary's parts are its own with an end.
const FAMILIES: [(&str, &str, &str); 5] = [
    ("cloister_jobs_total", "counter", "Jobs by the way they left the slot."),
    ("cloister_job_seconds_total", "counter", "Seconds that jobs ran."),
    ("cloister_job_cpu_seconds_total", "counter", "CPU time of jobs in seconds."),
    ("cloister_time_to_exec_seconds", "summary", "From the start of a starter to that of the job."),
    ("cloister_last_job_end_timestamp_seconds", "gauge", "When the last job left the slot."),
];

/// Adds a job to the counters of a slot.
pub(crate) fn add(directory: &Path, slot: &str, tally: &Tally) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    let slot: String = slot.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let path = directory.join(format!("cloister-{slot}.prom"));
    let old = match read(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        old => old.unwrap_or_default(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = added(&old, &slot, tally, now.as_secs());
    let part = directory.join(format!(".cloister-{slot}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&part, &path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn read(path: &Path) -> io::Result<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The file with a job more.
fn added(old: &str, slot: &str, tally: &Tally, now: u64) -> String {
    let before = |series: &str| {
        let mut lines = old.lines().filter_map(|line| line.rsplit_once(' '));
        let value = lines.find(|(name, _)| *name == series).and_then(|(_, v)| v.parse().ok());
        value.filter(|value: &f64| value.is_finite()).unwrap_or(0.0)
    };
    let one = |has: bool| if has { 1.0 } else { 0.0 };
    let ends = [
        ("ended", Left::Ended),
        ("evicted", Left::Evicted),
        ("held", Left::Held),
        ("failed", Left::Failed),
        ("lost", Left::Lost),
    ];
    let mut text = String::new();
    for (name, kind, help) in FAMILIES {
        // Writing to a string doesn't fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        let mut count = |name: &str, label: &str, more: f64| {
            let series = format!("{name}{{slot=\"{slot}\"{label}}}");
            let _ = writeln!(text, "{series} {}", before(&series) + more);
        };
        match name {
            "cloister_jobs_total" => {
                for (word, left) in ends {
                    count(name, &format!(",end=\"{word}\""), one(left == tally.left));
                }
            }
            "cloister_job_seconds_total" => count(name, "", tally.wall.as_secs_f64()),
            "cloister_job_cpu_seconds_total" => count(name, "", tally.cpu.as_secs_f64()),
            "cloister_time_to_exec_seconds" => {
                let seconds = tally.to_exec.unwrap_or_default().as_secs_f64();
                count(&format!("{name}_sum"), "", seconds);
                count(&format!("{name}_count"), "", one(tally.to_exec.is_some()));
            }
            _ => {
                let _ = writeln!(text, "{name}{{slot=\"{slot}\"}} {now}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_grow_and_the_file_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let tally = |left, to_exec| Tally {
            left,
            to_exec,
            wall: Duration::from_millis(1500),
            cpu: Duration::from_millis(250),
        };
        add(dir.path(), "slot1_1", &tally(Left::Ended, Some(Duration::from_millis(20)))).unwrap();
        add(dir.path(), "slot1_1", &tally(Left::Ended, Some(Duration::from_millis(30)))).unwrap();
        add(dir.path(), "slot1_1", &tally(Left::Held, None)).unwrap();
        add(dir.path(), "../a\"\n", &tally(Left::Lost, None)).unwrap();
        let text = fs::read_to_string(dir.path().join("cloister-slot1_1.prom")).unwrap();
        for line in [
            "cloister_jobs_total{slot=\"slot1_1\",end=\"ended\"} 2",
            "cloister_jobs_total{slot=\"slot1_1\",end=\"held\"} 1",
            "cloister_jobs_total{slot=\"slot1_1\",end=\"lost\"} 0",
            "cloister_job_seconds_total{slot=\"slot1_1\"} 4.5",
            "cloister_job_cpu_seconds_total{slot=\"slot1_1\"} 0.75",
            "cloister_time_to_exec_seconds_sum{slot=\"slot1_1\"} 0.05",
            "cloister_time_to_exec_seconds_count{slot=\"slot1_1\"} 2",
            "# TYPE cloister_time_to_exec_seconds summary",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["cloister-.._a__.prom", "cloister-slot1_1.prom"]);
    }

    #[test]
    fn what_is_no_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let tally =
            Tally { left: Left::Lost, to_exec: None, wall: Duration::ZERO, cpu: Duration::ZERO };
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("cloister-s.prom")).unwrap();
        assert!(add(dir.path(), "s", &tally).is_err());
        assert!(add(&dir.path().join("none"), "s", &tally).is_err());
    }
}
