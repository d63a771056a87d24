//! `$CHOICE()`, `$RANDOM_CHOICE()` and `$RANDOM_INTEGER()`.

use std::hash::{BuildHasher, Hasher};

use super::{Call, fault};
use crate::error::Error;
use crate::expand::Dialect;
use crate::read;
use crate::text::{items, list, nth, trim};

/// One of many, without claims to unpredictability.
fn random_below(bound: u64) -> u64 {
    // Every `RandomState` has other keys; the hash of nothing then is as random as they are.
    let random = std::hash::RandomState::new().build_hasher().finish();
    random % bound.max(1)
}

fn pick<T>(mut all: Vec<T>) -> Option<T> {
    let index = random_below(all.len() as u64);
    (!all.is_empty()).then(|| all.swap_remove(usize::try_from(index).unwrap_or(0)))
}

pub(super) fn random_choice(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    if call.dialect == Dialect::Inline {
        return random_choice_inline(call, body);
    }
    let mut entries: Vec<String> = items(body, &[',']).map(str::to_owned).collect();
    if let [only] = entries.as_slice()
        && let Some(value) = call.knob(&only.clone(), Dialect::Param)
    {
        entries = list(&value?).map(str::to_owned).collect();
    }
    pick(entries).ok_or_else(|| fault("$RANDOM_CHOICE() macro is empty!".to_owned()))
}

fn random_choice_inline(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    if body.is_empty() {
        return Err(fault("$RANDOM_CHOICE() error: no list".to_owned()));
    }
    let text =
        if body.contains(',') { body.to_owned() } else { call.value(trim(body), Dialect::Inline)? };
    let all: Vec<&str> = text.split(',').map(trim).collect();
    Ok(pick(all).unwrap_or_default().to_owned())
}

/// The number a text begins with.
fn leading_number(text: &str) -> Option<i64> {
    read::strtoll(text).map(|(number, _)| number)
}

pub(super) fn random_integer(call: &Call<'_, '_>, body: &str) -> Result<String, Error> {
    let (kind, mark) = match call.dialect {
        Dialect::Param => ("config macro", "!"),
        Dialect::Inline => ("error", ""),
    };
    let wrong = |what: &str| fault(format!("$RANDOM_INTEGER() {kind}: {what}{mark}"));
    let arguments: Vec<&str> = match call.dialect {
        Dialect::Param => items(body, &[',']).collect(),
        Dialect::Inline => body.split(',').map(trim).collect(),
    };
    let number = |index: usize| arguments.get(index).and_then(|text| leading_number(text));
    let min = number(0).ok_or_else(|| wrong("invalid min"))?;
    let max = number(1).ok_or_else(|| wrong("invalid max"))?;
    let step = match (arguments.get(2), call.dialect) {
        (None, Dialect::Param) => Some(1),
        // The second expander insists on a step.
        (None, Dialect::Inline) => None,
        (Some(text), _) => leading_number(text),
    };
    let step = step.filter(|step| *step >= 1).ok_or_else(|| wrong("invalid step"))?;
    if min > max {
        return Err(wrong("min > max"));
    }
    let (low, range) = (i128::from(min), i128::from(max) - i128::from(min));
    let step = i128::from(step);
    let count = u64::try_from((step + range) / step).unwrap_or(u64::MAX);
    Ok((low + i128::from(random_below(count)) * step).to_string())
}

pub(super) fn choice(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let param = call.dialect == Dialect::Param;
    if !param && nth(body, ',', 1).is_none() {
        return Err(fault("$CHOICE() error: no list".to_owned()));
    }
    let index = call.inline_value(body, 0).transpose()?.unwrap_or_default();
    let index = read::long(&index)
        .filter(|number| (0..i64::from(i32::MAX)).contains(number))
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| fault(format!("$CHOICE() error: '{index}' is invalid index")))?;
    let Some((_, items)) = body.split_once(',') else {
        return Err(fault("$CHOICE() error: no list".to_owned()));
    };
    let list = if items.contains(',') {
        items.to_owned()
    } else {
        let name = trim(items);
        if !param && name.is_empty() {
            return Err(fault("$CHOICE() error: no list".to_owned()));
        }
        let dialect = call.dialect;
        let missing = || match dialect {
            Dialect::Param => fault(format!("$CHOICE() macro: no list named \"{name}\"!")),
            Dialect::Inline => fault(format!("$CHOICE() error: no list named {name}")),
        };
        call.knob(name, dialect).ok_or_else(missing)??
    };
    match nth(&list, ',', index) {
        Some(item) => Ok(trim(item).to_owned()),
        None if param => {
            Err(fault(format!("$CHOICE() config macro: index {index} is out of range!")))
        }
        None => Err(fault(format!("$CHOICE() error: index {index} is out of range"))),
    }
}
