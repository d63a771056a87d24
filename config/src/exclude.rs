//! Which files of a configuration directory are left out.

use crate::defaults;
use crate::error::{Error, ErrorKind};

/// `LOCAL_CONFIG_DIR_EXCLUDE_REGEXP`, ready for use.
pub(crate) enum Exclude {
    /// Nothing is left out.
    Nothing,
    /// The default, for which no regular expression has to be compiled: reading all files takes
    /// less time than that.
    Default,
    /// Another one.
    Pattern(Box<regex_lite::Regex>),
}

impl Exclude {
    pub(crate) fn new(pattern: Option<&str>) -> Result<Exclude, Error> {
        let Some(pattern) = pattern else { return Ok(Exclude::Nothing) };
        let name = "LOCAL_CONFIG_DIR_EXCLUDE_REGEXP";
        if defaults::find(name).is_some_and(|(_, knob)| knob.default == pattern) {
            return Ok(Exclude::Default);
        }
        regex_lite::Regex::new(pattern).map(|regex| Exclude::Pattern(Box::new(regex))).map_err(
            |error| {
                let what = format!(
                    "{name} config parameter is not a valid regular expression.  \
                     Value: {pattern},  {error}"
                );
                Error::new(ErrorKind::Value, what, "Correct it, or set it to nothing")
            },
        )
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Exclude::Nothing => false,
            Exclude::Default => is_left_over(name),
            Exclude::Pattern(regex) => regex.is_match(name),
        }
    }
}

/// As the default expression: hidden files, scripts, and what editors and packages leave behind.
fn is_left_over(name: &str) -> bool {
    const ENDS: &[&str] =
        &[".pl", ".py", ".sh", "~", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", ".cfsaved"];
    name.starts_with(['.', '#']) || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_it_stands_for() {
        let (_, knob) = defaults::find("LOCAL_CONFIG_DIR_EXCLUDE_REGEXP").unwrap();
        let regex = regex_lite::Regex::new(knob.default).unwrap();
        for name in [
            "00-base",
            "10.conf",
            ".hidden",
            "#41#",
            "a~",
            "x.sh",
            "x.py",
            "x.pl",
            "x.plx",
            "a.rpmsave",
            "a.rpmnew",
            "a.dpkg-old",
            "a.dpkg-dist",
            "a.cfsaved",
            "a.bak",
            "~a",
            "",
        ] {
            assert_eq!(is_left_over(name), regex.is_match(name), "{name}");
        }
        assert!(Exclude::new(Some("(")).is_err());
        assert!(!Exclude::new(None).unwrap().matches(".x"));
    }
}
