//! Typed kernel interfaces that neither nix nor rustix has; the only code that may say `unsafe`.

pub(crate) mod clone;
pub(crate) mod dir;
pub(crate) mod environment;
pub(crate) mod exec;
pub(crate) mod inherited;
pub(crate) mod keyring;
pub(crate) mod mount;
pub(crate) mod open;
pub(crate) mod privilege;
pub(crate) mod process;
pub(crate) mod quota;
pub(crate) mod scope;
pub(crate) mod seccomp;
pub(crate) mod socket;
pub(crate) mod start;
