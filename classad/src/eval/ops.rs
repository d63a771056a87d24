//! Operators on values.

use std::cmp::Ordering;

use crate::expr::{BinaryOp, UnaryOp};
use crate::num;
use crate::text::cmp_ignore_case;
use crate::time::{AbsTime, RelTime};
use crate::value::Value;

/// A binary operator; short-circuiting has happened already.
pub(crate) fn binary(op: BinaryOp, left: Value, right: Value) -> Value {
    match op {
        BinaryOp::Or | BinaryOp::And => return logic(op, &left, &right),
        BinaryOp::Is => return same(&left, &right),
        BinaryOp::Isnt => {
            return match same(&left, &right) {
                Value::Bool(b) => Value::Bool(!b),
                other => other,
            };
        }
        _ => {}
    }
    if left.is_error() || right.is_error() {
        return Value::Error;
    }
    if left.is_undefined() || right.is_undefined() {
        return Value::Undefined;
    }
    match op {
        BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide
        | BinaryOp::Modulo => arithmetic(op, &left, &right),
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual => compare(op, &left, &right),
        _ => match (left, right) {
            (Value::Int(a), Value::Int(b)) => Value::Int(bits(op, a, b)),
            _ => Value::Error,
        },
    }
}

/// A unary operator.
pub(crate) fn unary(op: UnaryOp, value: Value) -> Value {
    match (op, value) {
        (_, Value::Undefined) => Value::Undefined,
        (UnaryOp::Minus, Value::Int(i)) => Value::Int(i.wrapping_neg()),
        (UnaryOp::Minus, Value::Real(r)) => Value::Real(-r),
        (UnaryOp::Minus, Value::RelTime(t)) => Value::RelTime(RelTime::new(-t.seconds())),
        (UnaryOp::Plus, v @ (Value::Int(_) | Value::Real(_) | Value::RelTime(_))) => v,
        (UnaryOp::BitNot, Value::Int(i)) => Value::Int(!i),
        (UnaryOp::Not, v) => v.as_bool().map_or(Value::Error, |b| Value::Bool(!b)),
        _ => Value::Error,
    }
}

/// `=?=`. Never undefined; lists and ads cannot be compared.
pub(crate) fn same(left: &Value, right: &Value) -> Value {
    Value::Bool(match (left, right) {
        (Value::Undefined, Value::Undefined) | (Value::Error, Value::Error) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Real(a), Value::Real(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::AbsTime(a), Value::AbsTime(b)) => a == b,
        (Value::RelTime(a), Value::RelTime(b)) => a == b,
        (Value::List(_), Value::List(_)) | (Value::Ad(_), Value::Ad(_)) => return Value::Error,
        _ => false,
    })
}

/// `&&` and `||` where the left side has not decided.
fn logic(op: BinaryOp, left: &Value, right: &Value) -> Value {
    let deciding = op == BinaryOp::Or;
    let truth = |v: &Value| match v {
        Value::Undefined => Some(None),
        other => other.as_bool().map(Some),
    };
    match (truth(left), truth(right)) {
        (None, _) | (_, None) => Value::Error,
        (_, Some(Some(b))) if b == deciding => Value::Bool(deciding),
        (Some(None), _) | (_, Some(None)) => Value::Undefined,
        _ => Value::Bool(!deciding),
    }
}

/// A number, booleans being 0 and 1.
enum Number {
    Int(i64),
    Real(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Number> {
        match value {
            Value::Bool(b) => Some(Number::Int(i64::from(*b))),
            Value::Int(i) => Some(Number::Int(*i)),
            Value::Real(r) => Some(Number::Real(*r)),
            _ => None,
        }
    }

    fn real(&self) -> f64 {
        match self {
            Number::Int(i) => num::real(*i),
            Number::Real(r) => *r,
        }
    }
}

fn arithmetic(op: BinaryOp, left: &Value, right: &Value) -> Value {
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => integers(op, a, b),
        (Some(a), Some(b)) => reals(op, a.real(), b.real()),
        _ => times(op, left, right),
    }
}

fn integers(op: BinaryOp, a: i64, b: i64) -> Value {
    Value::Int(match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Subtract => a.wrapping_sub(b),
        BinaryOp::Multiply => a.wrapping_mul(b),
        _ if b == 0 => return Value::Error,
        // The one quotient that does not fit.
        BinaryOp::Divide => a.checked_div(b).unwrap_or(i64::MAX),
        _ => a.checked_rem(b).unwrap_or(0),
    })
}

/// Positive infinity is an error; negative infinity and NaN are not. HTCondor looks for one sign.
fn reals(op: BinaryOp, a: f64, b: f64) -> Value {
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide => a / b,
        _ => return Value::Error,
    };
    if result == f64::INFINITY { Value::Error } else { Value::Real(result) }
}

fn times(op: BinaryOp, left: &Value, right: &Value) -> Value {
    let span = |seconds: f64| Value::RelTime(RelTime::new(seconds));
    let shifted = |t: &AbsTime, by: f64| {
        let seconds = t.seconds.wrapping_add(num::truncate(by));
        Value::AbsTime(AbsTime { seconds, offset: t.offset })
    };
    let factor = |v: &Value| match v {
        Value::Int(i) => Some(num::real(*i)),
        Value::Real(r) => Some(*r),
        _ => None,
    };
    match (op, left, right) {
        (BinaryOp::Subtract, Value::AbsTime(a), Value::AbsTime(b)) => {
            span(num::real(a.seconds.wrapping_sub(b.seconds)))
        }
        (BinaryOp::Add, Value::AbsTime(a), Value::RelTime(b))
        | (BinaryOp::Add, Value::RelTime(b), Value::AbsTime(a)) => shifted(a, b.seconds()),
        (BinaryOp::Subtract, Value::AbsTime(a), Value::RelTime(b)) => shifted(a, -b.seconds()),
        (BinaryOp::Add, Value::RelTime(a), Value::RelTime(b)) => span(a.seconds() + b.seconds()),
        (BinaryOp::Subtract, Value::RelTime(a), Value::RelTime(b)) => {
            span(a.seconds() - b.seconds())
        }
        (BinaryOp::Multiply, Value::RelTime(a), b) => {
            factor(b).map_or(Value::Error, |b| span(a.seconds() * b))
        }
        (BinaryOp::Multiply, a, Value::RelTime(b)) => {
            factor(a).map_or(Value::Error, |a| span(a * b.seconds()))
        }
        (BinaryOp::Divide, Value::RelTime(a), b) => {
            factor(b).map_or(Value::Error, |b| span(a.seconds() / b))
        }
        _ => Value::Error,
    }
}

fn compare(op: BinaryOp, left: &Value, right: &Value) -> Value {
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => Some(cmp_ignore_case(a.as_bytes(), b.as_bytes())),
        (Value::AbsTime(a), Value::AbsTime(b)) => Some(a.seconds.cmp(&b.seconds)),
        (Value::RelTime(a), Value::RelTime(b)) => a.seconds().partial_cmp(&b.seconds()),
        _ => match (Number::of(left), Number::of(right)) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => Some(a.cmp(&b)),
            (Some(a), Some(b)) => a.real().partial_cmp(&b.real()),
            _ => return Value::Error,
        },
    };
    Value::Bool(match op {
        BinaryOp::Equal => order == Some(Ordering::Equal),
        BinaryOp::NotEqual => order != Some(Ordering::Equal),
        BinaryOp::Less => order == Some(Ordering::Less),
        BinaryOp::LessOrEqual => order.is_some_and(Ordering::is_le),
        BinaryOp::Greater => order == Some(Ordering::Greater),
        _ => order.is_some_and(Ordering::is_ge),
    })
}

/// Bitwise operators and shifts. The processor takes the count modulo 64.
fn bits(op: BinaryOp, a: i64, b: i64) -> i64 {
    let count = u32::try_from(b & 63).unwrap_or(0);
    match op {
        BinaryOp::BitOr => a | b,
        BinaryOp::BitXor => a ^ b,
        BinaryOp::BitAnd => a & b,
        BinaryOp::ShiftLeft => a.wrapping_shl(count),
        // HTCondor shifts a negative number one place at a time, for no more than 64 places.
        BinaryOp::ShiftRight if a < 0 => {
            if b <= 0 {
                a
            } else {
                a >> b.min(63)
            }
        }
        BinaryOp::ShiftRight => a.wrapping_shr(count),
        // Of a negative number the sign goes with the first place, and only then the rest.
        _ if a < 0 => {
            let rest = u32::try_from(b.wrapping_sub(1) & 63).unwrap_or(0);
            (a.wrapping_shr(1) & i64::MAX).wrapping_shr(rest)
        }
        _ => a.wrapping_shr(count),
    }
}

#[cfg(test)]
mod tests {
    use crate::{ClassAd, Expr};

    fn eval(text: &str) -> String {
        Expr::parse(text).unwrap().eval_in(&ClassAd::new()).to_string()
    }

    #[test]
    fn arithmetic() {
        assert_eq!(eval("9223372036854775807 + 1"), "-9223372036854775808");
        assert_eq!(eval("-9223372036854775808 / -1"), "9223372036854775807");
        assert_eq!(eval("-9223372036854775808 % -1"), "0");
        assert_eq!(eval("-7 / 2"), "-3");
        assert_eq!(eval("1 / 0"), "error");
        assert_eq!(eval("1.0 / 0"), "error");
        assert_eq!(eval("-1.0 / 0"), "real(\"-INF\")");
        assert_eq!(eval("true + true"), "2");
        assert_eq!(eval("2.0 % 2"), "error");
    }

    #[test]
    fn comparison() {
        assert_eq!(eval("\"aB\" == \"Ab\""), "true");
        assert_eq!(eval("\"aB\" =?= \"Ab\""), "false");
        assert_eq!(eval("1 == \"1\""), "error");
        assert_eq!(eval("9007199254740993 == 9007199254740992.0"), "true");
        assert_eq!(eval("{1} =?= {1}"), "error");
        assert_eq!(eval("undefined =?= undefined"), "true");
    }

    #[test]
    fn logic() {
        assert_eq!(eval("undefined && false"), "false");
        assert_eq!(eval("undefined || true"), "true");
        assert_eq!(eval("error || true"), "error");
        assert_eq!(eval("\"x\" || true"), "error");
        assert_eq!(eval("1 && 2"), "true");
        assert_eq!(eval("undefined && error"), "error");
    }

    #[test]
    fn shifts() {
        assert_eq!(eval("-8 >> 100"), "-1");
        assert_eq!(eval("-8 >> -1"), "-8");
        assert_eq!(eval("1 << 65"), "2");
        assert_eq!(eval("-1 >>> 1"), "9223372036854775807");
        assert_eq!(eval("-1 >>> 0"), "0");
    }

    #[test]
    fn times() {
        assert_eq!(eval("absTime(100,0) - absTime(40,0)"), "relTime(\"01:00\")");
        assert_eq!(eval("relTime(\"1:00\") == 60"), "true");
        assert_eq!(eval("relTime(60) * 2"), "relTime(\"02:00\")");
        assert_eq!(eval("relTime(60) + 2"), "error");
    }
}
