//! Stage one: logical lines from physical ones.

use std::borrow::Cow;

use crate::text::{is_space_char, trim};

/// What a `#` means around continued lines; a file can choose with `#opt:oldcomment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Comments {
    /// A comment never continues, and a comment line inside a continued statement is cut down to
    /// its last character, as every release since 8.1 does.
    #[default]
    New,
    /// A comment line can continue, and inside a statement it is ordinary text.
    Old,
}

/// Logical lines of a text, with the number of the last physical line of each.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a str,
    /// Physical lines read so far. As in HTCondor, a last line without line end does not count.
    pub(crate) number: u32,
    pub(crate) comments: Comments,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Lines<'a> {
        Lines { rest: text, number: 0, comments: Comments::New }
    }

    /// The next logical line; borrowed unless it was put together from several.
    pub(crate) fn next(&mut self) -> Option<Cow<'a, str>> {
        let mut line: Cow<'a, str> = Cow::Borrowed("");
        loop {
            let Some(end) = self.rest.find('\n') else {
                // A last line without line end is not trimmed, and its backslash is itself.
                let last = std::mem::take(&mut self.rest);
                append(&mut line, last);
                return (!line.is_empty()).then_some(line);
            };
            let whole = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            self.number = self.number.saturating_add(1);

            let mut part = trim(whole);
            let mut comment = part.starts_with('#');
            if comment && !line.is_empty() && self.comments == Comments::New {
                let last = part.char_indices().next_back().map_or(0, |(at, _)| at);
                part = &part[last..];
                comment = false;
            }
            append(&mut line, part);
            // Looked for in all that was put together: a backslash kept from the line before
            // continues once more if this one is blank.
            if !line.ends_with('\\') {
                return Some(line);
            }
            line = match line {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..text.len() - 1]),
                Cow::Owned(mut text) => {
                    text.pop();
                    Cow::Owned(text)
                }
            };
            if comment && self.comments == Comments::New {
                return Some(line);
            }
        }
    }
}

fn append<'a>(line: &mut Cow<'a, str>, part: &'a str) {
    if line.is_empty() {
        *line = Cow::Borrowed(part);
    } else if !part.is_empty() {
        line.to_mut().push_str(part);
    }
}

/// Nothing but white space?
pub(crate) fn is_blank(line: &str) -> bool {
    line.chars().all(is_space_char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, String)> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next() {
            all.push((lines.number, line.into_owned()));
        }
        all
    }

    #[test]
    fn continuation_drops_indentation_and_keeps_the_blank_before_the_backslash() {
        assert_eq!(lines("A = 1 \\\n   2\nB\n"), [(2, "A = 1 2".into()), (3, "B".into())]);
        assert_eq!(lines("A = 1 \\\n\nB\n"), [(2, "A = 1 ".into()), (3, "B".into())]);
        assert_eq!(lines("A = x\\\\\nB\n"), [(2, "A = x\\B".into())]);
        assert_eq!(lines("A = x\\\\\n\ny\n"), [(3, "A = xy".into())]);
    }

    #[test]
    fn the_last_line_without_an_end_is_raw() {
        assert_eq!(lines("A = 1 \\"), [(0, "A = 1 \\".into())]);
        assert_eq!(lines("  A = 1 "), [(0, "  A = 1 ".into())]);
        assert_eq!(lines("A = \\\n"), [(1, "A = ".into())]);
    }

    #[test]
    fn comments_inside_continuations() {
        assert_eq!(lines("A = a \\\n# c \\\n b\n"), [(3, "A = a b".into())]);
        assert_eq!(lines("A = a \\\n# comment\nb\n"), [(2, "A = a t".into()), (3, "b".into())]);
        assert_eq!(lines("# c \\\nA = 1\n"), [(1, "# c ".into()), (2, "A = 1".into())]);
    }

    #[test]
    fn an_ordinary_line_is_borrowed() {
        let mut lines = Lines::new("  A = 1  \n");
        assert!(matches!(lines.next(), Some(Cow::Borrowed("A = 1"))));
    }
}
