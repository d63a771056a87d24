//! The macro set: names, raw values, where they come from, and in which order they are looked up.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::defaults::{self, Knob};
use crate::error::{Error, ErrorKind};
use crate::facts::{self, Fact, Facts};
use crate::options::Options;
use crate::template::Template;
use crate::text::{compare_joined, compare_nocase, strip_prefix_nocase};

/// Names that one configuration may define. Real ones have some hundreds.
const MAX_NAMES: usize = 50_000;

/// A file, a command, or one of the pseudo-sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

impl SourceId {
    pub(crate) const DETECTED: SourceId = SourceId(0);
    pub(crate) const ENVIRONMENT: SourceId = SourceId(1);
}

/// Where a value was assigned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) source: SourceId,
    pub(crate) line: u32,
    /// The template that was used in that line, and the line in it.
    pub(crate) template: Option<(&'static Template, u32)>,
}

impl Place {
    pub(crate) const fn of(source: SourceId) -> Place {
        Place { source, line: 0, template: None }
    }
}

#[derive(Debug)]
enum Value {
    Text(Box<str>),
    Fact(Fact),
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    value: Value,
    place: Place,
}

/// One definition, as opposed to its name: what a cycle is a cycle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Entry(usize),
    Default(usize),
}

/// What a name leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) text: &'a str,
    pub(crate) name: &'a str,
    pub(crate) who: Identity,
    /// `None` for a default.
    pub(crate) place: Option<Place>,
}

/// Where a knob's value comes from.
///
/// Displayed as `condor_config_val -verbose` does: `FILE, line N`, with `use CATEGORY:TEMPLATE+N`
/// if a template was used there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, command (`... |`), or `<Default>`, `<Detected>`, `<Environment>`.
    pub file: String,
    /// The last physical line of the statement. 0 for pseudo-sources, and, as in HTCondor, if the
    /// file's only line has no line end.
    pub line: u32,
    /// `CATEGORY:TEMPLATE+LINE`.
    pub template: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if !self.file.starts_with('<') {
            write!(f, ", line {}", self.line)?;
        }
        match &self.template {
            Some(template) => write!(f, ", use {template}"),
            None => Ok(()),
        }
    }
}

/// What may stand in front of a name: the local name, or the subsystem.
#[derive(Debug)]
struct Prefix {
    name: String,
    /// Whether any definition has it. Few have, and a name is looked up with each prefix first.
    is_used: bool,
    /// The defaults that this subsystem has of its own, and the number of the first one.
    defaults: Option<(usize, &'static [Knob])>,
}

impl Prefix {
    fn new(name: &str) -> Prefix {
        Prefix { name: name.to_owned(), is_used: false, defaults: defaults::of_subsystem(name) }
    }

    fn is_of(&self, name: &str) -> bool {
        strip_prefix_nocase(name, &self.name).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// All definitions, seen by one subsystem and local name.
#[derive(Debug)]
pub(crate) struct Macros {
    entries: Vec<Entry>,
    /// Indices into `entries`, ordered by name without regard to case. A sorted vector needs no
    /// hashing, and finds `PREFIX.NAME` without joining the two.
    order: Vec<u32>,
    sources: Vec<String>,
    pub(crate) subsystem: String,
    pub(crate) local: Option<String>,
    /// Local name and subsystem, in the order in which they are tried.
    prefixes: Vec<Prefix>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) facts: Facts,
    pub(crate) version: (u32, u32, u32),
    own_defaults: Vec<&'static str>,
    /// Does HTCondor's table of defaults count?
    defaults: bool,
}

impl Macros {
    pub(crate) fn new(options: &Options) -> Macros {
        let local = options.local_name.clone().filter(|name| !name.is_empty());
        let prefixes = local.iter().chain([&options.subsystem]).filter(|name| !name.is_empty());
        Macros {
            prefixes: prefixes.map(|name| Prefix::new(name)).collect(),
            entries: Vec::with_capacity(256),
            order: Vec::with_capacity(256),
            sources: vec!["<Detected>".to_owned(), "<Environment>".to_owned()],
            subsystem: options.subsystem.clone(),
            local,
            env: options.env.clone(),
            facts: Facts::new(options),
            version: options.version,
            own_defaults: options.own_defaults.clone(),
            defaults: true,
        }
    }

    /// A set in which only what was defined is found.
    pub(crate) fn without_defaults(options: &Options) -> Macros {
        Macros { defaults: false, ..Macros::new(options) }
    }

    /// The entry for a name in HTCondor's table of defaults, as far as that counts here.
    pub(crate) fn default(&self, name: &str) -> Option<(usize, &'static Knob)> {
        defaults::find(name).filter(|_| self.defaults)
    }

    /// The entry for a name with a subsystem in front.
    pub(crate) fn default_for(&self, prefix: &str, name: &str) -> Option<(usize, &'static Knob)> {
        defaults::find_for(prefix, name).filter(|_| self.defaults)
    }

    pub(crate) fn add_source(&mut self, name: &str) -> SourceId {
        let id = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(name.to_owned());
        SourceId(id)
    }

    pub(crate) fn source(&self, id: SourceId) -> &str {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.sources.get(index).map_or("", String::as_str)
    }

    fn position(&self, prefix: Option<&str>, name: &str) -> Result<usize, usize> {
        self.order.binary_search_by(|&index| compare_joined(&self.at(index).name, prefix, name))
    }

    fn at(&self, index: u32) -> &Entry {
        // Indices in `order` are those of `entries`, which never shrinks.
        &self.entries[index as usize]
    }

    fn text<'a>(&'a self, entry: &'a Entry) -> Option<&'a str> {
        match &entry.value {
            Value::Text(text) => Some(text),
            Value::Fact(fact) => self.facts.get(*fact),
        }
    }

    fn find_exact(&self, prefix: Option<&str>, name: &str) -> Option<Found<'_>> {
        let index = self.order[self.position(prefix, name).ok()?] as usize;
        let entry = &self.entries[index];
        let text = self.text(entry)?;
        let who = Identity::Entry(index);
        Some(Found { text, name: &entry.name, who, place: Some(entry.place) })
    }

    /// Looks a name up: with the local name in front, with the subsystem's, and alone; each among
    /// the definitions and then among the defaults. An empty value is found as well.
    pub(crate) fn find(&self, name: &str) -> Option<Found<'_>> {
        for prefix in &self.prefixes {
            if prefix.is_used
                && let Some(found) = self.find_exact(Some(&prefix.name), name)
            {
                return Some(found);
            }
            if let Some((number, knobs)) = prefix.defaults.filter(|_| self.defaults)
                && let Some(index) = defaults::search(knobs, name)
            {
                return Some(of_default((number + index, &knobs[index])));
            }
        }
        self.find_exact(None, name).or_else(|| self.default(name).map(of_default))
    }

    /// Local name and subsystem, in the order in which they are tried.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(|prefix| prefix.name.as_str())
    }

    /// Does looking the name up lead to a definition that somebody made?
    pub(crate) fn is_assigned(&self, name: &str) -> bool {
        let by_somebody =
            |found: Found<'_>| found.place.is_some_and(|place| place.source != SourceId::DETECTED);
        for prefix in &self.prefixes {
            if prefix.is_used
                && let Some(found) = self.find_exact(Some(&prefix.name), name)
            {
                return by_somebody(found);
            }
            let default = prefix.defaults.and_then(|(_, knobs)| defaults::search(knobs, name));
            if self.defaults && default.is_some() {
                return false;
            }
        }
        self.find_exact(None, name).is_some_and(by_somebody)
    }

    /// Is the name defined by other means than the table of defaults?
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.position(None, name).is_ok()
    }

    pub(crate) fn env(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_os_str())
    }

    /// Defines a name. References to itself are replaced by what it was before.
    pub(crate) fn insert(&mut self, name: &str, value: &str, place: Place) -> Result<(), Error> {
        match self.position(None, name) {
            Ok(at) => {
                let value = self.expand_self(value, name)?.into_owned();
                let index = self.order[at] as usize;
                let entry = &mut self.entries[index];
                entry.value = Value::Text(value.into());
                entry.place = place;
            }
            // A value like the default isn't worth an entry, and is then reported as the default.
            Err(_) if self.is_default(name, value) => {}
            Err(at) => self.add(at, name, Value::Text(value.into()), place)?,
        }
        Ok(())
    }

    fn is_default(&self, name: &str, value: &str) -> bool {
        let own = self.own_defaults.iter().any(|own| own.eq_ignore_ascii_case(name));
        !own && self.default(name).is_some_and(|(_, knob)| is_same(knob, name, value))
    }

    /// Defines what was detected; replaces what there is.
    pub(crate) fn insert_fact(&mut self, fact: Fact, name: &str) -> Result<(), Error> {
        let place = Place::of(SourceId::DETECTED);
        match self.position(None, name) {
            Ok(at) => {
                let index = self.order[at] as usize;
                let assigned = matches!(self.entries[index].value, Value::Text(_));
                // Where the host has no such thing, the configuration's word stands. Every host has a
                // name, which isn't asked for before somebody wants it.
                let named = matches!(fact, Fact::Hostname | Fact::FullHostname);
                if assigned && (named || self.facts.get(fact).is_some()) {
                    self.entries[index].value = Value::Fact(fact);
                    self.entries[index].place = place;
                }
                Ok(())
            }
            Err(at) => self.add(at, name, Value::Fact(fact), place),
        }
    }

    /// Makes a name that is set another name of a fact.
    pub(crate) fn set_fact(&mut self, fact: Fact, name: &str) {
        if let Ok(at) = self.position(None, name) {
            let index = self.order[at] as usize;
            self.entries[index].value = Value::Fact(fact);
            self.entries[index].place = Place::of(SourceId::DETECTED);
        }
    }

    /// Defines all facts, or those that can't be overridden.
    pub(crate) fn insert_facts(&mut self, only_fixed: bool) -> Result<(), Error> {
        for &(fact, name, fixed) in facts::NAMES {
            if fixed || !only_fixed {
                self.insert_fact(fact, name)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize, name: &str, value: Value, place: Place) -> Result<(), Error> {
        if self.entries.len() >= MAX_NAMES {
            let what = format!("more than {MAX_NAMES} knobs");
            return Err(Error::new(ErrorKind::Limit, what, "Remove some"));
        }
        for prefix in &mut self.prefixes {
            prefix.is_used |= prefix.is_of(name);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { name: name.into(), value, place });
        self.order.insert(at, index);
        Ok(())
    }

    pub(crate) fn origin(&self, found: &Found<'_>) -> Origin {
        let Some(place) = found.place else {
            return Origin { file: "<Default>".to_owned(), line: 0, template: None };
        };
        Origin {
            file: self.source(place.source).to_owned(),
            line: place.line,
            template: place.template.map(|(template, line)| format!("{template}+{line}")),
        }
    }

    /// Names and raw values in the macro set, in the order of the names.
    pub(crate) fn set_values(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.order.iter().map(|&index| self.at(index));
        entries.filter_map(|entry| Some((&*entry.name, self.text(entry)?)))
    }

    /// Names in the macro set, in their order. Detected values are not looked up for that.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|&index| &*self.at(index).name)
    }

    /// The name of a definition.
    pub(crate) fn name_of(&self, who: Identity) -> Option<&str> {
        match who {
            Identity::Entry(index) => self.entries.get(index).map(|entry| &*entry.name),
            Identity::Default(index) => defaults::knobs().get(index).map(|knob| knob.name),
        }
    }
}

fn of_default((index, knob): (usize, &'static Knob)) -> Found<'static> {
    Found { text: knob.default, name: knob.name, who: Identity::Default(index), place: None }
}

fn is_same(knob: &Knob, name: &str, value: &str) -> bool {
    // `STARTER.NAME` finds the default of its own, if there is one, but is stored all the same.
    if compare_nocase(knob.name, name).is_ne() {
        return false;
    }
    let boolean =
        |text: &str| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    knob.default == value || (boolean(value) && knob.default.eq_ignore_ascii_case(value))
}
