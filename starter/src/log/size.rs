//! How large or old a log may become: the values of MAX_STARTER_LOG.

/// When a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Never.
    None,
    /// At this many bytes.
    Bytes(u64),
    /// When a span of this many seconds, counted from the epoch, has passed.
    Seconds(u64),
}

/// Where nothing is configured: 10 MiB, as MAX_DEFAULT_LOG has it.
pub(crate) const DEFAULT: Limit = Limit::Bytes(10 << 20);

impl Limit {
    /// A number with an optional unit, as HTCondor reads it: bytes, `Kb`, `Mb`, `Gb`, `Tb`, or a span
    /// of time in `s`, `min`, `h`, `d`, `w`. Of `M` alone the capital is megabytes and the small one
    /// minutes. 0 is no limit. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no number of bytes or span of time");
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim_start();
        if !unit.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(wrong());
        }
        let upper = unit.to_ascii_uppercase();
        let (factor, time) = match upper.as_bytes() {
            [] | [b'B', ..] => (1, false),
            [b'K', ..] => (1 << 10, false),
            [b'M'] => {
                if unit == "m" {
                    (60, true)
                } else {
                    (1 << 20, false)
                }
            }
            [b'M', b'B', ..] | [b'M', b'I', b'B', ..] => (1 << 20, false),
            [b'M', b'I', ..] => (60, true),
            [b'G', ..] => (1 << 30, false),
            [b'T', ..] => (1 << 40, false),
            [b'S', ..] => (1, true),
            [b'H', ..] => (3600, true),
            [b'D', ..] => (86_400, true),
            [b'W', ..] => (604_800, true),
            _ => return Err(wrong()),
        };
        let number = number.checked_mul(factor).ok_or_else(wrong)?;
        Ok(match (number, time) {
            (0, _) => Self::None,
            (_, true) => Self::Seconds(number),
            (_, false) => Self::Bytes(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_htcondor() {
        for (text, limit) in [
            ("0", Limit::None),
            ("10485760", Limit::Bytes(10 << 20)),
            (" 10 Mb ", Limit::Bytes(10 << 20)),
            ("64K", Limit::Bytes(64 << 10)),
            ("1 GiB", Limit::Bytes(1 << 30)),
            ("5M", Limit::Bytes(5 << 20)),
            ("5MiB", Limit::Bytes(5 << 20)),
            ("5m", Limit::Seconds(300)),
            ("5min", Limit::Seconds(300)),
            ("1d", Limit::Seconds(86_400)),
            ("2 weeks", Limit::Seconds(1_209_600)),
        ] {
            assert_eq!(Limit::parse(text), Ok(limit), "{text}");
        }
        for text in
            ["", "Mb", "-1", "1.5Mb", "5 parsecs", "99999999999999999999", "99999999999T", "5Mx"]
        {
            assert!(Limit::parse(text).is_err(), "{text}");
        }
    }
}
