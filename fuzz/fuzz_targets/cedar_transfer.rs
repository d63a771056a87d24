//! Any bytes as the stream of a file transfer: what is received is bounded, and never more than was
//! announced.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloister_tests::fuzz::cedar_transfer(bytes));
