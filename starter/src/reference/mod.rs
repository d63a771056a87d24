//! The manual's lists of knobs and attributes, written from the tables of this program by a test, which fails
//! where the files are stale. `CLOISTER_WRITE_REFERENCE=1 cargo test -p cloister-starter reference` writes them anew.

mod attributes;
mod man;
mod markdown;

use std::path::Path;

use crate::knobs::Knob;
use attributes::{ATTRIBUTES, Place};

/// The word for a knob's type.
fn kind(knob: &Knob) -> &'static str {
    match knob.rust_type {
        "bool" => "True or False",
        "Condition" => "expression",
        "i64" | "u32" | "usize" | "Option<i64>" => "number",
        "Vec<String>" => "list",
        "PathBuf" | "Option<PathBuf>" => "path",
        "String" | "Option<String>" if knob.text.contains("expression") => "expression",
        _ => "text",
    }
}

fn default(knob: &Knob) -> Option<&'static str> {
    Some(knob.default).filter(|default| !default.is_empty())
}

#[test]
fn the_manual_is_as_the_tables_have_it() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let write = std::env::var_os("CLOISTER_WRITE_REFERENCE").is_some();
    for (name, text) in [
        ("docs/knobs.md", markdown::knobs()),
        ("docs/attributes.md", markdown::attributes()),
        ("packaging/man/cloister.conf.5", man::knobs()),
        ("packaging/man/cloister-attributes.5", man::attributes()),
    ] {
        let path = top.join(name);
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{name} is stale: CLOISTER_WRITE_REFERENCE=1 cargo test -p cloister-starter reference"
            );
        }
    }
}

/// A name that the code knows and the table doesn't, or the other way round, is a mistake.
#[test]
fn the_table_has_the_attributes_that_the_code_has() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let texts: Vec<String> =
        sources.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let of = |file: &str| {
        let at = sources.iter().position(|path| path.ends_with(file)).expect(file);
        texts[at].split("#[cfg(test)]").next().unwrap().to_owned()
    };
    for row in ATTRIBUTES {
        let name = format!("\"{}\"", row.name.trim_start_matches('*'));
        // Names that are made of parts can't be found as a whole.
        let made = row.name.contains('<') || matches!(row.place, Place::Machine);
        assert!(
            made || texts.iter().any(|text| text.contains(&name)),
            "{}: nothing has it",
            row.name
        );
    }
    // Some are in the sentence about another.
    let known =
        |name: &str| ATTRIBUTES.iter().any(|row| row.name == name || row.text.contains(name));
    let written = regex_lite::Regex::new(r#"insert_value\(\s*"([A-Za-z_]+)""#).unwrap();
    for found in written.captures_iter(&of("report/ad.rs")) {
        assert!(known(&found[1]), "{}: not in the table", &found[1]);
    }
    let read = regex_lite::Regex::new(r#"(?:text\(&ad,|ad\.eval_\w+\() ?"([A-Za-z]+)""#).unwrap();
    for found in read.captures_iter(&of("job/mod.rs")) {
        assert!(known(&found[1]), "{}: not in the table", &found[1]);
    }
}

fn sources(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("reference") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
