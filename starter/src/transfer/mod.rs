//! Moves a job's files: into the sandbox before it starts, out of it after it has ended.

#[cfg(test)]
mod alone;
mod catalogue;
mod fault;
mod local;
mod names;
mod process;
#[cfg_attr(not(test), allow(dead_code, reason = "jobs of a pool do not get here yet"))]
mod remote;

pub(crate) use catalogue::Catalogue;
pub(crate) use local::{Copying, copy_in, copy_out};

/// What a transfer has come to.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Input is in the sandbox, whose top level then holds this.
    In(Catalogue),
    /// Output is where it belongs.
    Out {
        /// Regular files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}
