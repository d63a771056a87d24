//! `$SUBSTR()`, `$STRING()` and `$EVAL()`.

use classad::{ClassAd, Expr, Value};

use super::number::parse;
use super::printf::{Argument, Format};
use super::{Call, fault};
use crate::error::Error;
use crate::expand::Dialect;
use crate::read;
use crate::text::trim;

pub(super) fn substr(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let (text, start, length) = match call.dialect {
        Dialect::Param => {
            let Some((name, rest)) = body.split_once(',') else {
                return Err(fault("$SUBSTR() macro: no length specified!".to_owned()));
            };
            let (start, length) = match rest.split_once(',') {
                Some((start, length)) => (start, Some(length)),
                None => (rest, None),
            };
            let start = call.value(start, Dialect::Param)?;
            let start = position(&start).ok_or_else(|| {
                fault(format!("$SUBSTR() macro: {start} is invalid start index!"))
            })?;
            let length = match length {
                None => i64::from(i32::MAX / 2),
                Some(length) => {
                    let length = call.value(length, Dialect::Param)?;
                    position(&length).ok_or_else(|| {
                        fault(format!("$SUBSTR() macro: {length} is invalid length !"))
                    })?
                }
            };
            // Unlike elsewhere, an argument that isn't a knob has no value.
            (call.knob(name, Dialect::Param).transpose()?.unwrap_or_default(), start, length)
        }
        Dialect::Inline => {
            let text = call.inline_value(body, 0).transpose()?.unwrap_or_default();
            if text.is_empty() {
                return Ok(text);
            }
            // With two arguments, the second is the length.
            let third = call.inline_value(body, 2).transpose()?;
            let second = call.inline_value(body, 1).transpose()?.unwrap_or_default();
            let (start, length) = match &third {
                Some(length) => (Some(&second), length),
                None => (None, &second),
            };
            let length = position(length)
                .ok_or_else(|| fault(format!("$SUBSTR() error: {length} is invalid length")))?;
            let start = match start {
                None => 0,
                Some(start) => position(start)
                    .ok_or_else(|| fault(format!("$SUBSTR() error: {start} is invalid start")))?,
            };
            (text, start, length)
        }
    };
    Ok(part(&text, start, length).to_owned())
}

fn position(text: &str) -> Option<i64> {
    read::long(text).filter(|number| (i64::from(i32::MIN)..i64::from(i32::MAX)).contains(number))
}

/// The part of a text; numbers below zero count from its end.
fn part(text: &str, start: i64, length: i64) -> &str {
    let whole = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let start = if start < 0 { whole + start } else { start }.clamp(0, whole);
    let left = whole - start;
    let length = if length < 0 { left + length } else { length }.clamp(0, left);
    // Positions count bytes. A character cut in two is left out.
    let boundary = |at: i64| {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
        (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
    };
    &text[boundary(start)..boundary(start + length)]
}

pub(super) fn string(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let (name, kind, mark) = match call.dialect {
        Dialect::Param => ("$STRING", "macro", "!"),
        Dialect::Inline => ("$STRING()", "error", ""),
    };
    let (argument, format) = call.value_and_format(body);
    let format = parse(format, Format::for_string, name, kind, mark)?;
    let text = call.value(argument, call.dialect)?;
    let text = match evaluate(&text) {
        Some(Value::String(value)) => value.to_string_lossy().into_owned(),
        _ => text,
    };
    Ok(match format {
        Some(format) => format.print(&Argument::Text(&text)),
        None => text,
    })
}

pub(super) fn eval(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let found = call.macros.find(body).map(|found| found.text);
    let raw = found.unwrap_or(body).to_owned();
    let text = if call.dialect == Dialect::Param {
        call.value(body, Dialect::Param)?
    } else {
        // Here `$(DOLLAR)` is replaced as well.
        let text = call.value(body, Dialect::Inline)?;
        call.macros.expand(text, Dialect::Param, call.work)?
    };
    Ok(match evaluate(&text) {
        Some(Value::String(value)) => value.to_string_lossy().into_owned(),
        Some(value) => String::from_utf8_lossy(&value.to_new_bytes()).into_owned(),
        // What can't be read as an expression is itself for the second expander, and for the
        // first if there was anything to expand in it.
        None if call.dialect == Dialect::Inline || raw.contains('$') => text,
        None => String::new(),
    })
}

fn evaluate(text: &str) -> Option<Value> {
    let expr = Expr::parse_old(trim(text)).ok()?;
    Some(expr.eval_in(&ClassAd::new()))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts() {
        assert_eq!(part("abcdef", 2, 100), "cdef");
        assert_eq!(part("abcdef", -3, 2), "de");
        assert_eq!(part("abcdef", 1, -1), "bcde");
        assert_eq!(part("abcdef", 100, 1), "");
        assert_eq!(part("abcdef", -100, 2), "ab");
        assert_eq!(part("aé", 0, 2), "aé");
    }
}
