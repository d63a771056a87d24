//! Characters, names and lists as HTCondor's configuration sees them.

use std::cmp::Ordering;

/// White space of the C locale, which HTCondor trims and splits at.
pub(crate) fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// White space, as a predicate on characters.
pub(crate) fn is_space_char(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// May the byte be part of a knob's name?
pub(crate) fn is_name_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'/')
}

/// Is this a knob's name?
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name_byte)
}

/// Without white space at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space_char)
}

/// Without white space in front.
pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space_char)
}

/// Without white space behind.
pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space_char)
}

/// Does `text` start with `prefix`, letter case aside? The rest if so.
pub(crate) fn strip_prefix_nocase<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Compares without regard to ASCII letter case.
pub(crate) fn compare_nocase(a: &str, b: &str) -> Ordering {
    compare_bytes(a.as_bytes(), b.as_bytes())
}

fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    // A plain loop, because looking names up is what reading a configuration mostly does, and a
    // comparison of iterators took a fifth of its time.
    for (a, b) in a.iter().zip(b) {
        if a != b {
            let order = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
            if order.is_ne() {
                return order;
            }
        }
    }
    a.len().cmp(&b.len())
}

/// Compares `a` with `prefix.name` without joining the two.
pub(crate) fn compare_joined(a: &str, prefix: Option<&str>, name: &str) -> Ordering {
    let Some(prefix) = prefix else { return compare_nocase(a, name) };
    let a = a.as_bytes();
    let Some((head, rest)) = a.split_at_checked(prefix.len()) else {
        // Too short to be equal; the dot decides if it is the beginning of the prefix.
        return compare_bytes(a, prefix.as_bytes());
    };
    let order = compare_bytes(head, prefix.as_bytes());
    order.then_with(|| match rest.split_first() {
        None => Ordering::Less,
        Some((b'.', rest)) => compare_bytes(rest, name.as_bytes()),
        Some((other, _)) => other.to_ascii_lowercase().cmp(&b'.'),
    })
}

/// The items between any of `separators`: trimmed, empty ones left out.
pub(crate) fn items<'a>(text: &'a str, separators: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(separators).map(trim).filter(|item| !item.is_empty())
}

/// The items of a list knob: commas and blanks separate.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    items(text, &[',', ' ', '\t', '\r', '\n'])
}

/// The item at `index` between `separator`s, empty ones counted; not trimmed.
pub(crate) fn nth(text: &str, separator: char, index: usize) -> Option<&str> {
    text.split(separator).nth(index)
}

/// A path's last component, after the last `/`.
pub(crate) fn base_start(path: &str) -> usize {
    path.rfind('/').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_names_compare_like_whole_ones() {
        assert_eq!(compare_joined("Starter.A", Some("STARTER"), "a"), Ordering::Equal);
        assert_eq!(compare_joined("starter", None, "STARTER"), Ordering::Equal);
        assert_ne!(compare_joined("startera", Some("START"), "ra"), Ordering::Equal);
    }

    #[test]
    fn joined_names_are_ordered_like_whole_ones() {
        let names = ["a", "A.", "a.b", "a.B.c", "a.c", "aa", "a_", "B", "a/b", "a-", ""];
        for (prefix, name) in [("a", "b"), ("A", ""), ("aa", "x"), ("", "b"), ("a.b", "c")] {
            for other in names {
                let whole = compare_nocase(other, &format!("{prefix}.{name}"));
                assert_eq!(compare_joined(other, Some(prefix), name), whole, "{other} {prefix}");
            }
        }
    }

    #[test]
    fn lists() {
        assert_eq!(list(" a, b  c,,d ").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(nth("a,,c", ',', 1), Some(""));
        assert_eq!(nth("a", ',', 1), None);
    }
}
