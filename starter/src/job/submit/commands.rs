//! The lines of a submit description: assembled, split and expanded.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::invalid;
use crate::failure::Failure;

/// How deep `$(...)` may lead to other commands.
const MAX_DEPTH: usize = 32;
/// The longest expanded value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// Commands of condor_submit that mean nothing without a pool.
pub(super) const POOL_ONLY: &[&str] = &[
    "accounting_group",
    "accounting_group_user",
    "allowed_execute_duration",
    "allowed_job_duration",
    "batch_name",
    "concurrency_limits",
    "description",
    "hold",
    "job_lease_duration",
    "leave_in_queue",
    "log",
    "log_xml",
    "max_idle",
    "max_materialize",
    "max_retries",
    "nice_user",
    "notification",
    "notify_user",
    "on_exit_hold",
    "on_exit_remove",
    "periodic_hold",
    "periodic_release",
    "periodic_remove",
    "priority",
    "rank",
    "requirements",
    "retry_until",
    "stream_error",
    "stream_input",
    "stream_output",
    "submit_event_notes",
    "success_exit_code",
    "when_to_transfer_output",
];

/// The commands of a description, unexpanded.
#[derive(Debug)]
pub(super) struct Commands {
    file: String,
    /// Name, value, line; a later line wins.
    entries: Vec<(String, String, usize)>,
    /// Names that another command refers to.
    used: RefCell<BTreeSet<String>>,
}

impl Commands {
    /// Splits a text up to its queue statement.
    pub(super) fn read(file: &str, text: &str) -> Result<Self, Failure> {
        let mut entries: Vec<(String, String, usize)> = Vec::new();
        for (number, line) in logical_lines(text) {
            let first = line.split([' ', '\t', '=']).next().unwrap_or_default();
            if first.eq_ignore_ascii_case("queue") {
                break;
            }
            let (name, value) = line.split_once('=').ok_or_else(|| {
                invalid(&format!("{file}:{number}"), format!("{line:?} is not COMMAND = VALUE"))
            })?;
            entries.push((name.trim().to_owned(), value.trim().to_owned(), number));
        }
        Ok(Self { file: file.to_owned(), entries, used: RefCell::default() })
    }

    /// The expanded value of a command; `None` if it isn't given or is empty.
    pub(super) fn get(&self, command: &str) -> Result<Option<String>, Failure> {
        match self.find(command) {
            Some((raw, line)) => {
                self.expand(raw, *line, 0).map(|v| Some(v).filter(|v| !v.is_empty()))
            }
            None => Ok(None),
        }
    }

    /// `+Name = expression` and `MY.Name = expression` lines.
    pub(super) fn attributes(&self) -> Result<Vec<(String, String)>, Failure> {
        let mine = self
            .entries
            .iter()
            .filter_map(|(name, raw, line)| Some((attribute(name)?.to_owned(), raw, *line)));
        mine.map(|(name, raw, line)| Ok((name, self.expand(raw, line, 0)?))).collect()
    }

    /// Names and lines of all commands that aren't attributes.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.entries
            .iter()
            .filter(|(name, ..)| attribute(name).is_none())
            .map(|(name, _, line)| (name.as_str(), *line))
    }

    /// Whether some command that was read refers to this one, which makes it a variable.
    pub(super) fn is_used(&self, lower: &str) -> bool {
        self.used.borrow().contains(lower)
    }

    fn find(&self, command: &str) -> Option<(&String, &usize)> {
        self.entries
            .iter()
            .rev()
            .find(|(name, ..)| name.eq_ignore_ascii_case(command))
            .map(|(_, value, line)| (value, line))
    }

    /// Replaces `$(NAME)`, `$(NAME:default)` and `$ENV(NAME)`; `$$(...)` is left for later.
    fn expand(&self, raw: &str, line: usize, depth: usize) -> Result<String, Failure> {
        let at = || format!("{}:{line}", self.file);
        if depth > MAX_DEPTH {
            return Err(invalid(&at(), "$(...) leads back to itself"));
        }
        let mut result = String::new();
        let mut rest = raw;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            result.push_str(before);
            let (head, environment) = if from.starts_with("$ENV(") {
                ("$ENV(", true)
            } else if from.starts_with("$(") {
                ("$(", false)
            } else {
                let skip = if from.starts_with("$$") { 2 } else { 1 };
                result.push_str(&from[..skip]);
                rest = &from[skip..];
                continue;
            };
            let inner = &from[head.len()..];
            let end = inner
                .find(')')
                .ok_or_else(|| invalid(&at(), format!("{from:?} has no closing parenthesis")))?;
            let (name, default) = match inner[..end].split_once(':') {
                Some((name, default)) => (name, default),
                None => (&inner[..end], ""),
            };
            let value = if environment {
                std::env::var(name).unwrap_or_else(|_| default.to_owned())
            } else {
                self.variable(name.trim(), default, depth)?
            };
            result.push_str(&value);
            if result.len() > MAX_VALUE {
                return Err(invalid(&at(), "a value expands to more than 1 MiB"));
            }
            rest = &inner[end + 1..];
        }
        result.push_str(rest);
        Ok(result)
    }

    fn variable(&self, name: &str, default: &str, depth: usize) -> Result<String, Failure> {
        let lower = name.to_ascii_lowercase();
        self.used.borrow_mut().insert(lower.clone());
        match lower.as_str() {
            "cluster" | "clusterid" => Ok("1".to_owned()),
            "process" | "procid" | "step" | "row" | "item" => Ok("0".to_owned()),
            _ => match self.find(name) {
                Some((raw, line)) => self.expand(raw, *line, depth + 1),
                None => Ok(default.to_owned()),
            },
        }
    }
}

fn attribute(name: &str) -> Option<&str> {
    let my = name.get(..3).filter(|head| head.eq_ignore_ascii_case("my."));
    name.strip_prefix('+').or_else(|| my.map(|head| &name[head.len()..])).map(str::trim)
}

/// Lines without comments and blanks, joined where one ends with a backslash; with the number of
/// the first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && open.is_none()) {
            continue;
        }
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        match trimmed.strip_suffix('\\') {
            Some(part) => {
                joined.push_str(part);
                open = Some((number, joined));
            }
            None => {
                joined.push_str(trimmed);
                lines.push((number, joined));
            }
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Commands {
        Commands::read("x", text).unwrap()
    }

    #[test]
    fn lines_are_joined_and_the_last_wins() {
        let c = commands("# no\nA = one \\\n   two\na = $(B)-$(Nope:z)\nB=$$(x)\nqueue\nA=4\n");
        assert_eq!(c.get("a").unwrap().as_deref(), Some("$$(x)-z"));
        assert_eq!(c.names().map(|(_, line)| line).collect::<Vec<_>>(), [2, 4, 5]);
        assert!(c.is_used("b") && !c.is_used("a"));
    }

    #[test]
    fn loops_and_open_ends_are_errors() {
        assert!(commands("a=$(b)\nb=$(a)\nqueue").get("a").is_err());
        assert!(commands("a=$(b\nqueue").get("a").is_err());
        let bomb: String = (0..40).map(|i| format!("a{i}=$(a{0})$(a{0})\n", i + 1)).collect();
        assert!(commands(&(bomb + "a40=xxxxxxxx\nqueue")).get("a15").is_err());
        assert!(Commands::read("x", "nonsense\nqueue\n").is_err());
    }

    #[test]
    fn attributes_are_told_from_commands() {
        let c = commands("+A = 1\nMY.B = \"x\"\nmyx = 3\nqueue");
        let expected = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "\"x\"".to_owned())];
        assert_eq!(c.attributes().unwrap(), expected);
    }
}
