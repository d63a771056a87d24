//! The clock and the calendar.

use super::Call;
use crate::EvalFailed;
use crate::ad::ClassAd;
use crate::eval::{Evaluated, integer_of};
use crate::num;
use crate::time::{self, AbsTime, Civil, Moment, RelTime, Zone, local_time};
use crate::value::{ScopedAd, Value};

fn span(seconds: f64) -> Value {
    Value::RelTime(RelTime::new(seconds))
}

pub(super) fn time(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(if call.count() == 0 { Value::Int(call.eval.host.now()) } else { Value::Error })
}

pub(super) fn current_time(call: &mut Call<'_, '_>) -> Evaluated {
    if call.count() > 0 {
        return Ok(Value::Error);
    }
    let seconds = call.eval.host.now();
    let offset = call.eval.zone.at(seconds).seconds;
    Ok(Value::AbsTime(AbsTime { seconds, offset }))
}

pub(super) fn zone_offset(call: &mut Call<'_, '_>) -> Evaluated {
    if call.count() > 0 {
        return Ok(Value::Error);
    }
    let now = call.eval.host.now();
    Ok(span(f64::from(call.eval.zone.at(now).seconds)))
}

pub(super) fn day_time(call: &mut Call<'_, '_>) -> Evaluated {
    if call.count() > 0 {
        return Ok(Value::Error);
    }
    let (t, _) = local_time(call.eval.host.now(), call.eval.zone);
    Ok(span(num::real(t.hour * 3600 + t.minute * 60 + t.second)))
}

/// C's conversion to `int`.
fn int(r: f64) -> i64 {
    i64::from(i32::try_from(num::truncate(r)).unwrap_or(i32::MIN))
}

pub(super) fn abs_time(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if count == 0 {
        return current_time(call);
    }
    if count > 2 {
        return Ok(Value::Error);
    }
    let value = call.arg(0)?;
    let mut offset = None;
    if count == 2 {
        offset = Some(num::low32(match call.arg(1)? {
            Value::Int(i) => i,
            Value::Real(r) => int(r),
            Value::RelTime(t) => num::truncate(t.seconds()),
            _ => return Ok(Value::Error),
        }));
    }
    let zone = call.eval.zone;
    let at = |seconds: i64| {
        let offset = offset.unwrap_or_else(|| zone.at(seconds).seconds);
        AbsTime { seconds, offset }
    };
    Ok(match value {
        Value::Undefined => Value::Undefined,
        Value::Int(i) => {
            let time = at(i64::from(num::low32(i)));
            if time.offset == -1 {
                return Err(EvalFailed);
            }
            Value::AbsTime(time)
        }
        Value::Real(r) => Value::AbsTime(at(int(r))),
        Value::RelTime(t) => Value::AbsTime(at(num::truncate(t.seconds()))),
        // A string here is not a literal, and comes back as it is.
        value @ (Value::AbsTime(_) | Value::String(_)) => value,
        _ => Value::Error,
    })
}

pub(super) fn rel_time(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    Ok(match value {
        Value::Undefined => Value::Undefined,
        Value::Int(i) => span(f64::from(num::low32(i))),
        Value::Real(r) => span(r),
        Value::AbsTime(t) => span(num::real(t.seconds)),
        Value::RelTime(t) => Value::RelTime(t),
        // Not a literal: no time is found in it.
        Value::String(_) => span(0.0),
        _ => Value::Error,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    Month,
    DayOfYear,
    DayOfMonth,
    DayOfWeek,
    Days,
    Hours,
    Minutes,
    Seconds,
}

/// Of an absolute time in the zone of the process, whatever its own offset.
pub(super) fn field(call: &mut Call<'_, '_>, field: Field) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    Ok(match value {
        Value::AbsTime(t) => {
            let (t, _) = local_time(t.seconds, call.eval.zone);
            Value::Int(match field {
                Field::Year => t.year,
                Field::Month => t.month,
                Field::DayOfYear => t.yearday,
                Field::DayOfMonth => t.day,
                Field::DayOfWeek => t.weekday,
                Field::Hours => t.hour,
                Field::Minutes => t.minute,
                Field::Seconds => t.second,
                Field::Days => return Ok(Value::Error),
            })
        }
        Value::RelTime(t) => {
            let seconds = num::truncate(t.seconds());
            Value::Int(match field {
                Field::Days => seconds / 86400,
                Field::Hours => seconds % 86400 / 3600,
                Field::Minutes => seconds % 3600 / 60,
                Field::Seconds => seconds % 60,
                _ => return Ok(Value::Error),
            })
        }
        _ => Value::Error,
    })
}

/// The time that a value stands for, in the zone it is to be shown in. Reals lose more than their
/// fraction: they pass through an `int`.
fn absolute(value: &Value, zone: &Zone) -> Option<AbsTime> {
    let seconds = match value {
        Value::AbsTime(t) => return Some(*t),
        Value::Int(i) => *i,
        Value::Real(r) => int(*r),
        _ => return None,
    };
    Some(AbsTime { seconds, offset: zone.at(seconds).seconds })
}

pub(super) fn split_time(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    let ad = match &value {
        Value::Undefined => return Ok(Value::Undefined),
        Value::RelTime(t) => split_relative(t.seconds()),
        other => match absolute(other, call.eval.zone) {
            Some(t) => split_absolute(t),
            None => return Ok(Value::Error),
        },
    };
    Ok(Value::Ad(ScopedAd::new(ad, None)))
}

fn split_absolute(t: AbsTime) -> ClassAd {
    let c = time::civil(t.seconds.saturating_add(i64::from(t.offset)));
    let mut ad = ClassAd::new();
    ad.insert("Type", "AbsoluteTime");
    let fields = [
        ("Year", c.year),
        ("Month", c.month),
        ("Day", c.day),
        ("Hours", c.hour),
        ("Minutes", c.minute),
        ("Seconds", c.second),
        ("Offset", i64::from(t.offset)),
    ];
    ad.extend(fields);
    ad
}

/// Of a negative time only the largest unit that is not zero is negative.
fn split_relative(seconds: f64) -> ClassAd {
    let size = seconds.abs();
    let whole = int(size);
    let mut parts = [whole / 86400, whole % 86400 / 3600, whole % 3600 / 60];
    let mut rest = num::real(whole % 60) + (size - size.floor());
    if seconds < 0.0 {
        match parts.iter_mut().find(|part| **part > 0) {
            Some(part) => *part = -*part,
            None => rest = -rest,
        }
    }
    let mut ad = ClassAd::new();
    ad.insert("Type", "RelativeTime");
    ad.extend([("Days", parts[0]), ("Hours", parts[1]), ("Minutes", parts[2])]);
    ad.insert("Seconds", rest);
    ad
}

pub(super) fn format_time(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if count > 2 {
        return Ok(Value::Error);
    }
    let value = if count == 0 { Value::Int(call.eval.host.now()) } else { call.arg(0)? };
    let zone = call.eval.zone;
    let fields = match (&value, absolute(&value, zone)) {
        (_, Some(t)) => time::civil(t.seconds.saturating_add(i64::from(t.offset))),
        (Value::Ad(ad), _) => fields_of(ad),
        _ => return Ok(Value::Error),
    };
    let format = match count {
        2 => match call.arg(1)? {
            Value::String(format) => format,
            _ => return Ok(Value::Error),
        },
        _ => "%c".into(),
    };
    // HTCondor fills in the fields by hand and leaves the zone as standard time with no offset.
    let seconds = fields.seconds();
    let standard = zone.standard_at(seconds);
    let offset = standard.as_ref().map_or(0, |s| s.seconds);
    let abbreviation = standard.map_or_else(String::new, |s| s.abbreviation);
    let epoch = seconds - i64::from(offset);
    let moment = Moment { fields, offset: 0, abbreviation: &abbreviation, epoch };
    let mut text = time::strftime(format.as_bytes(), &moment);
    // Its buffer.
    text.truncate(1022);
    call.string(text)
}

/// Fields from an ad such as `splitTime()` makes; those missing are 0.
fn fields_of(ad: &ScopedAd) -> Civil {
    let number = |name: &str| match ad.eval(name) {
        Value::Int(i) => Some(i64::from(num::low32(i))),
        _ => None,
    };
    let zero = |name: &str| number(name).unwrap_or(0);
    let mut fields = Civil {
        year: number("Year").unwrap_or(1900),
        month: number("Month").unwrap_or(1),
        day: zero("Day"),
        hour: zero("Hours"),
        minute: zero("Minutes"),
        second: zero("Seconds"),
        weekday: 0,
        yearday: 0,
    };
    let day = time::days_from_civil(fields.year, fields.month, fields.day);
    fields.weekday = (day + 4).rem_euclid(7);
    fields.yearday = day - time::days_from_civil(fields.year, 1, 1);
    fields
}

/// `d+hh:mm:ss`, leading units left out.
pub(super) fn interval(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    let Ok(seconds) = integer_of(&value) else { return Ok(Value::Error) };
    let seconds = i64::from(num::low32(seconds));
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let (hours, minutes, last) = (rest / 3600, rest % 3600 / 60, rest % 60);
    let (h, m, s) = (hours.abs(), minutes.abs(), last.abs());
    Ok(Value::from(if days != 0 {
        format!("{days}+{h:02}:{m:02}:{s:02}")
    } else if hours != 0 {
        format!("{hours}:{m:02}:{s:02}")
    } else if minutes != 0 {
        format!("{minutes}:{s:02}")
    } else {
        last.to_string()
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;
    use crate::{ClassAd, Context, Expr, Host, Zone};

    struct Fixed;

    impl Host for Fixed {
        fn now(&self) -> i64 {
            1_600_000_000
        }
        fn random(&self) -> u64 {
            0
        }
    }

    fn at_noon(expr: &str) -> String {
        let ad = ClassAd::new();
        let context = Context::new(&ad).host(&Fixed).zone(Zone::utc());
        context.eval(&Expr::parse(expr).unwrap()).to_string()
    }

    #[test]
    fn the_clock_is_the_hosts() {
        assert_eq!(at_noon("time()"), "1600000000");
        assert_eq!(at_noon("CurrentTime"), "1600000000");
        assert_eq!(at_noon("currentTime()"), "absTime(\"2020-09-13T12:26:40-00:00\")");
        assert_eq!(at_noon("dayTime()"), "relTime(\"12:26:40\")");
        assert_eq!(at_noon("formatTime()"), "\"Sun Sep 13 12:26:40 2020\"");
        assert_eq!(at_noon("time(1)"), "error");
    }

    #[test]
    fn fields() {
        assert_eq!(at_noon("getYear(absTime(0))"), "1970");
        assert_eq!(at_noon("getDayOfWeek(currentTime())"), "0");
        assert_eq!(at_noon("getDays(relTime(200000))"), "2");
        assert_eq!(at_noon("getDays(absTime(0))"), "error");
        assert_eq!(at_noon("splitTime(relTime(-61)).Minutes"), "-1");
        assert_eq!(at_noon("formatTime(splitTime(0),\"%F\")"), "\"1970-01-01\"");
    }

    #[test]
    fn intervals() {
        assert_eq!(eval("interval(-100000)"), "\"-1+03:46:40\"");
        assert_eq!(eval("interval(61.9)"), "\"1:01\"");
        assert_eq!(eval("interval(undefined)"), "error");
    }
}
