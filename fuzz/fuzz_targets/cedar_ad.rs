//! Any bytes as an ad on the wire, and as the texts that come with one: no panic, and what was read
//! is read again from what is written.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloister_tests::fuzz::cedar_ad(bytes));
