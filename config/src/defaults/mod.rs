//! HTCondor's own defaults: what a knob is when no configuration says otherwise.

mod table;

use crate::text::compare_nocase;

/// What a knob's value is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, or an expression.
    Bool,
    /// An integer of 32 bits, or an expression.
    Int,
    /// An integer of 64 bits, or an expression.
    Long,
    /// A real number, or an expression.
    Double,
    /// A text, a list, an expression.
    String,
    /// The path of a file or directory.
    Path,
}

/// One entry of HTCondor's table of knobs.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// The name, as HTCondor spells it.
    pub name: &'static str,
    /// What the value is read as.
    pub kind: Kind,
    /// The raw default, with its references. Empty: there is none.
    pub default: &'static str,
    range: Option<(i64, i64)>,
}

impl Knob {
    const fn new(name: &'static str, kind: Kind, default: &'static str) -> Knob {
        Knob { name, kind, default, range: None }
    }

    const fn within(self, min: i64, max: i64) -> Knob {
        Knob { range: Some((min, max)), ..self }
    }

    /// The integers that are accepted, if it is one and has a default.
    pub const fn range(&self) -> Option<(i64, i64)> {
        match (self.kind, self.range) {
            _ if self.default.is_empty() => None,
            (Kind::Int | Kind::Long, Some(range)) => Some(range),
            (Kind::Int, None) => Some((i32::MIN as i64, i32::MAX as i64)),
            (Kind::Long, None) => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }
}

const fn boolean(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::Bool, default)
}

const fn int(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::Int, default)
}

const fn long(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::Long, default)
}

const fn double(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::Double, default)
}

const fn string(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::String, default)
}

const fn path(name: &'static str, default: &'static str) -> Knob {
    Knob::new(name, Kind::Path, default)
}

/// The whole table, in the order of the names.
pub fn knobs() -> &'static [Knob] {
    table::KNOBS
}

/// The default of a name, which may carry a subsystem: `STARTER.NAME`. The number tells it apart
/// from all others.
pub(crate) fn find(name: &str) -> Option<(usize, &'static Knob)> {
    if let Some(dot) = name.bytes().position(|byte| byte == b'.')
        && let Some(found) = find_for(&name[..dot], &name[dot + 1..])
    {
        return Some(found);
    }
    search(table::KNOBS, name).map(|index| (index, &table::KNOBS[index]))
}

/// The default that a subsystem has of its own.
pub(crate) fn find_for(subsystem: &str, name: &str) -> Option<(usize, &'static Knob)> {
    let (number, knobs) = of_subsystem(subsystem)?;
    search(knobs, name).map(|index| (number + index, &knobs[index]))
}

/// The defaults that a subsystem has of its own, and the number of the first one.
pub(crate) fn of_subsystem(subsystem: &str) -> Option<(usize, &'static [Knob])> {
    // The table is meant for subsystems, but HTCondor looks only up to a dot.
    let subsystem = subsystem.split('.').next().unwrap_or_default();
    let mut number = table::KNOBS.len();
    for (found, knobs) in table::OF_SUBSYSTEMS {
        if found.eq_ignore_ascii_case(subsystem) {
            return Some((number, knobs));
        }
        number += knobs.len();
    }
    None
}

/// Where a name is among knobs that are in order.
pub(crate) fn search(knobs: &[Knob], name: &str) -> Option<usize> {
    knobs.binary_search_by(|knob| compare_nocase(knob.name, name)).ok()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use crate::scan::Function;

    #[test]
    fn the_table_is_in_order() {
        let tables = table::OF_SUBSYSTEMS.iter().map(|(_, knobs)| *knobs);
        for knobs in tables.chain([table::KNOBS]) {
            for pair in knobs.windows(2) {
                assert_eq!(compare_nocase(pair[0].name, pair[1].name), Ordering::Less);
            }
        }
    }

    #[test]
    fn finds_by_name_and_subsystem() {
        assert_eq!(find("spool").map(|(_, knob)| knob.default), Some("$(LOCAL_DIR)/spool"));
        assert_eq!(find("Starter.IsStarter").map(|(_, knob)| knob.default), Some("true"));
        assert!(find_for("STARTD", "IsStarter").is_none());
        assert!(find("NOPE").is_none());
    }

    #[test]
    fn defaults_refer_to_what_is_there() {
        for knob in table::KNOBS {
            let mut from = 0;
            while let Some(found) =
                crate::scan::next(knob.default, from, |found| found.function == Function::Value)
            {
                let (name, default) = found.name_and_default();
                assert!(default.is_some() || find(name).is_some() || is_known(name), "{name}");
                from = found.end;
            }
        }
    }

    fn is_known(name: &str) -> bool {
        crate::facts::NAMES.iter().any(|(_, fact, _)| fact.eq_ignore_ascii_case(name))
            || ["CONDOR_HOST", "FLOCK_TO", "GPU_DISCOVERY_EXTRA", "CONFIG_ROOT", "SUBSYSTEM"]
                .contains(&name)
    }
}
