//! Replaces references by what they stand for, when a value is read.
//!
//! HTCondor expands a text by searching it for a reference, putting the value in its place, and
//! searching again, until none is left. So does this module, because texts that only together
//! become a reference depend on it. It also remembers which part of the text came from which knob,
//! so that a knob that leads back to itself is an error here and not an endless loop, and it bounds
//! the size of a text and the work spent on it.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::functions;
use crate::macros::{Found, Identity, Macros};
use crate::scan::{self, Function, Reference};

/// The longest text that expansion may make.
const MAX_TEXT: usize = 1 << 20;

/// Bytes that may be looked at and moved for one value.
const MAX_WORK: usize = 64 << 20;

/// References that may be replaced for one value.
const MAX_STEPS: usize = 100_000;

/// Functions within the values of functions' arguments.
const MAX_DEPTH: usize = 50;

/// HTCondor has two expanders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// That of `param()`: everything a daemon reads, and submit descriptions.
    Param,
    /// That of `condor_config_val -macro`; the index of `$CHOICE()` is expanded by
    /// it, too. It does not look again at what stands left of a replaced reference.
    Inline,
}

/// A part of the text, and the definition it came from.
struct Region {
    who: Identity,
    start: usize,
    end: usize,
}

/// What one reading has used up, and the definitions it is inside of.
pub(crate) struct Work {
    within: Vec<Identity>,
    depth: usize,
    moved: usize,
    steps: usize,
}

impl Work {
    pub(crate) fn new() -> Work {
        Work { within: Vec::new(), depth: 0, moved: 0, steps: 0 }
    }

    fn charge(&mut self, length: usize) -> Result<(), Error> {
        self.moved = self.moved.saturating_add(length);
        self.steps += 1;
        if length <= MAX_TEXT && self.moved <= MAX_WORK && self.steps <= MAX_STEPS {
            return Ok(());
        }
        let what = "the value grows without end when its references are replaced";
        Err(Error::new(ErrorKind::Limit, what, "Look for a knob that refers to itself"))
    }
}

impl Macros {
    /// The text of a knob with all references replaced.
    pub(crate) fn expand_found<'a>(&self, found: &Found<'a>) -> Result<Cow<'a, str>, Error> {
        if !found.text.contains('$') {
            return Ok(Cow::Borrowed(found.text));
        }
        let mut work = Work::new();
        self.expand_value(found, Dialect::Param, &mut work).map(Cow::Owned)
    }

    /// A text with all references replaced.
    pub(crate) fn expand_text(&self, text: &str, dialect: Dialect) -> Result<String, Error> {
        self.expand(text.to_owned(), dialect, &mut Work::new())
    }

    /// As an argument's value within a function.
    pub(crate) fn expand_value(
        &self,
        found: &Found<'_>,
        dialect: Dialect,
        work: &mut Work,
    ) -> Result<String, Error> {
        if work.within.contains(&found.who) {
            return Err(self.cycle(found, &work.within, &[]));
        }
        work.within.push(found.who);
        let expanded = self.expand(found.text.to_owned(), dialect, work);
        work.within.pop();
        expanded
    }

    pub(crate) fn expand(
        &self,
        mut text: String,
        dialect: Dialect,
        work: &mut Work,
    ) -> Result<String, Error> {
        if !text.contains('$') {
            return Ok(text);
        }
        if work.depth >= MAX_DEPTH {
            let what = "functions are nested too deep";
            return Err(Error::new(
                ErrorKind::Limit,
                what,
                "Put part of it into a knob of its own",
            ));
        }
        work.depth += 1;
        let mut regions: Vec<Region> = Vec::new();
        let mut from = 0;
        while let Some(found) = scan::next(&text, from, |found| !found.is_dollar()) {
            work.charge(text.len())?;
            let around = |region: &&Region| region.start <= found.start && found.end <= region.end;
            let outer: Vec<Identity> = regions.iter().filter(around).map(|part| part.who).collect();
            let (value, who) = self.evaluate(&found, dialect, &outer, work)?;
            let (start, end, length) = (found.start, found.end, value.len());
            if dialect == Dialect::Inline {
                from = start;
            }
            text.replace_range(start..end, &value);
            keep_regions(&mut regions, start, end, length);
            if let (Some(who), true) = (who, length > 0) {
                regions.push(Region { who, start, end: start + length });
            }
        }
        if dialect == Dialect::Param {
            while let Some(found) = scan::next(&text, 0, Reference::is_dollar) {
                work.charge(text.len())?;
                let (start, end) = (found.start, found.end);
                text.replace_range(start..end, "$");
            }
        }
        work.charge(text.len())?;
        work.depth -= 1;
        Ok(text)
    }

    fn evaluate(
        &self,
        reference: &Reference<'_>,
        dialect: Dialect,
        outer: &[Identity],
        work: &mut Work,
    ) -> Result<(String, Option<Identity>), Error> {
        match reference.function {
            Function::Value => {
                let (name, default) = reference.name_and_default();
                match self.find(name).filter(|found| !found.text.is_empty()) {
                    Some(found) => {
                        if outer.contains(&found.who) || work.within.contains(&found.who) {
                            return Err(self.cycle(&found, &work.within, outer));
                        }
                        Ok((found.text.to_owned(), Some(found.who)))
                    }
                    None => Ok((default.unwrap_or_default().to_owned(), None)),
                }
            }
            Function::Env => {
                let (name, default) = reference.name_and_default();
                let value = self.env(name).map(|value| value.to_string_lossy().into_owned());
                let value = match dialect {
                    Dialect::Inline => value.filter(|value| default.is_none() || !value.is_empty()),
                    Dialect::Param => value,
                };
                Ok((value.unwrap_or_else(|| default.unwrap_or("UNDEFINED").to_owned()), None))
            }
            _ => {
                let inside = work.within.len();
                work.within.extend_from_slice(outer);
                let value = functions::evaluate(self, reference, dialect, work);
                work.within.truncate(inside);
                Ok((value?, None))
            }
        }
    }

    /// Replaces references to `name` in its own new value by the old one, as it is.
    pub(crate) fn expand_self<'v>(
        &self,
        value: &'v str,
        name: &str,
    ) -> Result<Cow<'v, str>, Error> {
        let mut text = Cow::Borrowed(value);
        if !text.contains('$') {
            return Ok(text);
        }
        // In `STARTER.A = $(A)` of a starter, both names mean this knob.
        let bare = self.prefixes().find_map(|prefix| {
            let rest = crate::text::strip_prefix_nocase(name, prefix)?.strip_prefix('.')?;
            (!rest.is_empty()).then_some(rest)
        });
        let is_self = |body: &str, name: &str| {
            crate::text::strip_prefix_nocase(body, name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let mut work = Work::new();
        loop {
            let found = scan::next(&text, 0, |found| {
                matches!(found.function, Function::Value | Function::Filename)
                    && (is_self(found.body, name)
                        || bare.is_some_and(|bare| is_self(found.body, bare)))
            });
            let Some(found) = found else { return Ok(text) };
            work.charge(text.len())?;
            let (value, _) = self.evaluate(&found, Dialect::Param, &[], &mut work)?;
            if is_self(&value, &text[found.start..found.end]) {
                // `A = $(A:$(A))`: nothing would ever change.
                return Ok(text);
            }
            let (start, end) = (found.start, found.end);
            text.to_mut().replace_range(start..end, &value);
        }
    }

    fn cycle(&self, found: &Found<'_>, within: &[Identity], outer: &[Identity]) -> Error {
        let mut way: Vec<&str> = Vec::new();
        let all = within.iter().chain(outer);
        for who in all.skip_while(|who| **who != found.who).skip(1) {
            way.extend(self.name_of(*who));
        }
        let what = if way.is_empty() {
            format!("{} refers to itself", found.name)
        } else {
            format!("{} refers to itself by way of {}", found.name, way.join(", "))
        };
        let remedy = "Give it a value that does not contain a reference to it";
        let error = Error::new(ErrorKind::Cycle, what, remedy);
        let origin = self.origin(found);
        error.at(&origin.file, origin.line)
    }
}

/// Moves the regions along when `start..end` becomes `length` bytes long. Those to the left can
/// no longer hold a reference, and those cut in two are no longer one knob's text.
fn keep_regions(regions: &mut Vec<Region>, start: usize, end: usize, length: usize) {
    let moved = |at: usize| at - (end - start) + length;
    regions.retain_mut(|region| {
        if region.start >= end {
            region.start = moved(region.start);
            region.end = moved(region.end);
            true
        } else if region.start <= start && region.end >= end {
            region.end = moved(region.end);
            true
        } else {
            false
        }
    });
}
