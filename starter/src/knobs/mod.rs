//! The knobs that the starter reads: one table gives the typed values, `starter config`, and by way of
//! `reference` the manual.

mod families;
mod plugins;
pub(crate) mod roots;
mod table;
pub(crate) mod types;

use condor_config::{Config, Options};

use self::families::{by_slot, directories, monitored_resources, resource_environment, rules};
pub(crate) use self::plugins::PluginKnobs;
pub(crate) use self::table::{Knob, Knobs, Since};

use self::types::Home;
use crate::failure::{Failure, Step};
use crate::sys::seccomp::Profile;

/// Reads the machine's configuration. Without a root file there is none, unless it is needed.
pub(crate) fn load(local_name: Option<&str>, needed: bool) -> Result<Config, Failure> {
    load_for_slot(local_name, None, needed)
}

/// The same for a slot, whose name is the knob STARTER_SLOT_NAME then.
pub(crate) fn load_for_slot(
    local_name: Option<&str>,
    slot: Option<&str>,
    needed: bool,
) -> Result<Config, Failure> {
    let mut options = Options {
        local_name: local_name.map(str::to_owned),
        need_root: needed,
        ..own(Options::from_process("STARTER"))
    };
    options.env.extend(slot.map(|slot| ("_CONDOR_STARTER_SLOT_NAME".into(), slot.into())));
    Config::load(&options).map_err(unusable)
}

/// Writes to the log what an admin should know of the configuration, once there is a log.
pub(crate) fn log_warnings(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// All knobs, in the order of the manual.
pub(crate) fn all() -> impl Iterator<Item = &'static Knob> {
    table::TABLE.iter().chain(plugins::TABLE)
}

fn own(options: Options) -> Options {
    Options { own_defaults: all().map(|knob| knob.name).collect(), ..options }
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::host(Step::Configuration, error.to_string())
}

/// A value that is no value of its knob's type, with the place where it was set.
fn misfit(condor: &Config, error: &config::ConfigError) -> Failure {
    let text = error.to_string();
    let knob = all().find(|knob| text.contains(&format!("`{}`", knob.field)));
    let origin = knob.and_then(|knob| Some((knob, condor.origin(knob.name)?)));
    match origin {
        Some((knob, origin)) => unusable(format!("{origin}: {}: {text}", knob.name)),
        None => unusable(text),
    }
}

/// The values of some knobs, and which of them somebody set.
fn values<T: serde::de::DeserializeOwned>(
    condor: &Config,
    table: &[Knob],
) -> Result<(T, Vec<&'static str>), Failure> {
    let set: Vec<_> =
        table.iter().map(|knob| knob.name).filter(|name| condor.is_assigned(name)).collect();
    // Defaults of HTCondor that refer to other knobs mean nothing without a configuration.
    let wanted = table.iter().filter(|knob| {
        set.contains(&knob.name) || (knob.default.is_empty() && !condor.files().is_empty())
    });
    let mut source =
        condor_config::Knobs::typed(condor, wanted.map(|knob| (knob.name, knob.kind.into())));
    // What somebody has emptied stays empty.
    for knob in table.iter().filter(|knob| !set.contains(&knob.name)) {
        if !knob.default.is_empty() {
            source = source.or(knob.field, knob.default_value());
        }
    }
    let values = source.try_deserialize().map_err(|error| misfit(condor, &error))?;
    Ok((values, set))
}

impl Knobs {
    /// The typed values.
    pub(crate) fn read(condor: &Config) -> Result<Self, Failure> {
        let (mut knobs, set): (Self, _) = values(condor, table::TABLE)?;
        knobs.set = set;
        if knobs.job_stock_view {
            knobs.be_stock();
        }
        knobs.check_devices()?;
        knobs.hidden =
            directories(condor, "JOB_HIDDEN_DIRECTORIES", &knobs.job_hidden_directories)?;
        knobs.read_only =
            rules(condor, "JOB_READ_ONLY_DIRECTORIES", &knobs.job_read_only_directories, true)?;
        knobs.read_only_exceptions =
            rules(condor, "JOB_READ_ONLY_EXCEPTIONS", &knobs.job_read_only_exceptions, true)?;
        if let Some(both) =
            knobs.read_only.iter().find(|path| knobs.read_only_exceptions.contains(path))
        {
            return Err(unusable(format!(
                "{} is in JOB_READ_ONLY_DIRECTORIES and in JOB_READ_ONLY_EXCEPTIONS: take it off one",
                both.display()
            )));
        }
        knobs.private_in_memory =
            directories(condor, "JOB_MEMORY_DIRECTORIES", &knobs.job_memory_directories)?;
        knobs.roots = roots::read(&knobs, condor);
        if knobs.roots.iter().flatten().any(|root| !root.binds.is_empty()) {
            // What is bound into a root has no links in its path.
            families::add_real(&mut knobs.hidden);
        }
        knobs.slot_users = by_slot(condor, "_USER")?;
        knobs.slot_affinity = by_slot(condor, "_CPU_AFFINITY")?;
        knobs.resource_environment = resource_environment(condor)?;
        knobs.hooks = crate::hooks::Hooks::read(condor).map_err(unusable)?;
        knobs.monitored_resources = monitored_resources(condor)?;
        knobs.own_starter_log =
            condor.local_name().is_some_and(|name| condor.is_set(&format!("{name}.STARTER_LOG")));
        Ok(knobs)
    }

    /// Defaults as a pool of before 24.1 has them, where the admin hasn't said otherwise: jobs of such
    /// a pool know neither a scratch directory in the sandbox nor a HOME that the starter sets, and there
    /// programs before and after a job are nothing that has to be allowed.
    pub(crate) fn be_old(&mut self) {
        self.old_pool = true;
        if !self.is_set("DISABLE_SWAP_FOR_JOB") {
            self.disable_swap_for_job = false;
        }
        if !self.is_set("STARTER_NESTED_SCRATCH") {
            self.starter_nested_scratch = false;
        }
        if !self.is_set("STARTER_ALLOW_JOB_PRE_AND_POST_CMD") {
            self.starter_allow_job_pre_and_post_cmd = Some("True".to_owned());
        }
        if !self.is_set("STARTER_SETS_HOME_ENV") {
            self.starter_sets_home_env = false;
        }
    }

    /// JOB_STOCK_VIEW: what jobs have of the machine where the admin hasn't said otherwise.
    fn be_stock(&mut self) {
        if !self.is_set("JOB_PRIVATE_DEV") {
            self.job_private_dev = false;
        }
        if !self.is_set("JOB_HOME") {
            self.job_home = Home::Machine;
        }
        if !self.is_set("JOB_HIDDEN_DIRECTORIES") {
            self.job_hidden_directories.clear();
        }
        if !self.is_set("JOB_MEMORY_DIRECTORIES") {
            self.job_memory_directories.clear();
        }
        if !self.is_set("JOB_SYSTEM_CALLS") {
            self.job_system_calls = Profile::Keyrings;
        }
    }

    fn check_devices(&self) -> Result<(), Failure> {
        match self.job_devices.iter().find(|name| !families::plain_device(name)) {
            Some(name) => Err(unusable(format!(
                "JOB_DEVICES: {name}: a name below /dev is needed, such as infiniband or net/tun"
            ))),
            None => Ok(()),
        }
    }

    /// Whether the admin set a knob.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.set.contains(&name)
    }

    /// The hooks that a job gets.
    pub(crate) fn choose_hooks(&self, job: &classad::ClassAd) -> Option<crate::hooks::Chosen> {
        let forced = self.starter_job_hook_keyword.as_deref();
        self.hooks.choose(job, forced, self.starter_default_job_hook_keyword.as_deref())
    }

    /// Whether jobs may inherit something of the starter's environment.
    pub(crate) fn inherits_environment(&self) -> bool {
        let text = self.job_inherits_starter_environment.as_deref().unwrap_or_default().trim();
        !text.is_empty() && !text.eq_ignore_ascii_case("false")
    }
}

#[cfg(test)]
impl Knobs {
    /// Those of a configuration file with this text.
    pub(crate) fn from_text(text: &str) -> Self {
        let options = own(Options::default());
        let config = Config::parse_str("test.conf", text, &options).unwrap();
        let knobs = Self::read(&config).unwrap();
        Self { config: Some(config.into()), ..knobs }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use classad::ClassAd;

    use super::types::{Condition, Permissions};
    use super::*;

    fn knobs(text: &str) -> Result<Knobs, Failure> {
        Knobs::read(&Config::parse_str("test.conf", text, &own(Options::default())).unwrap())
    }

    #[test]
    fn defaults_are_the_isolating_ones() {
        let knobs = knobs("LOCAL_DIR = /var/lib/condor\n").unwrap();
        assert!(
            knobs.use_pid_namespaces && knobs.mount_private_dev_shm && knobs.per_job_namespaces
        );
        assert_eq!(knobs.mount_under_scratch.as_deref(), Some("/tmp,/var/tmp"));
        assert_eq!(knobs.execute, PathBuf::from("/var/lib/condor/execute"));
        assert!(knobs.starter_num_threads_env_vars.contains(&"OMP_NUM_THREADS".to_owned()));
        assert!(!knobs.is_set("USE_PID_NAMESPACES"));
        assert_eq!(knobs.not_responding_timeout, 3600);
        assert_eq!(knobs.starter_not_responding_timeout, None);
    }

    #[test]
    fn what_the_admin_says_counts() {
        let text = "USE_PID_NAMESPACES = False\nSLOT1_USER = a\nslot1_12_user = b\nSLOTS_USER = c\n\
                    JOB_EXECDIR_PERMISSIONS = Group\nMOUNT_UNDER_SCRATCH =\n\
                    STARTER_NOT_RESPONDING_TIMEOUT = 60 * 3\n";
        let knobs = knobs(text).unwrap();
        assert!(!knobs.use_pid_namespaces && knobs.is_set("USE_PID_NAMESPACES"));
        assert_eq!(knobs.slot_users.len(), 2);
        assert_eq!(knobs.slot_users["SLOT1_12"], "b");
        assert_eq!(knobs.job_execdir_permissions, Permissions::Group);
        assert_eq!(knobs.mount_under_scratch, None);
        assert_eq!(knobs.starter_not_responding_timeout, Some(180));
    }

    #[test]
    fn monitors_name_the_resources_they_measure() {
        let text = "STARTD_CRON_JOBLIST = A, B C\nSTARTD_CRON_A_METRICS = SUM:GPUs, PEAK:GPUsMemory\n\
                    STARTD_CRON_C_METRICS = SUM:\nSTARTD_CRON_D_METRICS = SUM:Other\n";
        let resources = knobs(text).unwrap().monitored_resources;
        assert_eq!(resources, ["GPUs", "GPUsMemory"].map(str::to_owned).into());
    }

    #[test]
    fn a_bad_value_is_named_with_its_place() {
        for (text, parts) in [
            ("\nUSE_PID_NAMESPACES = maybe\n", ["test.conf", "USE_PID_NAMESPACES", "maybe"]),
            ("NOT_RESPONDING_TIMEOUT = soon\n", ["test.conf", "NOT_RESPONDING_TIMEOUT", "soon"]),
            (
                "JOB_EXECDIR_PERMISSIONS = all\n",
                ["test.conf, line 1", "JOB_EXECDIR_PERMISSIONS", "all"],
            ),
        ] {
            let message = knobs(text).unwrap_err().message;
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn a_condition_that_is_never_true_is_known() {
        let condition = |text: &str| Condition(text.into());
        assert!(condition("False").never() && condition("0").never());
        assert!(!condition("True").never() && !condition("Owner == \"alice\"").never());
        let ad = ClassAd::parse_old("Owner = \"alice\"\n").unwrap();
        assert!(condition("Owner == \"alice\"").allows(&ad));
        assert!(!condition("Owner ==").allows(&ad) && !condition("Nope").allows(&ad));
    }
}
