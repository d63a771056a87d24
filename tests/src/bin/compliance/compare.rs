//! Two runs of the same cases: what differs, and whether that is intended.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use glob::Pattern;
use similar::{ChangeTag, TextDiff};

use crate::Result;
use crate::record::Record;

/// A line that only one of two runs has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) case: String,
    /// `SECTION: LINE`
    pub(crate) what: String,
    /// Whether the second run has it; else the first.
    pub(crate) added: bool,
}

/// A difference that is intended.
#[derive(Debug)]
pub(crate) struct Listed {
    case: Pattern,
    what: Pattern,
    /// As in the file, for the reader.
    line: String,
}

/// The list of intended differences.
#[derive(Debug)]
pub(crate) struct List(Vec<Listed>);

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// How many cases both have.
    pub(crate) cases: usize,
    /// Those that nobody listed.
    pub(crate) unlisted: Vec<Difference>,
    /// How many were listed.
    pub(crate) listed: usize,
    /// Lines of the list that matched something.
    pub(crate) used: BTreeSet<usize>,
}

impl List {
    /// Reads a file of lines `CASE tab WHAT tab REASON`; `*` and `?` in the first two stand for anything,
    /// and `#` starts a remark.
    ///
    /// # Errors
    ///
    /// If a line hasn't these three, or a pattern is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let listed = |line: &str| -> Result<Listed> {
            let fields: Vec<&str> = line.split('\t').collect();
            let [case, what, reason] = fields[..] else {
                return Err(format!("not CASE, WHAT, REASON: {line}").into());
            };
            if reason.trim().is_empty() {
                return Err(format!("no reason: {line}").into());
            }
            Ok(Listed { case: Pattern::new(case)?, what: Pattern::new(what)?, line: line.into() })
        };
        Ok(Self(lines.map(listed).collect::<Result<_>>()?))
    }

    /// The line of the list that covers a difference.
    fn covers(&self, difference: &Difference) -> Option<usize> {
        self.0.iter().position(|listed| {
            listed.case.matches(&difference.case) && listed.what.matches(&difference.what)
        })
    }

    /// The lines that no comparison used.
    pub(crate) fn unused(&self, used: &BTreeSet<usize>) -> Vec<&str> {
        let lines = self.0.iter().enumerate().filter(|(number, _)| !used.contains(number));
        lines.map(|(_, listed)| listed.line.as_str()).collect()
    }
}

/// Compares two directories of records.
///
/// # Errors
///
/// If one can't be read.
pub(crate) fn directories(first: &Path, second: &Path, list: &List) -> Result<Compared> {
    let mut compared = Compared::default();
    let (ours, theirs) = (names(first)?, names(second)?);
    for name in ours.union(&theirs) {
        let differences = if !ours.contains(name) || !theirs.contains(name) {
            let what = "the case ran in one of the two only".to_owned();
            vec![Difference { case: name.clone(), what, added: theirs.contains(name) }]
        } else {
            compared.cases += 1;
            let read = |directory: &Path| -> Result<Record> {
                Ok(Record::from_text(&fs::read_to_string(directory.join(name))?))
            };
            records(name, &read(first)?, &read(second)?)
        };
        for difference in differences {
            match list.covers(&difference) {
                Some(number) => {
                    compared.listed += 1;
                    compared.used.insert(number);
                }
                None => compared.unlisted.push(difference),
            }
        }
    }
    Ok(compared)
}

fn names(directory: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && name != "verdicts" {
            names.insert(name);
        }
    }
    Ok(names)
}

/// The differences of two records, section by section and line by line.
fn records(case: &str, first: &Record, second: &Record) -> Vec<Difference> {
    let mut sections: Vec<&str> = first.sections.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _) in &second.sections {
        if !sections.contains(&name.as_str()) {
            sections.push(name);
        }
    }
    let mut differences = Vec::new();
    for section in sections {
        let old: Vec<&str> = first.section(section).iter().map(String::as_str).collect();
        let new: Vec<&str> = second.section(section).iter().map(String::as_str).collect();
        for change in TextDiff::from_slices(&old, &new).iter_all_changes() {
            if change.tag() != ChangeTag::Equal {
                differences.push(Difference {
                    case: case.to_owned(),
                    what: format!("{section}: {}", change.value()),
                    added: change.tag() == ChangeTag::Insert,
                });
            }
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "== ad\n\tExitCode = 0\n\tToE = [ ]\n== log\n\t000 a\n\t001 b\n\t005 c\n";
    const SECOND: &str =
        "== ad\n\tExitCode = 1\n== log\n\t000 a\n\t005 c\n== file out\n\tfile 0644 alice\n";

    fn compare(first: &str, second: &str, list: &str) -> Compared {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, text) in [("one", first), ("two", second)] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("case"), text).unwrap();
        }
        fs::write(path("list"), list).unwrap();
        directories(&path("one"), &path("two"), &List::read(&path("list")).unwrap()).unwrap()
    }

    #[test]
    fn a_record_is_equal_to_itself() {
        let compared = compare(FIRST, FIRST, "");
        assert_eq!((compared.cases, compared.listed), (1, 0));
        assert_eq!(compared.unlisted, []);
    }

    #[test]
    fn every_line_that_only_one_has_is_a_difference() {
        let found: Vec<String> = compare(FIRST, SECOND, "")
            .unlisted
            .iter()
            .map(|d| format!("{}{}", if d.added { "+" } else { "-" }, d.what))
            .collect();
        let expected = [
            "-ad: ExitCode = 0",
            "-ad: ToE = [ ]",
            "+ad: ExitCode = 1",
            "-log: 001 b",
            "+file out: file 0644 alice",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_listed_difference_is_none_and_an_unused_line_is_known() {
        let list =
            "# remark\nca*\tad: ToE *\tgone in 25\n*\tlog: *\tearlier\nother\t*\tno such case\n";
        let compared = compare(FIRST, SECOND, list);
        assert_eq!((compared.unlisted.len(), compared.listed), (3, 2));
        assert_eq!(compared.used, BTreeSet::from([0, 1]));
    }

    #[test]
    fn a_listed_difference_has_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["case\tad: *", "case\tad: *\t", "case ad reason"] {
            fs::write(directory.path().join("list"), text).unwrap();
            assert!(List::read(&directory.path().join("list")).is_err(), "{text}");
        }
    }
}
