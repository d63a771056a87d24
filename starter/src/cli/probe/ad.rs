//! The ad that a probe prints: lines that a startd can't stumble over.
//!
//! A startd (23.9.6, 25.14.1) reads a line of at most 1023 bytes with its end, and throws all lines away
//! if one of them doesn't parse. So each is tried with our own parser first.

use std::fmt::Write as _;

use classad::{ClassAd, Expr, Value};

/// The longest line, without its end.
const LONGEST: usize = 1022;

/// Attributes in the order they were given, and what had to be left out.
#[derive(Debug, Default)]
pub(in crate::cli) struct Ad {
    lines: String,
    /// Sentences for the log.
    pub(super) left_out: Vec<String>,
}

impl Ad {
    /// Adds a boolean.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.value(name, value.into());
    }

    /// Adds a string, cut where the line would be too long. Quotes, backslashes and what isn't plain
    /// ASCII are replaced: dialects differ in how they are written.
    pub(in crate::cli) fn text(&mut self, name: &str, value: &str) {
        // Name, ` = `, two quotes.
        let room = LONGEST.saturating_sub(name.len() + 5);
        let plain = value.chars().map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        });
        let mut text: String = plain.take(room + 1).collect();
        if text.len() > room {
            text.truncate(room.saturating_sub(3));
            text.push_str("...");
        }
        self.value(name, text.into());
    }

    /// Adds a list of words as a string with commas. Words that don't fit are left out.
    pub(super) fn list<'a>(&mut self, name: &str, words: impl IntoIterator<Item = &'a str>) {
        let room = LONGEST.saturating_sub(name.len() + 5);
        let mut text = String::new();
        for word in words {
            if text.len() + 1 + word.len() > room {
                self.left_out.push(format!("{name}: no room for {word}"));
                continue;
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(word);
        }
        self.value(name, text.into());
    }

    /// Adds a string, or if it is a list of words with commas that don't fit, those that do.
    pub(in crate::cli) fn words(&mut self, name: &str, value: &str) {
        if value.len() > LONGEST / 2 && !value.contains(' ') {
            self.list(name, value.split(','));
        } else {
            self.text(name, value);
        }
    }

    /// Adds one that stands for nothing, in place of what the startd has by that name.
    pub(in crate::cli) fn nothing(&mut self, name: &str) {
        self.value(name, Value::Undefined);
    }

    /// Whether there is a line with that name.
    pub(super) fn has(&self, name: &str) -> bool {
        let named =
            |line: &str| line.split(' ').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.lines.lines().any(named)
    }

    /// Adds an expression as an admin wrote it.
    pub(super) fn expression(&mut self, name: &str, text: &str) {
        match Expr::parse_old(text) {
            Ok(expr) => self.entry(name, expr),
            Err(error) => self.left_out.push(format!("{name}: {error}")),
        }
    }

    /// Adds a value.
    pub(super) fn value(&mut self, name: &str, value: Value) {
        self.entry(name, value.into());
    }

    fn entry(&mut self, name: &str, expr: Expr) {
        let mut ad = ClassAd::new();
        ad.insert(name, expr);
        let line = ad.to_old_string();
        match check(name, line.trim_end_matches('\n')) {
            Ok(line) => {
                // Writing to a string doesn't fail.
                let _ = writeln!(self.lines, "{line}");
            }
            Err(why) => self.left_out.push(format!("{name}: {why}")),
        }
    }

    /// The lines.
    pub(in crate::cli) fn text_form(&self) -> &str {
        &self.lines
    }
}

fn check<'a>(name: &str, line: &'a str) -> Result<&'a str, String> {
    if line.len() > LONGEST {
        return Err(format!("{} bytes are too many for a line", line.len()));
    }
    if line.contains(|c: char| c.is_control()) {
        return Err("a control character".to_owned());
    }
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Err("no name that needs no quotes".to_owned());
    }
    let read = ClassAd::parse_old(line).map_err(|error| error.to_string())?;
    match read.len() {
        1 if read.contains(name) => Ok(line),
        _ => Err(format!("{line:?} is no assignment to it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_can_cost_the_ad() {
        let mut ad = Ad::default();
        ad.flag("HasX", true);
        ad.text("Reason", &format!("a \"b\" \\n\n\0\u{e9} {}", "x".repeat(2000)));
        ad.text("no name", "x");
        ad.text("", "x");
        ad.list("Names", ["a", "b"]);
        let many: Vec<String> = (0..500).map(|n| format!("root{n}")).collect();
        ad.list("Many", many.iter().map(String::as_str));
        let lines: Vec<&str> = ad.text_form().lines().collect();
        assert_eq!(lines[0], "HasX = true");
        assert!(lines[1].starts_with("Reason = \"a 'b' /n??? xxx"), "{}", lines[1]);
        assert_eq!(lines[1].len(), LONGEST);
        assert_eq!(lines[2], "Names = \"a,b\"");
        assert!(lines[3].len() <= LONGEST && lines[3].len() > LONGEST - 10, "{}", lines[3].len());
        assert_eq!(lines.len(), 4);
        assert!(ad.left_out.iter().any(|why| why.starts_with("no name: ")));
        assert!(ad.left_out.iter().any(|why| why == "Many: no room for root499"));
        ClassAd::parse_old(ad.text_form()).unwrap();
    }
}
