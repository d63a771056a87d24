//! Times: the two value types, their text forms, and the calendar under them.

mod calendar;
mod format;
mod parse;
mod zone;

pub(crate) use calendar::{Civil, civil, days_from_civil};
pub(crate) use format::{Moment, strftime};
pub(crate) use parse::{parse_absolute, parse_relative};
pub use zone::Zone;
pub(crate) use zone::local_time;

use std::fmt;

use crate::num;

/// A moment: seconds since 1970 UTC, and the offset from UTC it is shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// A span of time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct RelTime(f64);

impl RelTime {
    /// From seconds, with fraction.
    pub fn new(seconds: f64) -> RelTime {
        RelTime(seconds)
    }

    /// Seconds, with fraction.
    pub fn seconds(self) -> f64 {
        self.0
    }
}

/// `2020-01-02T03:04:05+01:00`; UTC is `-00:00`.
impl fmt::Display for AbsTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = civil(self.seconds.saturating_add(i64::from(self.offset)));
        let sign = if self.offset > 0 { '+' } else { '-' };
        let zone = self.offset.unsigned_abs();
        write!(
            f,
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
            t.year,
            t.month,
            t.day,
            t.hour,
            t.minute,
            t.second,
            zone / 3600,
            zone / 60 % 60
        )
    }
}

/// `[-][d+]hh:mm:ss[.frac]`, leading units left out while they are zero.
impl fmt::Display for RelTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seconds = self.0;
        if seconds < 0.0 {
            f.write_str("-")?;
            seconds = -seconds;
        }
        let fraction = seconds - seconds.floor();
        // An `int` in HTCondor: more than 68 years come out as its smallest value.
        let whole = num::truncate(seconds);
        let whole = i32::try_from(whole).unwrap_or(i32::MIN);
        let (days, rest) = (whole / 86400, whole % 86400);
        let (hours, minutes, last) = (rest / 3600, rest % 3600 / 60, rest % 60);
        if days != 0 {
            write!(f, "{days}+{hours:02}:{minutes:02}:")?;
        } else if hours != 0 {
            write!(f, "{hours:02}:{minutes:02}:")?;
        } else if minutes != 0 {
            write!(f, "{minutes:02}:")?;
        }
        if fraction == 0.0 {
            return write!(f, "{last:02}");
        }
        if fraction.is_nan() {
            // What C makes of infinity minus infinity, and prints.
            let negative = self.0.is_infinite() || self.0.is_sign_negative();
            return f.write_str(if negative { "-nan" } else { "nan" });
        }
        let text = crate::print::general(f64::from(last) + fraction, 6, false);
        write!(f, "{text:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_times_show_their_offset() {
        let time = |seconds, offset| AbsTime { seconds, offset }.to_string();
        assert_eq!(time(0, 0), "1970-01-01T00:00:00-00:00");
        assert_eq!(time(0, 5400), "1970-01-01T01:30:00+01:30");
        assert_eq!(time(1_577_934_245, -21600), "2020-01-01T21:04:05-06:00");
    }

    #[test]
    fn relative_times_leave_out_what_is_zero() {
        let time = |seconds| RelTime::new(seconds).to_string();
        assert_eq!(time(5.0), "05");
        assert_eq!(time(120.0), "02:00");
        assert_eq!(time(3725.0), "01:02:05");
        assert_eq!(time(-90061.0), "-1+01:01:01");
        assert_eq!(time(1862.5), "31:2.5");
        assert_eq!(time(0.25), "0.25");
    }
}
