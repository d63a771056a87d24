//! The environment in which a daemon of HTCondor starts a starter.

use std::env;

use crate::sys::environment;

/// The sockets that the daemon hands down. `condor_who` takes whoever has this for the starter.
pub(super) const INHERIT: &str = "CONDOR_INHERIT";
/// The keys of the sessions with it.
const PRIVATE: &str = "CONDOR_PRIVATE_INHERIT";
/// Where the daemons of this machine have their sockets, which is a secret.
const COOKIE: &str = "CONDOR_PRIVATE_SHARED_PORT_COOKIE";

/// What the environment was.
pub(super) struct Inherited(Vec<(String, String)>);

impl Inherited {
    /// Takes note of it. From here on nobody finds the keys in /proc.
    pub(super) fn take() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let own = env::vars_os().filter_map(text).collect();
        environment::wipe(&[PRIVATE, COOKIE]);
        Self(own)
    }

    /// The sockets.
    pub(super) fn sockets(&self) -> Option<&str> {
        self.value(INHERIT)
    }

    /// The keys; nothing if there are none.
    pub(super) fn keys(&self) -> &str {
        self.value(PRIVATE).unwrap_or_default()
    }

    /// What an admin may let jobs inherit: nothing that daemons tell each other.
    pub(super) fn for_jobs(self) -> Vec<(String, String)> {
        self.0.into_iter().filter(|(name, _)| !name.starts_with("CONDOR_")).collect()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}
