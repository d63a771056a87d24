//! Text of a job, made fit to be shown.

/// The longest text of a job that is shown, in characters.
const LONGEST: usize = 80;

/// Without anything that a terminal acts upon or that changes the order of what is read; not longer than a line.
pub(in crate::cli) fn printable(text: &str) -> String {
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if harmless(c) { c } else { '?' }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

fn harmless(c: char) -> bool {
    // Marks of direction, joiners and the like, invisible or worse.
    let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\n\u{7}\u{9b}c"), "a?[31mb????c");
        assert_eq!(printable("x\u{202e}txt.exe\u{200b}"), "x?txt.exe?");
        assert_eq!(printable("Zoë 12"), "Zoë 12");
        assert_eq!(printable(&"y".repeat(500)).len(), LONGEST + 3);
    }
}
