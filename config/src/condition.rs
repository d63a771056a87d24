//! `if` and its kin: which lines count, and what a condition may be.

use crate::error::Error;
use crate::expand::Dialect;
use crate::macros::Macros;
use crate::template;
use crate::text::{is_space_char, strip_prefix_nocase, trim, trim_start};

/// Blocks within blocks, as in HTCondor.
const MAX_DEPTH: usize = 63;

#[derive(Debug, Clone, Copy)]
struct Block {
    /// Do its lines count, if those around it do?
    active: bool,
    /// Has one of its branches been taken?
    taken: bool,
    /// Has there been an `else`?
    ended: bool,
}

/// The blocks around a line.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<Block>);

/// Why a line with a keyword of `if` is wrong.
pub(crate) enum Wrong {
    /// In HTCondor's words.
    Text(String),
    /// A reference in the condition could not be replaced.
    Error(Error),
}

/// What a condition is not.
type Reason = &'static str;

const NOT_A_CONDITION: Reason = "expression is not a conditional";
const TOO_COMPLEX: Reason = "complex conditionals are not supported";
const BAD_VERSION: Reason = "the version literal is invalid";

impl Blocks {
    /// Does a line in here count?
    pub(crate) fn active(&self) -> bool {
        self.0.iter().all(|block| block.active)
    }

    /// Is there a block that has not been ended?
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Deals with the line if it is `if`, `elif`, `else` or `endif`; tells whether it is.
    pub(crate) fn line(&mut self, line: &str, macros: &Macros) -> Result<bool, Wrong> {
        // Every line passes here; most differ in the first letter.
        if !line.starts_with(['i', 'I', 'e', 'E']) {
            return Ok(false);
        }
        if let Some(condition) = keyword(line, "if") {
            let holds = self.active() && test_or_say(condition, "if", macros)?;
            if self.0.len() >= MAX_DEPTH {
                return Err(Wrong::Text("if nesting too deep!".to_owned()));
            }
            self.0.push(Block { active: holds, taken: holds, ended: false });
        } else if keyword(line, "else").is_some() {
            let block = self.branch("else")?;
            block.ended = true;
            block.active = !block.taken;
        } else if let Some(condition) = keyword(line, "elif") {
            let (around, taken) = match self.0.split_last() {
                Some((block, around)) => (around.iter().all(|block| block.active), block.taken),
                None => (true, false),
            };
            let holds = around && !taken && test_or_say(condition, "elif", macros)?;
            let block = self.branch("elif")?;
            block.active = holds;
            block.taken |= holds;
        } else if keyword(line, "endif").is_some() {
            let ended = self.0.pop();
            ended.ok_or_else(|| Wrong::Text("endif without matching if".to_owned()))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn branch(&mut self, keyword: &str) -> Result<&mut Block, Wrong> {
        match self.0.last_mut() {
            None => Err(Wrong::Text(format!("{keyword} without matching if"))),
            Some(block) if block.ended => {
                Err(Wrong::Text(format!("{keyword} is not allowed after else")))
            }
            Some(block) => Ok(block),
        }
    }
}

/// What follows a keyword, if the line starts with it and a blank, or is no more than it.
fn keyword<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = strip_prefix_nocase(line, word)?;
    (rest.is_empty() || rest.starts_with(is_space_char)).then(|| trim_start(rest))
}

fn test_or_say(condition: &str, keyword: &str, macros: &Macros) -> Result<bool, Wrong> {
    test(condition, macros).map_err(Wrong::Error)?.map_err(|reason| {
        Wrong::Text(format!("{condition} is not a valid {keyword} condition because {reason}"))
    })
}

/// Whether a condition holds, or why it is none.
pub(crate) fn test(condition: &str, macros: &Macros) -> Result<Result<bool, Reason>, Error> {
    let expanded = if condition.contains('$') {
        Some(macros.expand_text(condition, Dialect::Param)?)
    } else {
        None
    };
    let text = trim(expanded.as_deref().unwrap_or(condition));
    let (negated, text) = match text.strip_prefix('!') {
        Some(text) => (true, trim_start(text)),
        None => (false, text),
    };
    // What expands to nothing is false: `if $(X)` asks whether X is set.
    let holds =
        if expanded.is_some() && text.is_empty() { Ok(false) } else { evaluate(text, macros) };
    Ok(holds.map(|holds| holds != negated))
}

fn evaluate(text: &str, macros: &Macros) -> Result<bool, Reason> {
    match Class::of(text, true) {
        Class::Number => Ok(text.parse::<f64>().is_ok_and(|number| number != 0.0)),
        Class::Boolean => Ok(text.eq_ignore_ascii_case("true")),
        Class::Name => word(text).ok_or(NOT_A_CONDITION),
        Class::Version => version(&text["version".len()..], macros.version),
        Class::Defined => defined(trim_start(&text["defined".len()..]), macros),
        Class::Complex => Err(TOO_COMPLEX),
        Class::Empty => Err(NOT_A_CONDITION),
    }
}

/// The short words for true and false that conditions know, and knobs don't.
fn word(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("yes") || is("t") {
        Some(true)
    } else if is("no") || is("f") {
        Some(false)
    } else {
        None
    }
}

/// What a condition looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Empty,
    Number,
    Boolean,
    Name,
    Version,
    Defined,
    Complex,
}

/// The sorts of characters a condition has, as bits.
mod sort {
    pub(super) const BLANK: u8 = 1;
    pub(super) const DIGIT: u8 = 2;
    pub(super) const LETTER: u8 = 4;
    pub(super) const NAME: u8 = 8;
    pub(super) const COMPARE: u8 = 16;
    pub(super) const COLON: u8 = 32;
    pub(super) const FLOAT: u8 = 64;
    pub(super) const OTHER: u8 = 128;
}

impl Class {
    /// Told from the sorts of characters alone, as in HTCondor, so that `1+1` is no number and
    /// `defined X Y` is still a `defined`.
    fn of(text: &str, keywords: bool) -> Class {
        let sorts = sorts(text);
        let starts = |word: &str| {
            let rest = strip_prefix_nocase(text, word);
            keywords && rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        };
        let without = |more: u8| sorts & !more;
        if sorts == 0 {
            Class::Empty
        } else if without(sort::FLOAT) == sort::DIGIT {
            Class::Number
        } else if sorts & sort::LETTER == 0 {
            Class::Complex
        } else if sorts == sort::LETTER && is_boolean(text) {
            Class::Boolean
        } else if sorts == sort::LETTER && keywords && text.eq_ignore_ascii_case("version") {
            Class::Version
        } else if sorts == sort::LETTER && keywords && text.eq_ignore_ascii_case("defined") {
            Class::Defined
        } else if without(sort::LETTER | sort::DIGIT | sort::NAME | sort::FLOAT) == 0
            && (sorts & sort::FLOAT == 0 || sorts & sort::DIGIT != 0)
        {
            Class::Name
        } else if without(sort::FLOAT) == sort::LETTER | sort::BLANK | sort::COMPARE | sort::DIGIT
            && starts("version")
        {
            Class::Version
        } else if is_defined_form(sorts) && starts("defined") {
            Class::Defined
        } else {
            Class::Complex
        }
    }
}

fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// Letters and blanks, with a name's other characters and either digits or colons.
fn is_defined_form(sorts: u8) -> bool {
    let needed = sort::LETTER | sort::BLANK;
    let more = sorts & !needed & !sort::NAME;
    sorts & needed == needed
        && (more == 0
            || more == sort::COLON
            || more == sort::DIGIT
            || more == sort::DIGIT | sort::FLOAT)
}

fn sorts(text: &str) -> u8 {
    let bytes = text.as_bytes();
    let mut sorts = 0;
    // A sign in front is part of a number.
    let start = usize::from(bytes.first() == Some(&b'-'));
    for (at, &c) in bytes.iter().enumerate().skip(start) {
        let next = bytes.get(at + 1).copied();
        sorts |= match c {
            b'0'..=b'9' => sort::DIGIT,
            b'.' if sorts == sort::DIGIT || next.is_none_or(|next| next.is_ascii_digit()) => {
                sort::FLOAT
            }
            b'e' | b'E' if sorts & !sort::FLOAT == sort::DIGIT => sort::FLOAT,
            b'-' | b'+' if sorts == sort::DIGIT | sort::FLOAT => 0,
            b'a'..=b'z' | b'A'..=b'Z' => sort::LETTER,
            b'.' | b'_' | b'/' => sort::NAME,
            b'<'..=b'>' => sort::COMPARE,
            b'!' if next == Some(b'=') => sort::COMPARE,
            b':' => sort::COLON,
            c if crate::text::is_space(c) => sort::BLANK,
            _ => sort::OTHER,
        };
    }
    sorts
}

/// `OP x.y[.z]`, compared with our own version. A number that is left out is ours.
fn version(text: &str, ours: (u32, u32, u32)) -> Result<bool, Reason> {
    let text = trim_start(text);
    let (negated, text) = match text.strip_prefix('!') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (operator, text) = match text.chars().next() {
        Some(c @ ('<' | '=' | '>')) => (c, &text[1..]),
        _ => ('=', text),
    };
    let (or_equal, text) = match text.strip_prefix('=') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let text = trim_start(text);
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut numbers = text.splitn(3, '.').map(leading_number);
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Err(BAD_VERSION);
    };
    if major < 6 {
        return Err(BAD_VERSION);
    }
    let sub = numbers.next().flatten().unwrap_or(ours.2);
    let order = ours.cmp(&(major, minor, sub));
    let holds = match operator {
        '<' => order.is_lt(),
        '>' => order.is_gt(),
        _ => order.is_eq(),
    };
    Ok((holds || or_equal && order.is_eq()) != negated)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..end].parse().ok()
}

fn defined(text: &str, macros: &Macros) -> Result<bool, Reason> {
    if text.is_empty() {
        return Ok(false);
    }
    match Class::of(text, false) {
        Class::Name => Ok(match macros.find(text) {
            Some(found) => !found.text.is_empty(),
            None => word(text).is_some(),
        }),
        Class::Number | Class::Boolean => Ok(true),
        _ => {
            let used = strip_prefix_nocase(text, "use ");
            let used = used.ok_or("defined argument must be param name, boolean, or number")?;
            let used = trim_start(used);
            if used.contains([' ', '\t', '\r']) {
                return Err("defined use meta argument with internal spaces will never match");
            }
            let (category, name) = used.split_once(':').unwrap_or((used, ""));
            Ok(template::is_category(category)
                && (name.is_empty() || template::find(category, name).is_some()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn holds(condition: &str) -> Result<bool, Reason> {
        test(condition, &Macros::new(&Options::default())).unwrap()
    }

    #[test]
    fn conditions() {
        for yes in ["true", "1", "-1", ".5", "1e5", "T", "!no", "version >= 8.1", "defined SPOOL"] {
            assert_eq!(holds(yes), Ok(true), "{yes}");
        }
        for no in ["False", "0.0", "f", "! true", "$(NOPE)", "version < 8.0", "defined NOPE"] {
            assert_eq!(holds(no), Ok(false), "{no}");
        }
        for word in ["hello", "0x1", "", "undefined"] {
            assert_eq!(holds(word), Err(NOT_A_CONDITION), "{word}");
        }
        for complex in ["1 == 1", "1+1", "(true)", "\"true\"", "version>=8.1", "true # c"] {
            assert_eq!(holds(complex), Err(TOO_COMPLEX), "{complex}");
        }
        for version in ["version", "version >= 25", "version >= 5.0", "version => 8.1"] {
            assert_eq!(holds(version), Err(BAD_VERSION), "{version}");
        }
    }
}
