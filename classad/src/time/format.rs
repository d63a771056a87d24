//! `strftime` in the C locale.

use super::calendar::Civil;

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What a format needs to know beyond the fields.
pub(crate) struct Moment<'a> {
    pub(crate) fields: Civil,
    /// For `%z`: seconds east of UTC.
    pub(crate) offset: i32,
    /// For `%Z`.
    pub(crate) abbreviation: &'a str,
    /// For `%s`: seconds since 1970.
    pub(crate) epoch: i64,
}

/// Formats as glibc does without locale. An unknown conversion stands for itself.
pub(crate) fn strftime(format: &[u8], moment: &Moment<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    expand(format, moment, &mut out);
    out
}

/// How a number is padded: `_`, `-`, `0`, or the conversion's own way.
#[derive(Clone, Copy)]
struct Style {
    pad: Option<u8>,
    upper: bool,
    width: Option<usize>,
}

fn expand(format: &[u8], moment: &Moment<'_>, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(b) = format.get(at) {
        at += 1;
        if *b != b'%' {
            out.push(*b);
            continue;
        }
        let start = at - 1;
        let mut style = Style { pad: None, upper: false, width: None };
        while let Some(flag @ (b'_' | b'-' | b'0' | b'^' | b'#')) = format.get(at) {
            match flag {
                b'^' => style.upper = true,
                b'#' => {}
                pad => style.pad = Some(*pad),
            }
            at += 1;
        }
        while let Some(digit @ b'0'..=b'9') = format.get(at) {
            // No date is as wide as that; a bound keeps a hostile format from filling memory.
            let width = style.width.unwrap_or(0) * 10 + usize::from(digit - b'0');
            style.width = Some(width.min(1000));
            at += 1;
        }
        if let Some(b'E' | b'O') = format.get(at) {
            at += 1;
        }
        let conversion = format.get(at).copied();
        at += 1;
        let mut piece = Vec::new();
        if conversion.is_some_and(|c| convert(c, moment, style, &mut piece)) {
            if style.upper {
                piece.make_ascii_uppercase();
            }
            out.extend_from_slice(&piece);
        } else {
            out.extend_from_slice(&format[start..at.min(format.len())]);
        }
    }
}

fn convert(conversion: u8, moment: &Moment<'_>, style: Style, out: &mut Vec<u8>) -> bool {
    let t = &moment.fields;
    let mut number = |value: i64, width: usize, pad: u8| {
        let pad = style.pad.unwrap_or(pad);
        let width = if pad == b'-' { 0 } else { style.width.unwrap_or(width) };
        let text = value.to_string();
        let fill = if pad == b'_' { b' ' } else { b'0' };
        out.resize(out.len() + width.saturating_sub(text.len()), fill);
        out.extend_from_slice(text.as_bytes());
    };
    let hour12 = (t.hour + 11).rem_euclid(12) + 1;
    let name = |names: &[&'static str], n: i64| -> &'static str {
        usize::try_from(n).ok().and_then(|n| names.get(n)).copied().unwrap_or("?")
    };
    match conversion {
        b'C' => number(t.year.div_euclid(100), 2, b'0'),
        b'd' => number(t.day, 2, b'0'),
        b'e' => number(t.day, 2, b'_'),
        b'G' => number(iso_week(t).0, 4, b'0'),
        b'g' => number(iso_week(t).0.rem_euclid(100), 2, b'0'),
        b'H' => number(t.hour, 2, b'0'),
        b'I' => number(hour12, 2, b'0'),
        b'j' => number(t.yearday + 1, 3, b'0'),
        b'k' => number(t.hour, 2, b'_'),
        b'l' => number(hour12, 2, b'_'),
        b'M' => number(t.minute, 2, b'0'),
        b'm' => number(t.month, 2, b'0'),
        b'S' => number(t.second, 2, b'0'),
        b's' => number(moment.epoch, 1, b'0'),
        b'U' => number((t.yearday + 7 - t.weekday) / 7, 2, b'0'),
        b'u' => number((t.weekday + 6).rem_euclid(7) + 1, 1, b'0'),
        b'V' => number(iso_week(t).1, 2, b'0'),
        b'W' => number((t.yearday + 7 - (t.weekday + 6).rem_euclid(7)) / 7, 2, b'0'),
        b'w' => number(t.weekday, 1, b'0'),
        b'Y' => number(t.year, 1, b'0'),
        b'y' => number(t.year.rem_euclid(100), 2, b'0'),
        b'A' => out.extend_from_slice(name(&DAYS, t.weekday).as_bytes()),
        b'a' => out.extend_from_slice(short(name(&DAYS, t.weekday))),
        b'B' => out.extend_from_slice(name(&MONTHS, t.month - 1).as_bytes()),
        b'b' | b'h' => out.extend_from_slice(short(name(&MONTHS, t.month - 1))),
        b'p' => out.extend_from_slice(if t.hour >= 12 { b"PM" } else { b"AM" }),
        b'P' => out.extend_from_slice(if t.hour >= 12 { b"pm" } else { b"am" }),
        b'Z' => out.extend_from_slice(moment.abbreviation.as_bytes()),
        b'z' => {
            let sign = if moment.offset < 0 { '-' } else { '+' };
            let zone = moment.offset.unsigned_abs();
            let text = format!("{sign}{:02}{:02}", zone / 3600, zone / 60 % 60);
            out.extend_from_slice(text.as_bytes());
        }
        b'n' => out.push(b'\n'),
        b't' => out.push(b'\t'),
        b'%' => out.push(b'%'),
        b'c' => expand(b"%a %b %e %H:%M:%S %Y", moment, out),
        b'D' | b'x' => expand(b"%m/%d/%y", moment, out),
        b'F' => expand(b"%Y-%m-%d", moment, out),
        b'R' => expand(b"%H:%M", moment, out),
        b'r' => expand(b"%I:%M:%S %p", moment, out),
        b'T' | b'X' => expand(b"%H:%M:%S", moment, out),
        b'+' => return false,
        _ => return false,
    }
    true
}

fn short(name: &str) -> &[u8] {
    &name.as_bytes()[..name.len().min(3)]
}

/// Year and week by ISO 8601.
fn iso_week(t: &Civil) -> (i64, i64) {
    let monday_based = (t.weekday + 6).rem_euclid(7);
    let week = (t.yearday - monday_based + 10).div_euclid(7);
    let long = |year: i64| {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        // A year has 53 weeks if it starts on Thursday, or on Wednesday and is a leap year.
        let first = (monday_based - t.yearday + i64::from(t.year != year) * -365).rem_euclid(7);
        if first == 3 || (leap && first == 2) { 53 } else { 52 }
    };
    if week < 1 {
        let before = super::civil(super::days_from_civil(t.year - 1, 12, 31) * 86400);
        return (t.year - 1, iso_week(&before).1);
    }
    if week > long(t.year) { (t.year + 1, 1) } else { (t.year, week) }
}

#[cfg(test)]
mod tests {
    use super::super::civil;
    use super::*;

    fn format(format: &str, epoch: i64) -> String {
        let moment = Moment { fields: civil(epoch), offset: -5400, abbreviation: "XYZ", epoch };
        String::from_utf8(strftime(format.as_bytes(), &moment)).unwrap()
    }

    #[test]
    fn conversions() {
        assert_eq!(format("%c", 1_577_934_245), "Thu Jan  2 03:04:05 2020");
        assert_eq!(format("%F %T %Z %z", 1_577_934_245), "2020-01-02 03:04:05 XYZ -0130");
        assert_eq!(format("%j %U %W %u %w %V %G", 1_577_934_245), "002 00 00 4 4 01 2020");
        assert_eq!(format("%-d %_d %e %I %p %y %C", 1_577_934_245), "2  2  2 03 AM 20 20");
        assert_eq!(format("100%% %Q %", 0), "100% %Q %");
    }

    #[test]
    fn iso_weeks_at_the_turn_of_the_year() {
        assert_eq!(format("%G-%V", 1_609_459_200), "2020-53");
        assert_eq!(format("%G-%V", 1_230_768_000), "2009-01");
        assert_eq!(format("%G-%V", 1_230_595_200), "2009-01");
    }
}
