//! The knobs that the starter reads: one table gives the typed values, `starter config`, and the
//! documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use classad::{ClassAd, Expr, Value};
use condor_config::{As, Config, Options};
use serde::Deserialize;

use crate::failure::{Failure, Step};

/// How a knob's text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or False, or an expression that gives one.
    Boolean,
    /// As it is.
    Text,
    /// A whole number, or an expression that gives one.
    Number,
    /// Words between commas or blanks.
    List,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knob {
    /// As admins write it.
    pub(crate) name: &'static str,
    /// The field of `Knobs`.
    pub(crate) field: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// What it is if nobody sets it; empty: what HTCondor has, or unset.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) text: &'static str,
}

macro_rules! knobs {
    ($($(#[doc = $text:literal])+ $name:ident $field:ident: $type:ty = $kind:ident $default:literal;)+) => {
        /// Every knob, in the order of the manual.
        pub(crate) const TABLE: &[Knob] = &[$(Knob {
            name: stringify!($name),
            field: stringify!($field),
            kind: Kind::$kind,
            default: $default,
            text: concat!($($text),+),
        }),+];

        /// The configuration as the starter uses it. Read once, before the launcher is forked.
        #[derive(Clone, Debug, Deserialize)]
        pub(crate) struct Knobs {
            $($(#[doc = $text])+ #[serde(default)] pub(crate) $field: $type,)+
            /// SLOTn_USER: the account of each slot, by the slot's name in capitals.
            #[serde(skip)]
            pub(crate) slot_users: BTreeMap<String, String>,
            /// SLOTn_CPU_AFFINITY: the CPUs of each slot, by the slot's name in capitals.
            #[serde(skip)]
            pub(crate) slot_affinity: BTreeMap<String, String>,
            /// `ENVIRONMENT_FOR_Assigned<resource>`, by the resource's name in small letters.
            #[serde(skip)]
            pub(crate) resource_environment: BTreeMap<String, ResourceEnvironment>,
            /// Resources that `STARTD_CRON_<job>_METRICS` have the startd measure.
            #[serde(skip)]
            pub(crate) monitored_resources: BTreeSet<String>,
            /// Whether STARTER_LOG is set for this starter's local name alone.
            #[serde(skip)]
            pub(crate) own_starter_log: bool,
            /// Knobs that somebody set, as opposed to defaults.
            #[serde(skip)]
            pub(crate) set: Vec<&'static str>,
        }
    };
}

knobs! {
    /// The directory in which each job gets its sandbox.
    EXECUTE execute: PathBuf = Text "";
    /// Directory of the daemons' logs.
    LOG log: Option<PathBuf> = Text "";
    /// Directory of HTCondor's user programs; jobs see it as _CONDOR_BIN.
    BIN bin: Option<String> = Text "";
    /// The starter's log; without it StarterLog in LOG.
    STARTER_LOG starter_log: Option<PathBuf> = Text "";
    /// What is logged and what stands in front of a line; D_FULLDEBUG for more, D_PID, D_CAT, D_SUB_SECOND.
    STARTER_DEBUG starter_debug: String = Text "";
    /// The same for all daemons, before STARTER_DEBUG.
    ALL_DEBUG all_debug: Option<String> = Text "";
    /// The same for daemons that have no knob of their own for it.
    DEFAULT_DEBUG default_debug: Option<String> = Text "";
    /// The size (10 Mb) or span of time (1 d) at which the log is rotated; 0: never.
    MAX_STARTER_LOG max_starter_log: Option<String> = Text "";
    /// The size at which logs without a knob of their own are rotated.
    MAX_DEFAULT_LOG max_default_log: Option<String> = Text "";
    /// How many rotated logs are kept: one ends in .old, several in the time of their end.
    MAX_NUM_STARTER_LOG max_num_starter_log: u32 = Number "1";
    /// Empty the log whenever a starter opens it.
    TRUNC_STARTER_LOG_ON_OPEN trunc_starter_log_on_open: bool = Boolean "False";
    /// Date and time in front of a line, as strftime has it.
    DEBUG_TIME_FORMAT debug_time_format: Option<String> = Text "";
    /// Seconds since 1970 in front of a line in place of date and time.
    LOGS_USE_TIMESTAMP logs_use_timestamp: bool = Boolean "False";
    /// User and group id of the daemons, UID.GID; without it the account condor, or nobody.
    CONDOR_IDS condor_ids: Option<String> = Text "";
    /// The domain in which account names mean the same on all machines.
    UID_DOMAIN uid_domain: String = Text "";
    /// Believe a job's UidDomain whoever sent it.
    TRUST_UID_DOMAIN trust_uid_domain: bool = Boolean "False";
    /// Believe it if the shadow is on this very machine.
    TRUST_LOCAL_UID_DOMAIN trust_local_uid_domain: bool = Boolean "True";
    /// Machines with the same one share a file system with this one.
    FILESYSTEM_DOMAIN filesystem_domain: String = Text "";
    /// Run jobs as the submitting user: an expression over the job ad.
    STARTER_ALLOW_RUNAS_OWNER starter_allow_runas_owner: Condition = Text "True";
    /// The account of jobs that don't run as their owner, in slots without one of SLOTn_USER; without it nobody.
    NOBODY_SLOT_USER nobody_slot_user: Option<String> = Text "";
    /// Roots that jobs can ask for by name with RequestedChroot: NAME=PATH, ...
    NAMED_CHROOT named_chroot: Option<String> = Text "";
    /// Directories that each job has for itself, empty: a list, or an expression over the job ad.
    MOUNT_UNDER_SCRATCH mount_under_scratch: Option<String> = Text "/tmp,/var/tmp";
    /// A /dev/shm of its own for each job.
    MOUNT_PRIVATE_DEV_SHM mount_private_dev_shm: bool = Boolean "True";
    /// Namespaces at all. False gives jobs the machine's view, and refuses what needs namespaces.
    PER_JOB_NAMESPACES per_job_namespaces: bool = Boolean "True";
    /// A PID namespace for each job, in which it sees its own processes only.
    USE_PID_NAMESPACES use_pid_namespaces: bool = Boolean "True";
    /// Process 1 of the PID namespace is a small init; False: the job itself.
    USE_PID_NAMESPACE_INIT use_pid_namespace_init: bool = Boolean "True";
    /// No network but loopback.
    NO_JOB_NETWORKING no_job_networking: bool = Boolean "False";
    /// The sandbox is dir_PID/scratch as in HTCondor 25; False: dir_PID as in 23.
    STARTER_NESTED_SCRATCH starter_nested_scratch: bool = Boolean "True";
    /// Who may look into a sandbox: user, group or world.
    JOB_EXECDIR_PERMISSIONS job_execdir_permissions: Permissions = Text "user";
    /// Variables for every job, which may override them: NAME=VALUE;... or "NAME=VALUE ...".
    STARTER_JOB_ENVIRONMENT starter_job_environment: Option<String> = Text "";
    /// The starter's own variables for jobs: True, False, or names with * and !.
    JOB_INHERITS_STARTER_ENVIRONMENT job_inherits_starter_environment: Option<String> = Text "False";
    /// Set HOME to the account's home.
    STARTER_SETS_HOME_ENV starter_sets_home_env: bool = Boolean "True";
    /// Variables that are set to the number of CPUs unless the job sets them.
    STARTER_NUM_THREADS_ENV_VARS starter_num_threads_env_vars: Vec<String> = List "CUBACORES GOMAXPROCS JULIA_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS OMP_NUM_THREADS OMP_THREAD_LIMIT OPENBLAS_NUM_THREADS PYTHON_CPU_COUNT ROOT_MAX_THREADS TF_LOOP_PARALLEL_ITERATIONS TF_NUM_THREADS";
    /// Tell jobs their GPUs in NVIDIA_VISIBLE_DEVICES.
    AUTO_SET_NVIDIA_VISIBLE_DEVICES auto_set_nvidia_visible_devices: bool = Boolean "True";
    /// A program that is run in place of every job, with the job's program as first argument.
    USER_JOB_WRAPPER user_job_wrapper: Option<PathBuf> = Text "";
    /// Added to a job's niceness, 0 to 19: an expression over the job ad.
    JOB_RENICE_INCREMENT job_renice_increment: Option<String> = Text "";
    /// Keep a job on the CPUs of its slot: those of ASSIGN_CPU_AFFINITY or SLOTn_CPU_AFFINITY, else the one of the slot's number.
    ENFORCE_CPU_AFFINITY enforce_cpu_affinity: bool = Boolean "False";
    /// The slot's CPUs by number; the startd sets it where ASSIGN_CPU_AFFINITY is True.
    STARTD_ASSIGNED_AFFINITY startd_assigned_affinity: Option<String> = Text "";
    /// Address space limit in MiB: an expression over the machine and the job ad.
    STARTER_RLIMIT_AS starter_rlimit_as: Option<String> = Text "";
    /// Seconds without a sign of life after which the startd may kill the starter.
    NOT_RESPONDING_TIMEOUT not_responding_timeout: i64 = Number "3600";
    /// The same for starters alone; without it NOT_RESPONDING_TIMEOUT.
    STARTER_NOT_RESPONDING_TIMEOUT starter_not_responding_timeout: Option<i64> = Number "";
    /// Seconds until the first sign of life to a startd that isn't in a hurry for it (25).
    STARTER_FIRST_CHILDALIVE_DELAY starter_first_childalive_delay: i64 = Number "30";
    /// Seconds from the start of a job to the first report on what it uses.
    STARTER_INITIAL_UPDATE_INTERVAL starter_initial_update_interval: i64 = Number "8";
    /// Seconds between later ones.
    STARTER_UPDATE_INTERVAL starter_update_interval: i64 = Number "300";
    /// Seconds without a byte after which a transfer of files is given up.
    STARTER_UPLOAD_TIMEOUT starter_upload_timeout: i64 = Number "300";
    /// Seconds that a job may take to end once it was asked to, unless the startd is quicker.
    SHUTDOWN_GRACEFUL_TIMEOUT shutdown_graceful_timeout: i64 = Number "1800";
    /// What MemoryUsage is, in MiB: an expression over the other attributes of the job.
    MEMORY_USAGE_METRIC memory_usage_metric: String = Text "((ResidentSetSize + 1023) / 1024)";
}

/// Who may look into a sandbox (JOB_EXECDIR_PERMISSIONS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Permissions {
    /// The job's account.
    #[default]
    User,
    /// And its group.
    Group,
    /// And everybody.
    World,
}

impl TryFrom<String> for Permissions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "user" => Ok(Self::User),
            "group" => Ok(Self::Group),
            "world" => Ok(Self::World),
            _ => Err(format!("{text:?}: user, group or world is needed")),
        }
    }
}

impl Permissions {
    /// Permission bits.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::User => 0o700,
            Self::Group => 0o750,
            Self::World => 0o755,
        }
    }
}

/// An expression over the job ad that says yes or no; text that is no expression says no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Condition(pub(crate) String);

impl Condition {
    /// Whether it holds for a job.
    pub(crate) fn allows(&self, job: &ClassAd) -> bool {
        let value = Expr::parse_old(&self.0).map(|expr| expr.eval_in(job));
        match value {
            Ok(Value::Bool(yes)) => yes,
            Ok(Value::Int(number)) => number != 0,
            _ => false,
        }
    }

    /// Whether it is false for every job.
    pub(crate) fn never(&self) -> bool {
        !self.allows(&ClassAd::new())
            && Expr::parse_old(&self.0).is_ok_and(|e| e.as_literal().is_some())
    }
}

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

fn own(options: Options) -> Options {
    Options { own_defaults: TABLE.iter().map(|knob| knob.name).collect(), ..options }
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::host(Step::Configuration, error.to_string())
}

/// A value that is no value of its knob's type, with the place where it was set.
fn misfit(condor: &Config, error: &config::ConfigError) -> Failure {
    let text = error.to_string();
    let knob = TABLE.iter().find(|knob| text.contains(&format!("`{}`", knob.field)));
    let origin = knob.and_then(|knob| Some((knob, condor.origin(knob.name)?)));
    match origin {
        Some((knob, origin)) => unusable(format!("{origin}: {}: {text}", knob.name)),
        None => unusable(text),
    }
}

/// Whether somebody set a knob, in whatever form, as opposed to a default.
pub(crate) fn is_set(config: &Config, name: &str) -> bool {
    config
        .origin(name)
        .is_some_and(|origin| origin.file != "<Default>" && origin.file != "<Detected>")
}

impl Knobs {
    /// The typed values.
    pub(crate) fn read(condor: &Config) -> Result<Self, Failure> {
        let mut builder = config::Config::builder();
        let mut wanted = Vec::with_capacity(TABLE.len());
        let mut set = Vec::new();
        for knob in TABLE {
            let given = is_set(condor, knob.name);
            if given {
                set.push(knob.name);
            }
            // Defaults of HTCondor that refer to other knobs mean nothing without a configuration.
            if given || (knob.default.is_empty() && !condor.files().is_empty()) {
                wanted.push((knob.name, knob.kind.into()));
            } else if !knob.default.is_empty() {
                builder =
                    builder.set_default(knob.field, knob.default_value()).map_err(unusable)?;
            }
        }
        let source = condor_config::Knobs::typed(condor, wanted);
        let built = builder.add_source(source).build().map_err(unusable)?;
        let mut knobs: Self = built.try_deserialize().map_err(|error| misfit(condor, &error))?;
        knobs.set = set;
        knobs.slot_users = by_slot(condor, "_USER")?;
        knobs.slot_affinity = by_slot(condor, "_CPU_AFFINITY")?;
        knobs.resource_environment = resource_environment(condor)?;
        knobs.monitored_resources = monitored_resources(condor)?;
        knobs.own_starter_log =
            condor.local_name().is_some_and(|name| condor.is_set(&format!("{name}.STARTER_LOG")));
        Ok(knobs)
    }

    /// Defaults as a pool of before 24.1 has them, where the admin hasn't said otherwise: jobs of such
    /// a pool know neither a scratch directory in the sandbox nor a HOME that the starter sets.
    pub(crate) fn be_old(&mut self) {
        if !self.is_set("STARTER_NESTED_SCRATCH") {
            self.starter_nested_scratch = false;
        }
        if !self.is_set("STARTER_SETS_HOME_ENV") {
            self.starter_sets_home_env = false;
        }
    }

    /// Whether the admin set a knob.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.set.contains(&name)
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
        Self::read(&Config::parse_str("test.conf", text, &options).unwrap()).unwrap()
    }
}

impl From<Kind> for As {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Bool,
            Kind::Text => Self::String,
            Kind::Number => Self::Int,
            Kind::List => Self::List,
        }
    }
}

impl Knob {
    fn default_value(&self) -> config::Value {
        match self.kind {
            Kind::List => self.default.split(' ').collect::<Vec<_>>().into(),
            Kind::Boolean | Kind::Number | Kind::Text => self.default.into(),
        }
    }
}

/// Which variables tell a job what it was assigned of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceEnvironment {
    /// `ENVIRONMENT_FOR_Assigned<resource>`: names, with substitutions.
    pub(crate) variables: String,
    /// `ENVIRONMENT_VALUE_FOR_UnAssigned<resource>`: their value where there is nothing assigned.
    pub(crate) unassigned: String,
}

fn resource_environment(config: &Config) -> Result<BTreeMap<String, ResourceEnvironment>, Failure> {
    const VARIABLES: &str = "ENVIRONMENT_FOR_ASSIGNED";
    const UNASSIGNED: &str = "ENVIRONMENT_VALUE_FOR_UNASSIGNED";
    let mut resources = vec!["gpus".to_owned()];
    for name in config.names() {
        let upper = name.to_ascii_uppercase();
        resources.extend(upper.strip_prefix(VARIABLES).map(str::to_ascii_lowercase));
    }
    let text = |name: String| config.string(&name).map_err(unusable).map(Option::unwrap_or_default);
    let mut found = BTreeMap::new();
    for resource in resources {
        let variables = text(format!("{VARIABLES}{resource}"))?;
        let unassigned = text(format!("{UNASSIGNED}{resource}"))?;
        if !variables.is_empty() {
            found.insert(resource, ResourceEnvironment { variables, unassigned });
        }
    }
    Ok(found)
}

/// From STARTD_CRON_JOBLIST and, say, STARTD_CRON_GPU_METRICS = SUM:GPUs, PEAK:GPUsMemory.
fn monitored_resources(config: &Config) -> Result<BTreeSet<String>, Failure> {
    let words = |name: &str| -> Result<Vec<String>, Failure> {
        let text = config.string(name).map_err(unusable)?.unwrap_or_default();
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    };
    let mut resources = BTreeSet::new();
    for job in words("STARTD_CRON_JOBLIST")? {
        let metrics = words(&format!("STARTD_CRON_{job}_METRICS"))?;
        let named = metrics.iter().filter_map(|metric| Some(metric.split_once(':')?.1));
        resources.extend(named.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok(resources)
}

/// SLOT1_USER, SLOT1_2_USER, ... if that is how the names end.
fn by_slot(config: &Config, end: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    for name in config.names() {
        let upper = name.to_ascii_uppercase();
        let slot = upper.strip_suffix(end).filter(|slot| {
            slot.strip_prefix("SLOT")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some(slot) = slot
            && let Some(text) = config.string(name).map_err(unusable)?
        {
            found.insert(slot.to_owned(), text);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
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
