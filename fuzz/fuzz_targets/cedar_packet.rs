//! Any bytes as a stream, cut up in any way: clear, encrypted, and as the start of a conversation.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloister_tests::fuzz::cedar_packet(bytes));
