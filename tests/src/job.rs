//! A job ad under construction.

use std::path::Path;

use classad::ClassAd;
pub use classad::Value;

/// A job of the account alice, unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Job {
    ad: ClassAd,
    arguments: Vec<String>,
    /// Whether the job's standard input is the one that [`crate::Running`] holds.
    pub(crate) fed: bool,
}

impl Job {
    /// A job that runs a program.
    pub fn program(path: impl AsRef<Path>) -> Self {
        let mut ad = ClassAd::new();
        ad.insert_value("ClusterId", 7_i64);
        ad.insert_value("ProcId", 0_i64);
        ad.insert_value("JobUniverse", 5_i64);
        ad.insert_value("Owner", "alice");
        ad.insert_value("Iwd", "/");
        ad.insert_value("Cmd", path.as_ref().to_str().unwrap());
        Self { ad, arguments: Vec::new(), fed: false }
    }

    /// A job that runs a shell script.
    pub fn sh(script: &str) -> Self {
        Self::program("/bin/sh").arg("-c").arg(script)
    }

    /// A job that prints `ready SANDBOX` after the script and waits until its input is closed.
    pub fn waiting(script: &str) -> Self {
        let end = "echo ready $_CONDOR_SCRATCH_DIR; read line; echo done";
        let all = if script.is_empty() { end.to_owned() } else { format!("{script}; {end}") };
        Self::sh(&all).fed()
    }

    /// Adds an argument, in V2 syntax.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        let quoted = |word: &String| format!("'{}'", word.replace('\'', "''"));
        let all = self.arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
        self.set("Arguments", all)
    }

    /// Sets an attribute to a value.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.ad.insert_value(name, value);
        self
    }

    /// Takes an attribute away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.ad.remove(name);
        self
    }

    /// Gives the job the standard input that [`crate::Running`] holds open.
    #[must_use]
    pub fn fed(mut self) -> Self {
        self.fed = true;
        self
    }

    /// Whether a root is named in it.
    pub(crate) fn asks_for_a_root(&self) -> bool {
        self.ad.contains("RequestedChroot")
    }

    /// The ad in the form that HTCondor's own files have, or in the new one if it has a value that the
    /// old form, with its one line for an attribute, can't hold.
    pub fn text(&self) -> Vec<u8> {
        let old = self.ad.to_old_bytes();
        match ClassAd::parse_old(&old) {
            Ok(ad) if ad.to_new_string() == self.ad.to_new_string() => old,
            _ => self.ad.to_new_string().into_bytes(),
        }
    }
}
