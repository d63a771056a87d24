//! Reading absolute and relative times.

use super::zone::Zone;
use super::{AbsTime, Civil};
use crate::num::is_space;

/// `2020-01-02T03:04:05+01:00` and whatever HTCondor 25.14 takes for such: anything but digits may
/// separate the fields, fields may be missing at the end, and no zone means the local one.
///
/// A missing month is January but a missing day is 0, so `2020-07` is 30 June.
pub(crate) fn parse_absolute(text: &[u8], zone: &Zone) -> Option<AbsTime> {
    let mut text = text.to_vec();
    let explicit = take_zone(&mut text);
    let mut fields = Fields { text: &text, at: 0 };
    let year = fields.number(4)?;
    // The C library counts months from 0 and is given the number minus 1.
    let month = fields.number(2).unwrap_or(1);
    let day = fields.number(2).unwrap_or(0);
    let hour = fields.number(2).unwrap_or(0);
    let minute = fields.number(2).unwrap_or(0);
    let second = fields.number(2).unwrap_or(0);
    if fields.more() {
        return None;
    }
    let clock = Civil { year, month, day, hour, minute, second, weekday: 0, yearday: 0 };
    let seconds = clock.seconds();
    // HTCondor has mktime take the fields as local standard time, whose result -1 it takes for a
    // failure, and undoes that with an hour of daylight saving: right unless the zone saves less.
    let standard = zone.standard_at(seconds).map_or(0, |offset| offset.seconds);
    let local = seconds - i64::from(standard);
    if local == -1 {
        return None;
    }
    let there = zone.at(local);
    let undone = local + i64::from(there.seconds) - if there.dst { 3600 } else { 0 };
    let offset = explicit.unwrap_or(there.seconds);
    if offset == -1 {
        return None;
    }
    Some(AbsTime { seconds: undone - i64::from(offset), offset })
}

/// Cuts `Z`, `+hhmm` or `+hh:mm` off the end.
fn take_zone(text: &mut Vec<u8>) -> Option<i32> {
    let last = text.iter().rposition(|b| !is_space(*b))?;
    if last > 0 && matches!(text[last], b'z' | b'Z') {
        text.remove(last);
        return Some(0);
    }
    let len = text.len();
    let sign_at = |n: usize| len > n && matches!(text[len - n], b'+' | b'-');
    if !sign_at(5) {
        if !(sign_at(6) && text[len - 3] == b':') {
            return None;
        }
        text.remove(len - 3);
    }
    let start = text.len() - 5;
    let digits: Vec<i32> = text[start + 1..]
        .iter()
        .map(|b| if b.is_ascii_digit() { Some(i32::from(b - b'0')) } else { None })
        .collect::<Option<_>>()?;
    let value = (digits[0] * 10 + digits[1]) * 3600 + (digits[2] * 10 + digits[3]) * 60;
    let negative = text[start] == b'-';
    text.truncate(start);
    Some(if negative { -value } else { value })
}

struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    /// The next field: `width` bytes from the next digit on, of which the leading digits count.
    fn number(&mut self, width: usize) -> Option<i64> {
        self.skip();
        let field = self.text.get(self.at..self.at + width)?;
        self.at += width;
        let digits = field.iter().take_while(|b| b.is_ascii_digit());
        Some(digits.fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    }

    fn skip(&mut self) {
        while self.text.get(self.at).is_some_and(|b| !b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn more(&mut self) -> bool {
        self.skip();
        self.at < self.text.len()
    }
}

/// `[-][d+][hh:[mm:]]ss[.frac]`, or with units as in `1d2h3m4s`, in seconds. Read from the end, so that `02:00` is
/// two minutes.
pub(crate) fn parse_relative(text: &[u8]) -> Option<f64> {
    let mut back = Backwards { text };
    let seconds = match back.last() {
        Some(b's' | b'S') => {
            back.drop_last();
            back.real()
        }
        Some(b'0'..=b'9') => back.real(),
        _ => 0.0,
    };
    let minutes = back.unit(b"mM:");
    let hours = back.unit(b"hH:");
    let days = back.unit(b"dD+");
    let negative = back.last() == Some(b'-');
    if negative {
        back.drop_last();
    }
    if back.last().is_some() {
        return None;
    }
    // Whole numbers are `int` in HTCondor; the product wraps.
    let whole = days
        .wrapping_mul(86400)
        .wrapping_add(hours.wrapping_mul(3600))
        .wrapping_add(minutes.wrapping_mul(60));
    let total = f64::from(whole) + seconds;
    Some(if negative { -total } else { total })
}

struct Backwards<'a> {
    text: &'a [u8],
}

impl Backwards<'_> {
    /// The last byte that is not blank.
    fn last(&mut self) -> Option<u8> {
        while let Some((b, rest)) = self.text.split_last() {
            if !is_space(*b) {
                return Some(*b);
            }
            self.text = rest;
        }
        None
    }

    fn drop_last(&mut self) {
        self.text = &self.text[..self.text.len().saturating_sub(1)];
        let _ = self.last();
    }

    fn digits(&self, end: usize) -> usize {
        self.text[..end].iter().rev().take_while(|b| b.is_ascii_digit()).count()
    }

    fn real(&mut self) -> f64 {
        let mut start = self.text.len() - self.digits(self.text.len());
        if start > 0 && self.text[start - 1] == b'.' {
            start -= 1;
            start -= self.digits(start);
        }
        let value = crate::num::strtod(&self.text[start..]).map_or(0.0, |(value, _)| value);
        self.text = &self.text[..start];
        value
    }

    /// A number before one of the `marks`, if the text ends with one.
    fn unit(&mut self, marks: &[u8]) -> i32 {
        if !self.last().is_some_and(|b| marks.contains(&b)) {
            return 0;
        }
        self.drop_last();
        let start = self.text.len() - self.digits(self.text.len());
        let value = std::str::from_utf8(&self.text[start..]).ok().and_then(|t| t.parse().ok());
        self.text = &self.text[..start];
        value.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(text: &str) -> Option<String> {
        parse_absolute(text.as_bytes(), &Zone::utc()).map(|t| t.to_string())
    }

    #[test]
    fn absolute_times() {
        let is = |text: &str, time: &str| assert_eq!(absolute(text).as_deref(), Some(time));
        is("2020-01-02T03:04:05Z", "2020-01-02T03:04:05-00:00");
        is("2020-01-02T03:04:05+0130", "2020-01-02T03:04:05+01:30");
        is("x2020/01/02 03.04.05 -06:00", "2020-01-02T03:04:05-06:00");
        is("2020", "2019-12-31T00:00:00-00:00");
        is("2020-07", "2020-06-30T00:00:00-00:00");
        assert_eq!(absolute("202"), None);
        assert_eq!(absolute("2020-01-02T03:04:05.678Z"), None);
    }

    #[test]
    fn relative_times() {
        assert_eq!(parse_relative(b"02:00"), Some(120.0));
        assert_eq!(parse_relative(b"1+02:03:04.5"), Some(93_784.5));
        assert_eq!(parse_relative(b"1d2h3m4s"), Some(93_784.0));
        assert_eq!(parse_relative(b"- 5m"), Some(-300.0));
        assert_eq!(parse_relative(b""), Some(0.0));
        assert_eq!(parse_relative(b"abc"), None);
    }
}
