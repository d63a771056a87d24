//! What a plugin says of itself when it is called with `-classad`.

use classad::ClassAd;

/// How a plugin wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A call for each file: source and destination are arguments, the result is printed.
    Single,
    /// One call for all files, which are ads in a file, as the results are. Data for the plugin is in
    /// each of the ads (2), or in ads of its own (4).
    Multiple(i64),
}

/// A plugin's abilities.
#[derive(Clone, Debug)]
pub(crate) struct Capability {
    /// The schemes of the URLs that it moves, as it writes them.
    pub(crate) schemes: Vec<String>,
    /// How it is called.
    pub(crate) protocol: Protocol,
    /// All that it said.
    pub(crate) ad: ClassAd,
}

impl Capability {
    /// Reads what was printed; without a scheme a plugin is of no use.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let ad = Self::attributes(text);
        let schemes: Vec<String> = ad
            .eval_string("SupportedMethods")?
            .split([',', ' ', '\t'])
            .filter(|word| is_scheme(word))
            .map(str::to_owned)
            .collect();
        let usual = if ad.eval_bool("MultipleFileSupport") == Some(true) { 2 } else { 1 };
        let version = ad.eval_i64("ProtocolVersion").filter(|version| (1..=100).contains(version));
        let protocol = match version.unwrap_or(usual) {
            1 => Protocol::Single,
            version => Protocol::Multiple(version),
        };
        (!schemes.is_empty()).then_some(Self { schemes, protocol, ad })
    }

    /// Attributes, one a line. Lines that are none are passed over, as errors come among them.
    pub(super) fn attributes(text: &[u8]) -> ClassAd {
        let mut ad = ClassAd::new();
        for line in String::from_utf8_lossy(text).lines() {
            if let Ok(line) = ClassAd::parse_old(line.trim()) {
                ad.update(&line);
            }
        }
        ad
    }
}

fn is_scheme(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_are_read_line_by_line() {
        let text = b"warning: something\nMultipleFileSupport = true\nPluginVersion = \"0.2\"\n\
                     ProtocolVersion = 4\nSupportedMethods = \"http,https, dav\"\n";
        let found = Capability::parse(text).unwrap();
        assert_eq!(found.schemes, ["http", "https", "dav"]);
        assert_eq!(found.protocol, Protocol::Multiple(4));
        let protocol = |text: &str| {
            let text = format!("SupportedMethods = \"x\"\n{text}\n");
            Capability::parse(text.as_bytes()).unwrap().protocol
        };
        assert_eq!(protocol(""), Protocol::Single);
        assert_eq!(protocol("MultipleFileSupport = True"), Protocol::Multiple(2));
        assert_eq!(
            protocol("MultipleFileSupport = True\nProtocolVersion = 1000"),
            Protocol::Multiple(2)
        );
        assert_eq!(protocol("ProtocolVersion = 0"), Protocol::Single);
    }

    #[test]
    fn without_a_scheme_it_is_no_plugin() {
        for text in
            [&b""[..], b"\0\xff", b"A = 1\n", b"SupportedMethods = \"\"\n", b"SupportedMethods = 3"]
        {
            assert!(Capability::parse(text).is_none());
        }
    }
}
