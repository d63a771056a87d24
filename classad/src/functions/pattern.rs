//! Perl-compatible patterns on top of `fancy-regex`.
//!
//! HTCondor hands its patterns to PCRE2 as bytes. The crate takes them as text, in a syntax that
//! differs in corners that do occur in policies; [`translate`] carries them over.

use fancy_regex::{BytesMode, Regex, RegexBuilder};

/// Letters that follow a pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) caseless: bool,
    pub(super) multiline: bool,
    pub(super) dotall: bool,
    pub(super) extended: bool,
}

impl Options {
    /// Letters that are not known are ignored.
    pub(super) fn parse(text: &[u8], upper: bool) -> Options {
        let has = |letter: u8| {
            text.contains(&letter) || (upper && text.contains(&letter.to_ascii_uppercase()))
        };
        Options {
            caseless: has(b'i'),
            multiline: has(b'm'),
            dotall: has(b's'),
            extended: has(b'x'),
        }
    }
}

/// A compiled pattern.
pub(super) struct Pattern {
    regex: Regex,
    text: String,
    options: Options,
}

/// The match took more steps than it may, or a position was out of the text.
#[derive(Debug)]
pub(super) struct MatchFailed;

/// Where the groups of a match are; the first is the whole. None: the group took no part.
pub(super) type Groups = Vec<Option<(usize, usize)>>;

impl Pattern {
    /// None if it is no pattern. `newline_at_end` is whether a subject may end in a newline.
    pub(super) fn new(pattern: &[u8], options: Options, newline_at_end: bool) -> Option<Pattern> {
        let text = translate(pattern, newline_at_end && !options.multiline);
        let regex = compile(&text, options, false)?;
        Some(Pattern { regex, text, options })
    }

    pub(super) fn is_match(&self, subject: &[u8]) -> Result<bool, MatchFailed> {
        self.regex.is_match(subject).map_err(|_| MatchFailed)
    }

    /// The first match from `from` on.
    pub(super) fn find(&self, subject: &[u8], from: usize) -> Result<Option<Groups>, MatchFailed> {
        groups(&self.regex, subject, from)
    }

    /// A match at exactly `at` that is not empty.
    pub(super) fn find_not_empty_at(
        &self,
        subject: &[u8],
        at: usize,
    ) -> Result<Option<Groups>, MatchFailed> {
        // A pattern that can match nothing but the empty string does not compile this way.
        let Some(regex) = compile(&self.text, self.options, true) else { return Ok(None) };
        let found = groups(&regex, subject, at)?;
        Ok(found.filter(|g| matches!(g.first(), Some(Some((start, _))) if *start == at)))
    }
}

fn groups(regex: &Regex, subject: &[u8], from: usize) -> Result<Option<Groups>, MatchFailed> {
    if from > subject.len() {
        return Err(MatchFailed);
    }
    let found = regex.captures_from_pos(subject, from).map_err(|_| MatchFailed)?;
    Ok(found.map(|captures| {
        (0..captures.len()).map(|n| captures.get(n).map(|m| (m.start(), m.end()))).collect()
    }))
}

fn compile(text: &str, options: Options, not_empty: bool) -> Option<Regex> {
    RegexBuilder::new(text)
        .bytes_mode(BytesMode::Ascii)
        .unicode_mode(false)
        .case_insensitive(options.caseless)
        .multi_line(options.multiline)
        .dot_matches_new_line(options.dotall)
        .ignore_whitespace(options.extended)
        .find_not_empty(not_empty)
        // PCRE2's own limit counts smaller steps.
        .backtrack_limit(1_000_000)
        // A pattern is a job's or a machine's: it must not claim what it likes.
        .delegate_size_limit(4 << 20)
        .build()
        .ok()
}

/// Writes a PCRE2 pattern over bytes as one that `fancy-regex` takes to mean the same.
fn translate(pattern: &[u8], dollar_before_newline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut at = 0;
    // Position of the first member, while inside `[...]`.
    let mut class: Option<usize> = None;
    while let Some(b) = pattern.get(at).copied() {
        let next = pattern.get(at + 1).copied();
        at += 1;
        match (b, class) {
            (b'\\', _) => {
                at += 1;
                match next {
                    None => out.push('\\'),
                    Some(b'Q') => at = quote_literal(pattern, at, &mut out),
                    // An end without a beginning is nothing.
                    Some(b'E') => {}
                    Some(b'-' | b'#' | b' ' | b'&' | b'~') => {
                        push_literal(&mut out, next.unwrap_or(b' '));
                    }
                    // Escaped for no reason: PCRE2 takes these for themselves.
                    Some(
                        b'"' | b'\'' | b',' | b'/' | b':' | b';' | b'<' | b'>' | b'=' | b'@' | b'%'
                        | b'!' | b'`' | b'_',
                    ) => {
                        push_literal(&mut out, next.unwrap_or(b' '));
                    }
                    Some(byte) if !byte.is_ascii() => push_literal(&mut out, byte),
                    Some(byte) => {
                        out.push('\\');
                        out.push(char::from(byte));
                    }
                }
            }
            (b'[', None) => {
                out.push('[');
                if next == Some(b'^') {
                    out.push('^');
                    at += 1;
                }
                class = Some(at);
            }
            // An opening bracket inside a class is itself, unless a POSIX name follows.
            (b'[', Some(_)) if next == Some(b':') => match posix_class(&pattern[at - 1..]) {
                Some(length) => {
                    let name = &pattern[at - 1..at - 1 + length];
                    out.push_str(&String::from_utf8_lossy(name));
                    at += length - 1;
                }
                None => out.push_str("\\["),
            },
            (b'[', Some(_)) => out.push_str("\\["),
            (b']', Some(first)) if at - 1 == first => out.push_str("\\]"),
            (b']', Some(_)) => {
                out.push(']');
                class = None;
            }
            // Set operations of the crate that PCRE2 does not have.
            (b'&' | b'~', Some(_)) => push_literal(&mut out, b),
            (b'-', Some(_)) if next == Some(b'-') => out.push_str("\\-"),
            (b'{', None) if !is_quantifier(&pattern[at..]) => out.push_str("\\{"),
            (b'}', None) => out.push('}'),
            // Before a newline at the end, too.
            (b'$', None) if dollar_before_newline => out.push_str("(?=\\n?\\z)"),
            _ if b.is_ascii() => out.push(char::from(b)),
            _ => push_literal(&mut out, b),
        }
    }
    out
}

/// `\Q...\E`; returns the position behind it.
fn quote_literal(pattern: &[u8], from: usize, out: &mut String) -> usize {
    let rest = &pattern[from.min(pattern.len())..];
    let length = rest.windows(2).position(|w| w == b"\\E");
    for byte in &rest[..length.unwrap_or(rest.len())] {
        push_literal(out, *byte);
    }
    from + length.map_or(rest.len(), |n| n + 2)
}

/// A byte that means itself.
fn push_literal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02X}"));
    }
}

/// The length of a `[:name:]` at the front.
fn posix_class(text: &[u8]) -> Option<usize> {
    let inner = text.iter().skip(2).take_while(|b| b.is_ascii_alphabetic() || **b == b'^').count();
    (inner > 0 && text.get(2 + inner..4 + inner) == Some(b":]")).then_some(inner + 4)
}

/// Whether `n}`, `n,}` or `n,m}` is at the front.
fn is_quantifier(text: &[u8]) -> bool {
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let first = digits(text);
    if first == 0 {
        return false;
    }
    let mut rest = &text[first..];
    if let Some(after) = rest.strip_prefix(b",") {
        rest = &after[digits(after)..];
    }
    rest.first() == Some(&b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, subject: &str) -> Option<bool> {
        let newline = subject.ends_with('\n');
        let pattern = Pattern::new(pattern.as_bytes(), Options::default(), newline)?;
        pattern.is_match(subject.as_bytes()).ok()
    }

    #[test]
    fn perl_has_more_than_regular_expressions() {
        assert_eq!(matches("^(?!slot)", "x1"), Some(true));
        assert_eq!(matches("^(?!slot)", "slot1"), Some(false));
        assert_eq!(matches(r"(a)\1", "aa"), Some(true));
        assert_eq!(matches("(", "a"), None);
    }

    #[test]
    fn bytes_are_not_characters() {
        assert_eq!(matches("^..$", "é"), Some(true));
        assert_eq!(matches("^[é]+$", "é"), Some(true));
        assert_eq!(matches(r"\w", "é"), Some(false));
    }

    #[test]
    fn corners_of_the_syntax() {
        assert_eq!(matches("[[]x[]]", "[x]"), Some(true));
        assert_eq!(matches("[[:digit:]&&a]+$", "1&a"), Some(true));
        assert_eq!(matches("a{", "a{"), Some(true));
        assert_eq!(matches("^a{2}$", "aa"), Some(true));
        assert_eq!(matches(r"^\Qa.b\E$", "a.b"), Some(true));
        assert_eq!(matches(r"^\Qa.b\E$", "axb"), Some(false));
        assert_eq!(matches("a$", "a\n"), Some(true));
        assert_eq!(matches(r"^a\/b\-c\_d$", "a/b-c_d"), Some(true));
        assert_eq!(matches(r"[\w.-]+@[\w.-]+", "a-b@c.d"), Some(true));
    }

    #[test]
    fn runaway_patterns_fail() {
        let subject = "a".repeat(40);
        let pattern = Pattern::new(b"^(?=(a+)+b)\\1x", Options::default(), false).unwrap();
        assert!(!pattern.is_match(subject.as_bytes()).unwrap_or(false));
    }
}
