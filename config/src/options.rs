//! For whom, and in which surroundings, a configuration is read.

use std::ffi::OsString;
use std::path::PathBuf;

/// The reader of a configuration and its surroundings.
///
/// [`Options::from_process`] takes the surroundings from the process; [`Options::default`] has
/// none, which suits tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The subsystem, `STARTER` for a starter: `STARTER.NAME` goes before `NAME`.
    pub subsystem: String,
    /// What `-local-name` says: `LOCAL.NAME` goes before all others.
    pub local_name: Option<String>,
    /// The root file; `CONDOR_CONFIG` and the usual places are not looked at then.
    pub root_file: Option<PathBuf>,
    /// Is it an error that there is no root file at all? So it is for daemons.
    pub need_root: bool,
    /// The environment, in its order: `CONDOR_CONFIG`, `_CONDOR_*`, `$ENV()` and commands.
    pub env: Vec<(OsString, OsString)>,
    /// The version of HTCondor that `if version` compares with.
    pub version: (u32, u32, u32),
    /// May the process change its user? If not, the user's own file is read as well, and it owns
    /// persistent settings itself. `None`: as root it may.
    pub can_switch_ids: Option<bool>,
    /// `$(HOSTNAME)`, if not as the kernel has it.
    pub hostname: Option<String>,
    /// `$(FULL_HOSTNAME)`, if not the name that `$(HOSTNAME)` stands for.
    pub full_hostname: Option<String>,
    /// `$(TILDE)`, if not the home of user condor.
    pub tilde: Option<PathBuf>,
    /// Knobs for which the reader has a default of its own. HTCondor forgets an assignment that
    /// equals its own default; for these it is kept, and [`Config::origin`](crate::Config::origin)
    /// has its place.
    pub own_defaults: Vec<&'static str>,
    /// Stands for `/` when the usual places are searched for a root file.
    pub search_under: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            subsystem: "STARTER".to_owned(),
            local_name: None,
            root_file: None,
            need_root: true,
            env: Vec::new(),
            version: (25, 14, 1),
            can_switch_ids: None,
            hostname: None,
            full_hostname: None,
            tilde: None,
            own_defaults: Vec::new(),
            search_under: None,
        }
    }
}

impl Options {
    /// For a subsystem, in surroundings without an environment.
    pub fn new(subsystem: impl Into<String>) -> Options {
        Options { subsystem: subsystem.into(), ..Options::default() }
    }

    /// For a subsystem, with the environment of this process.
    pub fn from_process(subsystem: impl Into<String>) -> Options {
        Options { env: std::env::vars_os().collect(), ..Options::new(subsystem) }
    }
}
