//! A starter of a pool whose peers misbehave: what a startd starts, with a shadow and a startd that are
//! played by the test, well and badly, at every step of a job's life.
//!
//! Whatever happens, the starter ends with the right code, its log names the cause, it doesn't spin, and
//! no process, mount or sandbox is left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

mod channel;
mod checkpoint;
mod credentials;
mod deferral;
mod disk;
mod files;
mod guidance;
mod hooks;
mod inheritance;
mod life;
mod local;
mod orders;
mod own;
mod parent;
mod plugins;
mod pool;
mod reach;
mod reconnect;
mod scripts;
mod ssh;
mod words;
