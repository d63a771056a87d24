//! What is told about a job that ran: usage, exit and result, as ads.

pub(crate) mod ad;
pub(crate) mod disk;
mod usage;

pub(crate) use usage::Usage;
