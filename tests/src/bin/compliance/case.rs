//! A case: a directory with a submit description, whose `#:` lines say what must come of the job.

use std::fs;
use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::Result;
use crate::expect::Expectation;

/// Where a case runs: what its lines may be restricted to, and what the results are filed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Debian suite of the pool: `trixie` (HTCondor 23.9.6) or `sid` (25.14.1).
    pub(crate) suite: String,
    /// `root` (the daemons run as root) or `user` (alice runs them).
    pub(crate) flavour: String,
}

impl Place {
    /// Whether a word names this place.
    fn is(&self, word: &str) -> Result<bool> {
        match word {
            "trixie" | "sid" => Ok(word == self.suite),
            "root" | "user" => Ok(word == self.flavour),
            _ => Err(format!("not a place: {word}").into()),
        }
    }
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Every job has left the queue by itself.
    Completed,
    /// Every job is held.
    Held,
    /// Every job was removed.
    Removed,
}

impl End {
    /// The job's status in the queue (JobStatus).
    pub(crate) fn status(self) -> i64 {
        match self {
            End::Removed => 3,
            End::Completed => 4,
            End::Held => 5,
        }
    }
}

/// One case, as its description reads in one place.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its directory's name.
    pub(crate) name: String,
    /// Its directory.
    pub(crate) directory: PathBuf,
    /// Part of the fast selection.
    pub(crate) fast: bool,
    /// The account that submits.
    pub(crate) submitter: String,
    /// How it ends.
    pub(crate) end: End,
    /// Submitted with `-spool`: its own `drive` waits for it and fetches its output.
    pub(crate) spool: bool,
    /// Runs in a pool of its own, with this file of `config/`; `None` is the common pool.
    pub(crate) config: Option<String>,
    /// A package of PyPI that it needs in PYTHON.
    pub(crate) needs: Option<String>,
    /// Whether it runs in this place at all.
    pub(crate) here: bool,
    /// Lines of its record that differ from run to run.
    pub(crate) chance: Vec<Pattern>,
    /// What must hold, whichever starter runs it.
    pub(crate) expectations: Vec<Expectation>,
}

impl Case {
    /// Reads `DIRECTORY/job.sub` for one place.
    ///
    /// # Errors
    ///
    /// If it can't be read, or a line of it isn't understood.
    pub(crate) fn read(directory: &Path, place: &Place) -> Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = directory.join("job.sub");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut case = Self {
            name,
            directory: directory.to_owned(),
            fast: false,
            submitter: "alice".into(),
            end: End::Completed,
            spool: false,
            config: None,
            needs: None,
            here: true,
            chance: Vec::new(),
            expectations: Vec::new(),
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("#:")) {
            case.take(line.trim(), place).map_err(|e| format!("{}: {line}: {e}", case.name))?;
        }
        Ok(case)
    }

    /// Takes in one line: `[@PLACE]... WORD [REST]`.
    fn take(&mut self, line: &str, place: &Place) -> Result<()> {
        let mut rest = line;
        while let Some(restricted) = rest.strip_prefix('@') {
            let (word, after) = restricted.split_once(' ').unwrap_or((restricted, ""));
            if !place.is(word)? {
                return Ok(());
            }
            rest = after.trim_start();
        }
        let (word, argument) = rest.split_once(' ').unwrap_or((rest, ""));
        match (word, argument.trim()) {
            ("fast", "") => self.fast = true,
            ("spool", "") => self.spool = true,
            ("only", word) => self.here = self.here && place.is(word)?,
            ("as", account) => self.submitter = account.into(),
            ("needs", name) => self.needs = Some(name.into()),
            ("config", name) => self.config = Some(name.into()),
            ("chance", what) => self.chance.push(Pattern::new(what)?),
            ("end", "completed") => self.end = End::Completed,
            ("end", "held") => self.end = End::Held,
            ("end", "removed") => self.end = End::Removed,
            _ => self.expectations.push(Expectation::parse(rest)?),
        }
        Ok(())
    }
}

/// All cases of a directory, by name.
///
/// # Errors
///
/// If one can't be read: a case that is left out silently would pass.
pub(crate) fn read_all(directory: &Path, place: &Place) -> Result<Vec<Case>> {
    let entries = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    paths.iter().map(|path| Case::read(path, place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(suite: &str, flavour: &str, text: &str) -> Result<Case> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("job.sub"), text)?;
        Case::read(directory.path(), &Place { suite: suite.into(), flavour: flavour.into() })
    }

    #[test]
    fn lines_for_another_place_do_not_count() {
        let text = "# remark\n#: fast\n#: @sid ad true\n#: @sid @user end held\n#: as bob\nqueue\n";
        let sid = read("sid", "user", text).unwrap();
        assert!(sid.fast && sid.here && sid.submitter == "bob");
        assert_eq!((sid.expectations.len(), sid.end), (1, End::Held));
        let trixie = read("trixie", "user", text).unwrap();
        assert_eq!((trixie.expectations.len(), trixie.end), (0, End::Completed));
        assert!(!read("sid", "user", "#: only root\n").unwrap().here);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        for text in ["#: slow\n", "#: only linux\n", "#: end well\n", "#: @mars fast\n"] {
            assert!(read("sid", "root", text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_case_of_the_project_is_understood_everywhere() {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("compliance/cases");
        for suite in ["trixie", "sid"] {
            for flavour in ["root", "user"] {
                let place = Place { suite: suite.into(), flavour: flavour.into() };
                let cases = read_all(&cases, &place).unwrap();
                assert!(cases.len() >= 60);
                assert!(cases.iter().filter(|case| case.fast && case.here).count() >= 15);
            }
        }
    }
}
