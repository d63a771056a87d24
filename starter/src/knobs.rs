//! The knobs that the starter reads, typed, with their defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use classad::ClassAd;
use serde::Deserialize;

use crate::failure::Failure;

/// Who may look into a sandbox (JOB_EXECDIR_PERMISSIONS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permissions {
    /// The job's account.
    #[default]
    User,
    /// And its group.
    Group,
    /// And everybody.
    World,
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Condition(pub(crate) String);

impl Condition {
    /// Whether it holds for a job.
    pub(crate) fn allows(&self, job: &ClassAd) -> bool {
        let value = classad::Expr::parse_old(&self.0).map(|expr| expr.eval_in(job));
        match value {
            Ok(classad::Value::Bool(yes)) => yes,
            Ok(classad::Value::Int(number)) => number != 0,
            _ => false,
        }
    }

    /// Whether it is false for every job.
    pub(crate) fn never(&self) -> bool {
        matches!(self.0.trim().to_ascii_lowercase().as_str(), "false" | "0" | "f" | "no" | "n")
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Knobs {
    pub(crate) execute: PathBuf,
    pub(crate) log: Option<String>,
    pub(crate) bin: Option<String>,
    pub(crate) starter_log: Option<String>,
    pub(crate) starter_debug: Option<String>,
    pub(crate) uid_domain: String,
    pub(crate) trust_uid_domain: bool,
    pub(crate) starter_allow_runas_owner: Condition,
    pub(crate) slot_users: BTreeMap<String, String>,
    pub(crate) nobody_slot_user: Option<String>,
    pub(crate) condor_ids: Option<String>,
    pub(crate) named_chroot: Option<String>,
    pub(crate) mount_under_scratch: Option<String>,
    pub(crate) mount_under_scratch_set: bool,
    pub(crate) mount_private_dev_shm: bool,
    pub(crate) per_job_namespaces: bool,
    pub(crate) use_pid_namespaces: Option<bool>,
    pub(crate) use_pid_namespace_init: bool,
    pub(crate) no_job_networking: bool,
    pub(crate) starter_nested_scratch: bool,
    pub(crate) job_execdir_permissions: Permissions,
    pub(crate) starter_job_environment: Option<String>,
    pub(crate) job_inherits_starter_environment: Option<String>,
    pub(crate) starter_sets_home_env: bool,
    pub(crate) starter_num_threads_env_vars: Vec<String>,
    pub(crate) user_job_wrapper: Option<PathBuf>,
    pub(crate) job_renice_increment: Option<String>,
    pub(crate) starter_rlimit_as: Option<String>,
}
impl Default for Condition {
    fn default() -> Self {
        Self("true".into())
    }
}
pub(crate) struct Cfg;
pub(crate) fn load(_l: Option<&str>) -> Result<Cfg, Failure> {
    Ok(Cfg)
}
impl Knobs {
    pub(crate) fn read(_c: &Cfg) -> Result<Self, Failure> {
        Ok(Self {
            execute: std::env::var_os("T_EXECUTE").unwrap_or_default().into(),
            mount_under_scratch: Some("/tmp,/var/tmp".into()),
            mount_private_dev_shm: true,
            per_job_namespaces: true,
            use_pid_namespace_init: true,
            starter_nested_scratch: true,
            starter_sets_home_env: true,
            named_chroot: std::env::var("T_CHROOT").ok(),
            ..Self::default()
        })
    }
    pub(crate) fn inherits_environment(&self) -> bool {
        self.job_inherits_starter_environment
            .as_deref()
            .is_some_and(|t| !t.trim().eq_ignore_ascii_case("false"))
    }
    pub(crate) fn verbose_log(&self) -> bool {
        false
    }
    pub(crate) fn starter_log(&self, _local: Option<&str>) -> Option<String> {
        None
    }
}
