//! A job that the configuration describes: KEYWORD_EXECUTABLE, KEYWORD_ARGUMENTS and so on, or the names
//! of the job's attributes after the keyword.

use classad::ClassAd;
use condor_config::Config;

use crate::failure::{Failure, Step};

/// How the text of a knob becomes an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is; an expression if it begins with a double quote.
    Text,
    /// An expression.
    Other,
}

/// Attributes with their second names, as in HTCondor.
const ATTRIBUTES: [(&str, &str, Kind); 15] = [
    ("Cmd", "executable", Kind::Text),
    ("Iwd", "initialdir", Kind::Text),
    ("Owner", "", Kind::Text),
    ("In", "input", Kind::Text),
    ("Out", "output", Kind::Text),
    ("Err", "error", Kind::Text),
    ("Args", "arguments", Kind::Text),
    ("Arguments", "arguments2", Kind::Text),
    ("Env", "environment", Kind::Text),
    ("Environment", "environment2", Kind::Text),
    ("KillSig", "kill_sig", Kind::Other),
    ("StarterUserLog", "log", Kind::Text),
    ("StarterUserLogUseXML", "log_use_xml", Kind::Other),
    ("ClusterId", "cluster", Kind::Other),
    ("ProcId", "proc", Kind::Other),
];
/// What it can't be without.
const NEEDED: [&str; 2] = ["Cmd", "Iwd"];
/// The number of the vanilla universe, the only one there is.
const VANILLA: i64 = 5;

/// The job's ad.
pub(super) fn ad(config: &Config, keyword: &str) -> Result<ClassAd, Failure> {
    tracing::info!("Getting job ClassAd from config file with keyword: \"{keyword}\"");
    let text = |name: &str| -> Result<Option<(String, String)>, Failure> {
        let name = format!("{keyword}_{name}");
        let value = config
            .string(&name)
            .map_err(|error| Failure::host(Step::Configuration, error.to_string()))?;
        Ok(value.filter(|value| !value.is_empty()).map(|value| (name, value)))
    };
    let either = |first: &str, second: &str| match text(first)? {
        None if !second.is_empty() => text(second),
        found => Ok(found),
    };
    let refuse = |why: String| Failure::host(Step::Configuration, why);
    let missing = |first: &str, second: &str| {
        refuse(format!(
            "-job-keyword {keyword}: neither {keyword}_{first} nor {keyword}_{second} is set"
        ))
    };
    let mut ad = ClassAd::new();
    let (name, universe) =
        either("JobUniverse", "universe")?.ok_or_else(|| missing("JobUniverse", "universe"))?;
    if !(universe.eq_ignore_ascii_case("vanilla") || universe == VANILLA.to_string()) {
        return Err(refuse(format!("{name} = {universe}: only vanilla jobs can be run")));
    }
    ad.insert_value("JobUniverse", VANILLA);
    for (attribute, second, kind) in ATTRIBUTES {
        let Some((name, value)) = either(attribute, second)? else {
            if NEEDED.contains(&attribute) {
                return Err(missing(attribute, second));
            }
            continue;
        };
        if kind == Kind::Text && !value.starts_with('"') {
            ad.insert_value(attribute, value);
        } else {
            let expression = classad::Expr::parse(&value)
                .map_err(|error| refuse(format!("{name}: {}", error.message())))?;
            ad.insert(attribute, expression);
        }
    }
    Ok(ad)
}

#[cfg(test)]
mod tests {
    use condor_config::Options;

    use super::*;

    fn read(text: &str) -> Result<ClassAd, String> {
        let config = Config::parse_str("test.conf", text, &Options::default()).unwrap();
        ad(&config, "Mine").map_err(|failure| failure.message)
    }

    const JOB: &str = "MINE_universe = Vanilla\nMINE_executable = /bin/echo\nMINE_Iwd = /tmp\n";

    #[test]
    fn attributes_have_two_names_each() {
        let text = format!(
            "{JOB}mine_Args = a b\nMINE_kill_sig = 15\nMINE_environment2 = \"A=1 B='x y'\"\nOTHER_Out = x\n"
        );
        let ad = read(&text).unwrap();
        assert_eq!(ad.eval_i64("JobUniverse"), Some(5));
        assert_eq!(ad.eval_string("Cmd").as_deref(), Some("/bin/echo"));
        assert_eq!(ad.eval_string("Iwd").as_deref(), Some("/tmp"));
        assert_eq!(ad.eval_string("Args").as_deref(), Some("a b"));
        assert_eq!(ad.eval_string("Environment").as_deref(), Some("A=1 B='x y'"));
        assert_eq!(ad.eval_i64("KillSig"), Some(15));
        assert!(!ad.contains("Out") && !ad.contains("Owner"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert!(read("").unwrap_err().contains("Mine_universe"));
        assert!(read("MINE_universe = 5\n").unwrap_err().contains("Mine_executable"));
        assert!(read("MINE_universe = docker\n").unwrap_err().contains("only vanilla"));
        let wrong = read(&format!("{JOB}MINE_kill_sig = )\n")).unwrap_err();
        assert!(wrong.contains("Mine_kill_sig"), "{wrong}");
    }
}
