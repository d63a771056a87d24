//! The commands of a submit description: read and expanded by the configuration language's library.

use condor_config::{Config, Error, Options};
use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};

use super::not_valid;
use crate::failure::Failure;

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

/// What a description finds defined, besides the date: of a job that is the only one of its cluster.
const GIVEN: [(&str, &str); 13] = [
    ("Cluster", "1"),
    ("ClusterId", "1"),
    ("IsLinux", "1"),
    ("Item", ""),
    ("ItemIndex", "0"),
    ("JobId", "1.0"),
    ("Node", ""),
    ("Process", "0"),
    ("ProcId", "0"),
    ("Row", "0"),
    ("Step", "0"),
    ("TaskId", "0"),
    ("JobListId", "1"),
];

/// The commands of a description.
#[derive(Debug)]
pub(super) struct Commands {
    config: Config,
    text: String,
}

impl Commands {
    /// Reads a text up to its queue statement. `include` and `$ENV()` see the caller's surroundings.
    pub(super) fn read(file: &str, text: &str) -> Result<Self, Failure> {
        // In the language a last line without an end is another kind of line.
        let text = format!("{text}\n");
        let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
        let date = [("Year", "%Y"), ("Month", "%m"), ("Day", "%d"), ("SUBMIT_TIME", "%s")]
            .map(|(name, form)| (name, strtime::format(form, &now).unwrap_or_default()));
        let date = date.iter().map(|(name, value)| (*name, value.as_str()));
        let given: Vec<_> = GIVEN.into_iter().chain(date).chain([("SUBMIT_FILE", file)]).collect();
        let options = Options::from_process("SUBMIT");
        let config =
            Config::parse_description(file, &text, &options, &given).map_err(|e| refused(&e))?;
        for warning in config.warnings() {
            complain!("cloister: {warning}");
        }
        Ok(Self { config, text })
    }

    /// The expanded value of a command; `None` if it isn't given or is empty.
    pub(super) fn get(&self, command: &str) -> Result<Option<String>, Failure> {
        self.config.string(command).map_err(|error| refused(&error))
    }

    /// `+Name = expression` and `MY.Name = expression` lines. Like a `-Name` line, one without an
    /// expression makes the attribute undefined.
    pub(super) fn attributes(&self) -> Result<Vec<(String, String)>, Failure> {
        let mine = self.config.names().filter_map(|name| Some((name, attribute(name)?)));
        let value = |name| Ok(self.get(name)?.unwrap_or_else(|| "undefined".to_owned()));
        mine.map(|(name, attribute)| Ok((attribute.to_owned(), value(name)?))).collect()
    }

    /// Names and places of all commands that aren't attributes.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, String)> {
        let names = self.config.names().filter(|name| attribute(name).is_none());
        names.filter_map(|name| {
            let origin = self.config.origin(name).filter(|origin| origin.file != "<Detected>")?;
            Some((name, format!("{}:{}", origin.file, origin.line)))
        })
    }

    /// Whether something in the description refers to this name, which makes it a variable.
    pub(super) fn is_used(&self, name: &str) -> bool {
        let values = self.config.names().filter_map(|name| self.config.raw(name));
        self.text.lines().chain(values).any(|line| {
            let start = line.trim_start();
            let condition = start.starts_with("if") || start.starts_with("elif");
            let from = if condition { Some(0) } else { start.find('$') };
            let part = from.and_then(|from| start.get(from..)).unwrap_or_default();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            part.split(|c| !is_name(c)).any(|word| word.eq_ignore_ascii_case(name))
        })
    }
}

/// The language's own messages begin with file and line.
fn refused(error: &Error) -> Failure {
    not_valid(error.to_string())
}

fn attribute(name: &str) -> Option<&str> {
    let (head, attribute) = name.split_at_checked(3)?;
    head.eq_ignore_ascii_case("MY.").then_some(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Commands {
        Commands::read("x.sub", text).unwrap()
    }

    #[test]
    fn lines_are_joined_and_the_last_wins() {
        let c = commands("# no\nA = one \\\n   two\na = $(B)-$(Nope:z)\nB=$$(x)\nqueue\nA=4");
        assert_eq!(c.get("a").unwrap().as_deref(), Some("$$(x)-z"));
        let names: Vec<_> = c.names().collect();
        assert_eq!(names, [("A", "x.sub:4".to_owned()), ("B", "x.sub:5".to_owned())]);
        assert!(c.is_used("b") && !c.is_used("a"));
    }

    #[test]
    fn what_a_description_is_given() {
        let c = commands(
            "a = $(Cluster).$(Process) $(Item)$(Step) $(JobId) $(SUBMIT_FILE)\n\
             b = $INT(SUBMIT_TIME) $(Year)\nif $(IsLinux)\n c = $SUBSTR(d,1)\nendif\nd = xyz\n\
             log = $(LOG)x\nqueue",
        );
        assert_eq!(c.get("a").unwrap().as_deref(), Some("1.0 0 1.0 x.sub"));
        let time = c.get("b").unwrap().unwrap();
        let (seconds, year) = time.split_once(' ').unwrap();
        assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000 && year.len() == 4, "{time}");
        assert_eq!(c.get("c").unwrap().as_deref(), Some("yz"));
        assert_eq!(
            c.get("log").unwrap().as_deref(),
            Some("x"),
            "the pool's knobs are out of sight"
        );
        assert!(c.names().all(|(name, _)| !name.eq_ignore_ascii_case("cluster")));
        assert!(c.is_used("d") && c.is_used("IsLinux") && !c.is_used("xyz"));
    }

    #[test]
    fn mistakes_have_a_place() {
        let message = |failure: Failure| failure.message;
        let loops = commands("\na=$(b)\nb=$(a)\nqueue").get("a").unwrap_err();
        assert!(message(loops).starts_with("x.sub:2: a refers to itself by way of b"), "loop");
        let bomb: String = (0..40).map(|i| format!("a{i}=$(a{0})$(a{0})\n", i + 1)).collect();
        assert!(commands(&(bomb + "a40=xxxxxxxx\nqueue")).get("a15").is_err());
        let function = commands("a = 1\nb = $INT(c)\nc = x y\nqueue").get("b").unwrap_err();
        assert!(message(function).starts_with("x.sub:2: "));
        let line = Commands::read("x.sub", "a = 1\nnonsense\nqueue\n").unwrap_err();
        assert!(message(line).starts_with("x.sub:2: "));
    }

    #[test]
    fn attributes_are_told_from_commands() {
        let c = commands("+A = 1\nMY.B = \"x\"\nmyx = 3\n-C = 1\nqueue");
        let expected = [("A", "1"), ("B", "\"x\""), ("C", "undefined")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(c.attributes().unwrap(), expected);
    }
}
