//! Any text is a configuration or an error, soon; and so is every value in it.
#![no_main]

use condor_config::{Config, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // What reads files or runs commands is not for random text.
    let lower = text.to_ascii_lowercase();
    if lower.contains("include") || lower.contains("config") {
        return;
    }
    let Ok(config) = Config::parse_str("fuzz", text, &Options::new("STARTER")) else { return };
    let names: Vec<String> = config.names().map(str::to_owned).collect();
    for name in names.iter().filter(|name| config.origin(name).is_some_and(|o| o.file == "fuzz")) {
        let _ = config.string(name);
        let _ = config.int(name);
        let _ = config.bool(name);
        let _ = config.list(name);
        let _ = config.raw(name).map(|raw| config.expand_inline(raw));
    }
});
