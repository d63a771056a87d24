//! The two syntaxes of job arguments, as job ads store them.

use std::iter::Peekable;
use std::str::CharIndices;

use thiserror::Error;

/// What is wrong with an argument or environment string.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum SyntaxError {
    /// A single quote without its partner.
    #[error("the single quote at character {0} is never closed: write '' for a quote itself")]
    OpenQuote(usize),
    /// A variable without a value.
    #[error("{0:?} has no = sign: write NAME=VALUE")]
    NoEquals(String),
    /// A variable without a name.
    #[error("{0:?} has no name before the = sign")]
    NoName(String),
}

/// V2: white space separates; single quotes group, and `''` inside them is one quote.
pub(crate) fn parse_v2(raw: &str) -> Result<Vec<String>, SyntaxError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = raw.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '\'' => quoted(&mut rest, word.get_or_insert_default())
                .ok_or_else(|| SyntaxError::OpenQuote(raw[..at].chars().count() + 1))?,
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads to the closing quote; `None` if there is none.
fn quoted(rest: &mut Peekable<CharIndices<'_>>, word: &mut String) -> Option<()> {
    loop {
        let (_, c) = rest.next()?;
        if c != '\'' {
            word.push(c);
        } else if rest.next_if(|(_, next)| *next == '\'').is_some() {
            word.push('\'');
        } else {
            return Some(());
        }
    }
}

/// V1: white space separates and nothing quotes; `\"` is a double quote.
pub(crate) fn parse_v1(raw: &str) -> Result<Vec<String>, SyntaxError> {
    Ok(raw.split_ascii_whitespace().map(|word| word.replace("\\\"", "\"")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_as_measured_on_stock() {
        let raw = "one 'two words' 'it''s' \"dq\" '' last";
        let expected = ["one", "two words", "it's", "\"dq\"", "", "last"];
        assert_eq!(parse_v2(raw).unwrap(), expected);
        assert_eq!(parse_v2("B=two' 'words").unwrap(), ["B=two words"]);
        assert_eq!(parse_v2(" \t ").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn v2_says_where_a_quote_was_opened() {
        assert_eq!(parse_v2("a 'b c"), Err(SyntaxError::OpenQuote(3)));
        assert_eq!(parse_v2("'it''"), Err(SyntaxError::OpenQuote(1)));
    }

    #[test]
    fn v1_knows_no_quotes_but_the_escaped_double_one() {
        let words = parse_v1("one 'three four' \\\"five\\\"").unwrap();
        assert_eq!(words, ["one", "'three", "four'", "\"five\""]);
    }
}
