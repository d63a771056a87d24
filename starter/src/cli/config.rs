//! `starter config`: every knob of the starter with value, origin and default.

use std::ffi::OsString;

use condor_config::Config;

use crate::knobs::{self, Knob, Since};

/// Prints all knobs, or those that are named; any other knob of HTCondor may be named too.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let names = arguments
        .iter()
        .map(|word| match word.to_str() {
            Some(name) if !name.starts_with('-') => Ok(name),
            _ => Err("config takes names of knobs only".to_owned()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let config = match knobs::load(None, false) {
        Ok(config) => config,
        Err(failure) => {
            complain!("cloister: {failure}");
            return Ok(1);
        }
    };
    if names.is_empty() {
        for knob in knobs::all() {
            about(knob);
            show(&config, knob.name, Some(knob));
            say!();
        }
        for file in config.files() {
            say!("# read: {file}");
        }
        return Ok(0);
    }
    let mut missing = 0;
    for name in names {
        let knob = knobs::all().find(|knob| knob.name.eq_ignore_ascii_case(name));
        if let Some(knob) = knob {
            about(knob);
        }
        missing += u8::from(!show(&config, knob.map_or(name, |knob| knob.name), knob));
    }
    Ok(u8::from(missing > 0))
}

/// Its sentence, and whose it is if it isn't HTCondor's in all versions.
fn about(knob: &Knob) {
    let text = knob.text.trim();
    match knob.since {
        Since::Always => say!("# {text}"),
        since => say!("# {text} ({since})"),
    }
}

/// One knob; says whether it has a value.
fn show(config: &Config, name: &str, knob: Option<&Knob>) -> bool {
    let default = knob.map(|knob| knob.default).filter(|default| !default.is_empty());
    if config.is_assigned(name) || default.is_none() {
        let origin = config.origin(name).map(|origin| origin.to_string());
        return match (config.string(name), origin) {
            (Ok(Some(value)), Some(origin)) => {
                say!("{name} = {value}");
                say!("# from {origin}{}", or_default(default));
                true
            }
            (Ok(_), Some(origin)) if config.is_assigned(name) => {
                say!("{name} =");
                say!("# emptied at {origin}{}", or_default(default));
                true
            }
            (Ok(_), _) => {
                say!("# {name} is not set");
                false
            }
            (Err(error), _) => {
                say!("# {name}: {error}");
                false
            }
        };
    }
    say!("{name} = {}", default.unwrap_or_default());
    say!("# the default");
    true
}

fn or_default(default: Option<&str>) -> String {
    default.map(|default| format!("; default {default}")).unwrap_or_default()
}
