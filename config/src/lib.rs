//! The HTCondor configuration language, served as a `config::Source`.
//!
//! A daemon of HTCondor is configured by *knobs*: names with values, assigned in a root file, in
//! the files it includes or names, in the files of directories, and in the environment. A value can
//! refer to other knobs, and the references are replaced when the value is *read*, by what the
//! knobs are then. This crate reads such configurations as HTCondor 25.14.1 does, oddities
//! included, and tells for each value where it was assigned.
//!
//! ```
//! use condor_config::{Config, Options};
//!
//! let text = "\
//! LOCAL_DIR = /var/lib/condor
//! SLOT_DIR  = $(EXECUTE)/slots
//! use FEATURE : PartitionableSlot
//! if version >= 24.0
//!   USE_PID_NAMESPACES = true
//! endif
//! CORES = 2 * 8
//! MEMORY_PER_CORE = $INT(CORES) * 512
//! STARTER.MEMORY_PER_CORE = 1024
//! ";
//! let config = Config::parse_str("example", text, &Options::new("STARTER"))?;
//!
//! // EXECUTE has HTCondor's default, which refers to LOCAL_DIR.
//! assert_eq!(config.string("slot_dir")?.as_deref(), Some("/var/lib/condor/execute/slots"));
//! assert_eq!(config.raw("SLOT_DIR"), Some("$(EXECUTE)/slots"));
//! // A starter sees what is meant for starters.
//! assert_eq!(config.int("MEMORY_PER_CORE")?, Some(1024));
//! // Numbers and booleans may be expressions.
//! assert_eq!(config.int("CORES")?, Some(16));
//! assert_eq!(config.bool("USE_PID_NAMESPACES")?, Some(true));
//! assert_eq!(
//!     config.origin("SLOT_TYPE_1").map(|origin| origin.to_string()).as_deref(),
//!     Some("example, line 3, use FEATURE:PartitionableSlot+2"),
//! );
//! # Ok::<(), condor_config::Error>(())
//! ```
//!
//! # From text to value
//!
//! 1. *Lines* are put together from physical ones (continuation, comments), and each is read as a
//!    *statement*.
//! 2. Statements are *executed* in order: assignments, `if`, `include`, `use`. Only a knob's
//!    references to itself are replaced now.
//! 3. *Reading* a knob looks its name up (for the local name, the subsystem, and for all; then in
//!    HTCondor's table of defaults), replaces references, and evaluates functions such as `$INT()`.
//! 4. *Typed reads* make a boolean, a number or a list of the text, by way of a ClassAd expression
//!    if need be.
//!
//! Submit descriptions are in the same language; [`Config::parse_description`] reads them.
//! [`Config::load`] finds the sources of this host in HTCondor's order; [`Knobs`] hands chosen
//! knobs to the `config` crate and so to serde.
//!
//! # Where it differs from HTCondor
//!
//! * A knob that refers to itself by way of others is an [`Error`]; HTCondor does not come back.
//!   Text sizes, nesting and the work for one value are bounded.
//! * A function without a value is an error, as it is in HTCondor's daemons. The rubbish that tools
//!   go on with is not imitated, save for typed reads ([`Invalid::fallback`]).
//! * What is detected is found out when it is first asked for. Users and hosts are looked up in
//!   `/etc/passwd` and `/etc/hosts`, and otherwise by `getent`, because a static program can't load
//!   the C library's modules for that.
//! * The table of defaults holds what concerns an execute node, not what only schedds, negotiators
//!   or clouds read.
//! * Text that isn't UTF-8 is read with U+FFFD in place of what isn't.

#![forbid(unsafe_code)]

mod condition;
mod config;
mod defaults;
mod description;
mod error;
mod exclude;
mod execute;
mod expand;
mod facts;
mod functions;
mod include;
mod io;
mod lines;
mod load;
mod macros;
mod options;
mod persistent;
mod read;
mod root;
mod scan;
mod source;
mod statement;
mod template;
mod text;
mod typed;

pub use crate::config::Config;
pub use crate::defaults::{Kind, Knob, knobs};
pub use crate::error::{Error, ErrorKind, Invalid, Warning};
pub use crate::macros::Origin;
pub use crate::options::Options;
pub use crate::source::{As, Knobs};

/// The examples of the page that registries show.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
