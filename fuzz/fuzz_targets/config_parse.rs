//! Any text is a configuration or an error, soon; and so is every value in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| cloister_tests::fuzz::config_parse(text));
