//! Who may reach a running job, and what a running job may reach.

pub(crate) mod chirp;
pub(crate) mod peek;
