//! `regexp()` and its relatives.

use super::Call;
use super::pattern::{Groups, MatchFailed, Options, Pattern};
use super::string_list::items;
use crate::EvalFailed;
use crate::eval::Evaluated;
use crate::text::Text;
use crate::value::Value;

/// The arguments from the first on, the last of which, the option letters, may be missing. Errors
/// win, then what is undefined, then wrong types; a list is a wrong type unless it is the one
/// at `list`.
fn arguments(
    call: &mut Call<'_, '_>,
    required: usize,
    list: Option<usize>,
) -> Result<Result<Vec<Value>, Value>, EvalFailed> {
    let count = call.count();
    if count != required && count != required + 1 {
        return Ok(Err(Value::Error));
    }
    let mut values = Vec::with_capacity(count);
    for n in 0..count {
        values.push(call.arg(n)?);
    }
    if values.iter().any(Value::is_error) {
        return Ok(Err(Value::Error));
    }
    if values.iter().any(Value::is_undefined) {
        return Ok(Err(Value::Undefined));
    }
    let fits = |(n, value): (usize, &Value)| match value {
        Value::String(_) => list != Some(n),
        Value::List(_) => list == Some(n),
        _ => false,
    };
    if !values.iter().enumerate().all(fits) {
        return Ok(Err(Value::Error));
    }
    Ok(Ok(values))
}

fn bytes(values: &[Value], n: usize) -> &[u8] {
    values.get(n).and_then(Value::as_bytes).unwrap_or_default()
}

pub(super) fn regexp(call: &mut Call<'_, '_>) -> Evaluated {
    let values = match arguments(call, 2, None)? {
        Ok(values) => values,
        Err(value) => return Ok(value),
    };
    let subject = bytes(&values, 1);
    let options = Options::parse(bytes(&values, 2), false);
    let Some(pattern) = Pattern::new(bytes(&values, 0), options, ends_line(subject)) else {
        return Ok(Value::Error);
    };
    Ok(pattern.is_match(subject).map_or(Value::Error, Value::Bool))
}

fn ends_line(subject: &[u8]) -> bool {
    subject.last() == Some(&b'\n')
}

pub(super) fn regexp_member(call: &mut Call<'_, '_>) -> Evaluated {
    let values = match arguments(call, 2, Some(1))? {
        Ok(values) => values,
        Err(value) => return Ok(value),
    };
    let Value::List(list) = &values[1] else { return Ok(Value::Error) };
    let options = Options::parse(bytes(&values, 2), false);
    // A bad pattern matches nothing.
    let pattern = Pattern::new(bytes(&values, 0), options, true);
    let mut undefined = false;
    for n in 0..list.len() {
        match call.element(list, n)? {
            Value::String(subject) => {
                let found = pattern
                    .as_ref()
                    .is_some_and(|p| matches!(p.is_match(subject.as_bytes()), Ok(true)));
                if found {
                    return Ok(Value::Bool(true));
                }
            }
            Value::Undefined => undefined = true,
            _ => return Ok(Value::Error),
        }
    }
    Ok(if undefined { Value::Undefined } else { Value::Bool(false) })
}

/// Here options may be capitals, and undefined is an error.
pub(super) fn string_list_member(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(2..=4).contains(&count) {
        return Ok(Value::Error);
    }
    let mut texts: Vec<Text> = Vec::with_capacity(4);
    for n in 0..count {
        match call.arg(n)? {
            Value::String(text) => texts.push(text),
            _ => {
                // All arguments are evaluated before any is looked at.
                for rest in n + 1..count {
                    call.arg(rest)?;
                }
                return Ok(Value::Error);
            }
        }
    }
    let text = |n: usize, default: &'static [u8]| texts.get(n).map_or(default, Text::as_bytes);
    let options = Options::parse(text(3, b""), true);
    let Some(pattern) = Pattern::new(text(0, b""), options, true) else {
        return Ok(Value::Error);
    };
    let mut found = None;
    for item in items(text(1, b""), text(2, b", ")) {
        let matched = matches!(pattern.is_match(item), Ok(true));
        found = Some(found.unwrap_or(false) || matched);
    }
    Ok(found.map_or(Value::Undefined, Value::Bool))
}

/// `regexps`, `replace` and `replaceAll`, which add option letters: `f` keeps the rest of the
/// subject, `g` replaces every match.
pub(super) fn substitute(call: &mut Call<'_, '_>, added: &str) -> Evaluated {
    let values = match arguments(call, 3, None)? {
        Ok(values) => values,
        Err(value) => return Ok(value),
    };
    let [pattern, subject, replacement] = [0, 1, 2].map(|n| bytes(&values, n));
    let letters = [bytes(&values, 3), added.as_bytes()].concat();
    let options = Options::parse(&letters, false);
    let Some(pattern) = Pattern::new(pattern, options, ends_line(subject)) else {
        return Ok(Value::Error);
    };
    let job = Substitution {
        pattern: &pattern,
        subject,
        replacement,
        keep_rest: letters.contains(&b'f'),
        all: letters.contains(&b'g'),
    };
    match job.run(call)? {
        Some(text) => Ok(Value::String(Text::from(text))),
        None => Ok(Value::Error),
    }
}

struct Substitution<'a> {
    pattern: &'a Pattern,
    subject: &'a [u8],
    replacement: &'a [u8],
    keep_rest: bool,
    all: bool,
}

impl Substitution<'_> {
    /// None is an error value.
    fn run(&self, call: &mut Call<'_, '_>) -> Result<Option<Vec<u8>>, EvalFailed> {
        let mut out = Vec::new();
        let mut at = 0;
        let mut after_empty = false;
        loop {
            let found = if after_empty {
                self.pattern.find_not_empty_at(self.subject, at)
            } else {
                self.pattern.find(self.subject, at)
            };
            let groups = match found {
                Ok(Some(groups)) => groups,
                Ok(None) if after_empty => {
                    // The byte behind an empty match is passed by. Behind the last one there is
                    // none, and the next search starts outside of the subject: an error, so that
                    // replacing all of a pattern that matches nothing at the end always is one.
                    out.extend(self.subject.get(at));
                    at += 1;
                    after_empty = false;
                    continue;
                }
                Ok(None) => break,
                Err(MatchFailed) => return Ok(None),
            };
            let Some(Some((start, end))) = groups.first().copied() else { break };
            if self.keep_rest {
                out.extend_from_slice(&self.subject[at.min(start)..start]);
            }
            let before = out.len();
            if !self.expand(&groups, &mut out) {
                return Ok(None);
            }
            call.eval.spend_bytes(out.len() - before + 1)?;
            at = end;
            after_empty = start == end;
            if !self.all {
                break;
            }
        }
        if self.keep_rest {
            out.extend_from_slice(self.subject.get(at..).unwrap_or_default());
        }
        call.eval.spend_bytes(out.len())?;
        Ok(Some(out))
    }

    /// `\0` to `\9` stand for groups; a group behind the last one that matched is an error.
    fn expand(&self, groups: &Groups, out: &mut Vec<u8>) -> bool {
        let count = groups.iter().rposition(Option::is_some).map_or(0, |n| n + 1);
        let mut bytes = self.replacement.iter().peekable();
        while let Some(b) = bytes.next() {
            match bytes.peek() {
                Some(digit @ b'0'..=b'9') if *b == b'\\' => {
                    let group = usize::from(**digit - b'0');
                    bytes.next();
                    if group >= count {
                        return false;
                    }
                    if let Some((start, end)) = groups[group] {
                        out.extend_from_slice(&self.subject[start..end]);
                    }
                }
                _ => out.push(*b),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn matching() {
        assert_eq!(eval("regexp(\"A\",\"a\",\"i\")"), "true");
        assert_eq!(eval("regexp(\"A\",\"a\",\"I\")"), "false");
        assert_eq!(eval("regexp(\"(\",\"a\")"), "error");
        assert_eq!(eval("regexp(\"a\",undefined)"), "undefined");
        assert_eq!(eval("regexpMember(\"a\",{\"b\",undefined})"), "undefined");
        assert_eq!(eval("regexpMember(\"(\",{\"a\"})"), "false");
        assert_eq!(eval("stringList_regexpMember(\"A\",\"a\",\",\",\"I\")"), "true");
        assert_eq!(eval("stringList_regexpMember(\"a\",\"\")"), "undefined");
    }

    #[test]
    fn replacing() {
        assert_eq!(eval(r#"regexps("a(.)c","xabcx","<\\1>")"#), "\"<b>\"");
        assert_eq!(eval(r#"regexps("(a)(b)?","a","\\2")"#), "error");
        assert_eq!(eval(r#"regexps("(a)?(b)","b","<\\1>")"#), "\"<>\"");
        assert_eq!(eval(r#"replace("b","abcb","X")"#), "\"aXcb\"");
        assert_eq!(eval(r#"replaceAll("b","abcb","X")"#), "\"aXcX\"");
        assert_eq!(eval(r#"replaceAll("x*","abc","-")"#), "error");
        assert_eq!(eval(r#"replaceAll("(?=b)","abc","-")"#), "\"a-bc\"");
        assert_eq!(eval(r#"regexps("b","abc","\\q")"#), r#""\\q""#);
    }
}
