//! Ads one after the other in a text, as a plugin writes its results.

use classad::ClassAd;

/// More ads than these aren't read.
const MAX_ADS: usize = 100_000;

/// The ads of a text in the new syntax, up to the first that is none. What is between them, such as
/// blanks, means nothing.
pub(super) fn sequence(text: &[u8]) -> Vec<ClassAd> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < MAX_ADS
        && let Some(start) = rest.iter().position(|byte| *byte == b'[')
        && let Some(length) = rest.get(start..).and_then(length)
        && let Some(ad) = rest.get(start..start + length)
        && let Ok(ad) = ClassAd::parse(ad)
    {
        found.push(ad);
        rest = rest.get(start + length..).unwrap_or_default();
    }
    found
}

/// The bytes up to the bracket that closes the first.
fn length(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let next = text.get(at + 1).copied();
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'/') if next == Some(b'/') => {
                at += text.get(at..)?.iter().position(|byte| *byte == b'\n')?;
            }
            (None, b'/') if next == Some(b'*') => {
                at += 3 + text.get(at + 2..)?.windows(2).position(|pair| pair == b"*/")?;
            }
            (None, b'[') => depth += 1,
            (None, b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        sequence(text.as_bytes()).iter().map(|ad| ad.eval_string("a").unwrap_or_default()).collect()
    }

    #[test]
    fn ads_follow_each_other() {
        assert_eq!(names("[ a = \"1\" ][a=\"2\";]\n   [\n a = \"3\"\n]\n   "), ["1", "2", "3"]);
        assert_eq!(
            names("[ a = \"]\\\"[\"; b = [ c = { [ d = 1 ] } ]; ] [a=\"2\"]"),
            ["]\"[", "2"]
        );
        assert_eq!(names("[ a = \"1\" // ]\n ] [ 'b]' = 1; a /* ] */ = \"2\" ]"), ["1", "2"]);
    }

    #[test]
    fn what_is_no_ad_ends_it() {
        assert_eq!(names("[ a = \"1\" ] [ a = ] [ a = \"3\" ]"), ["1"]);
        for text in ["", "    ", "[", "]", "[ a = \"1\" ", "[ a = \"]", "a = 1\n", "[ /* ", "[ \\"]
        {
            assert_eq!(names(text), [""; 0], "{text}");
        }
    }
}
