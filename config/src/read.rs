//! Texts read as numbers and booleans: literally if possible, otherwise as ClassAd expressions.

use classad::{ClassAd, Context, Expr, Value};

use crate::text::{is_space, is_space_char, strip_prefix_nocase, trim, trim_start};

/// Why an expression has no value of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not an expression.
    Syntax,
    /// Its value is of another kind, or undefined.
    Kind,
}

/// What an expression can refer to, apart from the knob itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ads<'a> {
    pub(crate) my: Option<&'a ClassAd>,
    pub(crate) target: Option<&'a ClassAd>,
}

/// The value of an expression that is called `name` in the first ad.
pub(crate) fn evaluate(text: &str, name: &str, ads: Ads<'_>) -> Result<Value, Unreadable> {
    let expr = Expr::parse_old(text).map_err(|_| Unreadable::Syntax)?;
    let mut ad = ads.my.cloned().unwrap_or_default();
    ad.insert(name, expr);
    let context = Context::new(&ad);
    let context = match ads.target {
        Some(target) => context.target(target),
        None => context,
    };
    Ok(context.eval_attr(name))
}

/// As C's `strtoll` to the base of ten: the number, limited to 64 bits, and what follows it.
pub(crate) fn strtoll(text: &str) -> Option<(i64, &str)> {
    let text = trim_start(text);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    if end == 0 {
        return None;
    }
    let mut number: i64 = 0;
    for digit in digits[..end].bytes() {
        let digit = i64::from(digit - b'0');
        let next = number.checked_mul(10);
        number = if negative {
            next.and_then(|number| number.checked_sub(digit)).unwrap_or(i64::MIN)
        } else {
            next.and_then(|number| number.checked_add(digit)).unwrap_or(i64::MAX)
        };
        if number == i64::MIN || number == i64::MAX {
            break;
        }
    }
    Some((number, &digits[end..]))
}

/// An integer of 64 bits.
pub(crate) fn long_in(text: &str, name: &str, ads: Ads<'_>) -> Result<i64, Unreadable> {
    if let Some((number, rest)) = strtoll(text)
        && rest.bytes().all(is_space)
    {
        return Ok(number);
    }
    match evaluate(text, name, ads)? {
        Value::Int(number) => Ok(number),
        Value::Real(number) => Ok(truncate(number)),
        Value::Bool(value) => Ok(i64::from(value)),
        _ => Err(Unreadable::Kind),
    }
}

/// An integer, from an expression without surroundings.
pub(crate) fn long(text: &str) -> Option<i64> {
    long_in(text, "CondorLong", Ads::default()).ok()
}

/// As the processors HTCondor runs on convert: what does not fit is the least number.
#[expect(clippy::cast_possible_truncation, reason = "guarded by the range, and wanted")]
fn truncate(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// A real number.
pub(crate) fn double_in(text: &str, name: &str, ads: Ads<'_>) -> Result<f64, Unreadable> {
    if let Some(number) = strtod(text) {
        return Ok(number);
    }
    evaluate(text, name, ads)?.as_f64().ok_or(Unreadable::Kind)
}

/// A real number, from an expression without surroundings.
pub(crate) fn double(text: &str) -> Option<f64> {
    double_in(text, "CondorDouble", Ads::default()).ok()
}

/// As C's `strtod`, if it takes the whole text but for blanks.
fn strtod(text: &str) -> Option<f64> {
    let text = trim(text);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let number = if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
        f64::INFINITY
    } else if digits.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else if let Some(digits) = strip_prefix_nocase(digits, "0x") {
        hexadecimal(digits)?
    } else if digits.bytes().next().is_some_and(|c| c.is_ascii_digit() || c == b'.') {
        digits.parse().ok()?
    } else {
        return None;
    };
    Some(if negative { -number } else { number })
}

/// `1f.8p-2`, without the `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars() {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let mut scale = 1.0;
    for digit in fraction.chars() {
        scale /= 16.0;
        number += f64::from(digit.to_digit(16)?) * scale;
    }
    Some(number * 2f64.powi(exponent))
}

/// A boolean; and, if it is none, the boolean that its first letters are.
pub(crate) fn boolean_in(text: &str, name: &str, ads: Ads<'_>) -> Result<bool, Option<bool>> {
    let literal = [("true", true), ("1", true), ("false", false), ("0", false)]
        .into_iter()
        .find_map(|(word, value)| Some((strip_prefix_nocase(text, word)?, value)));
    if let Some((rest, value)) = literal
        && rest.chars().all(is_space_char)
    {
        return Ok(value);
    }
    let value = evaluate(text, name, ads).ok().as_ref().and_then(Value::as_bool);
    value.ok_or_else(|| literal.map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        assert_eq!(strtoll(" 007x"), Some((7, "x")));
        assert_eq!(strtoll("-99999999999999999999"), Some((i64::MIN, "")));
        assert_eq!(strtoll("x"), None);
        assert_eq!(long("3*2.5"), Some(7));
        assert_eq!(long("true"), Some(1));
        assert_eq!(long("1e400"), Some(i64::MIN));
        assert_eq!(long("\"3\""), None);
        assert_eq!(long("10 Mb"), None);
    }

    #[test]
    fn reals() {
        assert_eq!(double("5."), Some(5.0));
        assert_eq!(double("0x1.8p1 "), Some(3.0));
        assert_eq!(double("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(double("1/4.0"), Some(0.25));
        assert_eq!(double("abc"), None);
    }

    #[test]
    fn booleans() {
        let read = |text: &str| boolean_in(text, "A", Ads::default());
        assert_eq!(read("TRUE "), Ok(true));
        assert_eq!(read("007"), Err(Some(false)));
        assert_eq!(read("yes"), Err(None));
        assert_eq!(read("2 > 1"), Ok(true));
        assert_eq!(read("MY.A"), Err(None));
    }
}
