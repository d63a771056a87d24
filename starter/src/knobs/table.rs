//! Every knob the starter reads: name, field, type, default, and a sentence for the manual.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use condor_config::{As, Config};
use serde::Deserialize;

use super::families::ResourceEnvironment;
use super::roots::{NamedRoot, Unusable};
use super::types::{Condition, Home, Lines, Permissions};
use crate::hooks::Hooks;
use crate::sys::seccomp::Profile;

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
    /// The Rust type of its value, as the compiler writes it: the manual's word follows from it.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the manual, which a test writes"))]
    pub(crate) rust_type: &'static str,
    /// Whose it is.
    pub(crate) since: Since,
}

/// Where a knob comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// HTCondor has it in all versions from 23.9 to 25.14.
    Always,
    /// HTCondor has it from this version on; Cloister knows it in every pool.
    Condor(&'static str),
    /// HTCondor had it up to this version; Cloister has it in every pool.
    Until(&'static str),
    /// Cloister has it, HTCondor hasn't.
    Cloister,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("HTCondor"),
            Self::Condor(version) => write!(f, "HTCondor {version}"),
            Self::Until(version) => write!(f, "HTCondor up to {version}, Cloister"),
            Self::Cloister => f.write_str("Cloister"),
        }
    }
}

/// Most knobs are HTCondor's own, in every version.
macro_rules! since {
    () => {
        $crate::knobs::table::Since::Always
    };
    ($since:expr) => {
        $since
    };
}
pub(super) use since;

macro_rules! knobs {
    ($($(#[doc = $text:literal])+ $name:ident $field:ident: $type:ty = $kind:ident $default:literal $(, $since:expr)?;)+) => {
        /// Every knob, in the order of the manual.
        pub(crate) const TABLE: &[Knob] = &[$(Knob {
            name: stringify!($name),
            field: stringify!($field),
            kind: Kind::$kind,
            default: $default,
            text: concat!($($text),+),
            rust_type: stringify!($type),
            since: since!($($since)?),
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
            /// JOB_HIDDEN_DIRECTORIES as paths, without those below others.
            #[serde(skip)]
            pub(crate) hidden: Vec<PathBuf>,
            /// JOB_READ_ONLY_DIRECTORIES as paths.
            #[serde(skip)]
            pub(crate) read_only: Vec<PathBuf>,
            /// JOB_READ_ONLY_EXCEPTIONS as paths.
            #[serde(skip)]
            pub(crate) read_only_exceptions: Vec<PathBuf>,
            /// What NAMED_CHROOT offers, with the knobs of each name.
            #[serde(skip)]
            pub(crate) roots: Vec<Result<NamedRoot, Unusable>>,
            /// JOB_MEMORY_DIRECTORIES as paths.
            #[serde(skip)]
            pub(crate) private_in_memory: Vec<PathBuf>,
            /// `<keyword>_HOOK_<kind>` and `STARTER_DIAGNOSTIC_<name>`.
            #[serde(skip)]
            pub(crate) hooks: Hooks,
            /// Whether STARTER_LOG is set for this starter's local name alone.
            #[serde(skip)]
            pub(crate) own_starter_log: bool,
            /// Whether the pool is of before 24.1.
            #[serde(skip)]
            pub(crate) old_pool: bool,
            /// Where knobs are read from that hardly a job needs.
            #[serde(skip)]
            pub(crate) config: Option<Arc<Config>>,
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
    /// What a line of the log is: text, as HTCondor's daemons write it, or json, an object with time, pid, level, header and message.
    STARTER_LOG_FORMAT starter_log_format: Lines = Text "text", Since::Cloister;
    /// A directory that the daemons' account can write to. At the end of each job, numbers of jobs, seconds and times to begin are added up in cloister-SLOT.prom there, for Prometheus' node exporter; without it they aren't kept.
    STARTER_METRICS_DIRECTORY starter_metrics_directory: Option<PathBuf> = Text "", Since::Cloister;
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
    NAMED_CHROOT named_chroot: Option<String> = Text "", Since::Until("25.4");
    /// The root of jobs that ask for none.
    NAMED_CHROOT_DEFAULT named_chroot_default: Option<String> = Text "", Since::Cloister;
    /// Seconds that a root may take to answer when a job starts.
    NAMED_CHROOT_TIMEOUT named_chroot_timeout: i64 = Number "60", Since::Cloister;
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
    NO_JOB_NETWORKING no_job_networking: bool = Boolean "False", Since::Condor("24.7");
    /// A /dev of its own for each job, with harmless devices only.
    JOB_PRIVATE_DEV job_private_dev: bool = Boolean "True", Since::Cloister;
    /// Names below the machine's /dev that jobs have in theirs too; * at the end of one stands for any text. Jobs with GPUs have those too.
    JOB_DEVICES job_devices: Vec<String> = List "infiniband", Since::Cloister;
    /// The account's home as a job sees it: private (empty, in the sandbox), read-only, or machine.
    JOB_HOME job_home: Home = Text "private", Since::Cloister;
    /// Directories of the machine that jobs can't look into: paths, and knobs that have one.
    JOB_HIDDEN_DIRECTORIES job_hidden_directories: Vec<String> = List "SPOOL LOG LOCK RUN DAEMON_SOCKET_DIR SEC_CREDENTIAL_DIRECTORY SEC_CREDENTIAL_DIRECTORY_KRB SEC_CREDENTIAL_DIRECTORY_OAUTH SEC_PASSWORD_DIRECTORY SEC_TOKEN_SYSTEM_DIRECTORY SEC_TOKEN_DIRECTORY /run/user /run/dbus /run/systemd/journal /var/mail /var/crash /var/lib/systemd/coredump", Since::Cloister;
    /// Directories that each job has for itself, empty and in memory, where the machine has them.
    JOB_MEMORY_DIRECTORIES job_memory_directories: Vec<String> = List "/run/lock", Since::Cloister;
    /// Directories of the machine that jobs can't write to, with all that is mounted below: paths (/ is all of the machine), and knobs that have one. Mounts that the machine makes there later don't arrive.
    JOB_READ_ONLY_DIRECTORIES job_read_only_directories: Vec<String> = List "", Since::Cloister;
    /// Directories below those that stay as they are, also for mounts that come later (autofs, CVMFS).
    JOB_READ_ONLY_EXCEPTIONS job_read_only_exceptions: Vec<String> = List "", Since::Cloister;
    /// What jobs see of the machine and may ask of the kernel as with the stock starter, but for what the knobs above and below are set to.
    JOB_STOCK_VIEW job_stock_view: bool = Boolean "False", Since::Cloister;
    /// Which system calls jobs can't make: default; nested (containers in jobs are possible); debug (perf is possible); keyrings (all but those for keyrings are possible).
    JOB_SYSTEM_CALLS job_system_calls: Profile = Text "default", Since::Cloister;
    /// The sandbox is dir_PID/scratch as in HTCondor 25; False: dir_PID as in 23.
    STARTER_NESTED_SCRATCH starter_nested_scratch: bool = Boolean "True", Since::Condor("24.7");
    /// Who may look into a sandbox: user, group or world.
    JOB_EXECDIR_PERMISSIONS job_execdir_permissions: Permissions = Text "user";
    /// Variables for every job, which may override them: NAME=VALUE;... or "NAME=VALUE ...".
    STARTER_JOB_ENVIRONMENT starter_job_environment: Option<String> = Text "";
    /// The starter's own variables for jobs: True, False, or names with * and !.
    JOB_INHERITS_STARTER_ENVIRONMENT job_inherits_starter_environment: Option<String> = Text "False";
    /// Set HOME to the account's home.
    STARTER_SETS_HOME_ENV starter_sets_home_env: bool = Boolean "True", Since::Condor("24.8");
    /// Variables that are set to the number of CPUs unless the job sets them.
    STARTER_NUM_THREADS_ENV_VARS starter_num_threads_env_vars: Vec<String> = List "CUBACORES GOMAXPROCS JULIA_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS OMP_NUM_THREADS OMP_THREAD_LIMIT OPENBLAS_NUM_THREADS PYTHON_CPU_COUNT ROOT_MAX_THREADS TF_LOOP_PARALLEL_ITERATIONS TF_NUM_THREADS";
    /// Tell jobs their GPUs in NVIDIA_VISIBLE_DEVICES.
    AUTO_SET_NVIDIA_VISIBLE_DEVICES auto_set_nvidia_visible_devices: bool = Boolean "True";
    /// The daemons' log of the events of all jobs, to which those of the local universe are added.
    EVENT_LOG event_log: Option<PathBuf> = Text "";
    /// Write them as ads in XML.
    EVENT_LOG_USE_XML event_log_use_xml: bool = Boolean "False";
    /// For tests of what is done about broken slots: a job with StarterShouldExitBroken leaves its slot broken.
    TEST_JOB_CAN_BREAK_SLOT test_job_can_break_slot: bool = Boolean "False";
    /// Mail to users of jobs of the local universe: a program like sendmail, by path or name.
    SENDMAIL sendmail: PathBuf = Text "sendmail";
    /// The same where there is no sendmail: a program like mailx.
    MAIL mail: PathBuf = Text "/usr/bin/mail";
    /// Whom it is from.
    MAIL_FROM mail_from: Option<String> = Text "";
    /// The domain of addresses without one; otherwise UID_DOMAIN.
    EMAIL_DOMAIN email_domain: Option<String> = Text "";
    /// A program that is run in place of every job, with the job's program as first argument.
    USER_JOB_WRAPPER user_job_wrapper: Option<PathBuf> = Text "";
    /// Let jobs run programs before and after their own (PreCmd, PostCmd): an expression over the slot and the job.
    STARTER_ALLOW_JOB_PRE_AND_POST_CMD starter_allow_job_pre_and_post_cmd: Option<String> = Text "", Since::Condor("25.11");
    /// Added to a job's niceness, 0 to 19: an expression over the job ad.
    JOB_RENICE_INCREMENT job_renice_increment: Option<String> = Text "";
    /// Keep a job on the CPUs of its slot: those of ASSIGN_CPU_AFFINITY or SLOTn_CPU_AFFINITY, else the one of the slot's number.
    ENFORCE_CPU_AFFINITY enforce_cpu_affinity: bool = Boolean "False";
    /// The slot's CPUs by number; the startd sets it where ASSIGN_CPU_AFFINITY is True.
    STARTD_ASSIGNED_AFFINITY startd_assigned_affinity: Option<String> = Text "";
    /// Address space limit in MiB: an expression over the machine and the job ad.
    STARTER_RLIMIT_AS starter_rlimit_as: Option<String> = Text "";
    /// Where jobs get a cgroup of their own, beside the one of the daemons; empty: they get none.
    BASE_CGROUP base_cgroup: Option<String> = Text "htcondor";
    /// Make cgroups for jobs also where the starter isn't root, if it may write there.
    CREATE_CGROUP_WITHOUT_ROOT create_cgroup_without_root: bool = Boolean "False";
    /// What the memory of the slot is to a job: hard (killed and held above it), soft (slowed down above it), none, or custom (the two expressions below).
    CGROUP_MEMORY_LIMIT_POLICY cgroup_memory_limit_policy: String = Text "hard";
    /// The hard limit in MiB, with custom: an expression over the slot's and the job's ad.
    CGROUP_HARD_MEMORY_LIMIT_EXPR cgroup_hard_memory_limit_expr: Option<String> = Text "";
    /// The soft limit in MiB, with custom.
    CGROUP_SOFT_MEMORY_LIMIT_EXPR cgroup_soft_memory_limit_expr: Option<String> = Text "", Since::Cloister;
    /// Memory in MiB that isn't taken from a job when the machine runs short: such an expression.
    CGROUP_LOW_MEMORY_LIMIT cgroup_low_memory_limit: Option<String> = Text "";
    /// No swap space for a job with a hard limit. False in pools of before 24.1 unless it is set.
    DISABLE_SWAP_FOR_JOB disable_swap_for_job: bool = Boolean "True";
    /// Processes and threads that a job may have: such an expression.
    CGROUP_PIDS_LIMIT cgroup_pids_limit: Option<String> = Text "1024 + 512 * (Cpus ?: 1)", Since::Cloister;
    /// A job's share of busy disks, 1 to 10000, where 100 is usual: such an expression.
    CGROUP_IO_WEIGHT cgroup_io_weight: Option<String> = Text "", Since::Cloister;
    /// Report the kernel's peak of memory with all it counts, instead of the largest anonymous and shared memory seen.
    CGROUP_USE_PEAK_MEMORY cgroup_use_peak_memory: bool = Boolean "False", Since::Condor("23.10");
    /// Take file caches off that peak.
    CGROUP_IGNORE_CACHE_MEMORY cgroup_ignore_cache_memory: bool = Boolean "True";
    /// Seconds between two looks at a job's memory.
    CGROUP_POLLING_INTERVAL cgroup_polling_interval: i64 = Number "5", Since::Condor("24.3");
    /// Hold a job whose sandbox takes more than the disk space of its slot, and let it write no more where EXECUTE's file system has project quotas.
    STARTER_ENFORCE_DISK_LIMITS starter_enforce_disk_limits: bool = Boolean "False", Since::Cloister;
    /// The same; a startd of HTCondor's makes a logical volume for each job besides, which isn't used here.
    STARTD_ENFORCE_DISK_LIMITS startd_enforce_disk_limits: bool = Boolean "False";
    /// Hold a job that was killed because memory ran out; False: not if it was well below its own limit.
    STARTER_ALWAYS_HOLD_ON_OOM starter_always_hold_on_oom: bool = Boolean "True", Since::Condor("24.2");
    /// Seconds without a sign of life after which the startd may kill the starter.
    NOT_RESPONDING_TIMEOUT not_responding_timeout: i64 = Number "3600";
    /// The same for starters alone; without it NOT_RESPONDING_TIMEOUT.
    STARTER_NOT_RESPONDING_TIMEOUT starter_not_responding_timeout: Option<i64> = Number "";
    /// Seconds until the first sign of life to a startd that isn't in a hurry for it (25).
    STARTER_FIRST_CHILDALIVE_DELAY starter_first_childalive_delay: i64 = Number "30", Since::Condor("25.14");
    /// Seconds from the start of a job to the first report on what it uses.
    STARTER_INITIAL_UPDATE_INTERVAL starter_initial_update_interval: i64 = Number "8";
    /// Seconds between later ones.
    STARTER_UPDATE_INTERVAL starter_update_interval: i64 = Number "300";
    /// Seconds without a byte after which a transfer of files is given up.
    STARTER_UPLOAD_TIMEOUT starter_upload_timeout: i64 = Number "300";
    /// Seconds after which a running job's tokens are fetched again; 0: never.
    SEC_CREDENTIAL_REFRESH sec_credential_refresh: i64 = Number "300";
    /// Let a starter that isn't root take tokens over a connection that isn't encrypted.
    ALLOW_OAUTH_WITHOUT_ENCRYPTION allow_oauth_without_encryption: bool = Boolean "False";
    /// Where users' tokens are, for jobs of the local universe.
    SEC_CREDENTIAL_DIRECTORY_OAUTH sec_credential_directory_oauth: Option<PathBuf> = Text "";
    /// Don't look at owner and mode of what is there.
    TRUST_CREDENTIAL_DIRECTORY trust_credential_directory: bool = Boolean "False";
    /// How often the last change of the queue is tried again for a job of the local universe.
    LOCAL_UNIVERSE_MAX_JOB_CLEANUP_RETRIES local_universe_max_job_cleanup_retries: i64 = Number "5";
    /// Seconds between two tries.
    LOCAL_UNIVERSE_JOB_CLEANUP_RETRY_DELAY local_universe_job_cleanup_retry_delay: i64 = Number "30";
    /// Seconds that a job may take to end once it was asked to, unless the startd is quicker.
    SHUTDOWN_GRACEFUL_TIMEOUT shutdown_graceful_timeout: i64 = Number "1800";
    /// After a checkpoint, ask the startd whether it would have the claim used again; if not, the job goes back to the queue (25.5 and after).
    CHECK_REACTIVATE_AFTER_CHECKPOINT check_reactivate_after_checkpoint: bool = Boolean "True", Since::Condor("25.5");
    /// Let jobs reach the submit side while they run (condor_chirp).
    ENABLE_CHIRP enable_chirp: bool = Boolean "True";
    /// Its files.
    ENABLE_CHIRP_IO enable_chirp_io: bool = Boolean "True";
    /// Attributes of the job, at once.
    ENABLE_CHIRP_UPDATES enable_chirp_updates: bool = Boolean "True";
    /// Attributes of the job, with the next report.
    ENABLE_CHIRP_DELAYED enable_chirp_delayed: bool = Boolean "True";
    /// Names of attributes that a job may set with the next report: a list with *.
    CHIRP_DELAYED_UPDATE_PREFIX chirp_delayed_update_prefix: String = Text "Chirp*";
    /// How many of them at most.
    CHIRP_DELAYED_UPDATE_MAX_ATTRS chirp_delayed_update_max_attrs: usize = Number "100";
    /// Let a job's owner have a shell in it (condor_ssh_to_job): an expression over the job ad.
    ENABLE_SSH_TO_JOB enable_ssh_to_job: Condition = Text "True";
    /// The ssh daemon for that, as jobs see it; it runs as the job's account.
    SSH_TO_JOB_SSHD ssh_to_job_sshd: PathBuf = Text "/usr/sbin/sshd";
    /// Its arguments; %f is its configuration.
    SSH_TO_JOB_SSHD_ARGS ssh_to_job_sshd_args: String = Text "\"-i -e -f %f\"";
    /// What that is made from; else condor_ssh_to_job_sshd_config_template in LIB.
    SSH_TO_JOB_SSHD_CONFIG_TEMPLATE ssh_to_job_sshd_config_template: Option<PathBuf> = Text "";
    /// Where that is.
    LIB lib: PathBuf = Text "/usr/lib/condor";
    /// Where the scripts of condor_ssh_to_job are: condor_ssh_to_job_sshd_setup and condor_ssh_to_job_shell_setup.
    LIBEXEC libexec: PathBuf = Text "/usr/libexec/condor";
    /// The program that makes keys.
    SSH_TO_JOB_SSH_KEYGEN ssh_to_job_ssh_keygen: PathBuf = Text "/usr/bin/ssh-keygen";
    /// Its arguments; %f is the key's file.
    SSH_TO_JOB_SSH_KEYGEN_ARGS ssh_to_job_ssh_keygen_args: String = Text "\"-N '' -C '' -q -f %f -t rsa\"";
    /// Let a job's owner read its output while it runs (condor_tail): an expression over the job ad.
    ENABLE_PEEK_JOB enable_peek_job: Condition = Text "True";
    /// Keyword of the job hooks of every job: those of KEYWORD_HOOK_PREPARE_JOB and its like.
    STARTER_JOB_HOOK_KEYWORD starter_job_hook_keyword: Option<String> = Text "";
    /// The same for jobs without a HookKeyword, or with one that isn't known here.
    STARTER_DEFAULT_JOB_HOOK_KEYWORD starter_default_job_hook_keyword: Option<String> = Text "";
    /// For tests of a pool: an ad ColorAd of a job is put into the ads of the slots while the job runs (startds of 25.14).
    TESTING_COLOR_FROM_JOB_AD testing_color_from_job_ad: bool = Boolean "False";
    /// Don't ask a shadow of 25 what to do after input could not be fetched.
    GUIDANCE_MUMS_THE_WORD guidance_mums_the_word: bool = Boolean "False", Since::Condor("24.5");
    /// What MemoryUsage is, in MiB: an expression over the other attributes of the job.
    MEMORY_USAGE_METRIC memory_usage_metric: String = Text "((ResidentSetSize + 1023) / 1024)";
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
    /// The default as a value of the source below all others.
    pub(super) fn default_value(&self) -> config::Value {
        match self.kind {
            Kind::List => self.default.split(' ').collect::<Vec<_>>().into(),
            Kind::Boolean | Kind::Number | Kind::Text => self.default.into(),
        }
    }
}
