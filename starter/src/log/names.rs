//! Which file is the log.

use std::path::PathBuf;

use crate::knobs::Knobs;

/// The log file; `None` where nothing is configured. As in 23.9.6 and 25.14.1: STARTER_LOG with the
/// suffix of `-a`. A starter with a local name but no suffix doesn't share that file: its own
/// `NAME.STARTER_LOG`, else a file named after it, serves (`slot_type_1` → `SlotType1Log`).
pub(crate) fn log_file(
    knobs: &Knobs,
    local_name: Option<&str>,
    suffix: Option<&str>,
) -> Option<PathBuf> {
    let in_log = |name: String| knobs.log.as_ref().map(|log| log.join(name));
    let usual = || knobs.starter_log.clone().or_else(|| in_log("StarterLog".to_owned()));
    match (suffix, local_name) {
        (Some(suffix), _) => {
            let mut path = usual()?.into_os_string();
            path.push(".");
            path.push(suffix);
            Some(path.into())
        }
        (None, Some(name)) if !knobs.own_starter_log => in_log(format!("{}Log", in_words(name))),
        (None, _) => usual(),
    }
}

/// Each word with a capital, without what separates them.
fn in_words(name: &str) -> String {
    let words = name.split(|c: char| c == '_' || c.is_ascii_whitespace());
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect::<String>()
    };
    words.map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_stock() {
        let mut knobs = Knobs::from_text("LOG = /l\n");
        let name = |knobs: &Knobs, local, suffix| {
            log_file(knobs, local, suffix).unwrap().into_os_string().into_string().unwrap()
        };
        assert_eq!(name(&knobs, None, None), "/l/StarterLog");
        assert_eq!(name(&knobs, None, Some("slot1_1")), "/l/StarterLog.slot1_1");
        assert_eq!(name(&knobs, Some("slot_type_1"), Some("slot1_1")), "/l/StarterLog.slot1_1");
        assert_eq!(name(&knobs, Some("slot_type_1"), None), "/l/SlotType1Log");
        assert_eq!(name(&knobs, Some("p1"), None), "/l/P1Log");
        knobs.starter_log = Some("/l/Own".into());
        knobs.own_starter_log = true;
        assert_eq!(name(&knobs, Some("slot_type_1"), None), "/l/Own");
        assert_eq!(name(&knobs, Some("slot_type_1"), Some("s")), "/l/Own.s");
    }
}
