//! HTCondor's file transfer with a shadow, both ways.
//!
//! A process that has the account of the job for good, and holds no more than the sandbox's
//! directory, connects to the shadow and calls [`fetch()`] or [`deliver()`]. So whatever a shadow sends
//! and whatever a job leaves in its sandbox, no file is opened with other rights than the job's.
//!
//! | sent by | message |
//! |---|---|
//! | starter | key of the transfer |
//! | sender | whether it is final; an ad with the size of everything |
//! | sender | for each item: a command, a name; before the first one both go ahead; the body |
//! | sender | the command 0 |
//! | sender | an ack |
//! | receiver | an ack |
//!
//! The protocol is that of HTCondor 23.9.6 and 25.14.1.

mod ack;
mod channel;
mod contents;
mod deliver;
mod fetch;
mod goahead;
mod item;
mod moving;
mod select;
mod source;
mod store;
mod targets;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(crate) use self::ack::Stats;
pub(crate) use self::contents::Contents;
pub(crate) use self::moving::{Transferring, begin_delivery, begin_fetch};
pub(crate) use self::targets::Targets;
use self::{deliver::deliver, fetch::fetch};
use super::plugins::Settings;
use super::{Catalogue, Invalid};

/// The shadow, and how to talk to it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// `TransferSocket` of the job ad, a sinful string.
    pub(crate) address: String,
    /// The session for file transfers, as a claim id: `filetrans.<claim>#[info]key`.
    pub(crate) session: Zeroizing<String>,
    /// `TransferKey` of the job ad.
    pub(crate) key: Zeroizing<String>,
    /// This starter's `$CondorVersion: ...$`.
    pub(crate) version: String,
    /// The shadow's, its `ShadowVersion`.
    pub(crate) shadow_version: Option<String>,
    /// Where this starter takes commands, a sinful string.
    pub(crate) own_address: Option<String>,
    /// The name of this starter in the logs of a shared port.
    pub(crate) client: String,
    /// Seconds without a byte after which the shadow is given up.
    pub(crate) timeout: u32,
}

impl fmt::Debug for Peer {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What is fetched: the shadow knows the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The path of the sandbox, for messages.
    pub(crate) sandbox: PathBuf,
    /// The name that the program arrives under; it becomes executable. `None`: it isn't sent.
    pub(crate) program: Option<String>,
    /// Whether a checkpoint among it may have a list to be checked by.
    pub(crate) has_manifest: bool,
    /// How files with URLs are fetched; `None`: there are none.
    pub(crate) plugins: Option<Box<Settings>>,
    /// What is recorded of the sandbox when it is there.
    pub(crate) contents: Option<Contents>,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// What the sandbox's top level holds now.
    pub(crate) catalogue: Catalogue,
    /// Files and bytes.
    pub(crate) stats: Stats,
    /// What is wrong with the checkpoint among it.
    pub(crate) invalid: Option<Invalid>,
}

/// What is delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Output {
    /// The path of the sandbox as the job knows it.
    pub(crate) sandbox: PathBuf,
    /// `TransferOutput`; `None`: what is new or changed at the sandbox's top.
    pub(crate) list: Option<Vec<PathBuf>>,
    /// Whether `_condor_stdout` and `_condor_stderr` are wanted.
    pub(crate) standard: [bool; 2],
    /// The name of the program, which isn't output by itself.
    pub(crate) program: Option<String>,
    /// Names at the sandbox's top that are never sent, besides those of the starter.
    pub(crate) hidden: Vec<OsString>,
    /// Names at the top that are sent though they haven't changed: they came back before.
    pub(crate) earlier: Vec<OsString>,
    /// `PreserveRelativePaths`: listed files keep their directories.
    pub(crate) preserve_paths: bool,
    /// Whether the job is over, so that files go where they belong and not into the spool.
    pub(crate) is_final: bool,
    /// What a core file may be called, and what it becomes.
    pub(crate) core: Option<Core>,
    /// What is recorded of the sandbox first, and sent with the rest.
    pub(crate) contents: Option<Contents>,
    /// What goes to URLs.
    pub(crate) urls: Targets,
    /// How that is done; `None`: nothing goes there.
    pub(crate) plugins: Option<Box<Settings>>,
}

/// Names of a core file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Core {
    /// As the kernel writes it: `core.<pid>`, `core`. The first that is there counts.
    pub(crate) found: Vec<OsString>,
    /// As it is sent: `core.<cluster>.<proc>`.
    pub(crate) name: OsString,
}

/// What was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// Files and bytes.
    pub(crate) stats: Stats,
    /// `SpooledOutputFiles`: names at the top, without those of standard output and error.
    pub(crate) spooled: Vec<String>,
    /// The name of the core file that the job left.
    pub(crate) core: Option<String>,
    /// What was left out and why, for the log.
    pub(crate) warnings: Vec<String>,
}
