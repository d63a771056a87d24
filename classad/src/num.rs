//! Conversions between numbers as the C++ library does them, in one place so that each narrowing
//! is deliberate.

/// The nearest real; beyond 2^53 this rounds, as C does.
#[expect(clippy::cast_precision_loss, reason = "the language compares and mixes numbers as f64")]
pub(crate) fn real(i: i64) -> f64 {
    i as f64
}

/// Truncation toward zero. What does not fit, NaN included, is `i64::MIN`: that is what the
/// conversion instruction of x86-64 yields, and so what HTCondor computes there.
#[expect(clippy::cast_possible_truncation, reason = "range is checked first")]
pub(crate) fn truncate(r: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&r) { r as i64 } else { i64::MIN }
}

/// The low 32 bits as a signed number, as an `int` parameter receives them.
#[expect(clippy::cast_possible_truncation, reason = "the truncation is the point")]
pub(crate) fn low32(i: i64) -> i32 {
    i as i32
}

/// A length as an integer of the language; no length reaches `i64::MAX`.
pub(crate) fn len(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `strtod`: the value of the longest prefix that is a number, and how many bytes it took, white
/// space in front included. None if there is no number at the front.
pub(crate) fn strtod(text: &[u8]) -> Option<(f64, usize)> {
    let start = text.iter().take_while(|b| is_space(**b)).count();
    let mut at = start;
    let negative = match text.get(at) {
        Some(b'-') => {
            at += 1;
            true
        }
        Some(b'+') => {
            at += 1;
            false
        }
        _ => false,
    };
    let sign = if negative { -1.0 } else { 1.0 };
    let rest = &text[at..];
    let word = |w: &[u8]| rest.len() >= w.len() && rest[..w.len()].eq_ignore_ascii_case(w);
    if word(b"infinity") {
        return Some((sign * f64::INFINITY, at + 8));
    }
    if word(b"inf") {
        return Some((sign * f64::INFINITY, at + 3));
    }
    if word(b"nan") {
        return Some((f64::NAN.copysign(sign), at + 3 + nan_payload(&rest[3..])));
    }
    if word(b"0x")
        && let Some((value, used)) = hex(&rest[2..])
    {
        return Some((sign * value, at + 2 + used));
    }
    let used = decimal_length(rest);
    if used == 0 {
        return None;
    }
    let digits = std::str::from_utf8(&rest[..used]).ok()?;
    Some((sign * digits.parse::<f64>().ok()?, at + used))
}

/// `nan(chars)` is one number too.
fn nan_payload(rest: &[u8]) -> usize {
    if rest.first() != Some(&b'(') {
        return 0;
    }
    let inner = rest[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if rest.get(1 + inner) == Some(&b')') { inner + 2 } else { 0 }
}

fn decimal_length(rest: &[u8]) -> usize {
    let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let mut at = whole;
    let mut fraction = 0;
    if rest.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        if whole + fraction > 0 {
            at += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(rest.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits((at + 1 + sign).min(rest.len()));
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// Hexadecimal digits with optional fraction and binary exponent, after the `0x`.
fn hex(rest: &[u8]) -> Option<(f64, usize)> {
    let mut value = 0.0_f64;
    let mut at = 0;
    let mut digits = 0;
    let mut scale = 0_i32;
    let mut fraction = false;
    while let Some(b) = rest.get(at) {
        if *b == b'.' && !fraction {
            fraction = true;
        } else if let Some(digit) = char::from(*b).to_digit(16) {
            value = value * 16.0 + f64::from(digit);
            digits += 1;
            scale = if fraction { scale.saturating_sub(4) } else { scale };
        } else {
            break;
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    if matches!(rest.get(at), Some(b'p' | b'P')) {
        let negative = rest.get(at + 1) == Some(&b'-');
        let sign = usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let from = at + 1 + sign;
        let count = rest.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
        if count > 0 {
            let exponent = rest[from..from + count]
                .iter()
                .fold(0_i32, |n, b| n.saturating_mul(10).saturating_add(i32::from(*b - b'0')));
            scale = scale.saturating_add(if negative { -exponent } else { exponent });
            at = from + count;
        }
    }
    Some((value * 2.0_f64.powi(scale), at))
}

/// C's `isspace` in the C locale.
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strtod_takes_the_longest_prefix() {
        assert_eq!(strtod(b"12abc"), Some((12.0, 2)));
        assert_eq!(strtod(b" 3.7x"), Some((3.7, 4)));
        assert_eq!(strtod(b"0x10"), Some((16.0, 4)));
        assert_eq!(strtod(b"0xg"), Some((0.0, 1)));
        assert_eq!(strtod(b"1e+"), Some((1.0, 1)));
        assert_eq!(strtod(b"-.5e1"), Some((-5.0, 5)));
        assert_eq!(strtod(b"-INF"), Some((f64::NEG_INFINITY, 4)));
        assert_eq!(strtod(b"1e400"), Some((f64::INFINITY, 5)));
        assert_eq!(strtod(b"0x1.8p1"), Some((3.0, 7)));
        assert_eq!(strtod(b"."), None);
        assert_eq!(strtod(b""), None);
        assert!(strtod(b"nan").is_some_and(|(v, n)| v.is_nan() && n == 3));
    }

    #[test]
    fn out_of_range_reals_are_the_smallest_integer() {
        assert_eq!(truncate(1e30), i64::MIN);
        assert_eq!(truncate(f64::NAN), i64::MIN);
        assert_eq!(truncate(-2.9), -2);
    }
}
