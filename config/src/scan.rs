//! Finds the next `$(NAME)`, `$(NAME:default)` or `$FUNCTION(...)` in a text.
//!
//! References are found in the text as it stands, leftmost first, and an inner one before the one
//! around it where the outer can't be a reference yet (`$(A$(B))`). What counts as a reference
//! follows HTCondor to the letter, since a text that does not count is left alone.

use crate::text::is_name_byte;

/// The functions of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// `$(NAME)`
    Value,
    /// `$ENV(NAME)`
    Env,
    RandomChoice,
    RandomInteger,
    Choice,
    Substr,
    Int,
    Real,
    String,
    Eval,
    Basename,
    Dirname,
    /// `$F` with option letters.
    Filename,
}

/// Where a reference is in its text, and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'a> {
    pub(crate) function: Function,
    /// The function's name with its letters, without `$`.
    pub(crate) word: &'a str,
    /// What stands in the parentheses.
    pub(crate) body: &'a str,
    /// Of the `$`.
    pub(crate) start: usize,
    /// Behind the closing parenthesis.
    pub(crate) end: usize,
}

impl<'a> Reference<'a> {
    /// Name and default, for the functions whose body can have one.
    pub(crate) fn name_and_default(&self) -> (&'a str, Option<&'a str>) {
        match self.body.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (self.body, None),
        }
    }

    /// `$(DOLLAR)`, which becomes a dollar sign when all else is done.
    pub(crate) fn is_dollar(&self) -> bool {
        self.function == Function::Value && self.body.eq_ignore_ascii_case("DOLLAR")
    }
}

/// What may stand in the parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Anything up to the first closing parenthesis.
    Anything,
    /// A name, and perhaps a default.
    Name,
    /// The number of an argument of a template.
    Argument,
}

/// The first reference at or after `from` that `wanted` accepts.
pub(crate) fn next<'a>(
    text: &'a str,
    from: usize,
    mut wanted: impl FnMut(&Reference<'a>) -> bool,
) -> Option<Reference<'a>> {
    scan(
        text,
        from,
        |word| {
            let function = function(word)?;
            let body = match function {
                Function::Value | Function::Env => Body::Name,
                _ => Body::Anything,
            };
            Some((function, body))
        },
        &mut wanted,
    )
}

/// The first `$(number)` of a template's text.
pub(crate) fn next_argument(text: &str) -> Option<Reference<'_>> {
    scan(
        text,
        0,
        |word| word.is_empty().then_some((Function::Value, Body::Argument)),
        &mut |reference| reference.body.starts_with(|c: char| c.is_ascii_digit()),
    )
}

fn scan<'a>(
    text: &'a str,
    from: usize,
    classify: impl Fn(&str) -> Option<(Function, Body)>,
    wanted: &mut dyn FnMut(&Reference<'a>) -> bool,
) -> Option<Reference<'a>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find('$')?;
        let mut open = start + 1;
        // `$$(...)` is for the match, not for us. One of two dollars is skipped, so that
        // `$$$(X)` keeps two and expands the third.
        let doubled = bytes.get(open) == Some(&b'$');
        if doubled {
            open += 1;
        }
        while bytes.get(open).is_some_and(|&c| c.is_ascii_alphanumeric() || c == b'_') {
            open += 1;
        }
        at = open;
        if doubled || bytes.get(open) != Some(&b'(') {
            continue;
        }
        let word = &text[start + 1..open];
        let Some((function, kind)) = classify(word) else { continue };
        let inside = open + 1;
        at = inside;
        let Some(close) = close(bytes, inside, kind) else { continue };
        let body = &text[inside..close];
        let reference = Reference { function, word, body, start, end: close + 1 };
        if wanted(&reference) {
            return Some(reference);
        }
        at = close;
    }
}

/// The closing parenthesis of a body that starts at `from`, if the body is of the right kind.
fn close(bytes: &[u8], from: usize, kind: Body) -> Option<usize> {
    let find = |from: usize| Some(from + bytes.get(from..)?.iter().position(|&c| c == b')')?);
    if kind == Body::Anything {
        return find(from);
    }
    let mut at = from;
    let mut in_default = false;
    loop {
        let c = *bytes.get(at)?;
        if c == b')' {
            return Some(at);
        }
        at += 1;
        match c {
            b':' if !in_default => {
                in_default = true;
                continue;
            }
            b'(' if in_default => {
                if let Some(close) = find(at) {
                    at = close + 1;
                    continue;
                }
            }
            _ if in_default && kind == Body::Argument => continue,
            b'$' | b' ' | b',' | b'\\' | b':' if in_default => continue,
            _ => {}
        }
        let fits = match kind {
            Body::Argument => c.is_ascii_digit() || matches!(c, b'?' | b'#' | b'+'),
            _ => is_name_byte(c),
        };
        if !fits {
            return None;
        }
    }
}

fn function(word: &str) -> Option<Function> {
    Some(match word {
        "" => Function::Value,
        "ENV" => Function::Env,
        "RANDOM_CHOICE" => Function::RandomChoice,
        "RANDOM_INTEGER" => Function::RandomInteger,
        "CHOICE" => Function::Choice,
        "SUBSTR" => Function::Substr,
        "INT" => Function::Int,
        "REAL" => Function::Real,
        "STRING" => Function::String,
        "EVAL" => Function::Eval,
        "BASENAME" => Function::Basename,
        "DIRNAME" => Function::Dirname,
        _ => {
            let letters = word.strip_prefix('F')?;
            let known = |c: u8| b"pnxdqabfwu".contains(&c.to_ascii_lowercase());
            return letters.bytes().all(known).then_some(Function::Filename);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<(&str, &str)> {
        next(text, 0, |_| true).map(|found| (found.word, found.body))
    }

    #[test]
    fn what_is_a_reference() {
        assert_eq!(first("a$(X)b"), Some(("", "X")));
        assert_eq!(first("$(A$(B))"), Some(("", "B")));
        assert_eq!(first("$$(X)"), None);
        assert_eq!(first("$$$(X)"), Some(("", "X")));
        assert_eq!(first("$(X )"), None);
        assert_eq!(first("$(Y:a-b)"), None);
        assert_eq!(first("$(Y:a(b)c)"), Some(("", "Y:a(b)c")));
        assert_eq!(first("$(Y:$(Z:q))"), Some(("", "Y:$(Z:q)")));
        assert_eq!(first("$INT($(N)*2)"), Some(("INT", "$(N")));
        assert_eq!(first("$int(N) $Fz(N) $fp(N) $X ${X} $( $("), None);
        assert_eq!(first("$Fpq(N)"), Some(("Fpq", "N")));
        assert_eq!(first("$(X"), None);
    }

    #[test]
    fn arguments_of_templates() {
        assert_eq!(next_argument("$(X) $(1?)").map(|found| found.body), Some("1?"));
        assert_eq!(next_argument("$(2:a-b)").map(|found| found.body), Some("2:a-b"));
        assert!(next_argument("$(X)$INT(1)").is_none());
    }
}
