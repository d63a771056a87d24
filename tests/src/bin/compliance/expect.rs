//! What a case says must hold, and the check that it does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use classad::{ClassAd, Expr, Value};

use crate::Result;
use crate::event_log::Event;

/// One line of a case that is a condition.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// As it was written, for the message.
    text: String,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// An expression that is true in the ad of every job of the case.
    Ad(Expr),
    /// An event of this number, with this in its text, is in the log or isn't.
    Log { event: String, has: String, wanted: bool },
    /// A file of the submit directory.
    File { path: String, test: FileTest },
}

#[derive(Debug)]
enum FileTest {
    Exists,
    Missing,
    /// Its text but for the last line end.
    Is(String),
    Has(String),
    Lacks(String),
    Mode(u32),
    /// Its length in bytes.
    Size(u64),
    /// It has the bytes of another file.
    Same(String),
}

impl Expectation {
    /// Reads `ad EXPR`, `log EVENT [TEXT]`, `no log EVENT [TEXT]`, `no file NAME`, or `file NAME [TEST]`
    /// where TEST is one of `is TEXT`, `has TEXT`, `lacks TEXT`, `mode OCTAL`, `size BYTES`, `same NAME`. A
    /// NAME with blanks stands in double quotes; `\n` in a TEXT is a line end.
    ///
    /// # Errors
    ///
    /// If it is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let check = if let Some(expression) = text.strip_prefix("ad ") {
            Check::Ad(Expr::parse(expression).map_err(|e| e.render(expression))?)
        } else if let Some(rest) = text.strip_prefix("log ") {
            log(rest, true)
        } else if let Some(rest) = text.strip_prefix("no log ") {
            log(rest, false)
        } else if let Some(rest) = text.strip_prefix("no file ") {
            Check::File { path: name(rest)?.0, test: FileTest::Missing }
        } else if let Some(rest) = text.strip_prefix("file ") {
            let (path, rest) = name(rest)?;
            Check::File { path, test: file_test(rest)? }
        } else {
            return Err("not understood".into());
        };
        Ok(Self { text: text.to_owned(), check })
    }

    /// Checks it against what a case left behind. `None` if it holds, else what is wrong.
    pub(crate) fn fault(
        &self,
        ads: &[&ClassAd],
        log: &[Event],
        directory: &Path,
    ) -> Option<String> {
        let found = match &self.check {
            Check::Ad(expression) => ads.iter().find_map(|ad| {
                let value = expression.eval_in(ad);
                (value != Value::from(true))
                    .then(|| format!("is {value:?}; {}", operands(expression, ad)))
            }),
            Check::Log { event, has, wanted } => {
                let there = log.iter().any(|e| e.number == *event && e.text.contains(has.as_str()));
                // a job that starts again and again has many
                let last = &log[log.len().saturating_sub(20)..];
                let list = || last.iter().map(|e| e.number.as_str()).collect::<Vec<_>>().join(" ");
                (there != *wanted).then(|| format!("the log ends with {}", list()))
            }
            Check::File { path, test } => test.fault(directory, path),
        };
        found.map(|found| format!("{}: {found}", self.text))
    }
}

/// The attributes that an expression names, with what they are in an ad.
fn operands(expression: &Expr, ad: &ClassAd) -> String {
    let text = expression.to_old_string();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut named: Vec<&str> = words.filter(|word| ad.contains(word)).collect();
    named.dedup();
    let shown: Vec<String> = named
        .into_iter()
        .filter_map(|name| Some(format!("{name} = {}", ad.get(name)?.to_old_string())))
        .collect();
    shown.join(", ")
}

fn log(rest: &str, wanted: bool) -> Check {
    let (event, has) = rest.split_once(' ').unwrap_or((rest, ""));
    Check::Log { event: event.to_owned(), has: has.trim().to_owned(), wanted }
}

/// A name, in quotes or up to a blank, and what follows it.
fn name(text: &str) -> Result<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote that doesn't end")?,
        None => text.split_once(' ').unwrap_or((text, "")),
    };
    Ok((name.to_owned(), rest.trim_start()))
}

fn file_test(text: &str) -> Result<FileTest> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let literal = || rest.replace("\\n", "\n");
    Ok(match word {
        "" => FileTest::Exists,
        "is" => FileTest::Is(literal()),
        "has" => FileTest::Has(literal()),
        "lacks" => FileTest::Lacks(literal()),
        "mode" => FileTest::Mode(u32::from_str_radix(rest, 8)?),
        "size" => FileTest::Size(rest.parse()?),
        "same" => FileTest::Same(name(rest)?.0),
        _ => return Err(format!("no test of a file: {word}").into()),
    })
}

impl FileTest {
    fn fault(&self, directory: &Path, path: &str) -> Option<String> {
        let path = directory.join(path);
        let metadata = match (fs::symlink_metadata(&path), self) {
            (Err(_), FileTest::Missing) => return None,
            (Err(error), _) => return Some(error.to_string()),
            (Ok(_), FileTest::Missing) => return Some("it is there".into()),
            (Ok(metadata), _) => metadata,
        };
        let bytes = || fs::read(&path).unwrap_or_default();
        let text = || String::from_utf8_lossy(&bytes()).into_owned();
        let shown = |text: String| {
            let start: String = text.chars().take(300).collect();
            Some(format!("it is {start:?}"))
        };
        match self {
            FileTest::Exists | FileTest::Missing => None,
            FileTest::Is(wanted) => {
                let text = text();
                (text.strip_suffix('\n').unwrap_or(&text) != wanted).then(|| shown(text)).flatten()
            }
            FileTest::Has(part) => {
                (!text().contains(part.as_str())).then(|| shown(text())).flatten()
            }
            FileTest::Lacks(part) => {
                text().contains(part.as_str()).then(|| shown(text())).flatten()
            }
            FileTest::Mode(mode) => {
                let is = metadata.permissions().mode() & 0o7777;
                (is != *mode).then(|| format!("its mode is {is:o}"))
            }
            FileTest::Size(size) => {
                (metadata.len() != *size).then(|| format!("it has {} bytes", metadata.len()))
            }
            FileTest::Same(other) => {
                let other = fs::read(directory.join(other)).ok();
                (other != Some(bytes())).then(|| "the bytes differ".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a condition holds of an ad, a log and a directory with two files.
    fn holds(condition: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("out"), "one\ntwo\n").unwrap();
        fs::write(directory.path().join("a b"), "one\ntwo\n").unwrap();
        fs::set_permissions(directory.path().join("out"), fs::Permissions::from_mode(0o640))
            .unwrap();
        let ads = ["ExitCode = 0\nProcId = 0", "ExitCode = 1\nProcId = 1"]
            .map(|text| ClassAd::parse_old(text).unwrap());
        let log = [Event { number: "012".into(), proc: 0, text: "held: Code 6".into() }];
        let expectation = Expectation::parse(condition).unwrap();
        expectation.fault(&[&ads[0], &ads[1]], &log, directory.path()).is_none()
    }

    #[test]
    fn conditions_that_hold() {
        for condition in [
            "ad ExitCode == ProcId",
            "log 012",
            "log 012 Code 6",
            "no log 012 Code 7",
            "no log 005",
            "file out is one\\ntwo",
            "file out has e\\nt",
            "file out lacks three",
            "file out mode 640",
            "file out size 8",
            "file \"a b\" same out",
            "no file err",
        ] {
            assert!(holds(condition), "{condition}");
        }
    }

    #[test]
    fn conditions_that_fail() {
        for condition in [
            "ad ExitCode == 0",
            "ad Unknown",
            "ad NumJobStarts == 1",
            "no log 012",
            "log 005",
            "log 012 Code 7",
            "file out is one",
            "file out has three",
            "file out lacks two",
            "file out mode 644",
            "file out size 7",
            "file out same err",
            "file err",
            "no file out",
        ] {
            assert!(!holds(condition), "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["", "ad", "ad ExitCode ==", "file out contains x", "file \"out", "mode 644"] {
            assert!(Expectation::parse(text).is_err(), "{text}");
        }
    }
}
