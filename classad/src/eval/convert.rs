//! Conversions that functions do to their arguments.

use crate::num;
use crate::text::Text;
use crate::value::Value;

/// What cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoValue {
    Undefined,
    Error,
}

impl From<NoValue> for Value {
    fn from(reason: NoValue) -> Value {
        match reason {
            NoValue::Undefined => Value::Undefined,
            NoValue::Error => Value::Error,
        }
    }
}

/// The text of any value: strings as they are, times without quotes, the rest in new form.
pub(crate) fn string_of(value: Value) -> Result<Text, NoValue> {
    match value {
        Value::Undefined => Err(NoValue::Undefined),
        Value::Error => Err(NoValue::Error),
        Value::String(text) => Ok(text),
        Value::AbsTime(t) => Ok(Text::from(t.to_string())),
        // Through a whole number of seconds: the fraction is lost.
        Value::RelTime(t) => Ok(Text::from(crate::RelTime::new(t.seconds().trunc()).to_string())),
        other => Ok(Text::from(other.to_new_bytes())),
    }
}

/// The number in a value: of a string what `strtod` finds at its front.
pub(crate) fn real_of(value: &Value) -> Result<f64, NoValue> {
    match value {
        Value::Undefined => Err(NoValue::Undefined),
        Value::Error | Value::List(_) | Value::Ad(_) => Err(NoValue::Error),
        Value::String(text) => {
            num::strtod(text.as_bytes()).map(|(value, _)| value).ok_or(NoValue::Error)
        }
        Value::Bool(b) => Ok(f64::from(u8::from(*b))),
        Value::Int(i) => Ok(num::real(*i)),
        Value::Real(r) => Ok(*r),
        Value::AbsTime(t) => Ok(num::real(t.seconds)),
        Value::RelTime(t) => Ok(t.seconds().trunc()),
    }
}

/// The same, without fraction.
pub(crate) fn integer_of(value: &Value) -> Result<i64, NoValue> {
    match value {
        Value::Int(i) => Ok(*i),
        Value::AbsTime(t) => Ok(t.seconds),
        other => real_of(other).map(num::truncate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_strings() {
        assert_eq!(integer_of(&Value::from("12abc")), Ok(12));
        assert_eq!(real_of(&Value::from("0x10")), Ok(16.0));
        assert_eq!(integer_of(&Value::from("abc")), Err(NoValue::Error));
        assert_eq!(integer_of(&Value::Undefined), Err(NoValue::Undefined));
    }

    #[test]
    fn texts_of_values() {
        let text = |value: Value| string_of(value).map(|t| t.to_string());
        assert_eq!(text(Value::from(2.5)).unwrap(), "2.500000000000000E+00");
        assert_eq!(text(Value::from(vec![1, 2])).unwrap(), "{ 1,2 }");
        assert_eq!(text(Value::from("a\"b")).unwrap(), "a\"b");
    }
}
