//! A line of a chirp client as words: white space separates them, a backslash takes the meaning of the
//! character behind it.

use super::Fault;

/// The words of a line that has no end of line any more.
pub(super) fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                // A lone one at the end stands for nothing, as in stock.
                word.get_or_insert_default().extend(bytes.next());
            }
            // What C's isspace takes for white space.
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

/// A decimal number.
pub(super) fn number(word: &[u8]) -> Result<i64, Fault> {
    std::str::from_utf8(word).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Invalid)
}

/// A word that goes to the shadow as a string, which ends with the first NUL.
pub(super) fn text(word: &[u8]) -> Result<Vec<u8>, Fault> {
    if word.contains(&0) { Err(Fault::Invalid) } else { Ok(word.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_backslashes() {
        let split = |line: &str| -> Vec<String> {
            words(line.as_bytes()).into_iter().map(|w| String::from_utf8(w).unwrap()).collect()
        };
        assert_eq!(split("open  a\\ b\trw 420\r"), ["open", "a b", "rw", "420"]);
        assert_eq!(split("ulog two\\ words\\\\"), ["ulog", "two words\\"]);
        assert_eq!(split("x \\"), ["x", ""]);
        assert!(split("  ").is_empty());
    }

    #[test]
    fn numbers_and_texts_are_bounded() {
        assert_eq!(number(b"-7"), Ok(-7));
        for bad in [&b""[..], b"7x", b"99999999999999999999", b"\xff"] {
            assert_eq!(number(bad), Err(Fault::Invalid));
        }
        assert_eq!(text(b"a\0b"), Err(Fault::Invalid));
    }
}
