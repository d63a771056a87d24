//! Strings and quoted names: `"..."` and `'...'`, with the escapes of each syntax.

use std::borrow::Cow;

use crate::Syntax;
use crate::error::ParseErrorKind;
use crate::num::is_space;

/// A quoted token.
pub(super) struct Quoted<'a> {
    /// Bytes of the source, quotes and adjacent literals included.
    pub(super) length: usize,
    pub(super) text: Cow<'a, [u8]>,
    /// JSON: written as `"\/...\/"`.
    pub(super) expression: bool,
}

/// `rest` starts with the quote.
pub(super) fn scan(rest: &[u8], syntax: Syntax) -> Result<Quoted<'_>, ParseErrorKind> {
    if syntax == Syntax::Old {
        return scan_old(rest).ok_or(ParseErrorKind::UnterminatedString);
    }
    let quote = rest[0];
    let mut at = 1;
    let mut raw: Cow<'_, [u8]> = Cow::Borrowed(b"");
    loop {
        let inner = body(&rest[at..], quote).ok_or(ParseErrorKind::UnterminatedString)?;
        let piece = &rest[at..at + inner];
        at += inner + 1;
        if raw.is_empty() {
            raw = Cow::Borrowed(piece);
        } else {
            raw.to_mut().extend_from_slice(piece);
        }
        // Literals with nothing but white space between them are one literal.
        let blank = rest[at..].iter().take_while(|b| is_space(**b)).count();
        if rest.get(at + blank) != Some(&quote) {
            break;
        }
        at += blank + 1;
    }
    let expression = syntax == Syntax::Json
        && raw.len() >= 4
        && raw.starts_with(b"\\/")
        && raw.ends_with(b"\\/");
    let text = if !raw.contains(&b'\\') {
        raw
    } else if syntax == Syntax::Json {
        Cow::Owned(unescape_json(&raw).ok_or(ParseErrorKind::BadEscape)?)
    } else {
        Cow::Owned(unescape(&raw).ok_or(ParseErrorKind::BadEscape)?)
    };
    Ok(Quoted { length: at, text, expression })
}

/// How many bytes stand before the closing quote.
fn body(text: &[u8], quote: u8) -> Option<usize> {
    let mut escaped = false;
    for (n, b) in text.iter().enumerate() {
        if *b == quote && !escaped {
            return Some(n);
        }
        escaped = *b == b'\\' && !escaped;
    }
    None
}

/// Old syntax: a backslash is itself, except before a quote that does not end the text or line.
fn scan_old(rest: &[u8]) -> Option<Quoted<'_>> {
    let quote = rest[0];
    let mut start = 1;
    let mut text: Cow<'_, [u8]> = Cow::Borrowed(b"");
    loop {
        let inner = rest[start..].iter().position(|b| *b == quote)?;
        let end = start + inner;
        let piece = &rest[start..end];
        let after = rest.get(end + 1);
        let continues = piece.last() == Some(&b'\\') && after.is_some_and(|b| *b != b'\n');
        let piece = if continues { &piece[..piece.len() - 1] } else { piece };
        if start == 1 && !continues {
            text = Cow::Borrowed(piece);
        } else {
            text.to_mut().extend_from_slice(piece);
        }
        start = end + 1;
        if !continues {
            return Some(Quoted { length: start, text, expression: false });
        }
        text.to_mut().push(quote);
        // The byte after an escaped quote is taken as it is, so that `\""` is one quote and
        // the end, and `"` directly behind still closes the string.
    }
}

fn octal(b: Option<&u8>) -> Option<u32> {
    b.and_then(|b| char::from(*b).to_digit(8))
}

/// None if an escape stands for the byte 0.
pub(crate) fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(b) = raw.get(at) {
        at += 1;
        let escape = match raw.get(at) {
            Some(next) if *b == b'\\' => *next,
            // A backslash at the very end is a backslash.
            _ => {
                out.push(*b);
                continue;
            }
        };
        at += 1;
        out.push(match escape {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                if let Some(digit) = octal(raw.get(at)) {
                    at += 1;
                    value = value * 8 + digit;
                    // A third digit only while the value stays below 256.
                    if value < 0o40
                        && let Some(digit) = octal(raw.get(at))
                    {
                        at += 1;
                        value = value * 8 + digit;
                    }
                }
                u8::try_from(value).ok().filter(|v| *v != 0)?
            }
            other => other,
        });
    }
    Some(out)
}

/// None if a `\u` is malformed or stands for the byte 0.
///
/// HTCondor 25.14 turns `\u0080` and above into bytes that are no text; here they are the
/// character, and two halves of a surrogate pair are joined.
fn unescape_json(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(b) = raw.get(at) {
        at += 1;
        let escape = match raw.get(at) {
            Some(next) if *b == b'\\' => *next,
            _ => {
                out.push(*b);
                continue;
            }
        };
        at += 1;
        let plain = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = hex4(raw.get(at..at + 4)?)?;
                at += 4;
                if unit == 0 {
                    return None;
                }
                if (0xd800..0xdc00).contains(&unit)
                    && raw.get(at..at + 2) == Some(b"\\u")
                    && let Some(low) = raw.get(at + 2..at + 6).and_then(hex4)
                    && (0xdc00..0xe000).contains(&low)
                {
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                }
                let c = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(plain);
    }
    Some(out)
}

fn hex4(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |n, b| char::from(*b).to_digit(16).map(|d| n * 16 + d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str, syntax: Syntax) -> Result<String, ParseErrorKind> {
        scan(source.as_bytes(), syntax)
            .map(|q| String::from_utf8(q.text.into_owned()).expect("UTF-8"))
    }

    #[test]
    fn new_escapes() {
        assert_eq!(text(r#""a\n\q\x41\101\4011""#, Syntax::New).unwrap(), "a\nqx41A 11");
        assert_eq!(text(r#""\0""#, Syntax::New), Err(ParseErrorKind::BadEscape));
        assert_eq!(text("\"a\" \n \"b\"", Syntax::New).unwrap(), "ab");
        assert_eq!(text(r#"'it\'s'"#, Syntax::New).unwrap(), "it's");
        assert_eq!(text(r#""a\"#, Syntax::New), Err(ParseErrorKind::UnterminatedString));
    }

    #[test]
    fn old_backslashes() {
        assert_eq!(text(r#""C:\dir\""#, Syntax::Old).unwrap(), r"C:\dir\");
        assert_eq!(text(r#""a\"b""#, Syntax::Old).unwrap(), r#"a"b"#);
        assert_eq!(text(r#""a\\""#, Syntax::Old).unwrap(), r"a\\");
        assert_eq!(text("\"a\\\" ", Syntax::Old), Err(ParseErrorKind::UnterminatedString));
        assert_eq!(text("\"a\" \"b\"", Syntax::Old).unwrap(), "a");
    }

    #[test]
    fn json_escapes() {
        assert_eq!(text(r#""\u0041\/\u00e9\ud83d\ude00""#, Syntax::Json).unwrap(), "A/é😀");
        assert_eq!(text(r#""\ud83dx""#, Syntax::Json).unwrap(), "\u{fffd}x");
        assert_eq!(text(r#""\u00""#, Syntax::Json), Err(ParseErrorKind::BadEscape));
        assert!(scan(br#""\/Expr(1)\/""#, Syntax::Json).is_ok_and(|q| q.expression));
        assert!(scan(br#""/Expr(1)/""#, Syntax::Json).is_ok_and(|q| !q.expression));
    }
}
