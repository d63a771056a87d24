//! Transfer plugins: programs of the machine or of the job that fetch and store files by URL.
//!
//! The transfer process, which talks to the shadow, runs no programs. A helper does, in a room of its
//! own: a process with the job's account and its isolation, which the launcher makes beside a transfer
//! that names URLs, and which ends with it, with everything that a plugin has started. The machine's
//! plugins see the machine's root and network, those that a job brings only what the job sees.
//!
//! | file | concept |
//! |---|---|
//! | `settings` | what the configuration and the job say of plugins |
//! | `capability` | what a plugin says of itself |
//! | `table` | which plugin is for which scheme |
//! | `caller` | the transfer process's side: URLs in, results out |
//! | `call` | one call of a plugin, in either protocol |
//! | `outcome` | what a call has come to, in HTCondor's words and codes |
//! | `told` | what shadow and log are told of it |
//! | `helper` | the process in the room |
//! | `probe` | what the machine's plugins can do, before there is a job |
//! | `run` | programs with a deadline and an end to what they say |

mod ads;
mod call;
mod caller;
mod capability;
mod helper;
mod outcome;
mod probe;
mod run;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod told;
pub(crate) mod url;

pub(crate) use caller::Caller;
pub(super) use caller::{Upload, Uploaded, Wanted};
pub(crate) use helper::{Helpers, Lines, Rooms};
pub(super) use outcome::Fault;
pub(crate) use probe::{Found, Probe};
pub(crate) use settings::Settings;
pub(crate) use told::{Loudness, Told, UrlStats};
