//! Any text is a configuration or an error, soon, and so as a submit description; and so is every
//! value in it.

use condor_config::{Config, Options};

/// Runs the target on one input.
pub fn config_parse(text: &str) {
    // What reads files or runs commands is not for random text.
    let lower = text.to_ascii_lowercase();
    if lower.contains("include") || lower.contains("config") {
        return;
    }
    if let Ok(config) = Config::parse_str("fuzz", text, &Options::new("STARTER")) {
        read(&config);
    }
    let given = [("ClusterId", "1")];
    if let Ok(config) = Config::parse_description("fuzz", text, &Options::new("SUBMIT"), &given) {
        read(&config);
    }
}

fn read(config: &Config) {
    let names: Vec<String> = config.names().map(str::to_owned).collect();
    for name in names.iter().filter(|name| config.origin(name).is_some_and(|o| o.file == "fuzz")) {
        let _ = config.string(name);
        let _ = config.int(name);
        let _ = config.bool(name);
        let _ = config.list(name);
        let _ = config.raw(name).map(|raw| config.expand_inline(raw));
    }
}
