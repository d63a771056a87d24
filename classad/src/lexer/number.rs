//! Integers, reals, and the dot that may begin one.

use nom::Parser as _;
use nom::bytes::complete::take_while;

use super::{Scan, Token};
use crate::error::ParseErrorKind;
use crate::num;

fn digits(text: &[u8]) -> usize {
    take_while::<_, _, ()>(|b: u8| b.is_ascii_digit())
        .parse(text)
        .map_or(0, |(_, found): (&[u8], &[u8])| found.len())
}

/// Whether the minus sign at the front is part of a number.
pub(super) fn follows_minus(rest: &[u8]) -> bool {
    let digit = |n: usize| rest.get(n).is_some_and(u8::is_ascii_digit);
    digit(1) || (rest.get(1) == Some(&b'.') && digit(2))
}

/// A number, with its sign if the caller found that it has one, or the selection dot.
///
/// `leading_zero`: whether an integer of several digits may start with `0`.
pub(super) fn scan(rest: &[u8], leading_zero: bool) -> Scan<'_> {
    let mut at = usize::from(rest[0] == b'-');
    let whole_start = at;
    let mut hex = false;
    let mut octal_only = true;
    if rest.get(at) == Some(&b'0') && matches!(rest.get(at + 1), Some(b'x' | b'X')) {
        hex = true;
        let count = rest[at + 2..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if count == 0 {
            return Err(ParseErrorKind::BadNumber);
        }
        at += 2 + count;
    } else {
        let count = digits(&rest[at..]);
        if rest.get(at) == Some(&b'0') {
            octal_only = rest[at..at + count].iter().all(|b| *b < b'8');
        }
        at += count;
    }
    let whole = at - whole_start;
    let mut is_real = false;
    if whole == 0 || rest.get(at) == Some(&b'.') {
        at += 1;
        // A second dot is swallowed when the token began with one: `a..b` is `a.b` and `..2` is
        // the real 0, to HTCondor.
        if whole == 0 && rest[0] == b'.' && rest.get(at) == Some(&b'.') {
            at += 1;
        }
        let fraction = rest.get(at..).map_or(0, digits);
        if fraction == 0 {
            return if whole > 0 { Err(ParseErrorKind::BadNumber) } else { Ok((at, Token::Dot)) };
        }
        at += fraction;
        is_real = true;
    }
    // `e` is a digit to a hexadecimal number, unless its fraction has begun.
    if matches!(rest.get(at), Some(b'e' | b'E')) && (is_real || !hex) {
        at += 1;
        at += usize::from(matches!(rest.get(at), Some(b'+' | b'-')));
        let exponent = rest.get(at..).map_or(0, digits);
        if exponent == 0 {
            return Err(ParseErrorKind::BadNumber);
        }
        at += exponent;
        is_real = true;
    }
    let text = &rest[..at];
    if is_real {
        return Ok((at, Token::Real(num::strtod(text).map_or(0.0, |(value, _)| value))));
    }
    // `09` is meant to be octal and is not; old ClassAds have no octal at all, but only look at
    // the first byte, which may be a sign.
    if !octal_only || (!leading_zero && rest[0] == b'0' && at > 1) {
        return Err(ParseErrorKind::BadNumber);
    }
    Ok((at, Token::Integer(decimal(text))))
}

/// The decimal digits at the front: 0 for a hexadecimal text, and 0 if the value does not fit,
/// as in 25.14.
fn decimal(text: &[u8]) -> i64 {
    let sign = usize::from(text.first() == Some(&b'-'));
    let count = digits(&text[sign..]);
    std::str::from_utf8(&text[..sign + count]).ok().and_then(|t| t.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str, leading_zero: bool) -> Result<(usize, Token<'_>), ParseErrorKind> {
        scan(text.as_bytes(), leading_zero)
    }

    #[test]
    fn integers() {
        assert_eq!(number("12a", false), Ok((2, Token::Integer(12))));
        assert_eq!(number("-9223372036854775808", false), Ok((20, Token::Integer(i64::MIN))));
        assert_eq!(number("9223372036854775808", false), Ok((19, Token::Integer(0))));
        assert_eq!(number("010", true), Ok((3, Token::Integer(10))));
        assert_eq!(number("010", false), Err(ParseErrorKind::BadNumber));
        assert_eq!(number("-010", false), Ok((4, Token::Integer(-10))));
        assert_eq!(number("0x1F", true), Ok((4, Token::Integer(0))));
        assert_eq!(number("08", true), Err(ParseErrorKind::BadNumber));
    }

    #[test]
    fn reals() {
        assert_eq!(number(".5e3", false), Ok((4, Token::Real(500.0))));
        assert_eq!(number("00.7", false), Ok((4, Token::Real(0.7))));
        assert_eq!(number("08.5", false), Ok((4, Token::Real(8.5))));
        assert_eq!(number("1e400", false), Ok((5, Token::Real(f64::INFINITY))));
        assert_eq!(number("1.", false), Err(ParseErrorKind::BadNumber));
        assert_eq!(number("1.e5", false), Err(ParseErrorKind::BadNumber));
        assert_eq!(number("1e", false), Err(ParseErrorKind::BadNumber));
    }

    #[test]
    fn dots() {
        assert_eq!(number(".a", false), Ok((1, Token::Dot)));
        assert_eq!(number("..a", false), Ok((2, Token::Dot)));
        assert_eq!(number("..2", false), Ok((3, Token::Real(0.0))));
    }
}
