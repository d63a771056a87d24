//! What can be wrong with a text, and where: typed reasons with a byte offset and a caret line.

use std::fmt::Write as _;

/// A text that is not a ClassAd or not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    /// Byte offset into the text that was to be parsed.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// Why a text could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Something else had to stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// The token or construct the grammar asks for.
        expected: &'static str,
        /// What the text has instead.
        found: &'static str,
    },
    /// The text goes on after a complete expression or ad.
    #[error("unexpected {found} after the end of the {what}")]
    TrailingText {
        /// What was complete: "expression", "ad".
        what: &'static str,
        /// The first thing too many.
        found: &'static str,
    },
    /// A string or quoted name without its closing quote.
    #[error("the quote opened here is never closed")]
    UnterminatedString,
    /// A `/*` without its `*/`.
    #[error("the comment opened here is never closed")]
    UnterminatedComment,
    /// A string with an escape that stands for the byte 0, or a malformed `\u` of JSON.
    #[error("a string with an escape that is not valid")]
    BadEscape,
    /// Digits that make no number: `1.`, `1e`, `0x`, `09`.
    #[error("not a number")]
    BadNumber,
    /// A byte that begins no token.
    #[error("a character that has no meaning here")]
    BadCharacter,
    /// The literal inside `absTime("...")` or `relTime("...")` is no time.
    #[error("not a time: {text}")]
    BadTime {
        /// The literal.
        text: String,
    },
    /// A line of a long-form ad without `=`.
    #[error("a line without '='")]
    NoAssignment,
    /// An attribute without a name.
    #[error("an attribute with an empty name")]
    EmptyName,
    /// Brackets, operators or calls nested deeper than HTCondor 25.14 accepts.
    #[error("nested too deeply")]
    TooDeep,
    /// More values in one text than any real ad has.
    #[error("too many values")]
    TooLarge,
    /// Markup that is not the XML form of an ad.
    #[error("not the XML form of an ad: {0}")]
    Xml(&'static str),
}

impl ParseError {
    pub(crate) fn new(offset: usize, kind: ParseErrorKind) -> Self {
        ParseError { offset, kind }
    }

    /// The reason without the place.
    pub fn message(&self) -> String {
        self.kind.to_string()
    }

    /// Line and column, both counted from 1, of the place in `source` (the text that was parsed).
    /// Columns count bytes.
    pub fn line_column(&self, source: impl AsRef<[u8]>) -> (usize, usize) {
        let source = source.as_ref();
        let before = &source[..self.offset.min(source.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        (line, column)
    }

    /// The message, the line of `source` it is about, and a caret under the place.
    ///
    /// ```
    /// let text = "Memory > ( 1024";
    /// let error = classad::Expr::parse(text).unwrap_err();
    /// assert_eq!(
    ///     error.render(text),
    ///     "line 1, column 16: expected ')', found the end of the text\n\
    ///      \x20   Memory > ( 1024\n\
    ///      \x20                  ^"
    /// );
    /// ```
    pub fn render(&self, source: impl AsRef<[u8]>) -> String {
        // Enough of the line to recognise it; a job ad line may have a megabyte.
        const AROUND: usize = 60;
        let source = source.as_ref();
        let at = self.offset.min(source.len());
        let start = source[..at].iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
        let end = source[at..].iter().position(|b| *b == b'\n').map_or(source.len(), |p| at + p);
        let (from, to) = (start.max(at.saturating_sub(AROUND)), end.min(at.saturating_add(AROUND)));
        let clean = |bytes: &[u8]| -> String {
            String::from_utf8_lossy(bytes)
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        };
        let (line, column) = self.line_column(source);
        let head = clean(&source[from..at]);
        let mut out = format!("line {line}, column {column}: {}\n    {head}", self.kind);
        let _ =
            write!(out, "{}\n    {}^", clean(&source[at..to]), " ".repeat(head.chars().count()));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns() {
        let error = ParseError::new(5, ParseErrorKind::BadNumber);
        assert_eq!(error.line_column("ab\ncde"), (2, 3));
        assert_eq!(error.render("ab\ncd."), "line 2, column 3: not a number\n    cd.\n      ^");
    }

    #[test]
    fn an_offset_beyond_the_text_is_its_end() {
        let error = ParseError::new(500, ParseErrorKind::UnterminatedString);
        assert!(error.render("a").ends_with("a\n     ^"));
        assert_eq!(error.to_string(), "the quote opened here is never closed at byte 500");
    }
}
