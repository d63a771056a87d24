//! Moves a job's files: into the sandbox before it starts, out of it after it has ended.

#[cfg(test)]
mod alone;
mod catalogue;
mod fault;
mod local;
mod names;
#[cfg_attr(not(test), allow(dead_code, reason = "jobs of a pool do not get here yet"))]
mod remote;

pub(crate) use catalogue::Catalogue;
pub(crate) use local::{copy_in, copy_out};
