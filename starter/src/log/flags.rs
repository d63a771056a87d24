//! What is logged, and what stands in front of a line: ALL_DEBUG and STARTER_DEBUG.

/// The part of HTCondor's debug flags that changes something here. All categories that this program
/// has are always on; `D_FULLDEBUG` (the same as `D_ALWAYS:2`) adds the lines for debugging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Lines for debugging too.
    pub(crate) verbose: bool,
    /// `(pid:N)` in front of each line.
    pub(crate) pid: bool,
    /// The category in front of each line.
    pub(crate) category: bool,
    /// Seconds since the epoch in place of date and time.
    pub(crate) timestamp: bool,
    /// Milliseconds too.
    pub(crate) sub_second: bool,
}

impl Flags {
    /// Adds what a knob says. `-FLAG` and `FLAG:0` take back, of several the last counts; names that
    /// mean nothing here are passed over, as stock does with names that it doesn't know.
    pub(crate) fn add(&mut self, knob: &str) {
        for word in knob.split(['|', ',', ' ', '\t']).filter(|word| !word.is_empty()) {
            let (word, least) = match word.as_bytes() {
                [b'-', ..] => (&word[1..], 0),
                [b'+', ..] => (&word[1..], 1),
                _ => (word, 1),
            };
            let (name, level) = match word.split_once(':') {
                Some((name, level)) => {
                    let digit = level.bytes().next().filter(u8::is_ascii_digit);
                    (name, digit.map_or(least, |digit| digit - b'0'))
                }
                None => (word, least),
            };
            let on = level > 0;
            match name.to_ascii_uppercase().as_str() {
                "D_FULLDEBUG" => self.verbose = on,
                "D_ALWAYS" | "D_ANY" => self.verbose = level > 1 || (on && self.verbose),
                "D_ALL" => {
                    self.verbose = level > 1 || (on && self.verbose);
                    (self.pid, self.category) = (on, on);
                }
                "D_PID" => self.pid = on,
                "D_CAT" | "D_CATEGORY" | "D_LEVEL" => self.category = on,
                "D_TIMESTAMP" => self.timestamp = on,
                "D_SUB_SECOND" => self.sub_second = on,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(knobs: &[&str]) -> Flags {
        let mut flags = Flags::default();
        knobs.iter().for_each(|knob| flags.add(knob));
        flags
    }

    #[test]
    fn flags_are_merged_as_stock_does() {
        let none = Flags::default();
        assert_eq!(flags(&["D_PID"]), Flags { pid: true, ..none });
        assert_eq!(flags(&["D_COMMAND | d_fulldebug"]), Flags { verbose: true, ..none });
        assert_eq!(flags(&["D_ALWAYS:2"]), Flags { verbose: true, ..none });
        assert_eq!(flags(&["D_ALWAYS"]), none);
        assert_eq!(flags(&["D_ALL"]), Flags { pid: true, category: true, ..none });
        assert_eq!(flags(&["D_PID,D_CAT", "-D_PID"]), Flags { category: true, ..none });
        assert_eq!(flags(&["D_FULLDEBUG", "D_FULLDEBUG:0"]), none);
        assert_eq!(
            flags(&["D_SUB_SECOND D_TIMESTAMP"]),
            Flags { timestamp: true, sub_second: true, ..none }
        );
        assert_eq!(flags(&["D_NOTHING:x -"]), none);
    }
}
