//! The log, in the form of HTCondor's daemons: `MM/DD/YY HH:MM:SS text`.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Where lines go, and which.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    most: Level,
    zone: OnceLock<TimeZone>,
}

impl Log {
    /// A log into an open file (in append mode, since processes share it).
    pub(crate) fn new(file: File, most: Level) -> Self {
        Self { file, most, zone: OnceLock::new() }
    }

    /// Makes this the log of the process.
    pub(crate) fn install(self) {
        // A second log in one process can't happen; if it did, the first would go on.
        let _ = tracing::subscriber::set_global_default(self);
    }

    fn line(&self, level: Level, text: &str) {
        let zone = self.zone.get_or_init(zone);
        let now = Timestamp::now().to_zoned_datetime(zone.clone());
        let mut line = strtime::format("%m/%d/%y %H:%M:%S ", &now).unwrap_or_default();
        match level {
            Level::ERROR => line.push_str("ERROR: "),
            Level::WARN => line.push_str("WARNING: "),
            _ => {}
        }
        // A line is one write, so that lines of several processes don't mix.
        line.push_str(&text.replace('\n', " "));
        line.push('\n');
        // A log that can't be written is no reason to fail a job.
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

/// The machine's time zone. Looking for its name, as `TimeZone::system` does, reads the directory
/// of all zones; the file itself is enough.
fn zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    let local = std::fs::read("/etc/localtime").ok();
    local.and_then(|data| TimeZone::tzif("Local", &data).ok()).unwrap_or(TimeZone::UTC)
}

/// Only events: this program has no use for spans.
impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.line(*event.metadata().level(), &text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string doesn't fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
