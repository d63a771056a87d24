//! The templates that `use CATEGORY : TEMPLATE` executes.
//!
//! All that HTCondor 25.14.1 has are here, because an unknown one is an error, and one
//! configuration often serves all hosts of a pool. Those that concern an execute node do what
//! HTCondor's do; of those that only other daemons look at, some are shorter.

mod features;
mod hosts;
mod policies;

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::scan;
use crate::text::{compare_nocase, is_space_char, strip_prefix_nocase, trim, trim_end, trim_start};

/// The longest text that arguments may make of a template.
const MAX_BODY: usize = 1 << 20;

/// Arguments that may be put into one template.
const MAX_ARGUMENTS: u32 = 10_000;

/// A template: a few statements under a name.
#[derive(Debug)]
pub(crate) struct Template {
    category: &'static str,
    name: &'static str,
    pub(crate) body: &'static str,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.category, self.name)
    }
}

const fn template(category: &'static str, name: &'static str, body: &'static str) -> Template {
    Template { category, name, body }
}

/// Is it one of `ROLE`, `FEATURE`, `POLICY` and `SECURITY`?
pub(crate) fn is_category(category: &str) -> bool {
    all().any(|template| template.category.eq_ignore_ascii_case(category))
}

/// The template of that name, letter case aside.
pub(crate) fn find(category: &str, name: &str) -> Option<&'static Template> {
    all().find(|template| {
        template.category.eq_ignore_ascii_case(category)
            && compare_nocase(template.name, name).is_eq()
    })
}

fn all() -> impl Iterator<Item = &'static Template> {
    [hosts::TEMPLATES, features::TEMPLATES, policies::TEMPLATES].into_iter().flatten()
}

/// One template in a list, with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a str,
    /// What follows in the list.
    pub(crate) rest: &'a str,
}

/// The first template of a list that blanks or commas separate.
pub(crate) fn next_call(list: &str) -> Result<Option<Call<'_>>, String> {
    let list = list.trim_start_matches(|c| is_space_char(c) || c == ',');
    let end = list.find(|c| is_space_char(c) || c == ',' || c == '(').unwrap_or(list.len());
    if end == 0 {
        return Ok(None);
    }
    let (name, rest) = (&list[..end], trim_start(&list[end..]));
    if !rest.starts_with('(') {
        return Ok(Some(Call { name, arguments: "", rest }));
    }
    let close = close(rest).ok_or_else(|| format!("the arguments of {name} have no end"))?;
    Ok(Some(Call { name, arguments: &rest[1..close], rest: &rest[close + 1..] }))
}

/// The parenthesis that closes the one `text` starts with; brackets nest as well.
fn close(text: &str) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'(' => open.push(b')'),
            b'[' => open.push(b']'),
            // A closing mark of the other kind is text, as it is to HTCondor.
            _ if open.last() == Some(&c) => {
                open.pop();
                if open.is_empty() {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// `use CATEGORY : TEMPLATES` within a template.
pub(crate) fn nested(line: &str) -> Option<(&str, &str)> {
    let (category, list) = strip_prefix_nocase(line, "use ")?.split_once(':')?;
    Some((trim(category), trim_start(list)))
}

/// `error : TEXT` within a template.
pub(crate) fn error_text(line: &str) -> Option<&str> {
    let rest = trim_start(strip_prefix_nocase(line, "error")?);
    Some(trim_start(rest.strip_prefix(':')?))
}

/// A template's text with `$(1)` and its kin replaced.
///
/// `$(0)` is all arguments, `$(0#)` their number, `$(1)` the first, `$(1?)` whether there is one (1
/// or 0), `$(2+)` all from the second on; `$(1:default)` has a default.
pub(crate) fn with_arguments<'a>(body: &'a str, arguments: &str) -> Result<Cow<'a, str>, Error> {
    let mut text = Cow::Borrowed(body);
    let mut count = 0;
    while let Some(found) = scan::next_argument(&text) {
        count += 1;
        if count > MAX_ARGUMENTS || text.len() > MAX_BODY {
            let what = "the arguments of a template grow without end";
            return Err(Error::new(ErrorKind::Limit, what, "Look for $(1) in an argument"));
        }
        let value = trim(&argument(found.body, arguments)).to_owned();
        let (start, end) = (found.start, found.end);
        text.to_mut().replace_range(start..end, &value);
    }
    Ok(text)
}

fn argument<'a>(body: &'a str, arguments: &'a str) -> Cow<'a, str> {
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = body[..digits].parse().unwrap_or(usize::MAX);
    let rest = &body[digits..];
    let (asked, many, rest) = match rest.as_bytes().first() {
        Some(b'?') => (true, false, &rest[1..]),
        Some(b'#' | b'+') => (false, true, &rest[1..]),
        _ => (false, false, rest),
    };
    let default = rest.strip_prefix(':');
    let value = match (number, many) {
        (0, true) => return Cow::Owned(Items { rest: arguments }.count().to_string()),
        (0, false) => Some(arguments),
        (_, true) => {
            let mut items = Items { rest: arguments };
            for _ in 1..number {
                if items.next().is_none() {
                    break;
                }
            }
            let rest = items.rest.strip_prefix(',').unwrap_or(items.rest);
            Some(rest).filter(|rest| !rest.is_empty())
        }
        (_, false) => Items { rest: arguments }.nth(number - 1),
    };
    let value = value.or(default).unwrap_or_default();
    if asked {
        return Cow::Borrowed(if trim(value).is_empty() { "0" } else { "1" });
    }
    Cow::Borrowed(value)
}

/// Arguments between commas; empty ones do not count.
struct Items<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches(|c| is_space_char(c) || c == ',');
        let end = text.find(',').unwrap_or(text.len());
        self.rest = &text[end..];
        (!text.is_empty()).then(|| trim_end(&text[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(body: &str, arguments: &str) -> String {
        with_arguments(body, arguments).unwrap().into_owned()
    }

    #[test]
    fn arguments() {
        assert_eq!(with("$(1)-$(2)-$(3)", "a, b c"), "a-b c-");
        assert_eq!(with("$(0)|$(0#)", " a, b "), "a, b|2");
        assert_eq!(with("$(2+)|$(3+)|$(4+:d)", "a, b, c"), "b, c|c|d");
        assert_eq!(with("$(1?)$(3?)", "a"), "10");
        assert_eq!(with("$(1:x)$(2:$(NUM_CPUS))", ""), "x$(NUM_CPUS)");
        assert_eq!(with("$($(1)) $(X)", "Y"), "$(Y) $(X)");
        assert!(with_arguments("$(1)", "$(1)").is_err());
    }

    #[test]
    fn calls() {
        let call = next_call(" ,PREEMPT_IF(x>(1+[2)])) , B").unwrap().unwrap();
        assert_eq!((call.name, call.arguments), ("PREEMPT_IF", "x>(1+[2)])"));
        let call = next_call(call.rest).unwrap().unwrap();
        assert_eq!((call.name, call.rest), ("B", ""));
        assert_eq!(next_call(" , "), Ok(None));
        assert!(next_call("A(b").is_err());
    }

    #[test]
    fn names_are_unique_and_bodies_use_what_there_is() {
        for template in all() {
            let found = find(template.category, template.name).unwrap();
            assert!(std::ptr::eq(found, template), "{template}");
            for (category, list) in template.body.lines().filter_map(|line| nested(trim(line))) {
                let call = next_call(list).unwrap().unwrap();
                assert!(find(category, call.name).is_some(), "{template} uses {}", call.name);
            }
        }
    }
}
