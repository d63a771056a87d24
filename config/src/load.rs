//! The load sequence: which sources are read, and in which order.

use std::path::Path;

use crate::error::{Error, ErrorKind, Warning};
use crate::exclude::Exclude;
use crate::execute::Stop;
use crate::facts::{Fact, Naming};
use crate::macros::{Macros, Place, SourceId};
use crate::options::Options;
use crate::read::{self, Ads};
use crate::root::{Root, find_root};
use crate::text::{is_space_char, list, strip_prefix_nocase, trim_start};
use crate::{condition, io, template};

/// Files that `LOCAL_CONFIG_FILE` may name. One whose value changes with every file that is read
/// would never be through otherwise.
const MAX_LOCAL_FILES: usize = 1_000;

/// A configuration that is being read.
pub(crate) struct Loader {
    pub(crate) macros: Macros,
    pub(crate) files: Vec<String>,
    pub(crate) warnings: Vec<Warning>,
    /// What HTCondor would have printed about a fault so far.
    pub(crate) told: Vec<String>,
    /// Is there to be no source but the environment?
    only_env: bool,
    /// Is it a submit description, in which some lines mean something else?
    pub(crate) description: bool,
}

impl Loader {
    pub(crate) fn new(options: &Options) -> Result<Loader, Error> {
        let mut macros = Macros::new(options);
        macros.insert_facts(false)?;
        let mut loader = Loader {
            macros,
            files: Vec::new(),
            warnings: Vec::new(),
            told: Vec::new(),
            only_env: false,
            description: false,
        };
        loader.insert_names()?;
        Ok(loader)
    }

    /// With nothing defined yet.
    pub(crate) fn for_description(options: &Options) -> Loader {
        Loader {
            macros: Macros::without_defaults(options),
            files: Vec::new(),
            warnings: Vec::new(),
            told: Vec::new(),
            only_env: true,
            description: true,
        }
    }

    /// Reads everything, from the root file to persistent settings.
    pub(crate) fn load(&mut self, options: &Options) -> Result<(), Error> {
        match find_root(options, &self.macros)? {
            Root::File(file) if file != "/dev/null" => {
                self.insert_root(&file)?;
                let required = options.need_root;
                self.read_source(&file, 0, "global config source", required)?;
            }
            Root::File(_) => {}
            Root::OnlyEnvironment => self.only_env = true,
            Root::Nothing if options.need_root => {
                let what = "there is no condor_config: neither does CONDOR_CONFIG name one, nor is \
                            there one in /etc/condor, /usr/local/etc or ~condor";
                let error = Error::new(ErrorKind::Source, what, "Set CONDOR_CONFIG");
                let told = "Condor error: can't find config source.".to_owned();
                return Err(error.told(vec![told]));
            }
            Root::Nothing => {}
        }
        self.load_rest(options)
    }

    /// Reads a text in place of the root file.
    pub(crate) fn load_text(
        &mut self,
        name: &str,
        text: &str,
        options: &Options,
    ) -> Result<(), Error> {
        self.insert_root(name)?;
        self.run_source(name, text, 0, "global config source")?;
        self.load_rest(options)
    }

    fn load_rest(&mut self, options: &Options) -> Result<(), Error> {
        self.set_naming()?;
        self.macros.insert_fact(Fact::Hostname, "HOSTNAME")?;
        self.macros.insert_fact(Fact::FullHostname, "FULL_HOSTNAME")?;
        self.macros.insert_fact(Fact::Tilde, "TILDE")?;

        let directories = self.param("LOCAL_CONFIG_DIR")?;
        self.read_directories(directories.as_deref())?;
        self.read_local_files()?;
        let changed = self.param("LOCAL_CONFIG_DIR")?;
        if changed != directories {
            self.read_directories(changed.as_deref())?;
        }
        let can_switch_ids = options.can_switch_ids.unwrap_or_else(io::is_root);
        if !can_switch_ids && !self.only_env {
            self.read_user_file()?;
        }
        self.read_environment()?;
        self.insert_fixed()?;
        self.read_persistent(can_switch_ids)?;
        self.insert_fixed()?;
        self.insert_domains()?;
        self.run_auto_use();
        Ok(())
    }

    /// The directory of the root file, which other knobs often start from.
    fn insert_root(&mut self, file: &str) -> Result<(), Error> {
        let directory = match file.rfind(['/', '\\']) {
            None => ".",
            Some(0) => &file[..1],
            Some(at) => &file[..at],
        };
        self.macros.insert("CONFIG_ROOT", directory, Place::of(SourceId::DETECTED))
    }

    /// Who reads this.
    fn insert_names(&mut self) -> Result<(), Error> {
        let subsystem = self.macros.subsystem.clone();
        let local = self.macros.local.clone().unwrap_or_else(|| subsystem.clone());
        let place = Place::of(SourceId::DETECTED);
        self.macros.insert("SUBSYSTEM", &subsystem, place)?;
        self.macros.insert("LOCALNAME", &local, place)
    }

    /// What no configuration can change.
    fn insert_fixed(&mut self) -> Result<(), Error> {
        if self.macros.is_set("COUNT_HYPERTHREAD_CPUS") {
            self.macros.facts.count_threads = self.boolean("COUNT_HYPERTHREAD_CPUS", true)?;
        }
        self.set_naming()?;
        self.macros.insert_facts(true)?;
        self.insert_names()
    }

    /// What the configuration says so far about the host's name.
    fn set_naming(&mut self) -> Result<(), Error> {
        let naming = Naming {
            name: self.param("NETWORK_HOSTNAME")?,
            ask_nobody: self.macros.is_set("NO_DNS") && self.boolean("NO_DNS", false)?,
            domain: self.param("DEFAULT_DOMAIN_NAME")?,
        };
        self.macros.facts.set_naming(naming);
        Ok(())
    }

    /// Domains that are set to nothing are the host's.
    fn insert_domains(&mut self) -> Result<(), Error> {
        for name in ["FILESYSTEM_DOMAIN", "UID_DOMAIN"] {
            // The default already says so; asking for it would look the host's name up.
            if self.macros.is_set(name) && self.param(name)?.is_none() {
                self.macros.set_fact(Fact::FullHostname, name);
            }
        }
        Ok(())
    }

    fn read_directories(&mut self, directories: Option<&str>) -> Result<(), Error> {
        let Some(directories) = directories.filter(|_| !self.only_env) else { return Ok(()) };
        let required = self.boolean_crufty("REQUIRE_LOCAL_CONFIG_FILE", true)?;
        for directory in list(directories) {
            let pattern = self.param("LOCAL_CONFIG_DIR_EXCLUDE_REGEXP")?;
            let exclude = Exclude::new(pattern.as_deref())?;
            for file in io::files_in(directory, |name| !exclude.matches(name)) {
                self.read_source(&file, 1, "config source", required)?;
            }
        }
        Ok(())
    }

    fn read_local_files(&mut self) -> Result<(), Error> {
        let required = self.boolean_crufty("REQUIRE_LOCAL_CONFIG_FILE", true)?;
        let Some(mut value) = self.param("LOCAL_CONFIG_FILE")? else { return Ok(()) };
        let sources = |value: &str| -> Vec<String> {
            if value.contains('|') {
                vec![value.to_owned()]
            } else {
                list(value).map(str::to_owned).collect()
            }
        };
        let mut waiting: std::collections::VecDeque<String> = sources(&value).into();
        let mut done: Vec<String> = Vec::new();
        while let Some(source) = waiting.pop_front() {
            if done.len() >= MAX_LOCAL_FILES {
                let what = format!("LOCAL_CONFIG_FILE names more than {MAX_LOCAL_FILES} files");
                return Err(Error::new(ErrorKind::Limit, what, "Name fewer files"));
            }
            self.read_source(&source, 1, "config source", required)?;
            done.push(source);
            // A file may name others that are to be read in place of those not read yet.
            if let Some(new) = self.param("LOCAL_CONFIG_FILE")?
                && new != value
            {
                waiting = sources(&new).into();
                waiting.retain(|source| !done.contains(source));
                value = new;
            }
        }
        Ok(())
    }

    fn read_user_file(&mut self) -> Result<(), Error> {
        let Some(name) = self.param("USER_CONFIG_FILE")? else { return Ok(()) };
        let file = if name.starts_with('/') {
            name
        } else {
            let Some(home) = io::own_home() else { return Ok(()) };
            format!("{}/.condor/{name}", home.display())
        };
        if io::can_open(Path::new(&file)) {
            self.read_source(&file, 1, "user_config source", false)?;
        }
        Ok(())
    }

    /// `_CONDOR_NAME=value`. Nothing is checked, and a name ends at a blank.
    fn read_environment(&mut self) -> Result<(), Error> {
        let place = Place::of(SourceId::ENVIRONMENT);
        let env = std::mem::take(&mut self.macros.env);
        let mut read = Ok(());
        for (name, value) in &env {
            let name = name.to_string_lossy();
            let Some(name) = strip_prefix_nocase(&name, "_condor_") else { continue };
            let name = name.split(is_space_char).next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            let value = value.to_string_lossy();
            read = self.macros.insert(name, trim_start(&value), place);
            if read.is_err() {
                break;
            }
        }
        self.macros.env = env;
        read.map_err(|error| error.at("<Environment>", 0))
    }

    /// `AUTO_USE_CATEGORY_TEMPLATE`: uses the template if the knob's value is a condition that
    /// holds. A wrong one is told, and nothing more.
    fn run_auto_use(&mut self) {
        let names: Vec<String> = self
            .macros
            .names()
            .filter(|name| strip_prefix_nocase(name, "AUTO_USE_").is_some())
            .map(str::to_owned)
            .collect();
        for name in names {
            let Some((category, template)) =
                strip_prefix_nocase(&name, "AUTO_USE_").and_then(|rest| rest.split_once('_'))
            else {
                continue;
            };
            let letters = category.bytes().all(|c| c.is_ascii_alphabetic());
            if category.is_empty() || template.is_empty() || !letters {
                continue;
            }
            if let Err(why) = self.auto_use(&name, category, template) {
                let told = format!("Configuration error while interpreting {name} : {why}");
                self.warnings.push(Warning::new(&name, 0, format!("{name}: {why}"), told));
            }
        }
    }

    fn auto_use(&mut self, name: &str, category: &str, template: &str) -> Result<(), String> {
        let trigger = self.param(name).map_err(|error| error.what().to_owned())?;
        let Some(trigger) = trigger else { return Ok(()) };
        let holds = condition::test(&trigger, &self.macros);
        if !holds.map_err(|error| error.what().to_owned())?? {
            return Ok(());
        }
        let found = template::find(category, template)
            .ok_or_else(|| format!("no template named {category}:{template}"))?;
        let place = Place::of(self.macros.add_source(name));
        let told = self.told.len();
        let run = self.run_template(found, "", place, 1);
        self.told.truncate(told);
        run.map_err(|stop| stop.error.what().to_owned())
    }

    /// Reads a file or the output of a command.
    fn read_source(
        &mut self,
        name: &str,
        depth: u32,
        what: &str,
        required: bool,
    ) -> Result<(), Error> {
        if !name.contains('|') && !io::is_readable(name) {
            if !required {
                return Ok(());
            }
            let told = format!("ERROR: Can't read {what} {name}");
            let error =
                Error::new(ErrorKind::Source, "it can't be read", "Correct the path or its mode");
            return Err(error.at(name, 0).told(vec![told]));
        }
        let opened = match self.open(name, false) {
            Ok(opened) => opened,
            Err(message) => {
                let error = Error::new(ErrorKind::Source, message.clone(), "Correct the path");
                let stop = Stop { message, ..Stop::from(error.at(name, 0)) };
                return Err(self.summary(stop, what, name));
            }
        };
        self.run_source(&opened.name, &opened.text, depth, what)?;
        if opened.status == 0 {
            return Ok(());
        }
        let status = opened.status;
        self.tell(format!("Error \"{name}\": command terminated with exit code {status}"));
        let text = format!("the command failed with wait status {status}");
        let error = Error::new(ErrorKind::Source, text, "Make it exit with 0");
        Err(self.summary(Stop::from(error.at(name, 0)), what, name))
    }

    pub(crate) fn run_source(
        &mut self,
        name: &str,
        text: &str,
        depth: u32,
        what: &str,
    ) -> Result<(), Error> {
        self.files.push(name.to_owned());
        let source = self.macros.add_source(name);
        self.run_text(text, source, depth).map_err(|stop| self.summary(stop, what, name))
    }

    /// Puts together what HTCondor prints before it gives up.
    fn summary(&mut self, stop: Stop, what: &str, name: &str) -> Error {
        let Stop { error, message, line } = stop;
        let mut told = std::mem::take(&mut self.told);
        told.push(format!("Configuration Error Line {line} while reading {what} {name}"));
        if !message.is_empty() {
            told.push(message);
        }
        error.told(told)
    }

    pub(crate) fn param(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(found) = self.macros.find(name).filter(|found| !found.text.is_empty()) else {
            return Ok(None);
        };
        let text = self.macros.expand_found(&found)?;
        Ok((!text.is_empty()).then(|| text.into_owned()))
    }

    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool, Error> {
        let Some(text) = self.param(name)? else { return Ok(default) };
        read::boolean_in(&text, name, Ads::default()).map_err(|_| {
            let named = if default { "True" } else { "False" };
            let what = format!(
                "{name} in the condor configuration  is not a valid boolean (\"{text}\").  \
                 Please set it to True or False (default is {named})"
            );
            Error::new(ErrorKind::Value, what, "")
        })
    }

    fn boolean_crufty(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.param(name)?.as_deref().and_then(|text| text.bytes().next()) {
            Some(b't' | b'T') => Ok(true),
            Some(b'f' | b'F') => Ok(false),
            _ => self.boolean(name, default),
        }
    }
}
