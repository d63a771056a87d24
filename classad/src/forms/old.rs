//! Old (long) form: a line for each attribute.

use crate::ParseOptions;
use crate::ad::ClassAd;
use crate::error::{ParseError, ParseErrorKind};
use crate::expr::Expr;
use crate::num::is_space;
use crate::parser::{self, NodeBudget};
use crate::text::Text;

/// Reads lines of `Name = expression`. A bad line makes the whole text bad.
pub(crate) fn parse(text: &[u8], options: &ParseOptions) -> Result<ClassAd, ParseError> {
    let mut attrs = Vec::with_capacity(text.len() / 32);
    let mut budget = NodeBudget::default();
    let mut start = 0;
    for line in text.split(|b| *b == b'\n') {
        let at = start;
        start += line.len() + 1;
        let blank = line.iter().take_while(|b| is_space(**b)).count();
        if matches!(line.get(blank), None | Some(b'#')) {
            continue;
        }
        let place = |e: ParseError| ParseError::new(e.offset + at, e.kind);
        attrs.push(assignment(line, options, &mut budget).map_err(place)?);
    }
    Ok(ClassAd::from_pairs(attrs))
}

/// One line. What follows a complete expression is ignored, as in HTCondor 25.14, so that
/// `A = 1; B = 2` is an A alone.
fn assignment(
    line: &[u8],
    options: &ParseOptions,
    budget: &mut NodeBudget,
) -> Result<(Text, Expr), ParseError> {
    // Lines from Windows, and blanks behind a string that ends in a backslash.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let blank = line.iter().take_while(|b| is_space(**b)).count();
    let Some(equals) = line.iter().position(|b| *b == b'=') else {
        return Err(ParseError::new(blank, ParseErrorKind::NoAssignment));
    };
    let mut name = &line[blank.min(equals)..equals];
    // Only blanks: a tab before the `=` is part of the name, to HTCondor.
    while let Some(rest) = name.strip_suffix(b" ") {
        name = rest;
    }
    if name.is_empty() {
        return Err(ParseError::new(blank, ParseErrorKind::EmptyName));
    }
    let value = &line[equals + 1..];
    let expr = parser::expression_prefix(value, options, budget)
        .map_err(|e| ParseError::new(e.offset + equals + 1, e.kind))?;
    Ok((Text::from(name), expr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let ad = parse(b"# c\n\n  A = 1\n\tB = A + 1 // c\r\n", &ParseOptions::OLD).unwrap();
        assert_eq!(ad.to_new_string(), "[ A = 1; B = A + 1 ]");
    }

    #[test]
    fn names_are_whatever_stands_before_the_equals_sign() {
        let ad = parse(b"A.B  = 1\nC\t=2\n", &ParseOptions::OLD).unwrap();
        assert_eq!(ad.to_new_string(), "[ 'C\\t' = 2; 'A.B' = 1 ]");
    }

    #[test]
    fn trailing_text_is_ignored_and_errors_have_a_place() {
        assert_eq!(
            parse(b"A = 1; B = 2", &ParseOptions::OLD).unwrap().to_new_string(),
            "[ A = 1 ]"
        );
        let text = "A = 1\nB = (2\n";
        let error = parse(text.as_bytes(), &ParseOptions::OLD).unwrap_err();
        assert_eq!(error.line_column(text), (2, 7));
        assert_eq!(parse(b"A", &ParseOptions::OLD).unwrap_err().kind, ParseErrorKind::NoAssignment);
        assert_eq!(parse(b" = 1", &ParseOptions::OLD).unwrap_err().kind, ParseErrorKind::EmptyName);
    }
}
