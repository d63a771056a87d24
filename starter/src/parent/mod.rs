//! Who gave the job and gets the result.

pub(crate) mod file;
mod link;
pub(crate) mod schedd;
pub(crate) mod shadow;
pub(crate) mod startd;
