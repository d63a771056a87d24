//! Comparison of version numbers, digits by value.

use super::Call;
use crate::eval::{Evaluated, string_of};
use crate::value::Value;

/// Both arguments compared, or what to return instead.
fn order(call: &mut Call<'_, '_>) -> Result<Result<i64, Value>, crate::EvalFailed> {
    let Some([a, b]) = call.values()? else { return Ok(Err(Value::Error)) };
    if a.is_undefined() || b.is_undefined() {
        return Ok(Err(Value::Undefined));
    }
    Ok(match (string_of(a), string_of(b)) {
        (Ok(a), Ok(b)) => Ok(natural(a.as_bytes(), b.as_bytes())),
        _ => Err(Value::Error),
    })
}

pub(super) fn compare(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(order(call)?.map_or_else(|value| value, Value::Int))
}

pub(super) fn test(call: &mut Call<'_, '_>, wanted: fn(i64) -> bool) -> Evaluated {
    Ok(order(call)?.map_or_else(|value| value, |n| Value::Bool(wanted(n))))
}

pub(super) fn in_range(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([version, low, high]) = call.values()? else { return Ok(Value::Error) };
    if low.is_undefined() || high.is_undefined() {
        return Ok(Value::Undefined);
    }
    Ok(match (string_of(version), string_of(low), string_of(high)) {
        (Ok(v), Ok(low), Ok(high)) => Value::Bool(
            natural(low.as_bytes(), v.as_bytes()) <= 0
                && natural(v.as_bytes(), high.as_bytes()) <= 0,
        ),
        _ => Value::Error,
    })
}

/// Like `strverscmp`, and with its result: the difference of two bytes or of two lengths.
fn natural(a: &[u8], b: &[u8]) -> i64 {
    let at = |s: &[u8], n: usize| s.get(n).copied().unwrap_or(0);
    let is_digit = |s: &[u8], n: usize| at(s, n).is_ascii_digit();
    let run = |s: &[u8], from: usize, test: fn(u8) -> bool| -> usize {
        s.iter().skip(from).take_while(|b| test(**b)).count()
    };
    let difference = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    // Bytes are signed on the machines that this was defined on.
    let byte = |s: &[u8]| i64::from(at(s, difference).cast_signed());
    if at(a, difference) == at(b, difference) {
        return 0;
    }
    let start =
        difference - a[..difference].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if start == difference && !(is_digit(a, difference) && is_digit(b, difference)) {
        return byte(a) - byte(b);
    }
    // A last zero counts as a digit.
    let zeros = |s: &[u8]| {
        let zeros = run(s, start, |b| b == b'0');
        if zeros > 0 && !is_digit(s, start + zeros) { zeros - 1 } else { zeros }
    };
    let (zeros_a, zeros_b) = (zeros(a), zeros(b));
    if zeros_a != zeros_b {
        return crate::num::len(zeros_b) - crate::num::len(zeros_a);
    }
    if zeros_a > 0 {
        return byte(a) - byte(b);
    }
    let digits = |s: &[u8]| run(s, start, |b| b.is_ascii_digit());
    let (digits_a, digits_b) = (digits(a), digits(b));
    if digits_a == digits_b {
        byte(a) - byte(b)
    } else {
        crate::num::len(digits_a) - crate::num::len(digits_b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_count_by_value() {
        assert_eq!(natural(b"1.2.3", b"1.2.10"), -1);
        assert_eq!(natural(b"1.002", b"1.02"), -1);
        assert_eq!(natural(b"v1", b"v1a"), -97);
        assert_eq!(natural(b"1.0", b"1.00"), 1);
        assert_eq!(natural(b"00", b"0"), -1);
        assert_eq!(natural(b"a", b"a"), 0);
    }
}
