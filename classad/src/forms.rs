//! The forms an ad comes in, and how to tell them apart.

pub(crate) mod json;
pub(crate) mod old;
pub(crate) mod xml;

use crate::ad::ClassAd;
use crate::error::ParseError;
use crate::num::is_space;
use crate::parser;
use crate::print::trim;
use crate::{ParseOptions, Syntax};

/// The container an ad is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One `Name = expression` a line.
    Old,
    /// `[ a = 1; b = 2 ]`
    New,
    /// `{ "a": 1, "b": 2 }`
    Json,
    /// `<c><a n="a"><i>1</i></a></c>`
    Xml,
}

impl Form {
    /// The form of a text, from its first line that is neither blank nor a comment: `<` begins
    /// XML, `{` JSON, `[` new form, and in brackets a list of ads of the respective other kind.
    /// Anything else is long form.
    pub fn detect(text: impl AsRef<[u8]>) -> Form {
        let text = skip_comments(text.as_ref());
        let second = text.iter().skip(1).find(|b| !is_space(**b));
        match (text.first(), second) {
            (Some(b'<'), _) => Form::Xml,
            // `[{`, a JSON array of ads.
            (Some(b'['), Some(b'{')) => Form::Json,
            (Some(b'['), _) => Form::New,
            // `{[`, a list of ads in new form.
            (Some(b'{'), Some(b'[')) => Form::New,
            (Some(b'{'), _) => Form::Json,
            _ => Form::Old,
        }
    }
}

/// The text from its first line that is neither blank nor a comment.
fn skip_comments(mut text: &[u8]) -> &[u8] {
    loop {
        let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let content = trim(line);
        if !(content.is_empty() || content[0] == b'#') || line.len() == text.len() {
            let blank = text.iter().take_while(|b| is_space(**b)).count();
            return &text[blank..];
        }
        text = &text[line.len() + 1..];
    }
}

/// Reads one ad of the given form.
pub(crate) fn parse(
    text: &[u8],
    form: Form,
    options: &ParseOptions,
) -> Result<ClassAd, ParseError> {
    let syntax = if form == Form::Old { Syntax::Old } else { Syntax::New };
    let options = ParseOptions { syntax, ..options.clone() };
    match form {
        Form::Old => old::parse(text, &options),
        Form::New => parser::ad(text, &options),
        Form::Json => json::parse(text, &options),
        Form::Xml => xml::parse(text, &options),
    }
}

/// Reads one ad of whatever form.
pub(crate) fn parse_auto(text: &[u8]) -> Result<ClassAd, ParseError> {
    let content = skip_comments(text);
    let skipped = text.len() - content.len();
    parse(content, Form::detect(content), &ParseOptions::NEW)
        .map_err(|e| ParseError::new(e.offset + skipped, e.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_show_in_the_first_bytes() {
        assert_eq!(Form::detect("# c\n\nA = 1\n"), Form::Old);
        assert_eq!(Form::detect("\n [ a = 1 ]"), Form::New);
        assert_eq!(Form::detect("{ \"a\": 1 }"), Form::Json);
        assert_eq!(Form::detect("[{\"a\":1}]"), Form::Json);
        assert_eq!(Form::detect("{[a=1]}"), Form::New);
        assert_eq!(Form::detect("<?xml version=\"1.0\"?>"), Form::Xml);
        assert_eq!(Form::detect(""), Form::Old);
    }

    #[test]
    fn every_form_reads_the_same() {
        let expected = ClassAd::parse("[a = 1; b = \"x\"]").unwrap();
        for text in [
            "# comment\na = 1\nb = \"x\"\n",
            "\n[ a = 1; b = \"x\" ]",
            "{\"a\": 1, \"b\": \"x\"}",
            "<?xml version=\"1.0\"?>\n<classads><c><a n=\"a\"><i>1</i></a><a n=\"b\"><s>x</s></a></c></classads>",
        ] {
            assert_eq!(ClassAd::parse_auto(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn offsets_count_from_the_start_of_the_text() {
        let text = "# c\n[ a = ]";
        assert_eq!(ClassAd::parse_auto(text).unwrap_err().line_column(text), (2, 7));
    }
}
