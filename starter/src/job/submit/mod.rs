//! A plain submit description as a job: the common commands, without a schedd.
//!
//! The description is a text of HTCondor's configuration language up to its `queue` statement, with
//! functions, `if` and `include`. Commands that only matter in a pool (log, requirements,
//! notification, ...) are accepted and have no effect.

mod commands;

use std::path::{Path, PathBuf};

use classad::{ClassAd, Expr};

use crate::failure::{Context, Failure, Step, hold};
use commands::{Commands, POOL_ONLY};

/// Whether a text is a submit description: it has a `queue` statement.
pub(crate) fn looks_like_one(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let word = line.trim_ascii().split(u8::is_ascii_whitespace).next();
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"queue"))
    })
}

/// Reads a description. `name` is its path, for messages; a relative `initialdir` starts at `here`.
pub(crate) fn read(name: &str, text: &[u8], here: Option<&Path>) -> Result<ClassAd, Failure> {
    let text = std::str::from_utf8(text)
        .map_err(|error| invalid(name, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let commands = Commands::read(name, text)?;
    let here = here.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let here = std::path::absolute(here).at(Step::JobAd, here.display())?;
    Description { name, commands, here }.into_ad()
}

fn invalid(name: &str, message: impl std::fmt::Display) -> Failure {
    not_valid(format!("{name}: {message}"))
}

fn not_valid(message: String) -> Failure {
    Failure::job(Step::JobAd, hold::JOB_NOT_VALID, 0, message)
}

struct Description<'a> {
    name: &'a str,
    commands: Commands,
    here: PathBuf,
}

impl Description<'_> {
    fn into_ad(self) -> Result<ClassAd, Failure> {
        let mut ad = ClassAd::new();
        self.universe(&mut ad)?;
        let iwd = self.here.join(self.take("initialdir", "iwd")?.unwrap_or_default());
        ad.insert_value("Iwd", text_of(&iwd));
        ad.insert_value("ClusterId", 1_i64);
        ad.insert_value("ProcId", 0_i64);

        let bring = self.boolean("transfer_executable")?.unwrap_or(true);
        let program = self.take("executable", "cmd")?;
        let program =
            program.ok_or_else(|| self.invalid("there is no executable = PROGRAM line"))?;
        let cmd = if bring { text_of(&iwd.join(program)) } else { program };
        ad.insert_value("Cmd", cmd);
        ad.insert_value("TransferExecutable", bring);
        self.quoted_or_plain(&mut ad, "arguments", "Arguments", "Args")?;
        self.quoted_or_plain(&mut ad, "environment", "Environment", "Env")?;
        self.getenv(&mut ad)?;

        for (command, attribute) in TEXTS {
            if let Some(value) = self.get(command)? {
                ad.insert_value(*attribute, value);
            }
        }
        for (command, attribute) in EXPRESSIONS {
            if let Some(value) = self.get(command)? {
                self.insert(&mut ad, attribute, &value)?;
            }
        }
        for (command, attribute, unit) in SIZES {
            if let Some(value) = self.get(command)? {
                match size(&value, *unit) {
                    Some(number) => drop(ad.insert_value(*attribute, number)),
                    None => self.insert(&mut ad, attribute, &value)?,
                }
            }
        }
        // Without a shared account the submit directory may be out of the job's reach, so files are
        // moved unless the description says no.
        let transfer = match self.get("should_transfer_files")? {
            Some(word) if !word.eq_ignore_ascii_case("if_needed") => word,
            _ => "YES".to_owned(),
        };
        ad.insert_value("ShouldTransferFiles", transfer);
        if let Some(remaps) = self.get("transfer_output_remaps")? {
            let plain = remaps.trim().trim_start_matches('"').trim_end_matches('"');
            ad.insert_value("TransferOutputRemaps", plain);
        }
        for (attribute, value) in self.commands.attributes()? {
            self.insert(&mut ad, &attribute, &value)?;
        }
        self.warn_of_unknown();
        Ok(ad)
    }

    fn get(&self, command: &str) -> Result<Option<String>, Failure> {
        self.commands.get(command)
    }

    fn take(&self, command: &str, other: &str) -> Result<Option<String>, Failure> {
        Ok(self.get(command)?.or(self.get(other)?))
    }

    fn invalid(&self, message: impl std::fmt::Display) -> Failure {
        invalid(self.name, message)
    }

    fn boolean(&self, command: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.get(command)? else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "t" | "y" | "1" => Ok(Some(true)),
            "false" | "no" | "f" | "n" | "0" => Ok(Some(false)),
            _ => Err(self.invalid(format!("{command} = {value}: true or false is needed"))),
        }
    }

    fn universe(&self, ad: &mut ClassAd) -> Result<(), Failure> {
        let universe = self.get("universe")?.unwrap_or_else(|| "vanilla".to_owned());
        let number = match universe.to_ascii_lowercase().as_str() {
            "vanilla" | "5" => 5_i64,
            "local" | "12" => 12,
            _ => {
                return Err(
                    self.invalid(format!("universe = {universe}: only vanilla jobs run here"))
                );
            }
        };
        ad.insert_value("JobUniverse", number);
        Ok(())
    }

    /// The whole value in double quotes is the new syntax, in which `""` is one double quote.
    fn quoted_or_plain(
        &self,
        ad: &mut ClassAd,
        command: &str,
        quoted: &str,
        plain: &str,
    ) -> Result<(), Failure> {
        let Some(value) = self.get(command)? else { return Ok(()) };
        match value.strip_prefix('"') {
            None => ad.insert_value(plain, value),
            Some(rest) => {
                let inner = rest.strip_suffix('"').ok_or_else(|| {
                    self.invalid(format!(
                        "{command} starts with a double quote and doesn't end with one"
                    ))
                })?;
                ad.insert_value(quoted, inner.replace("\"\"", "\""))
            }
        };
        Ok(())
    }

    /// `getenv = true`, or a list of names: the caller's variables, below those of `environment`.
    fn getenv(&self, ad: &mut ClassAd) -> Result<(), Failure> {
        let Some(wanted) = self.get("getenv")? else { return Ok(()) };
        if wanted.eq_ignore_ascii_case("false") {
            return Ok(());
        }
        let all = wanted.eq_ignore_ascii_case("true");
        let names: Vec<&str> = wanted.split([',', ' ']).map(str::trim).collect();
        let mut merged = super::Variables::default();
        for (name, value) in std::env::vars_os() {
            let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
            if all || names.contains(&name.as_str()) {
                merged.set(name, value);
            }
        }
        merged.extend(&super::environment(ad)?);
        let words: Vec<String> = merged
            .iter()
            .map(|(name, value)| format!("'{name}={}'", value.replace('\'', "''")))
            .collect();
        ad.remove("Env");
        ad.insert_value("Environment", words.join(" "));
        Ok(())
    }

    fn insert(&self, ad: &mut ClassAd, attribute: &str, value: &str) -> Result<(), Failure> {
        let expr = Expr::parse_old(value)
            .map_err(|error| self.invalid(format!("{attribute} = {value}: {}", error.message())))?;
        ad.insert(attribute, expr);
        Ok(())
    }

    /// A misspelt command must not be lost silently.
    fn warn_of_unknown(&self) {
        for (command, place) in self.commands.names() {
            let lower = command.to_ascii_lowercase();
            let known = KNOWN.contains(&lower.as_str())
                || POOL_ONLY.contains(&lower.as_str())
                || TEXTS.iter().chain(EXPRESSIONS).any(|(known, _)| *known == lower)
                || SIZES.iter().any(|(known, ..)| *known == lower)
                || self.commands.is_used(&lower);
            if known {
                continue;
            }
            let hint = if lower == "requestedchroot" {
                "; to ask for a named root write +RequestedChroot = \"NAME\""
            } else {
                ""
            };
            complain!("cloister: {place}: {command} is no submit command and has no effect{hint}");
        }
    }
}

/// Commands that `into_ad` handles one by one.
const KNOWN: &[&str] = &[
    "universe",
    "initialdir",
    "iwd",
    "executable",
    "cmd",
    "transfer_executable",
    "arguments",
    "environment",
    "getenv",
    "should_transfer_files",
    "transfer_output_remaps",
];

/// Command and the attribute that takes its text.
const TEXTS: &[(&str, &str)] = &[
    ("input", "In"),
    ("output", "Out"),
    ("error", "Err"),
    ("transfer_input_files", "TransferInput"),
    ("transfer_output_files", "TransferOutput"),
];

/// Command and the attribute that takes its expression.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("request_cpus", "RequestCpus"),
    ("request_gpus", "RequestGPUs"),
    ("coresize", "CoreSize"),
    ("run_as_owner", "RunAsOwner"),
];

/// Command, attribute, and the unit in bytes that a plain number has.
const SIZES: &[(&str, &str, i64)] =
    &[("request_memory", "RequestMemory", 1 << 20), ("request_disk", "RequestDisk", 1 << 10)];

/// A number with an optional unit (K, KB, M, MB, G, GB, T, TB), in the attribute's unit, rounded up.
fn size(text: &str, unit: i64) -> Option<i64> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let bytes: i64 = match suffix.trim().trim_end_matches('B') {
        "" => return Some(number),
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    let total = number.checked_mul(bytes)?;
    Some(total / unit + i64::from(total % unit != 0))
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad(text: &str) -> ClassAd {
        read("x.sub", text.as_bytes(), Some(Path::new("/home/me"))).unwrap()
    }

    #[test]
    fn the_common_commands_become_attributes() {
        let ad = ad(
            "executable = job.sh\narguments = \"a 'b c' \"\"q\"\"\"\noutput = out.$(Cluster)\n\
             request_memory = 2GB\n+RequestedChroot = \"EL9\"\ntransfer_input_files = a, b\nqueue\n",
        );
        assert_eq!(ad.eval_string("Cmd").as_deref(), Some("/home/me/job.sh"));
        assert_eq!(ad.eval_string("Arguments").as_deref(), Some("a 'b c' \"q\""));
        assert_eq!(ad.eval_string("Out").as_deref(), Some("out.1"));
        assert_eq!(ad.eval_i64("RequestMemory"), Some(2048));
        assert_eq!(ad.eval_string("RequestedChroot").as_deref(), Some("EL9"));
        assert_eq!(ad.eval_string("TransferInput").as_deref(), Some("a, b"));
        assert_eq!(ad.eval_string("ShouldTransferFiles").as_deref(), Some("YES"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| read("x.sub", text.as_bytes(), None).unwrap_err().message;
        assert!(error("queue\n").contains("no executable"));
        assert!(error("executable = a\nuniverse = docker\nqueue\n").contains("universe = docker"));
        assert!(error("executable = a\narguments = \"x\nqueue\n").contains("double quote"));
        assert!(error("executable = a\n+X = (1\nqueue\n").contains("X = (1"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("2GB", 1 << 20), Some(2048));
        assert_eq!(size("1K", 1 << 20), Some(1));
        assert_eq!(size("100", 1 << 20), Some(100));
        assert_eq!(size("Memory * 2", 1 << 20), None);
    }

    #[test]
    fn a_description_is_told_from_an_ad() {
        assert!(looks_like_one(b"executable=x\n  Queue 3\n"));
        assert!(!looks_like_one(b"Cmd = \"queue\"\nQueueDate = 1\n"));
    }
}
