//! The `condor-config` crate against the answers of HTCondor 25.14.1.
//!
//! A line of `config-corpus.jsonl` is a small configuration, as files and environment, and what
//! `condor_config_val` and the library's typed readers made of it. A difference is a failure unless
//! `config-differences.tsv` lists its row with a reason, and so is a listed row that does not differ
//! any more.

#![expect(clippy::expect_used, reason = "a test may fail by panic, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use condor_config::{Config, Error, Invalid, Options};
use serde::Deserialize;
use serde_json::Value as Json;

const CORPUS: &str = include_str!("config-corpus.jsonl");
const DIFFERENCES: &str = include_str!("config-differences.tsv");

/// Less than this many of a thousand rows agreeing is a failure, listed or not.
const AT_LEAST: usize = 990;

/// The home of user condor where the corpus was made.
const TILDE: &str = "/var/lib/condor";

#[derive(Debug, Deserialize)]
struct Row {
    id: u32,
    cat: String,
    /// Below the row's directory, `@DIR@`; those that start with `#!` are executable.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Below the root directory.
    #[serde(default)]
    sysroot: BTreeMap<String, String>,
    root: Option<String>,
    #[serde(default)]
    env: Environment,
    subsys: Option<String>,
    localname: Option<String>,
    #[serde(default)]
    fatal: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    host_dependent: bool,
    #[serde(default)]
    one_of: BTreeMap<String, Vec<String>>,
    /// What `condor_config_val NAME` says.
    #[serde(default)]
    expected: BTreeMap<String, Answer>,
    /// What `condor_config_val -macro TEXT` says.
    #[serde(default)]
    expected_macro: BTreeMap<String, Answer>,
    #[serde(default)]
    typed: BTreeMap<String, Vec<Typed>>,
}

/// Variables, in the order in which they are given: a later one counts more.
#[derive(Debug, Default)]
struct Environment(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Environment, D::Error> {
        struct Variables;
        impl<'de> serde::de::Visitor<'de> for Variables {
            type Value = Environment;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Environment, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Environment(all))
            }
        }
        from.deserialize_map(Variables)
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    value: Option<String>,
    raw: Option<String>,
    at: Option<String>,
    #[serde(default)]
    undefined: bool,
    #[serde(default)]
    crash: bool,
    #[serde(default)]
    hang: bool,
    #[serde(default)]
    stderr: String,
}

/// A call of a typed reader.
#[derive(Debug, Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    reader: String,
    #[serde(default)]
    default: Json,
    min: Option<String>,
    max: Option<String>,
    expected: Option<String>,
}

/// The directory of a row, with its files in it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(row: &Row) -> Place {
        let place = Place { directory: tempfile::tempdir().expect("a directory") };
        for (name, text) in &row.files {
            place.write(Path::new(name), text);
        }
        for (name, text) in &row.sysroot {
            let name = name.replace("@TILDE@", TILDE);
            place.write(&Path::new("sysroot").join(name.trim_start_matches('/')), text);
        }
        place
    }

    fn path(&self) -> &str {
        self.directory.path().to_str().expect("a path of ASCII")
    }

    fn write(&self, name: &Path, text: &str) {
        let file = self.directory.path().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        fs::write(&file, self.here(text)).expect("a file");
        if text.starts_with("#!") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
    }

    /// The corpus's text, for this directory.
    fn here(&self, text: &str) -> String {
        text.replace("@DIR@", self.path()).replace("@TILDE@", TILDE)
    }

    /// A text from this directory, as in the corpus.
    fn there(&self, text: &str) -> String {
        text.replace(&format!("{}/sysroot", self.path()), "").replace(self.path(), "@DIR@")
    }

    fn options(&self, row: &Row) -> Options {
        let mut options = Options::new(row.subsys.as_deref().unwrap_or("TOOL"));
        options.local_name.clone_from(&row.localname);
        options.need_root = false;
        // The corpus was made by root. Only a persistent setting's owner is what it is.
        options.can_switch_ids = (row.cat != "persistent").then_some(true);
        let sysroot = self.directory.path().join("sysroot");
        options.tilde = Some(match row.sysroot.is_empty() {
            true => PathBuf::from(TILDE),
            false => sysroot.join(TILDE.trim_start_matches('/')),
        });
        options.search_under = Some(sysroot);
        let mut set = |name: &str, value: &str| {
            options.env.push((name.into(), self.here(value).into()));
        };
        set("PATH", "/usr/bin:/bin");
        if !row.env.0.iter().any(|(name, _)| name == "HOME") {
            set("HOME", "/root");
        }
        set("LC_ALL", "C");
        if let Some(root) = &row.root {
            set("CONDOR_CONFIG", &format!("@DIR@/{root}"));
        }
        for (name, value) in &row.env.0 {
            set(name, value);
        }
        options
    }
}

type Checked = Result<(), String>;

fn check(row: &Row) -> Checked {
    let place = Place::new(row);
    let config = match Config::load(&place.options(row)) {
        Ok(config) => config,
        Err(error) => return check_fatal(row, &place, &error),
    };
    if row.fatal {
        return Err(format!("could be read, but HTCondor says {:?}", row.error));
    }
    for (name, answer) in &row.expected {
        // `condor_config_val use` is an order to it, not a question.
        if name != "use" {
            check_answer(row, &place, &config, name, answer)
                .map_err(|what| format!("{name}: {what}"))?;
        }
    }
    for (text, answer) in &row.expected_macro {
        let text = place.here(text);
        let got = config.expand_inline(&text).map(Some);
        check_value(row, &place, "", got, answer).map_err(|what| format!("{text}: {what}"))?;
    }
    for (name, reads) in &row.typed {
        for read in reads {
            check_typed(row, &config, name, read)?;
        }
    }
    Ok(())
}

fn check_fatal(row: &Row, place: &Place, error: &Error) -> Checked {
    let got = place.there(&error.htcondor_text());
    if !row.fatal {
        return Err(format!("could not be read: {got}"));
    }
    if error.to_string().contains('\n') {
        return Err(format!("an error of several lines: {error}"));
    }
    // In a few cases HTCondor says nothing. The numbers of a regular expression's faults are
    // those of its library.
    let up_to = |text: &str| {
        let end = text.contains("regular expression").then(|| text.find(",  ")).flatten();
        end.map_or_else(|| text.to_owned(), |end| text[..end].to_owned())
    };
    if row.error.is_empty() || up_to(&got) == up_to(&row.error) {
        Ok(())
    } else {
        Err(format!("fails with {got:?}, HTCondor with {:?}", row.error))
    }
}

fn check_answer(row: &Row, place: &Place, config: &Config, name: &str, answer: &Answer) -> Checked {
    check_value(row, place, name, config.string(name), answer)?;
    if answer.undefined || answer.crash || answer.hang {
        return Ok(());
    }
    let warned: Vec<&str> =
        answer.stderr.lines().filter(|line| !line.starts_with("ERROR ")).collect();
    let warnings = config.warnings().iter().map(|warning| place.there(warning.htcondor_text()));
    let warnings: Vec<String> = warnings.filter(|warning| !warning.is_empty()).collect();
    if warned != warnings {
        return Err(format!("warns {warnings:?}, HTCondor {warned:?}"));
    }
    if let Some(raw) = &answer.raw
        && config.raw(name).map(|raw| place.there(raw)).as_ref() != Some(raw)
        && !row.host_dependent
    {
        return Err(format!("raw {:?}, not {raw:?}", config.raw(name)));
    }
    let origin = config.origin(name).map(|origin| place.there(&origin.to_string()));
    match &answer.at {
        Some(at) if origin.as_deref() != Some(&at.replace("@TILDE@", TILDE)) => {
            Err(format!("from {origin:?}, not {at:?}"))
        }
        _ => Ok(()),
    }
}

fn check_value(
    row: &Row,
    place: &Place,
    name: &str,
    got: Result<Option<String>, Error>,
    answer: &Answer,
) -> Checked {
    let fault = answer.stderr.lines().find(|line| line.starts_with("ERROR "));
    match got {
        Err(_) if answer.crash || answer.hang => Ok(()),
        // HTCondor's tools go on after an error, with rubbish that is not imitated.
        Err(error) => match fault {
            Some(fault) if place.there(&error.htcondor_text()) == fault => Ok(()),
            _ => Err(format!("fails with {error}, HTCondor: {fault:?}")),
        },
        Ok(value) if answer.crash || answer.hang || fault.is_some() => {
            Err(format!("is {value:?} without an error, HTCondor: {fault:?}"))
        }
        Ok(None) if answer.undefined => Ok(()),
        Ok(value) => {
            let value = value.map(|value| place.there(&value));
            let expected = answer.value.as_ref().map(|value| value.replace("@TILDE@", TILDE));
            let number = |text: &Option<String>| {
                text.as_ref().is_some_and(|text| text.parse::<f64>().is_ok())
            };
            let fits = value == expected
                || row.host_dependent && number(&value) && number(&expected)
                || row
                    .one_of
                    .get(name)
                    .is_some_and(|all| all.iter().any(|one| Some(one) == value.as_ref()));
            if fits { Ok(()) } else { Err(format!("{value:?}, not {expected:?}")) }
        }
    }
}

fn check_typed(row: &Row, config: &Config, name: &str, read: &Typed) -> Checked {
    let got = typed(config, name, read).map_err(|error| error.to_string())?;
    let expected = read.expected.as_deref();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    let same = match (number(got.as_deref()), number(expected)) {
        (Some(got), Some(expected)) => {
            row.host_dependent || got == expected || got.is_nan() && expected.is_nan()
        }
        _ => got.as_deref() == expected,
    };
    if same { Ok(()) } else { Err(format!("{name} as {read:?} is {got:?}")) }
}

/// The value, or what HTCondor goes on with when it is unusable.
fn fallback<T>(read: Result<T, Invalid<T>>) -> T {
    read.unwrap_or_else(|invalid| invalid.fallback)
}

fn typed(config: &Config, name: &str, read: &Typed) -> Result<Option<String>, Error> {
    let flag = read.default.as_bool().unwrap_or_default();
    let default = read.default.as_str().unwrap_or("0");
    let parse = |text: &str| text.parse::<i64>().expect("a number");
    let bounds = (read.min.as_deref().unwrap_or("0"), read.max.as_deref().unwrap_or("0"));
    let integers = || parse(bounds.0)..=parse(bounds.1);
    Ok(Some(match read.reader.as_str() {
        "string" => return config.string(name),
        "bool" => fallback(config.bool_or(name, flag)).to_string(),
        "crufty" => fallback(config.bool_crufty(name, flag)).to_string(),
        "true" => config.is_true(name).to_string(),
        "false" => config.is_false(name).to_string(),
        "defined" => config.string(name)?.is_some().to_string(),
        "int" => fallback(config.int_in(name, parse(default), integers())).to_string(),
        "long" => fallback(config.long_in(name, parse(default), integers())).to_string(),
        "double" => {
            let number = |text: &str| text.parse::<f64>().expect("a number");
            let range = number(bounds.0)..=number(bounds.1);
            fallback(config.real_in(name, number(default), range)).to_string()
        }
        other => format!("no reader {other}"),
    }))
}

fn listed() -> BTreeMap<u32, String> {
    let lines = DIFFERENCES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let entry = |line: &str| {
        let (row, reason) = line.split_once('\t')?;
        Some((row.parse().ok()?, reason.to_owned()))
    };
    lines.map(|line| entry(line).expect("row, tab, reason")).collect()
}

#[test]
fn as_htcondor_25_14_1() {
    let mut listed = listed();
    let mut report = String::new();
    let (mut rows, mut agreeing) = (0, 0);
    for line in CORPUS.lines() {
        let row: Row = serde_json::from_str(line).expect("a row");
        rows += 1;
        let known = listed.remove(&row.id);
        match (check(&row), known) {
            (Ok(()), None) => agreeing += 1,
            (Ok(()), Some(_)) => {
                agreeing += 1;
                writeln!(report, "{}: does not differ any more", row.id).expect("a line");
            }
            (Err(_), Some(_)) => {}
            (Err(what), None) => {
                writeln!(report, "{} {}: {what}", row.id, row.cat).expect("a line")
            }
        }
    }
    for row in listed.keys() {
        writeln!(report, "{row}: listed, but there is no such row").expect("a line");
    }
    println!("{agreeing} of {rows} rows agree");
    assert!(report.is_empty(), "{agreeing} of {rows} rows agree\n{report}");
    assert!(agreeing * 1000 >= rows * AT_LEAST, "{agreeing} of {rows} rows agree");
}
