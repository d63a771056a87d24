//! `$BASENAME()`, `$DIRNAME()` and the letters of `$F...()`.

use super::Call;
use crate::error::Error;
use crate::expand::Dialect;
use crate::text::{base_start, trim_start};

/// Which parts of a path are wanted, and how they are to be written.
#[derive(Debug, Default)]
struct Wanted {
    extension: bool,
    name: bool,
    path: bool,
    /// How many directories above the name.
    parents: usize,
    /// Without the slash behind a directory or the dot before an extension.
    bare: bool,
    quote: Option<char>,
    /// `/` or `\` throughout.
    separator: Option<char>,
    /// An ending to take off, whatever it looks like.
    suffix: Option<String>,
}

pub(super) fn basename(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let mut wanted = Wanted { extension: true, name: true, ..Wanted::default() };
    // The second expander has no second argument.
    if call.dialect == Dialect::Param
        && let Some((argument, suffix)) = body.rsplit_once(',')
    {
        wanted.suffix = Some(trim_start(suffix).to_owned());
        return parts(call, &wanted, argument);
    }
    parts(call, &wanted, body)
}

pub(super) fn dirname(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    parts(call, &Wanted { path: true, ..Wanted::default() }, body)
}

pub(super) fn filename(
    call: &mut Call<'_, '_>,
    letters: &str,
    body: &str,
) -> Result<String, Error> {
    let mut wanted = Wanted::default();
    let (mut quoted, mut single) = (false, false);
    for letter in letters.bytes() {
        match letter.to_ascii_lowercase() {
            b'x' => wanted.extension = true,
            b'n' => wanted.name = true,
            b'p' => wanted.path = true,
            b'd' => wanted.parents += 1,
            b'b' => wanted.bare = true,
            b'a' => single = true,
            b'q' => quoted = true,
            b'w' => wanted.separator = Some('\\'),
            b'u' => wanted.separator = Some('/'),
            // `f` makes a path absolute only where the caller has a directory to start from, and
            // a daemon's configuration has none.
            _ => {}
        }
    }
    wanted.quote = quoted.then_some(if single { '\'' } else { '"' });
    parts(call, &wanted, body)
}

fn parts(call: &mut Call<'_, '_>, wanted: &Wanted, argument: &str) -> Result<String, Error> {
    let dialect = call.dialect;
    match call.knob(argument, dialect) {
        Some(path) => Ok(take(&path?, wanted)),
        None if dialect == Dialect::Inline => Ok(String::new()),
        None => Ok(take(&call.value(argument, dialect)?, wanted)),
    }
}

fn take(path: &str, wanted: &Wanted) -> String {
    let mut text = unquoted(path).to_owned();
    if let Some(separator) = wanted.separator {
        let other = if separator == '/' { '\\' } else { '/' };
        text = text.replace(other, &separator.to_string());
    }
    let name_at = base_start(&text);
    let mut extension_at = extension_start(&text, name_at);
    let mut wants_extension = wanted.extension;
    if let Some(suffix) = &wanted.suffix
        && let Some(at) = text.len().checked_sub(suffix.len()).filter(|&at| at >= name_at)
        && text.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    {
        extension_at = at;
        wants_extension = false;
    }
    let (mut wants_path, mut wants_parents) = (wanted.path, wanted.parents > 0);
    // There is no directory to show with the name of a bare file.
    if name_at == 0 && (wanted.name || wants_extension) {
        (wants_path, wants_parents) = (false, false);
    }
    let directory_end = if wanted.bare && name_at > 0 { name_at - 1 } else { name_at };
    let (start, end) = match (wants_parents, wants_path, wanted.name, wants_extension) {
        (false, false, false, true) => {
            let dot = usize::from(wanted.bare && extension_at < text.len());
            (extension_at + dot, text.len())
        }
        (false, false, true, true) => (name_at, text.len()),
        (false, false, true, false) => (name_at, extension_at),
        (false, false, false, false) | (false, true, true, true) | (false, true, false, true) => {
            (0, text.len())
        }
        (false, true, false, false) => (0, directory_end),
        (false, true, true, false) => (0, extension_at),
        (true, ..) if name_at == 0 => (0, 0),
        (true, _, name, extension) => {
            let end = match (name, extension) {
                (true, false) => extension_at,
                (false, false) => directory_end,
                (_, true) => text.len(),
            };
            (parents_start(&text, wanted.parents).min(end), end)
        }
    };
    let part = &text[start..end];
    match wanted.quote {
        Some(quote) => format!("{quote}{part}{quote}"),
        None => part.to_owned(),
    }
}

/// Without the quotes around it.
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text.strip_prefix('"').unwrap_or(text)
}

/// The last dot of the name, unless the name starts with it.
fn extension_start(text: &str, name_at: usize) -> usize {
    let name = &text[name_at..];
    name.rfind('.').filter(|&at| at > 0).map_or(text.len(), |at| name_at + at)
}

/// Where the last `count` directories begin; the whole path if it hasn't as many.
fn parents_start(text: &str, count: usize) -> usize {
    let ends: Vec<usize> = text.match_indices(['/', '\\']).map(|(at, _)| at + 1).collect();
    ends.len().checked_sub(count + 1).and_then(|index| ends.get(index)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(letters: &str, path: &str) -> String {
        let mut wanted = Wanted::default();
        for letter in letters.chars() {
            match letter {
                'x' => wanted.extension = true,
                'n' => wanted.name = true,
                'p' => wanted.path = true,
                'd' => wanted.parents += 1,
                'b' => wanted.bare = true,
                'q' => wanted.quote = Some('"'),
                'w' => wanted.separator = Some('\\'),
                _ => {}
            }
        }
        take(path, &wanted)
    }

    #[test]
    fn letters() {
        let path = "/a/b/c/file.tar.txt";
        for (letters, part) in [
            ("", path),
            ("p", "/a/b/c/"),
            ("d", "c/"),
            ("dd", "b/c/"),
            ("dddd", "/a/b/c/"),
            ("n", "file.tar"),
            ("x", ".txt"),
            ("xb", "txt"),
            ("nx", "file.tar.txt"),
            ("pn", "/a/b/c/file.tar"),
            ("ddn", "b/c/file.tar"),
            ("db", "c"),
            ("nq", "\"file.tar\""),
            ("dq", "\"c/\""),
            ("pw", ""),
        ] {
            assert_eq!(f(letters, path), part, "{letters}");
        }
        assert_eq!(f("qd", "name.ext"), "\"\"");
        assert_eq!(f("x", "/a/.hidden"), "");
        assert_eq!(f("n", "\"/a b/c d.e\""), "c d");
        assert_eq!(f("d", "/rootfile"), "/");
    }
}
