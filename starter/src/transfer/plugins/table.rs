//! Which plugin is for which scheme.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::capability::{Capability, Protocol};
use super::run::{End, Ran, Start};
use super::settings::{OwnPlugin, OwnPlugins, Settings};

/// A plugin that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plugin {
    /// Its program, absolute.
    pub(super) path: PathBuf,
    /// How it is called.
    pub(super) protocol: Protocol,
    /// The job brought it.
    pub(super) own: bool,
    /// It may not be called, by the admin's word.
    pub(super) refused: bool,
    /// What variables of the job that are meant for it begin with.
    pub(super) prefix: String,
}

/// All plugins, in the order of the configuration; those of the job last.
#[derive(Debug, Default)]
pub(super) struct Table {
    plugins: Vec<Plugin>,
    by_scheme: BTreeMap<String, usize>,
}

impl Plugin {
    /// One of the machine.
    pub(super) fn new(path: PathBuf, protocol: Protocol, schemes: &[String]) -> Self {
        let pelican = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("pelican"));
        let prefix = if pelican { "PELICAN".to_owned() } else { prefix(&path) };
        Self { path, protocol, own: false, refused: false, prefix }
    }

    /// The last part of its path.
    pub(super) fn base_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// `DEBUG` of `/x/debug_plugin.py`.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = name.find("_plugin").or_else(|| name.rfind('.')).unwrap_or(name.len());
    name.get(..end).unwrap_or_default().to_ascii_uppercase()
}

/// Variables of the job that are meant for a plugin: those whose names begin with its own.
pub(super) fn variables_for(prefix: &str, all: &[(String, String)]) -> Vec<(String, String)> {
    let meant = |name: &str| {
        let head = name.get(..prefix.len()).unwrap_or_default();
        !prefix.is_empty()
            && head.eq_ignore_ascii_case(prefix)
            && name.get(prefix.len()..).is_some_and(|rest| rest.starts_with('_'))
    };
    all.iter().filter(|(name, _)| meant(name)).cloned().collect()
}

/// How the machine's plugins are asked what they are for.
pub(super) fn questions(settings: &Settings) -> Vec<Start> {
    let question = |path: &PathBuf| Start {
        program: path.clone(),
        arguments: vec!["-classad".to_owned()],
        variables: variables_for(&prefix(path), &settings.environment),
        hears_errors: true,
    };
    settings.system.iter().map(question).collect()
}

impl Table {
    /// From what the machine's plugins have answered, and from what the job says of its own. Plugins
    /// without an answer are left out; which those are is said.
    pub(super) fn new(settings: &Settings, answers: &[Ran], sandbox: &Path) -> (Self, Vec<String>) {
        let mut table = Self::default();
        let mut complaints = Vec::new();
        for (path, ran) in settings.system.iter().zip(answers) {
            let Some(capability) = answer(ran) else {
                complaints.push(silence(path, ran));
                continue;
            };
            if capability.protocol == Protocol::Single || settings.multiple {
                let plugin = Plugin::new(path.clone(), capability.protocol, &capability.schemes);
                table.insert(plugin, &capability.schemes);
            }
        }
        for OwnPlugin { schemes, name } in &settings.own {
            if settings.own_plugins != OwnPlugins::Ignored {
                let plugin = Plugin::new(sandbox.join(name), Protocol::Multiple(2), schemes);
                let refused = settings.own_plugins == OwnPlugins::Refused;
                table.insert(Plugin { own: true, refused, ..plugin }, schemes);
            }
        }
        (table, complaints)
    }

    /// A later plugin takes schemes over from earlier ones.
    fn insert(&mut self, plugin: Plugin, schemes: &[String]) {
        let index = self.plugins.len();
        for scheme in schemes {
            self.by_scheme.insert(scheme.to_ascii_lowercase(), index);
        }
        self.plugins.push(plugin);
    }

    /// The number of the plugin for a scheme.
    pub(super) fn find(&self, scheme: &str) -> Option<usize> {
        self.by_scheme.get(scheme).copied()
    }

    /// The plugin of a number.
    pub(super) fn get(&self, index: usize) -> Option<&Plugin> {
        self.plugins.get(index)
    }
}

/// What a plugin has answered; one that had to be killed hasn't.
pub(super) fn answer(ran: &Ran) -> Option<Capability> {
    if ran.end == End::TimedOut { None } else { Capability::parse(&ran.said) }
}

/// Why a plugin can't be used, for the log.
pub(super) fn silence(path: &Path, ran: &Ran) -> String {
    let path = path.display();
    match ran.end {
        End::NotExecuted(errno) => {
            let reason = nix::errno::Errno::from_raw(errno).desc();
            format!("FILETRANSFER: Failed to execute {path} -classad: {reason} skipping")
        }
        End::TimedOut => {
            format!(
                "FILETRANSFER: No output from {path} -classad after {} s, ignoring",
                ran.seconds
            )
        }
        _ if ran.said.is_empty() => {
            format!("FILETRANSFER: No output from {path} -classad, ignoring")
        }
        _ => format!("FILETRANSFER: {path} -classad did not produce a valid classad, ignoring"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(end: End, said: &str) -> Ran {
        Ran { end, said: said.into(), bytes: 0, seconds: 3, results: None }
    }

    #[test]
    fn later_plugins_take_over() {
        let settings = Settings {
            multiple: true,
            system: vec!["/a".into(), "/b".into(), "/hung".into(), "/none".into(), "/bad".into()],
            own: vec![OwnPlugin { schemes: vec!["own".into(), "c".into()], name: "p.py".into() }],
            ..Settings::default()
        };
        let answers = [
            ran(End::Exited(0), "SupportedMethods = \"a,b\"\n"),
            ran(End::Exited(0), "SupportedMethods = \"B,c\"\nMultipleFileSupport = true\n"),
            ran(End::TimedOut, "SupportedMethods = \"a\"\n"),
            ran(End::NotExecuted(2), ""),
            ran(End::Exited(1), "Traceback\n"),
        ];
        let (table, complaints) = Table::new(&settings, &answers, Path::new("/s"));
        let path = |scheme: &str| {
            table.find(scheme).and_then(|index| table.get(index)).map(|plugin| plugin.path.clone())
        };
        assert_eq!(path("a"), Some("/a".into()));
        assert_eq!(path("b"), Some("/b".into()));
        assert_eq!(path("c"), Some("/s/p.py".into()));
        assert_eq!(path("d"), None);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints[1].contains("/none -classad: No such file"), "{complaints:?}");

        let single = Settings { multiple: false, own_plugins: OwnPlugins::Ignored, ..settings };
        let (table, _) = Table::new(&single, &answers, Path::new("/s"));
        assert!(table.find("c").is_none() && table.find("own").is_none());
        assert_eq!(table.find("b"), Some(0));
    }

    #[test]
    fn variables_are_for_the_plugin_of_that_name() {
        assert_eq!(prefix(Path::new("/x/debug_plugin.py")), "DEBUG");
        assert_eq!(prefix(Path::new("/x/stash.v2.sh")), "STASH.V2");
        let all: Vec<_> = ["DEBUG_A", "debug_b", "DEBUGGER", "A_DEBUG_", "DEBUG"]
            .map(|name| (name.to_owned(), String::new()))
            .into();
        let names: Vec<_> =
            variables_for("DEBUG", &all).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["DEBUG_A", "debug_b"]);
        assert!(variables_for("", &all).is_empty());
    }
}
