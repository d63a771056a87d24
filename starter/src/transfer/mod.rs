//! Moves a job's files: into the sandbox before it starts, out of it after it has ended.

mod catalogue;
mod fault;
mod local;
mod names;
mod remote;

pub(crate) use catalogue::Catalogue;
pub(crate) use local::{copy_in, copy_out};
