//! `$INT()` and `$REAL()`.

use super::printf::{Argument, Format};
use super::{Call, fault};
use crate::error::Error;
use crate::expand::Dialect;
use crate::read;

/// HTCondor formats numbers into a buffer of this length.
const LONGEST: usize = 55;

fn kind(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Param => ("macro", "!"),
        Dialect::Inline => ("error", ""),
    }
}

pub(super) fn int(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let (kind, mark) = kind(call.dialect);
    let (argument, format) = call.value_and_format(body);
    let format = parse(format, Format::for_integer, "$INT()", kind, mark)?;
    let text = call.value(argument, call.dialect)?;
    let number = read::long(&text).ok_or_else(|| {
        fault(format!("$INT() {kind}: {text} does not evaluate to an integer{mark}"))
    })?;
    Ok(match format {
        Some(format) => cut(format.print(&Argument::Integer(number))),
        None => number.to_string(),
    })
}

pub(super) fn real(call: &mut Call<'_, '_>, body: &str) -> Result<String, Error> {
    let (kind, mark) = kind(call.dialect);
    let (argument, format) = call.value_and_format(body);
    let format = parse(format, Format::for_real, "$REAL()", kind, mark)?;
    let text = call.value(argument, call.dialect)?;
    let number = read::double(&text).ok_or_else(|| {
        let article = if call.dialect == Dialect::Param { "an" } else { "a" };
        fault(format!("$REAL() {kind}: {text} does not evaluate to {article} real{mark}"))
    })?;
    let Some(format) = format else { return Ok(super::printf::shortest(number)) };
    let mut printed = cut(format.print(&Argument::Real(number)));
    if !printed.contains('.') {
        printed.push_str(".0");
    }
    Ok(printed)
}

/// Reads a format, if there is one.
pub(super) fn parse<'a>(
    format: Option<&'a str>,
    parse: impl Fn(&'a str) -> Option<Format<'a>>,
    function: &str,
    kind: &str,
    mark: &str,
) -> Result<Option<Format<'a>>, Error> {
    let Some(text) = format else { return Ok(None) };
    let wrong =
        || fault(format!("{function} {kind}: '{text}' is not a valid format specifier{mark}"));
    parse(text).map(Some).ok_or_else(wrong)
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
