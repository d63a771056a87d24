//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::Result;
use crate::case::Place;
use crate::drive::Drive;
use crate::pool::{Starter, Wanted};

/// The help text.
pub(crate) const USAGE: &str = "\
compliance run [OPTION]... [CASE]...   run the cases in real pools
    --suite trixie|sid       HTCondor 23.9.6 or 25.14.1; may be repeated (both)
    --as root|user           who runs the daemons; may be repeated (both)
    --starter stock|PATH     which starter runs the jobs ($STARTER, else stock)
    --compare                run stock and then the starter, and compare
    --fast                   only the cases that are marked as fast
    --no-shared-port         without the shared port daemon
    --limit SECONDS          how long a case may take, with all others at its side (150)
    --config FILE            more configuration of the pool; may be repeated
    --out DIR                where results go (target/compliance)
compliance compare DIR DIR             compare the results of two runs in one place
compliance list [SUITE [root|user]]    the names of all cases";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List(Place),
    /// Inside a pool.
    Drive(Drive),
    Compare(PathBuf, PathBuf),
    Run {
        wanted: Wanted,
        places: Vec<Place>,
        starters: Vec<Starter>,
    },
}

/// Reads the command line.
///
/// # Errors
///
/// If it isn't one of the usage.
pub(crate) fn parse() -> Result<Command> {
    let mut parser = lexopt::Parser::from_env();
    let Some(Value(word)) = parser.next()? else { return Ok(Command::Help) };
    match word.string()?.as_str() {
        "run" => run(parser),
        "compare" => {
            let values = values(&mut parser)?;
            let [first, second] = &values[..] else {
                return Err("compare takes two directories".into());
            };
            Ok(Command::Compare(first.into(), second.into()))
        }
        "list" => {
            let values = values(&mut parser)?;
            let word =
                |n: usize, default: &str| values.get(n).map_or(default, String::as_str).to_owned();
            Ok(Command::List(Place { suite: word(0, "sid"), flavour: word(1, "root") }))
        }
        "drive" => match &values(&mut parser)?[..] {
            [suite, out, name, flavour, limit, names @ ..] => Ok(Command::Drive(Drive {
                suite: suite.into(),
                out: out.into(),
                place: Place { suite: name.clone(), flavour: flavour.clone() },
                limit: Duration::from_secs(limit.parse()?),
                names: names.to_vec(),
            })),
            _ => Err("drive is for the pool".into()),
        },
        other => Err(format!("unknown command {other}\n{USAGE}").into()),
    }
}

fn values(parser: &mut lexopt::Parser) -> Result<Vec<String>> {
    let mut values = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) => values.push(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(values)
}

fn run(mut parser: lexopt::Parser) -> Result<Command> {
    let mut suites: Vec<String> = Vec::new();
    let mut flavours: Vec<String> = Vec::new();
    let mut starter = std::env::var("STARTER").unwrap_or_default();
    let mut both = false;
    let mut wanted = Wanted {
        fast: false,
        names: Vec::new(),
        no_shared_port: false,
        limit: 150,
        config: Vec::new(),
        out: std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| "target".into(), PathBuf::from)
            .join("compliance"),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("suite") => suites.push(one_of(&parser.value()?.string()?, ["trixie", "sid"])?),
            Long("as") => flavours.push(one_of(&parser.value()?.string()?, ["root", "user"])?),
            Long("starter") => starter = parser.value()?.string()?,
            Long("compare") => both = true,
            Long("fast") => wanted.fast = true,
            Long("no-shared-port") => wanted.no_shared_port = true,
            Long("limit") => wanted.limit = parser.value()?.parse()?,
            Long("config") => wanted.config.push(parser.value()?.into()),
            Long("out") => wanted.out = parser.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(name) => wanted.names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let starter = match starter.as_str() {
        "" | "stock" => Starter::Stock,
        path => Starter::Ours(std::fs::canonicalize(path).map_err(|e| format!("{path}: {e}"))?),
    };
    let starters = match (both, starter) {
        (true, Starter::Stock) => return Err("--compare needs a starter: --starter PATH".into()),
        (true, ours) => vec![Starter::Stock, ours],
        (false, starter) => vec![starter],
    };
    let or_all = |words: Vec<String>, all: [&str; 2]| {
        if words.is_empty() { all.map(str::to_owned).to_vec() } else { words }
    };
    let flavours = or_all(flavours, ["root", "user"]);
    let mut places = Vec::new();
    for suite in or_all(suites, ["trixie", "sid"]) {
        for flavour in &flavours {
            places.push(Place { suite: suite.clone(), flavour: flavour.clone() });
        }
    }
    Ok(Command::Run { wanted, places, starters })
}

fn one_of(word: &str, words: [&str; 2]) -> Result<String> {
    if words.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(format!("{word} is neither {} nor {}", words[0], words[1]).into())
    }
}
