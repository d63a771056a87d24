//! URLs, as far as a starter looks at them: the scheme, and what of one may be shown.

/// The scheme of a URL, `scheme://` and more; `None` if it is none.
fn whole_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    (named && !rest.is_empty()).then_some(scheme)
}

/// Whether it is a URL.
pub(crate) fn is_url(text: &str) -> bool {
    whole_scheme(text).is_some()
}

/// The scheme that a plugin is looked for by: `https` of `chtc+https://`, where the rest names
/// credentials. Schemes know no capitals.
pub(crate) fn scheme(text: &str) -> Option<String> {
    let scheme = whole_scheme(text)?;
    let last = scheme.rsplit(['+', '-', '.']).next()?;
    (!last.is_empty()).then(|| last.to_ascii_lowercase())
}

/// What may be shown: user, password, query and fragment may be secrets.
pub(crate) fn shown(text: &str) -> String {
    let Some(scheme) = whole_scheme(text) else { return text.to_owned() };
    let rest = text.get(scheme.len() + 3..).unwrap_or_default();
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (open, secret) = rest.split_at(end);
    let (host, path) = open.split_at(open.find('/').unwrap_or(open.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    let more = if secret.is_empty() { "" } else { "?..." };
    format!("{scheme}://{host}{path}{more}")
}

/// The same for each URL of a text that a plugin reads, in which they stand between quotes.
pub(super) fn shown_in(text: &str) -> String {
    text.split('"').map(shown).collect::<Vec<_>>().join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_found() {
        for (text, found) in [
            ("http://x/y", Some("http")),
            ("HTTP://x", Some("http")),
            ("box+https://x", Some("https")),
            ("a.b-c://x", Some("c")),
            ("x:/y", None),
            ("x://", None),
            ("1x://y", None),
            ("/a://b", None),
            ("x_y://z", None),
            ("x+://y", None),
        ] {
            assert_eq!(scheme(text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("https://u:p@host:1/x/y?token=1#f"), "https://host:1/x/y?...");
        assert_eq!(shown("https://host/x@y"), "https://host/x@y");
        assert_eq!(shown("debug://host"), "debug://host");
        assert_eq!(shown("/a/b?c"), "/a/b?c");
        assert_eq!(
            shown_in("[ Url = \"x://u:p@h/a?t=1\"; LocalFileName = \"/a\" ]"),
            "[ Url = \"x://h/a?...\"; LocalFileName = \"/a\" ]"
        );
    }
}
