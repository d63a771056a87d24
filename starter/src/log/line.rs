//! The form of a line: time, `(pid:N)`, category, header, text.

use std::cell::OnceCell;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};
use serde::Serialize;
use tracing::Level;

use super::flags::Flags;

/// DEBUG_TIME_FORMAT where nothing is configured.
const TIME: &str = "%m/%d/%y %H:%M:%S";

/// How lines look.
#[derive(Debug)]
pub(crate) struct Form {
    /// What stands in front.
    pub(crate) flags: Flags,
    /// For strftime; without it HTCondor's usual one.
    time: Option<String>,
    /// `-header`: as it is, in front of the text.
    pub(crate) header: Option<String>,
    /// Objects in place of text (STARTER_LOG_FORMAT).
    pub(crate) json: bool,
    zone: OnceCell<TimeZone>,
}

/// A line as an object.
#[derive(Serialize)]
struct Object<'a> {
    time: String,
    pid: u32,
    level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
    message: &'a str,
}

impl Form {
    /// `time` is DEBUG_TIME_FORMAT, in quotes or not. One that can't be used is no reason to go
    /// without a log: the usual one takes its place.
    pub(crate) fn new(flags: Flags, time: Option<&str>, header: Option<String>) -> Self {
        let time = time.map(|text| match text.strip_prefix('"') {
            Some(rest) => rest.split('"').next().unwrap_or_default(),
            None => text,
        });
        let usable = |text: &&str| {
            *text != TIME
                && strtime::format(text, &Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
                    .is_ok()
        };
        let time = time.filter(usable).map(str::to_owned);
        Self { flags, time, header, json: false, zone: OnceCell::new() }
    }

    /// A line with its end. What would be several lines becomes one, unless each further one begins with
    /// a tab. The tab stays where what follows could be taken for a line of ours.
    pub(crate) fn line(&self, now: Timestamp, pid: u32, level: Level, text: &str) -> String {
        if self.json {
            return self.object(now, pid, level, text);
        }
        let mut line = self.time(now);
        // Writing to a string doesn't fail.
        if self.flags.pid {
            let _ = write!(line, "(pid:{pid}) ");
        }
        if self.flags.category {
            line.push_str(match level {
                Level::ERROR => "(D_ERROR) ",
                Level::WARN | Level::INFO => "(D_ALWAYS) ",
                _ => "(D_ALWAYS:2) ",
            });
        }
        line.push_str(self.header.as_deref().unwrap_or_default());
        match level {
            Level::ERROR => line.push_str("ERROR: "),
            Level::WARN => line.push_str("WARNING: "),
            _ => {}
        }
        // Nor does anything of it move about on the terminal that it is read at.
        let shown = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
        for (number, part) in text.split('\n').enumerate() {
            let part = match part.strip_prefix('\t') {
                _ if number == 0 => part,
                None => {
                    line.push(' ');
                    part
                }
                Some(inner) => {
                    line.push('\n');
                    if self.could_be_ours(inner) { part } else { inner }
                }
            };
            line.extend(part.chars().map(shown));
        }
        line.push('\n');
        line
    }

    /// The same as an object. Time is UTC, in the form of RFC 3339.
    fn object(&self, now: Timestamp, pid: u32, level: Level, text: &str) -> String {
        let object = Object {
            time: format!("{now:.3}"),
            pid,
            level: match level {
                Level::ERROR => "error",
                Level::WARN => "warning",
                Level::INFO => "info",
                _ => "debug",
            },
            header: self.header.as_deref().map(str::trim),
            message: text,
        };
        let mut line = serde_json::to_string(&object).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Whether a text begins as our lines do. With a form of time that was chosen any text may.
    fn could_be_ours(&self, text: &str) -> bool {
        let usual = self.time.is_none() && !self.flags.timestamp;
        let digit = |(form, byte): (u8, u8)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        let form = b"00/00/00 00:00:00";
        !usual || (text.len() >= form.len() && form.iter().copied().zip(text.bytes()).all(digit))
    }

    fn time(&self, now: Timestamp) -> String {
        // To the nearest millisecond, so that the second can change.
        let milliseconds = if self.flags.sub_second {
            now.as_microsecond().saturating_add(500).div_euclid(1000)
        } else {
            now.as_millisecond()
        };
        let (second, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
        let mut text = if self.flags.timestamp {
            second.to_string()
        } else {
            self.local(
                self.time.as_deref().unwrap_or(TIME),
                Timestamp::from_second(second).unwrap_or(now),
            )
        };
        if self.flags.sub_second {
            let _ = write!(text, ".{rest:03}");
        }
        text.push(' ');
        text
    }

    /// A point in time as strftime has it, in the machine's zone.
    pub(crate) fn local(&self, format: &str, time: Timestamp) -> String {
        let zone = self.zone.get_or_init(zone);
        strtime::format(format, &time.to_zoned_datetime(zone.clone())).unwrap_or_default()
    }
}

/// The machine's time zone. Looking for its name, as `TimeZone::system` does, reads the directory
/// of all zones; the file itself is enough. HTCondor's daemons set `TZ=:/etc/localtime`.
fn zone() -> TimeZone {
    let named = std::env::var("TZ");
    let Some(file) = zone_file(named.as_deref().ok()) else { return TimeZone::system() };
    let data = std::fs::read(file).ok();
    data.and_then(|data| TimeZone::tzif("Local", &data).ok()).unwrap_or(TimeZone::UTC)
}

/// The file of the zone, where TZ is unset or the path of one.
fn zone_file(named: Option<&str>) -> Option<&str> {
    let Some(named) = named else { return Some("/etc/localtime") };
    let path = named.strip_prefix(':').unwrap_or(named);
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(flags: &str, time: Option<&str>, header: Option<&str>) -> Form {
        let mut parsed = Flags::default();
        parsed.add(flags);
        let form = Form::new(parsed, time, header.map(str::to_owned));
        form.zone.set(TimeZone::UTC).unwrap();
        form
    }

    #[test]
    fn the_zone_is_a_file_or_a_name() {
        assert_eq!(zone_file(None), Some("/etc/localtime"));
        assert_eq!(zone_file(Some(":/etc/localtime")), Some("/etc/localtime"));
        assert_eq!(zone_file(Some("/usr/share/zoneinfo/CET")), Some("/usr/share/zoneinfo/CET"));
        for named in ["Europe/Berlin", ":Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "", ":"] {
            assert_eq!(zone_file(Some(named)), None);
        }
    }

    /// Lines as the starters of 23.9.6 and 25.14.1 write them.
    #[test]
    fn lines_look_like_those_of_stock() {
        let now = Timestamp::from_microsecond(1_795_595_496_999_700).unwrap();
        let line = |form: Form, level, text| form.line(now, 22, level, text);
        assert_eq!(
            line(form("D_PID", None, None), Level::INFO, "** PID = 22"),
            "11/25/26 08:31:36 (pid:22) ** PID = 22\n"
        );
        assert_eq!(
            line(form("D_PID D_CAT", None, Some("(1.0) ")), Level::DEBUG, "a\nb"),
            "11/25/26 08:31:36 (pid:22) (D_ALWAYS:2) (1.0) a b\n"
        );
        assert_eq!(
            line(form("", None, None), Level::INFO, "a\n\tb\n\n\tc\n"),
            "11/25/26 08:31:36 a\nb \nc \n"
        );
        assert_eq!(
            line(form("D_TIMESTAMP", None, None), Level::ERROR, "x"),
            "1795595496 ERROR: x\n"
        );
        assert_eq!(
            line(form("D_SUB_SECOND", Some("\"%Y %H:%M:%S\""), None), Level::INFO, "x"),
            "2026 08:31:37.000 x\n"
        );
        let json = Form { json: true, ..form("D_CAT", None, Some("(1.0) ")) };
        assert_eq!(
            line(json, Level::WARN, "a \"b\"\n\u{1b}[31m"),
            "{\"time\":\"2026-11-25T08:31:36.999Z\",\"pid\":22,\"level\":\"warning\",\
             \"header\":\"(1.0)\",\"message\":\"a \\\"b\\\"\\n\\u001b[31m\"}\n"
        );
        assert_eq!(line(form("", Some("%Q%!"), None), Level::INFO, "x"), "11/25/26 08:31:36 x\n");
    }

    /// Of somebody else's words no line begins as ours do.
    #[test]
    fn nobody_else_writes_lines_of_ours() {
        let now = Timestamp::UNIX_EPOCH;
        let text = "a\n\t11/25/26 08:31:36 b\n\t11/25/2026 c\n\t\r\x1b[2Jd";
        let line = |time| form("", time, None).line(now, 22, Level::INFO, text);
        let usual = line(None);
        assert!(usual.ends_with("a\n\t11/25/26 08:31:36 b\n11/25/2026 c\n  [2Jd\n"), "{usual}");
        let chosen = line(Some("%Y"));
        assert!(
            chosen.ends_with("a\n\t11/25/26 08:31:36 b\n\t11/25/2026 c\n\t  [2Jd\n"),
            "{chosen}"
        );
    }
}
