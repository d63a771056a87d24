//! Stage two: one logical line read as a statement.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till};
use nom::character::complete::{char, one_of};
use nom::combinator::{opt, value};
use nom::{IResult, Parser};

use crate::text::{is_space_char, trim, trim_end, trim_start};

/// How `NAME op VALUE` assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `=`
    Assign,
    /// `:`, which older releases took for `=`.
    Colon,
    /// `+=`, or with a separator: `+,=`, `+&&=`.
    Append(Option<Separator>),
    /// `@=tag`: the value is in the lines that follow, up to `@tag`.
    Here,
}

/// What `+sep=` puts between the old value and the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Separator {
    character: char,
    doubled: bool,
}

impl Separator {
    /// Joins as HTCondor does: one character without blanks, two with.
    pub(crate) fn append_to(self, text: &mut String) {
        if self.doubled {
            text.extend([' ', self.character, self.character, ' ']);
        } else {
            text.push(self.character);
        }
    }
}

/// A statement, apart from `if` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement<'a> {
    /// `[section]`, which means nothing.
    Section,
    /// `NAME op VALUE`; the name may contain references.
    Assign { name: &'a str, operator: Operator, value: &'a str },
    /// `use CATEGORY : TEMPLATES`
    Use { category: &'a str, templates: &'a str },
    /// `include OPTIONS : WHAT`
    Include { options: &'a str, what: &'a str },
    /// `error : TEXT`
    Error { text: &'a str },
    /// `warning : TEXT`
    Warning { text: &'a str },
}

/// Reads a statement; `None` if there is no operator in it.
pub(crate) fn parse(line: &str) -> Option<Statement<'_>> {
    let (rest, name) = name(line).ok()?;
    if rest.is_empty() {
        return line.starts_with('[').then_some(Statement::Section);
    }
    // With white space behind the name, words up to the operator are passed over.
    let (at, skipped) = if rest.starts_with(is_space_char) {
        let (at, _) = until_operator(rest).ok()?;
        (at, true)
    } else {
        (rest, false)
    };
    let (after, operator) = if skipped { operator(at).ok()? } else { plain(at).ok()? };
    let value = trim_start(after);
    if operator == Operator::Colon {
        let keyword = name.strip_prefix('@').unwrap_or(name);
        let between = &rest[..rest.len() - at.len()];
        if keyword.eq_ignore_ascii_case("use") {
            return Some(Statement::Use { category: category(rest, at), templates: value });
        }
        if keyword.eq_ignore_ascii_case("include") {
            return Some(Statement::Include { options: trim(between), what: value });
        }
        if keyword.eq_ignore_ascii_case("error") {
            return Some(Statement::Error { text: value });
        }
        if keyword.eq_ignore_ascii_case("warning") {
            return Some(Statement::Warning { text: value });
        }
    }
    Some(Statement::Assign { name, operator, value })
}

/// What stands for the category of `use`. Without a blank before the colon, HTCondor takes the rest
/// of the line for it; only messages show that, since a category ends at a colon.
fn category<'a>(rest: &'a str, at: &'a str) -> &'a str {
    let between = &rest[..rest.len() - at.len()];
    let name = trim_start(between);
    if name.is_empty() {
        ""
    } else if between.ends_with(is_space_char) {
        trim_end(name)
    } else {
        trim_start(rest)
    }
}

fn is_plain_operator(c: char) -> bool {
    c == '=' || c == ':'
}

fn name(text: &str) -> IResult<&str, &str> {
    take_till(|c| is_space_char(c) || is_plain_operator(c)).parse(text)
}

fn until_operator(text: &str) -> IResult<&str, &str> {
    take_till(|c| is_plain_operator(c) || c == '@' || c == '+').parse(text)
}

fn plain(text: &str) -> IResult<&str, Operator> {
    alt((value(Operator::Assign, char('=')), value(Operator::Colon, char(':')))).parse(text)
}

fn operator(text: &str) -> IResult<&str, Operator> {
    alt((plain, value(Operator::Here, tag("@=")), append)).parse(text)
}

fn append(text: &str) -> IResult<&str, Operator> {
    let (rest, _) = char('+').parse(text)?;
    let (rest, separator) = opt(one_of(",;|&*")).parse(rest)?;
    let (rest, separator) = match separator {
        None => (rest, None),
        Some(character) => {
            let (rest, again) = opt(char(character)).parse(rest)?;
            (rest, Some(Separator { character, doubled: again.is_some() }))
        }
    };
    let (rest, _) = char('=').parse(rest)?;
    Ok((rest, Operator::Append(separator)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(line: &str) -> Option<(&str, Operator, &str)> {
        match parse(line)? {
            Statement::Assign { name, operator, value } => Some((name, operator, value)),
            _ => None,
        }
    }

    #[test]
    fn assignments() {
        assert_eq!(assigned("A = 1"), Some(("A", Operator::Assign, "1")));
        assert_eq!(assigned("A == 1"), Some(("A", Operator::Assign, "= 1")));
        assert_eq!(assigned("A B C = 1"), Some(("A", Operator::Assign, "1")));
        assert_eq!(assigned("A := 1"), Some(("A", Operator::Colon, "= 1")));
        assert_eq!(assigned("A@=end"), Some(("A@", Operator::Assign, "end")));
        assert_eq!(assigned("A @= end"), Some(("A", Operator::Here, "end")));
        assert_eq!(assigned("A+=2"), Some(("A+", Operator::Assign, "2")));
        assert_eq!(assigned("A += 2"), Some(("A", Operator::Append(None), "2")));
        let doubled = Separator { character: '&', doubled: true };
        assert_eq!(assigned("A +&&= 2"), Some(("A", Operator::Append(Some(doubled)), "2")));
        assert_eq!(assigned("= 1"), Some(("", Operator::Assign, "1")));
        for line in ["A", "A 1", "A + = 2", "A +x= 2", "A + 2", "[Sec tion]"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn keywords() {
        let used = |category, templates| Some(Statement::Use { category, templates });
        assert_eq!(parse("use ROLE : Execute"), used("ROLE", "Execute"));
        assert_eq!(parse("@USE ROLE:Execute"), used("ROLE:Execute", "Execute"));
        assert_eq!(parse("use : Execute"), used("", "Execute"));
        assert_eq!(parse("use:Execute"), used("", "Execute"));
        assert_eq!(assigned("use = 5"), Some(("use", Operator::Assign, "5")));
        let included = |options, what| Some(Statement::Include { options, what });
        assert_eq!(parse("include : /a b"), included("", "/a b"));
        assert_eq!(parse("include ifexist command : x|"), included("ifexist command", "x|"));
        assert_eq!(parse("include:/a"), included("", "/a"));
        assert_eq!(parse("error 7 : no"), Some(Statement::Error { text: "no" }));
        assert_eq!(parse("[section]"), Some(Statement::Section));
    }
}
