//! A condor_starter that gives every HTCondor job a cell of its own.
//!
//! Three processes, by privilege: the *supervisor* (the original process, which gives up root at once
//! and reads everything that comes from outside), the *launcher* (root, forked first, small), and the
//! *init* of each cell. See `plan` for what is decided and `launcher` for how it is done.

#![cfg_attr(not(test), no_main)]

#[macro_use]
mod say;

mod abilities;
mod cli;
mod clock;
mod failure;
mod hooks;
mod host;
mod job;
mod knobs;
mod launcher;
mod log;
mod parent;
mod plan;
mod reach;
#[cfg(test)]
mod reference;
mod report;
mod supervisor;
mod sys;
mod transfer;
mod version;

/// Where the C library begins. The standard library's own start looks at the memory map for the sake of a
/// better message when the stack is full, and this program starts once for each job; what else it does is
/// done here: no standard file is missing, and writing where nobody reads is an error and no signal.
// SAFETY: there is no other symbol of this name, and the C library calls it as C has it.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main(_count: i32, _arguments: *const *const std::ffi::c_char) -> i32 {
    if sys::start::prepare().is_err() {
        return 1;
    }
    clock::begin();
    cli::main(std::env::args_os().skip(1).collect()).into()
}
