//! Type tests and conversions.

use super::Call;
use crate::eval::{Evaluated, integer_of, real_of, string_of};
use crate::value::Value;

pub(super) fn is(call: &mut Call<'_, '_>, test: fn(&Value) -> bool) -> Evaluated {
    Ok(match call.values()? {
        Some([value]) => Value::Bool(test(&value)),
        None => Value::Error,
    })
}

pub(super) fn integer(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(match call.values()? {
        Some([value]) => integer_of(&value).map_or_else(Value::from, Value::Int),
        None => Value::Error,
    })
}

pub(super) fn real(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(match call.values()? {
        Some([value]) => real_of(&value).map_or_else(Value::from, Value::Real),
        None => Value::Error,
    })
}

pub(super) fn string(call: &mut Call<'_, '_>) -> Evaluated {
    Ok(match call.values()? {
        Some([value]) => string_of(value).map_or_else(Value::from, Value::String),
        None => Value::Error,
    })
}

/// Strings other than "true" and "false" are undefined, not errors.
pub(super) fn boolean(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    Ok(match value {
        Value::Undefined => Value::Undefined,
        Value::String(text) if text.eq_ignore_case("true") => Value::Bool(true),
        Value::String(text) if text.eq_ignore_case("false") => Value::Bool(false),
        Value::String(_) => Value::Undefined,
        Value::RelTime(t) => Value::Bool(t.seconds().trunc() != 0.0),
        other => other.as_bool().map_or(Value::Error, Value::Bool),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn conversions() {
        assert_eq!(eval("int(\"12abc\")"), "12");
        assert_eq!(eval("int(1e30)"), "-9223372036854775808");
        assert_eq!(eval("int(\"x\")"), "error");
        assert_eq!(eval("real(true)"), "1.000000000000000E+00");
        assert_eq!(eval("string({1})"), "\"{ 1 }\"");
        assert_eq!(eval("bool(\"yes\")"), "undefined");
        assert_eq!(eval("bool(\"TRUE\")"), "true");
        assert_eq!(eval("int(undefined)"), "undefined");
        assert_eq!(eval("int()"), "error");
    }
}
