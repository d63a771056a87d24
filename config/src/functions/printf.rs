//! Formats as C's `printf` has them, with one conversion: what `$INT(N,%5d)` and its kin take.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{is_a, take, take_till, take_while};
use nom::character::complete::{char, digit0};
use nom::combinator::{opt, recognize};
use nom::sequence::preceded;

/// Wider than any line an admin writes; a `%999999999d` is not worth its memory.
const MAX_WIDTH: usize = 4096;

/// A format with one conversion, and text on both sides of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format<'a> {
    before: &'a str,
    flags: &'a str,
    width: usize,
    precision: Option<usize>,
    length: &'a str,
    conversion: char,
    after: &'a str,
}

/// What is to be printed.
pub(super) enum Argument<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

impl<'a> Format<'a> {
    pub(super) fn for_integer(text: &'a str) -> Option<Format<'a>> {
        Format::parse(text, "diouxXcp")
    }

    pub(super) fn for_real(text: &'a str) -> Option<Format<'a>> {
        Format::parse(text, "eEfFgG")
    }

    pub(super) fn for_string(text: &'a str) -> Option<Format<'a>> {
        Format::parse(text, "s")
    }

    fn parse(text: &'a str, conversions: &str) -> Option<Format<'a>> {
        let (after, mut format) = conversion(text).ok()?;
        // `before` reaches back over any `%%`.
        format.before = &text[..text.len() - after.len() - consumed(text, after, &format)];
        format.after = after;
        let fits = conversions.contains(format.conversion) && conversion(after).is_err();
        (fits && format.width <= MAX_WIDTH && format.precision.unwrap_or(0) <= MAX_WIDTH)
            .then_some(format)
    }

    pub(super) fn print(&self, argument: &Argument<'_>) -> String {
        let (sign, digits) = match argument {
            Argument::Integer(number) => self.integer(*number),
            Argument::Real(number) => self.real(*number),
            Argument::Text(text) => ("", self.text(text)),
        };
        let numeric = !matches!(argument, Argument::Text(_)) && self.conversion != 'c';
        let length = sign.len() + digits.chars().count();
        let padding = self.width.saturating_sub(length);
        let zeros = numeric
            && self.has('0')
            && !self.has('-')
            && (matches!(argument, Argument::Real(_)) || self.precision.is_none());
        let (left, middle, right) = match (self.has('-'), zeros) {
            (true, _) => (0, 0, padding),
            (false, true) => (0, padding, 0),
            (false, false) => (padding, 0, 0),
        };
        let before = self.before.replace("%%", "%");
        let after = self.after.replace("%%", "%");
        format!(
            "{before}{}{sign}{}{digits}{}{after}",
            " ".repeat(left),
            "0".repeat(middle),
            " ".repeat(right)
        )
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.has('+'), self.has(' ')) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// Sign or prefix, and digits.
    fn integer(&self, number: i64) -> (&'static str, String) {
        // HTCondor hands over 64 bits whatever the format takes of them.
        let low = number.to_ne_bytes();
        let bytes = if cfg!(target_endian = "big") { &low[4..] } else { &low[..4] };
        let word = i32::from_ne_bytes(bytes.try_into().unwrap_or_default());
        let wide = self.length.contains(['l', 'q', 'j', 'z', 't', 'L']);
        let (signed, unsigned) = if wide {
            (number, u64::from_ne_bytes(low))
        } else {
            (i64::from(word), u64::from(word.cast_unsigned()))
        };
        let precise = |digits: String| match self.precision {
            Some(0) if digits == "0" => String::new(),
            Some(precision) => format!("{digits:0>precision$}"),
            None => digits,
        };
        match self.conversion {
            'd' | 'i' => (self.sign(signed < 0), precise(signed.unsigned_abs().to_string())),
            'o' => (if self.has('#') { "0" } else { "" }, precise(format!("{unsigned:o}"))),
            'x' => (self.prefix("0x", unsigned), precise(format!("{unsigned:x}"))),
            'X' => (self.prefix("0X", unsigned), precise(format!("{unsigned:X}"))),
            'p' => ("0x", format!("{:x}", u64::from_ne_bytes(low))),
            'c' => {
                let byte = u8::try_from(unsigned & 0xff).unwrap_or(0);
                ("", char::from(byte).to_string())
            }
            _ => ("", precise(unsigned.to_string())),
        }
    }

    fn prefix(&self, prefix: &'static str, number: u64) -> &'static str {
        if self.has('#') && number != 0 { prefix } else { "" }
    }

    fn real(&self, number: f64) -> (&'static str, String) {
        let sign = self.sign(number.is_sign_negative());
        let number = number.abs();
        let upper = self.conversion.is_ascii_uppercase();
        let digits = if number.is_finite() {
            let precision = self.precision.unwrap_or(6);
            match self.conversion.to_ascii_lowercase() {
                'f' => format!("{number:.precision$}"),
                'e' => exponential(number, precision),
                _ => general(number, precision, self.has('#')),
            }
        } else if number.is_nan() {
            "nan".to_owned()
        } else {
            "inf".to_owned()
        };
        (sign, if upper { digits.to_ascii_uppercase() } else { digits })
    }

    fn text(&self, text: &str) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    }
}

/// The first conversion in a text, `%%` aside.
fn conversion(text: &str) -> IResult<&str, Format<'_>> {
    let (rest, before) = take_till(|c| c == '%').parse(text)?;
    let (rest, _) = char('%').parse(rest)?;
    let (rest, flags) = take_while(|c| "#0- +'".contains(c)).parse(rest)?;
    let (rest, width) = digit0.parse(rest)?;
    let (rest, precision) = opt(preceded(char('.'), digit0)).parse(rest)?;
    let (rest, length) = recognize(opt(is_a("hlLqjzt"))).parse(rest)?;
    let (rest, letter) = take(1usize).parse(rest)?;
    if letter == "%" {
        return conversion(rest);
    }
    let number = |digits: &str| {
        if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) }
    };
    let format = Format {
        before,
        flags,
        width: number(width),
        precision: precision.map(number),
        length,
        conversion: letter.chars().next().unwrap_or_default(),
        after: "",
    };
    Ok((rest, format))
}

/// Bytes that a conversion takes up at the end of `text` without `after`.
fn consumed(text: &str, after: &str, format: &Format<'_>) -> usize {
    let until = &text[..text.len() - after.len()];
    let flags = until.rfind('%').unwrap_or(0);
    debug_assert!(until[flags..].ends_with(format.conversion));
    until.len() - flags
}

/// As `%e`: a digit, a point, digits, and an exponent of two digits at least.
fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{exponent:0>2}")
}

/// As `%g`: whichever of `%e` and `%f` is shorter, without zeros at the end.
fn general(number: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let scientific = exponential(number, precision - 1);
    let exponent: i64 =
        scientific.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let whole = i64::try_from(precision).unwrap_or(i64::MAX);
    let strip = |text: &str| {
        if keep_zeros || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if (-4..whole).contains(&exponent) {
        let decimals = usize::try_from(whole - 1 - exponent).unwrap_or(0);
        return strip(&format!("{number:.decimals$}"));
    }
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", strip(mantissa)),
        None => scientific,
    }
}

/// As `%g`, in which HTCondor's messages show real numbers.
pub(crate) fn short(number: f64) -> String {
    if number.is_finite() {
        let sign = if number.is_sign_negative() { "-" } else { "" };
        format!("{sign}{}", general(number.abs(), 6, false))
    } else {
        number.to_string()
    }
}

/// As `%.16G`, with which `$REAL()` prints when it is given no format.
pub(super) fn shortest(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let text = if number.is_nan() {
        "NAN".to_owned()
    } else if number.is_infinite() {
        "INF".to_owned()
    } else {
        general(number.abs(), 16, false).to_ascii_uppercase()
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(format: &str, number: i64) -> Option<String> {
        Some(Format::for_integer(format)?.print(&Argument::Integer(number)))
    }

    fn real(format: &str, number: f64) -> Option<String> {
        Some(Format::for_real(format)?.print(&Argument::Real(number)))
    }

    #[test]
    fn integers() {
        assert_eq!(int("%5d", 3).as_deref(), Some("    3"));
        assert_eq!(int("%-5d|", 3).as_deref(), Some("3    |"));
        assert_eq!(int("%05d", -3).as_deref(), Some("-0003"));
        assert_eq!(int("%.3d", 7).as_deref(), Some("007"));
        assert_eq!(int("%x", -1).as_deref(), Some("ffffffff"));
        assert_eq!(int("%llx", -1).as_deref(), Some("ffffffffffffffff"));
        assert_eq!(int("%#x", 255).as_deref(), Some("0xff"));
        assert_eq!(int("100%% %d items", 3).as_deref(), Some("100% 3 items"));
        assert_eq!(int("%s", 3), None);
        assert_eq!(int("%d %d", 3), None);
        assert_eq!(int("%*d", 3), None);
        assert_eq!(int("items", 3), None);
        assert_eq!(int("%99999d", 3), None);
    }

    #[test]
    fn reals() {
        assert_eq!(real("%.2f", 2.5).as_deref(), Some("2.50"));
        assert_eq!(real("%g", 2.5).as_deref(), Some("2.5"));
        assert_eq!(real("%e", 2.5).as_deref(), Some("2.500000e+00"));
        assert_eq!(real("%g", 1e-5).as_deref(), Some("1e-05"));
        assert_eq!(real("%G", 123_456_789.0).as_deref(), Some("1.23457E+08"));
        assert_eq!(real("%+08.2f", 2.5).as_deref(), Some("+0002.50"));
        assert_eq!(shortest(1.0 / 3.0), "0.3333333333333333");
        assert_eq!(shortest(1e20), "1E+20");
        assert_eq!(shortest(1e10), "10000000000");
    }

    #[test]
    fn strings() {
        let print = |format: &str, text: &str| {
            Some(Format::for_string(format)?.print(&Argument::Text(text)))
        };
        assert_eq!(print("%10s", "abcdef").as_deref(), Some("    abcdef"));
        assert_eq!(print("%.2s", "abcdef").as_deref(), Some("ab"));
        assert_eq!(print("%d", "abcdef"), None);
    }
}
