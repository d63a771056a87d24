//! What is told about a job that ran: usage, exit and result, as ads.

pub(crate) mod ad;
mod disk;
pub(crate) mod events;
pub(crate) mod metrics;
mod usage;

pub(crate) use disk::{Disk, measure};
pub(crate) use usage::{Sample, Usage};
