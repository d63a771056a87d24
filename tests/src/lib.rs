//! Helpers shared by the tests of the whole: a private machine per test, jobs, and what they leave.
//!
//! Every test gets a [`Machine`]: a mount namespace with accounts, an EXECUTE directory and a
//! configuration of its own, so that tests run side by side and nothing they do reaches the real
//! machine. See there for the checks that every run is subject to.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

pub mod fuzz;
mod job;
mod leaks;
mod machine;
mod private;
mod programs;
mod root;
mod run;

pub use job::{Job, Value};
pub use leaks::{Process, mounts, processes, wait_until};
pub use machine::{ALICE, Account, BOB, Machine};
pub use programs::{hostile, starter};
pub use root::NamedRoot;
pub use run::{Ran, Running};
