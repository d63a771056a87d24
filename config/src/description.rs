//! Submit descriptions: the same language with other rules for some lines.
//!
//! As in condor_submit 25.14.1 (verified with `condor_submit -dump`): a description sees neither the
//! configuration nor its defaults, `+NAME = VALUE` sets `MY.NAME`, and what is no statement is taken
//! for a queue statement, which ends the reading of the description that it is in.

use crate::config::Config;
use crate::error::Error;
use crate::execute::{Ended, Stop};
use crate::facts::Fact;
use crate::load::Loader;
use crate::macros::{Place, SourceId};
use crate::options::Options;
use crate::statement::{Operator, Statement};
use crate::text::{is_space_char, strip_prefix_nocase, trim_start};

/// What condor_submit takes from the configuration of its host.
const FACTS: [(Fact, &str); 5] = [
    (Fact::Arch, "ARCH"),
    (Fact::Opsys, "OPSYS"),
    (Fact::OpsysAndVer, "OPSYSANDVER"),
    (Fact::OpsysMajorVer, "OPSYSMAJORVER"),
    (Fact::OpsysVer, "OPSYSVER"),
];

impl Config {
    /// Reads a submit description called `name` up to its queue statement.
    ///
    /// A command is then a name with a value like a knob, and `+NAME` is `MY.NAME`. Of the options,
    /// the subsystem (`SUBMIT` for condor_submit), the environment and the version count. `given`
    /// are names and values that the description finds defined, such as `ClusterId`; their origin is
    /// `<Detected>`.
    pub fn parse_description(
        name: &str,
        text: &str,
        options: &Options,
        given: &[(&str, &str)],
    ) -> Result<Config, Error> {
        let mut loader = Loader::for_description(options);
        for (fact, name) in FACTS {
            loader.macros.insert_fact(fact, name)?;
        }
        for (name, value) in given {
            loader.macros.insert(name, value, Place::of(SourceId::DETECTED))?;
        }
        loader.run_source(name, text, 0, "submit description")?;
        Ok(Config::from(loader))
    }
}

impl Loader {
    /// Deals with a line of a description that means something else in a configuration; `None` if it
    /// means the same.
    pub(crate) fn run_in_description(
        &mut self,
        line: &str,
        statement: Option<&Statement<'_>>,
        place: Place,
        depth: u32,
    ) -> Option<Result<Ended, Stop>> {
        match statement {
            Some(Statement::Use { .. }) => {
                let what = "the templates of condor_submit are not known here";
                Some(Err(self.syntax(place, what, "Write the commands that it stands for")))
            }
            Some(Statement::Assign { name, operator, value })
                if is_command(line, name, operator) =>
            {
                let attribute =
                    name.strip_prefix(['+', '-']).filter(|_| *operator == Operator::Assign)?;
                let value = if name.starts_with('+') { value } else { "" };
                Some(self.assign_attribute(attribute, value, place))
            }
            Some(Statement::Assign { .. } | Statement::Section) | None => {
                Some(self.queue(line, place, depth))
            }
            Some(_) => None,
        }
    }

    fn assign_attribute(&mut self, name: &str, value: &str, place: Place) -> Result<Ended, Stop> {
        let name = format!("MY.{}", self.expand_in(name, place)?);
        let inserted = self.macros.insert(&name, value, place);
        inserted.map(|()| Ended::No).map_err(|error| self.located(error, place))
    }

    fn queue(&mut self, line: &str, place: Place, depth: u32) -> Result<Ended, Stop> {
        if !is_queue(line) {
            let what = format!("this is neither a command nor a queue statement: {line}");
            return Err(self.syntax(place, what, "Write COMMAND = value"));
        }
        if depth > 0 {
            let what = "a queue statement in an included file or command";
            return Err(self.syntax(place, what, "Move it to the description itself"));
        }
        Ok(Ended::Yes)
    }
}

/// Whether an assignment is one in a description, too: `=` and its kin right behind one word that
/// isn't `queue`.
fn is_command(line: &str, name: &str, operator: &Operator) -> bool {
    let behind = trim_start(line.get(name.len()..).unwrap_or_default());
    *operator != Operator::Colon
        && behind.starts_with(['=', '@', '+'])
        && !name.eq_ignore_ascii_case("queue")
}

/// `queue` with or without arguments, or `iterate`, of which four letters are enough.
fn is_queue(line: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(is_space_char);
    let word = trim_start(line).split(is_space_char).next().unwrap_or_default();
    strip_prefix_nocase(line, "queue").is_some_and(ends)
        || (word.len() >= 4 && strip_prefix_nocase("iterate", word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Error> {
        let mut options = Options::new("SUBMIT");
        options.env.push(("HOME".into(), "/home/me".into()));
        Config::parse_description("x.sub", text, &options, &[("ClusterId", "1")])
    }

    fn value(text: &str, name: &str) -> Option<String> {
        read(text).unwrap().string(name).unwrap()
    }

    /// The answers are those of condor_submit -dump.
    #[test]
    fn functions_and_references() {
        let text = "x = abcdef\nb = x\nN = 3\nM = $(N)+1\nx += more\nq$(b) = 1\nSUBMIT.only = sub\n\
                    long = $(long) self\nqueue\n";
        let config = read(text).unwrap();
        for (reference, expected) in [
            ("$SUBSTR(x,2)", "cdef more"),
            ("$SUBSTR(x,1,2)", "bc"),
            ("$(DOLLAR)", "$"),
            ("$($(b))", "abcdef more"),
            ("$INT(M)", "4"),
            ("$INT(N,%04d)", "0003"),
            ("$CHOICE(N,a,b,c,d)", "d"),
            ("$ENV(HOME) $ENV(NOPE) $ENV(NOPE:dflt)", "/home/me UNDEFINED dflt"),
            ("<$(undefined)><$(undefined:d)>", "<><d>"),
            ("<$(LOG)><$(HOSTNAME)>", "<><>"),
            ("$$(Memory) $$([1+1])", "$$(Memory) $$([1+1])"),
            ("$(ClusterId) $(qx) $(only)", "1 1 sub"),
            ("$(long)", " self"),
        ] {
            assert_eq!(config.expand(reference).as_deref(), Ok(expected), "{reference}");
        }
    }

    #[test]
    fn a_value_like_a_knobs_default_is_a_value() {
        assert_eq!(value("LOG = $(LOCAL_DIR)/log\nqueue\n", "LOG").as_deref(), Some("/log"));
        assert_eq!(value("x = 1\nqueue\n", "LOG"), None);
        assert_eq!(read("queue\n").unwrap().int("SHUTDOWN_FAST_TIMEOUT"), Ok(None));
    }

    #[test]
    fn attributes() {
        let text = "b = x\n+A$(b) = 1\nMY.Mine = 2\n-Gone = 3\nA = 4\nqueue\n";
        let config = read(text).unwrap();
        let raw = |name: &str| config.raw(name);
        assert_eq!(raw("my.ax"), Some("1"));
        assert_eq!((raw("MY.Mine"), raw("MY.Gone"), raw("A")), (Some("2"), Some(""), Some("4")));
        let origin = config.origin("MY.Ax").unwrap();
        assert_eq!((origin.file.as_str(), origin.line), ("x.sub", 2));
    }

    #[test]
    fn blocks_and_the_queue_statement() {
        let text = "if defined x\n a = 1\n queue\nelse\n a = 2\nendif\nif version >= 8.1\n b = 1\n\
                    endif\nargs @=end\n one\n two\n@end\nerror = file\nuse = 3\ninclude = 4\n\
                    queue a,b in (x=1, y)\na = 5\n";
        let config = read(text).unwrap();
        let pairs = [("a", "2"), ("b", "1"), ("args", "one\ntwo"), ("error", "file"), ("use", "3")];
        for (name, expected) in pairs {
            assert_eq!(config.raw(name), Some(expected), "{name}");
        }
        for queue in ["queue", "QUEUE 3", "queue x from a.txt", "Iterate 3", "iter 3"] {
            assert_eq!(value(&format!("a = 1\n{queue}\na = 2\n"), "a").as_deref(), Some("1"));
        }
    }

    #[test]
    fn what_condor_submit_refuses() {
        for line in [
            "foo bar",
            "foo",
            "foo : bar",
            "[sec]",
            "use ROLE : Execute",
            "error : bad",
            "foo bar = 1",
            "if false",
            "include : /nope",
            "A-B = 1",
            "queue=3",
            "a @ 3",
            "+A += 1",
            "queuex",
            "ite 3",
            "if 1 == 1",
        ] {
            let error = read(&format!("a = 1\n{line}\nqueue\n")).unwrap_err();
            assert_eq!(error.file(), Some("x.sub"), "{line}");
            assert!(matches!(error.line(), 2 | 3), "{line}: {error}");
        }
        let dir = std::env::temp_dir().join(format!("condor-config-{}", std::process::id()));
        std::fs::write(&dir, "a = 1\nqueue\n").unwrap();
        let error = read(&format!("include : {}\nqueue\n", dir.display())).unwrap_err();
        std::fs::write(&dir, "a = $(b)\n").unwrap();
        let text = format!("b = 1\ninclude : {}\nqueue\n", dir.display());
        let included = value(&text, "a");
        std::fs::remove_file(&dir).unwrap();
        assert!(error.what().contains("queue statement"), "{error}");
        assert_eq!((error.file(), error.line()), (dir.to_str(), 2));
        assert_eq!(included.as_deref(), Some("1"));
    }
}
