//! What the configuration and the job say of plugins.

use std::path::{Path, PathBuf};

use classad::{ClassAd, Expr, Value};
use serde::{Deserialize, Serialize};

use super::url::is_url;
use crate::failure::Failure;
use crate::knobs::{Knobs, PluginKnobs};

/// Whether a job may bring plugins of its own (STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum OwnPlugins {
    /// It may.
    #[default]
    Allowed,
    /// A job that uses one fails.
    Refused,
    /// They are left alone: the machine's do what they can.
    Ignored,
}

/// A plugin that a job brings along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnPlugin {
    /// For URLs of these.
    pub(super) schemes: Vec<String>,
    /// Its name in the sandbox.
    pub(super) name: String,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// ENABLE_URL_TRANSFERS.
    pub(super) enabled: bool,
    /// ENABLE_MULTIFILE_TRANSFER_PLUGINS.
    pub(super) multiple: bool,
    /// FILETRANSFER_PLUGINS.
    pub(super) system: Vec<PathBuf>,
    /// Those of the job.
    pub(super) own: Vec<OwnPlugin>,
    /// Whether it may have them.
    pub(super) own_plugins: OwnPlugins,
    /// Seconds that a plugin may take to say what it is for.
    pub(super) patience: u64,
    /// Seconds that a call may take.
    pub(super) lifetime: u64,
    /// Whether what a plugin says to standard error is heard, too.
    pub(super) hears_errors: bool,
    /// SIGN_S3_URLS.
    pub(super) signs: bool,
    /// LOG_FILETRANSFER_PLUGIN_STDOUT_ON_SUCCESS and _ON_FAILURE are set.
    pub(super) logs: [bool; 2],
    /// Variables of the job: plugins get those that begin with their name.
    pub(super) environment: Vec<(String, String)>,
    /// `PluginData` and `<scheme>_PluginData` of the job ad, as text.
    pub(super) data: Vec<(String, String)>,
    /// The job's proxy: its name in the sandbox.
    pub(super) proxy: Option<String>,
    /// `_CONDOR_CREDS`.
    pub(super) credentials: Option<String>,
    /// FILE_TRANSFER_STATS_LOG.
    pub(super) record: Option<PathBuf>,
    /// Whether the shadow is of 24.10 or later.
    pub(super) modern: bool,
}

impl Settings {
    /// Those of a job; `None` if it has nothing to do with URLs. `variables` are those of the job;
    /// `modern`: whether the shadow knows the subcodes and the ads of 25.
    pub(crate) fn of(
        knobs: &Knobs,
        job: &ClassAd,
        machine: &ClassAd,
        variables: impl FnOnce() -> Vec<(String, String)>,
        modern: bool,
    ) -> Result<Option<Self>, Failure> {
        let own = job.eval_string("TransferPlugins").unwrap_or_default();
        if own.is_empty() && !names_urls(job) {
            return Ok(None);
        }
        let knobs = &knobs.plugins()?;
        let variables = variables();
        let data = job
            .iter()
            .filter(|(name, _)| is_plugin_data(&name.to_string()))
            .map(|(name, expr)| (name.to_string(), text_of(expr)))
            .collect();
        let credentials = variables.iter().find(|(name, _)| name == "_CONDOR_CREDS");
        let proxy = job.eval_string("x509userproxy").unwrap_or_default();
        Ok(Some(Self {
            own: own_plugins(&own),
            own_plugins: disabled(knobs, job, machine),
            credentials: credentials.map(|(_, value)| value.clone()),
            environment: variables,
            data,
            proxy: base_name(&proxy).map(str::to_owned),
            modern,
            ..Self::of_machine(knobs)
        }))
    }

    /// Those of the machine alone.
    pub(super) fn of_machine(knobs: &PluginKnobs) -> Self {
        let seconds = |value: i64| u64::try_from(value).unwrap_or(1).max(1);
        let logged = |level: &Option<String>| level.as_ref().is_some_and(|level| !level.is_empty());
        Self {
            enabled: knobs.enable_url_transfers,
            multiple: knobs.enable_multifile_transfer_plugins,
            system: system_plugins(knobs),
            patience: seconds(knobs.filetransfer_plugin_classad_timeout),
            lifetime: seconds(knobs.max_file_transfer_plugin_lifetime),
            hears_errors: knobs.redirect_filetransfer_plugin_stderr_to_stdout,
            signs: knobs.sign_s3_urls,
            record: knobs.file_transfer_stats_log.clone(),
            logs: [
                logged(&knobs.log_filetransfer_plugin_stdout_on_success),
                logged(&knobs.log_filetransfer_plugin_stdout_on_failure),
            ],
            ..Self::default()
        }
    }

    /// Whether the job has plugins that are to be run.
    pub(crate) fn has_own(&self) -> bool {
        self.enabled && self.own_plugins == OwnPlugins::Allowed && !self.own.is_empty()
    }

    /// Where what plugins have moved is written down.
    pub(crate) fn record(&self) -> Option<&Path> {
        self.record.as_deref()
    }

    /// Whether anything is to be run at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }
}

/// FILETRANSFER_PLUGINS: absolute paths.
fn system_plugins(knobs: &PluginKnobs) -> Vec<PathBuf> {
    let text = knobs.filetransfer_plugins.as_deref().unwrap_or_default();
    let mut paths: Vec<PathBuf> = Vec::new();
    for word in text.split([',', ' ', '\t', '\n']).filter(|word| word.starts_with('/')) {
        if !paths.iter().any(|path| path.as_os_str() == word) {
            paths.push(word.into());
        }
    }
    paths
}

/// Whether any file of the job comes from or goes to a URL: attributes that list some, of whatever
/// release.
fn names_urls(job: &ClassAd) -> bool {
    const LISTS: [&str; 6] = [
        "TransferInput",
        "TransferOutputRemaps",
        "OutputDestination",
        "CheckpointDestination",
        "PublicInputFiles",
        "TransferInputRemaps",
    ];
    let has_url = |text: String| text.contains("://");
    LISTS.iter().any(|name| job.eval_string(name).is_some_and(has_url))
        || ["Out", "Err"].iter().any(|name| job.eval_string(name).is_some_and(|out| is_url(&out)))
        // Lists of URLs that are limited by a queue of the schedd.
        || job.contains("TransferQueueInputList")
}

fn is_plugin_data(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "plugindata" || name.ends_with("_plugindata")
}

fn text_of(expr: &Expr) -> String {
    String::from_utf8_lossy(&expr.to_new_bytes()).into_owned()
}

/// `scheme,scheme=path;...`. Files arrive under the last part of their path.
fn own_plugins(list: &str) -> Vec<OwnPlugin> {
    let one = |entry: &str| {
        let (schemes, path) = entry.split_once('=')?;
        let words = schemes.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let schemes = words.map(str::to_ascii_lowercase).collect();
        Some(OwnPlugin { schemes, name: base_name(path.trim())?.to_owned() })
    };
    list.split(';').filter_map(one).collect()
}

fn base_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

/// The knob is an expression over slot (MY) and job (TARGET), true or a number: 2 means ignored.
fn disabled(knobs: &PluginKnobs, job: &ClassAd, machine: &ClassAd) -> OwnPlugins {
    let text = knobs.starter_disable_user_supplied_transfer_plugins.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return OwnPlugins::Allowed;
    }
    let value = match Expr::parse_old(text) {
        Ok(expr) => expr.eval_in_match(machine, job),
        Err(_) => Value::from(true),
    };
    match (value.as_bool(), value.as_i64()) {
        (_, Some(2)) => OwnPlugins::Ignored,
        (_, Some(..=0)) | (Some(false), _) => OwnPlugins::Allowed,
        // What the admin has written to refuse something, and means nothing, refuses.
        _ => OwnPlugins::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(knobs: &str, job: &str) -> Option<Settings> {
        let job = ClassAd::parse_old(job).unwrap();
        Settings::of(&Knobs::from_text(knobs), &job, &ClassAd::new(), Vec::new, true).unwrap()
    }

    #[test]
    fn jobs_without_urls_have_none() {
        for job in
            ["", "TransferInput = \"a,b/c\"\n", "TransferOutputRemaps = \"a=/b\"\nOut = \"x\"\n"]
        {
            assert!(settings("", job).is_none(), "{job}");
        }
        for job in [
            "TransferInput = \"a,http://b/c\"\n",
            "TransferOutputRemaps = \"a=x://b\"\n",
            "OutputDestination = \"x://b\"\n",
            "Out = \"x://b\"\n",
            "TransferPlugins = \"x=/a/b\"\n",
        ] {
            assert!(settings("", job).is_some(), "{job}");
        }
    }

    #[test]
    fn a_jobs_own_plugins_are_those_in_the_sandbox() {
        let found = settings("", "TransferPlugins = \"a, B = /x/p.py ;c=q; d ;e=..\"\n").unwrap();
        let own: Vec<_> = found.own.iter().map(|own| (own.schemes.join(","), &*own.name)).collect();
        assert_eq!(own, [("a,b".to_owned(), "p.py"), ("c".to_owned(), "q")]);
        assert!(found.has_own());
    }

    #[test]
    fn an_admin_may_refuse_a_jobs_plugins() {
        let job = "TransferPlugins = \"a=p\"\nOwner = \"bob\"\n";
        for (text, expected) in [
            ("", OwnPlugins::Allowed),
            ("False", OwnPlugins::Allowed),
            ("0", OwnPlugins::Allowed),
            ("True", OwnPlugins::Refused),
            ("TARGET.Owner == \"bob\"", OwnPlugins::Refused),
            ("2", OwnPlugins::Ignored),
            ("nonsense ((", OwnPlugins::Refused),
        ] {
            let text = format!("STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS = {text}\n");
            assert_eq!(settings(&text, job).unwrap().own_plugins, expected, "{text}");
        }
        assert!(!settings("ENABLE_URL_TRANSFERS = False\n", job).unwrap().has_own());
    }

    #[test]
    fn the_machines_plugins_are_absolute_paths() {
        let knobs = Knobs::from_text("FILETRANSFER_PLUGINS = /a/b, c /d\t/a/b\n");
        assert_eq!(system_plugins(&knobs.plugins().unwrap()), [PathBuf::from("/a/b"), "/d".into()]);
    }
}
