//! Lists in strings: `"a, b, c"`.

use super::Call;
use crate::eval::Evaluated;
use crate::num;
use crate::print::trim;
use crate::text::Text;
use crate::value::Value;

/// The items of a list: trimmed, empty ones left out.
pub(super) fn items<'a>(text: &'a [u8], delimiters: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    text.split(|b| delimiters.contains(b)).map(trim).filter(|item| !item.is_empty())
}

/// One or two strings: the list, and the delimiters or `", "`.
fn list_and_delimiters(call: &mut Call<'_, '_>) -> Result<Option<(Text, Text)>, crate::EvalFailed> {
    let count = call.count();
    if !(1..=2).contains(&count) {
        return Ok(None);
    }
    let list = call.arg(0)?;
    let delimiters = if count == 2 { call.arg(1)? } else { Value::from(", ") };
    Ok(match (list, delimiters) {
        (Value::String(list), Value::String(delimiters)) => Some((list, delimiters)),
        _ => None,
    })
}

pub(super) fn size(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(match list_and_delimiters(call)? {
        Some((list, d)) => Value::Int(num::len(items(list.as_bytes(), d.as_bytes()).count())),
        None => Value::Error,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summary {
    Sum,
    Avg,
    Min,
    Max,
}

pub(super) fn summarize(call: &mut Call<'_, '_>, summary: Summary) -> Evaluated {
    let Some((list, delimiters)) = list_and_delimiters(call)? else { return Ok(Value::Error) };
    let mut total = match summary {
        Summary::Sum | Summary::Avg => 0.0,
        // HTCondor starts from the bounds of C's float, of which the lower one is positive: a list
        // of negative numbers has that, or 0, as its maximum.
        Summary::Min => f64::from(f32::MAX),
        Summary::Max => f64::from(f32::MIN_POSITIVE),
    };
    let mut count = 0;
    let mut real = false;
    for item in items(list.as_bytes(), delimiters.as_bytes()) {
        let Some(number) = scan(item) else { return Ok(Value::Error) };
        count += 1;
        real |= !item.iter().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'));
        total = match summary {
            Summary::Sum | Summary::Avg => total + number,
            Summary::Min if number < total => number,
            Summary::Max if number > total => number,
            _ => total,
        };
    }
    if count == 0 {
        return Ok(match summary {
            Summary::Sum | Summary::Avg => Value::Real(0.0),
            Summary::Min | Summary::Max => Value::Undefined,
        });
    }
    if summary == Summary::Avg {
        total /= num::real(count);
    }
    Ok(if real { Value::Real(total) } else { Value::Int(num::truncate(total)) })
}

/// `sscanf("%lf")`: unlike `strtod` it does not go back from an exponent, or from `0x`, that has no
/// digits.
fn scan(item: &[u8]) -> Option<f64> {
    let (value, used) = num::strtod(item)?;
    let decimal = item[..used].iter().all(|b| !b.is_ascii_alphabetic());
    let zero = matches!(&item[..used], b"0" | b"+0" | b"-0");
    match item.get(used) {
        Some(b'e' | b'E') if decimal => None,
        Some(b'x' | b'X') if zero => None,
        _ => Some(value),
    }
}

/// Two strings and delimiters, of which undefined ones are taken as empty or default, unless both
/// lists are.
fn two_lists(call: &mut Call<'_, '_>) -> Result<Result<[Text; 3], Value>, crate::EvalFailed> {
    let count = call.count();
    if !(2..=3).contains(&count) {
        return Ok(Err(Value::Error));
    }
    let values = [call.arg(0)?, call.arg(1)?, call.arg(2)?];
    if !values.iter().all(|v| matches!(v, Value::Undefined | Value::String(_))) {
        return Ok(Err(Value::Error));
    }
    if values[0].is_undefined() && values[1].is_undefined() {
        return Ok(Err(Value::Undefined));
    }
    let [a, b, d] = values;
    let or = |value: Value, default: &str| match value {
        Value::String(text) => text,
        _ => Text::from(default),
    };
    Ok(Ok([or(a, ""), or(b, ""), or(d, ", \t\r\n")]))
}

fn equal(a: &[u8], b: &[u8], ignore_case: bool) -> bool {
    if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
}

pub(super) fn member(call: &mut Call<'_, '_>, ignore_case: bool) -> Evaluated {
    Ok(match two_lists(call)? {
        Ok([item, list, delimiters]) => Value::Bool(
            items(list.as_bytes(), delimiters.as_bytes())
                .any(|candidate| equal(candidate, item.as_bytes(), ignore_case)),
        ),
        Err(value) => value,
    })
}

pub(super) fn subset(call: &mut Call<'_, '_>, ignore_case: bool) -> Evaluated {
    let [part, whole, delimiters] = match two_lists(call)? {
        Ok(texts) => texts,
        Err(value) => return Ok(value),
    };
    if part.is_empty() {
        return Ok(Value::Bool(true));
    }
    let whole: Vec<&[u8]> = items(whole.as_bytes(), delimiters.as_bytes()).collect();
    let mut any = false;
    for item in items(part.as_bytes(), delimiters.as_bytes()) {
        any = whole.iter().any(|candidate| equal(candidate, item, ignore_case));
        if !any {
            break;
        }
    }
    // A list of delimiters alone is no subset, to HTCondor.
    Ok(Value::Bool(any))
}

/// Items are not trimmed here.
pub(super) fn intersect(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(2..=3).contains(&count) {
        return Ok(Value::Error);
    }
    // Here a failure inside an argument is an error value.
    let args = call.args;
    let scope = call.scope;
    let mut values = vec![Value::Undefined; count];
    for (value, arg) in values.iter_mut().zip(args) {
        *value = call.eval.contained(|e| e.eval(arg, scope));
    }
    if values.iter().any(Value::is_error) {
        return Ok(Value::Error);
    }
    if values.iter().any(Value::is_undefined) {
        return Ok(Value::Undefined);
    }
    let texts: Option<Vec<&[u8]>> = values.iter().map(Value::as_bytes).collect();
    let Some(texts) = texts else { return Ok(Value::Error) };
    let delimiters = texts.get(2).copied().filter(|d| !d.is_empty()).unwrap_or(b" ,");
    let split = |text| split_plain(text, delimiters);
    let second: Vec<&[u8]> = split(texts[1]).collect();
    Ok(Value::Bool(split(texts[0]).any(|item| second.contains(&item))))
}

fn split_plain<'a>(text: &'a [u8], delimiters: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    text.split(|b| delimiters.contains(b)).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn numbers() {
        assert_eq!(eval("stringListSize(\"a, b,,c\")"), "3");
        assert_eq!(eval("stringListSum(\"1,2\")"), "3");
        assert_eq!(eval("stringListAvg(\"1,2\")"), "1");
        assert_eq!(eval("stringListAvg(\"1,2.0\")"), "1.500000000000000E+00");
        assert_eq!(eval("stringListMax(\"-1,-2\")"), "0");
        assert_eq!(eval("stringListMin(\"\")"), "undefined");
        assert_eq!(eval("stringListSum(\"1,x\")"), "error");
    }

    #[test]
    fn sets() {
        assert_eq!(eval("stringListMember(\"a\",\"b a\")"), "true");
        assert_eq!(eval("stringListIMember(\"A\",\"b a\")"), "true");
        assert_eq!(eval("stringListMember(undefined,undefined)"), "undefined");
        assert_eq!(eval("stringListSubsetMatch(\"a,b\",\"b,a,c\")"), "true");
        assert_eq!(eval("stringListSubsetMatch(\",\",\"a\")"), "false");
        assert_eq!(eval("stringListsIntersect(\"a,b\",\"c b\")"), "true");
    }
}
