//! Attributes that a job sets for the next report: which it may, and what is still to be told.

use std::collections::BTreeSet;

use classad::{ClassAd, Expr};

use crate::knobs::Knobs;
use crate::plan;

/// Longest expression, bytes.
const LONGEST: usize = 993;
/// What stock answers to a name that isn't allowed: no error of chirp's, but not 0 either.
const REFUSED: i64 = 1;

/// The attributes.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    patterns: Vec<String>,
    most: usize,
    names: BTreeSet<String>,
    /// All that were set.
    known: ClassAd,
    /// Those that no report has had yet.
    pending: ClassAd,
}

impl Delayed {
    /// None yet.
    pub(crate) fn new(knobs: &Knobs) -> Self {
        let list = knobs.chirp_delayed_update_prefix.to_ascii_lowercase();
        let patterns = list.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        Self {
            patterns: patterns.map(str::to_owned).collect(),
            most: knobs.chirp_delayed_update_max_attrs,
            ..Self::default()
        }
    }

    /// Sets one; the answer.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> i64 {
        if text.len() > LONGEST {
            return super::Fault::Unknown.number();
        }
        let Ok(value) = Expr::parse_old(text) else {
            tracing::warn!("chirp: what the job sets {name} to is no expression");
            return 0;
        };
        let lower = name.to_ascii_lowercase();
        if !is_name(name) || !self.patterns.iter().any(|pattern| plan::matches(&lower, pattern)) {
            tracing::warn!("chirp: CHIRP_DELAYED_UPDATE_PREFIX doesn't allow {name:?}");
            return REFUSED;
        }
        if !self.names.contains(&lower) && self.names.len() >= self.most {
            tracing::warn!("chirp: {} attributes have been set; ignoring {name}", self.names.len());
            return REFUSED;
        }
        self.names.insert(lower);
        self.known.insert(name, value.clone());
        self.pending.insert(name, value);
        0
    }

    /// The value that was set, or that the job's ad has.
    pub(crate) fn get(&self, name: &str, job: &ClassAd) -> Option<String> {
        self.known.get(name).or_else(|| job.get(name)).map(ToString::to_string)
    }

    /// Adds to a report what no report has had yet.
    pub(crate) fn add_to(&self, report: &mut ClassAd) {
        report.update(&self.pending);
    }

    /// A report was taken.
    pub(crate) fn told(&mut self) {
        self.pending = ClassAd::new();
    }
}

/// Names that need no quotes: a line of a wire ad can't hold others.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_allowed_by_pattern_and_number() {
        let text =
            "CHIRP_DELAYED_UPDATE_PREFIX = Chirp*, Mine\nCHIRP_DELAYED_UPDATE_MAX_ATTRS = 2\n";
        let mut delayed = Delayed::new(&Knobs::from_text(text));
        assert_eq!(delayed.set("ChirpA", "1 + 1"), 0);
        assert_eq!(delayed.set("Owner", "\"root\""), 1);
        assert_eq!(delayed.set("Chirp A\nOwner", "1"), 1);
        assert_eq!(delayed.set("mine", "\"x\""), 0);
        assert_eq!(delayed.set("ChirpC", "3"), 1);
        assert_eq!(delayed.set("chirpa", "4"), 0);
        let mut report = ClassAd::new();
        delayed.add_to(&mut report);
        assert_eq!(report.eval_i64("ChirpA"), Some(4));
        assert_eq!((report.len(), report.eval_string("Mine").as_deref()), (2, Some("x")));
        delayed.told();
        let mut report = ClassAd::new();
        delayed.add_to(&mut report);
        assert!(report.is_empty());
        let job = ClassAd::parse_old("Cmd = \"c\"\n").unwrap();
        assert_eq!(delayed.get("CHIRPA", &job).as_deref(), Some("4"));
        assert_eq!(delayed.get("Cmd", &job).as_deref(), Some("\"c\""));
        assert_eq!(delayed.get("Nope", &job), None);
    }

    #[test]
    fn what_is_no_expression_is_ignored_and_what_is_too_long_refused() {
        let mut delayed = Delayed::new(&Knobs::from_text(""));
        assert_eq!(delayed.set("ChirpA", "1 +"), 0);
        assert_eq!(delayed.set("ChirpA", &"1".repeat(994)), -127);
        assert!(delayed.known.is_empty());
    }
}
