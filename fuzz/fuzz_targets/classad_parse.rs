//! Any bytes as an ad or expression, in every form: no panic, no overflow, no hang.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloister_tests::fuzz::classad_parse(bytes));
