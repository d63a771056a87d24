//! Lists: size, sums, bounds, membership.

use super::Call;
use crate::eval::{Evaluated, binary, same};
use crate::expr::BinaryOp;
use crate::num;
use crate::value::{List, Value};

pub(super) fn size(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    Ok(match value {
        Value::Undefined => Value::Undefined,
        Value::List(list) => Value::Int(num::len(list.len())),
        Value::Ad(ad) => Value::Int(num::len(ad.len())),
        Value::String(text) => Value::Int(num::len(text.len())),
        _ => Value::Error,
    })
}

/// The only argument as a list, or what to return instead.
fn only_list(call: &mut Call<'_, '_>) -> Result<Result<List, Value>, crate::EvalFailed> {
    Ok(match call.values()? {
        Some([Value::List(list)]) => Ok(list),
        Some([Value::Undefined]) => Err(Value::Undefined),
        _ => Err(Value::Error),
    })
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Real(_))
}

pub(super) fn sum(call: &mut Call<'_, '_>, average: bool) -> Evaluated {
    let list = match only_list(call)? {
        Ok(list) => list,
        Err(value) => return Ok(value),
    };
    let mut count = 0;
    let mut total = Value::Int(0);
    for n in 0..list.len() {
        let value = call.element(&list, n)?;
        if value.is_undefined() {
            continue;
        }
        if !is_number(&value) {
            return Ok(Value::Error);
        }
        count += 1;
        // A single boolean is its own sum.
        total = if count == 1 { value } else { binary(BinaryOp::Add, total, value) };
    }
    if average && count > 0 {
        return Ok(binary(BinaryOp::Divide, total, Value::Real(num::real(count))));
    }
    Ok(total)
}

pub(super) fn bound(call: &mut Call<'_, '_>, largest: bool) -> Evaluated {
    let list = match only_list(call)? {
        Ok(list) => list,
        Err(value) => return Ok(value),
    };
    let op = if largest { BinaryOp::Greater } else { BinaryOp::Less };
    let mut bound: Option<Value> = None;
    for n in 0..list.len() {
        let value = call.element(&list, n)?;
        if value.is_undefined() {
            continue;
        }
        if !is_number(&value) {
            return Ok(Value::Error);
        }
        bound = Some(match bound {
            None => value,
            Some(bound) => {
                let better = binary(op, value.clone(), bound.clone()) == Value::Bool(true);
                // HTCondor converts the two it compares to their common type, and keeps that.
                let (value, bound) = common(value, bound);
                if better { value } else { bound }
            }
        });
    }
    Ok(bound.unwrap_or(Value::Undefined))
}

/// The two in the type that they are compared in.
fn common(a: Value, b: Value) -> (Value, Value) {
    match (&a, &b) {
        (Value::Real(_), other) if !matches!(other, Value::Real(_)) => {
            let b = other.as_f64().map_or(Value::Error, Value::Real);
            (a, b)
        }
        (other, Value::Real(_)) if !matches!(other, Value::Real(_)) => {
            let a = other.as_f64().map_or(Value::Error, Value::Real);
            (a, b)
        }
        _ => (a, b),
    }
}

pub(super) fn member(call: &mut Call<'_, '_>, identical: bool) -> Evaluated {
    let Some([value, list]) = call.values()? else { return Ok(Value::Error) };
    if list.is_undefined() || (!identical && value.is_undefined()) {
        return Ok(Value::Undefined);
    }
    let Value::List(list) = list else { return Ok(Value::Error) };
    if matches!(value, Value::List(_) | Value::Ad(_)) || (!identical && value.is_error()) {
        return Ok(Value::Error);
    }
    for n in 0..list.len() {
        let item = call.element(&list, n)?;
        let equal = if identical {
            same(&item, &value)
        } else {
            binary(BinaryOp::Equal, item, value.clone())
        };
        if equal == Value::Bool(true) {
            return Ok(equal);
        }
    }
    Ok(Value::Bool(false))
}

/// `anyCompare(op, list, value)` and `allCompare`.
pub(super) fn compare(call: &mut Call<'_, '_>, all: bool) -> Evaluated {
    if call.count() != 3 {
        return Ok(Value::Error);
    }
    let op = match call.arg(0)? {
        Value::Undefined => return Ok(Value::Undefined),
        Value::String(op) => match op.as_bytes() {
            b"<" => BinaryOp::Less,
            b"<=" => BinaryOp::LessOrEqual,
            b"!=" => BinaryOp::NotEqual,
            b"==" => BinaryOp::Equal,
            b">" => BinaryOp::Greater,
            b">=" => BinaryOp::GreaterOrEqual,
            b"is" => BinaryOp::Is,
            b"isnt" => BinaryOp::Isnt,
            _ => return Ok(Value::Error),
        },
        _ => return Ok(Value::Error),
    };
    let list = match call.arg(1)? {
        Value::Undefined => return Ok(Value::Undefined),
        Value::List(list) => list,
        _ => return Ok(Value::Error),
    };
    let value = call.arg(2)?;
    for n in 0..list.len() {
        let item = call.element(&list, n)?;
        match binary(op, item, value.clone()) {
            Value::Bool(b) if b != all => return Ok(Value::Bool(!all)),
            Value::Bool(_) => {}
            // One that cannot be told ends the scan without success.
            Value::Undefined => return Ok(Value::Bool(false)),
            _ => return Ok(Value::Error),
        }
    }
    Ok(Value::Bool(all))
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn sums() {
        assert_eq!(eval("sum({1,undefined,2.5})"), "3.500000000000000E+00");
        assert_eq!(eval("sum({})"), "0");
        assert_eq!(eval("avg({})"), "0");
        assert_eq!(eval("avg({1,2})"), "1.500000000000000E+00");
        assert_eq!(eval("sum({true})"), "true");
        assert_eq!(eval("sum({1,\"x\"})"), "error");
    }

    #[test]
    fn bounds() {
        assert_eq!(eval("min({1,1.0})"), "1.000000000000000E+00");
        assert_eq!(eval("max({true,0.5})"), "1.000000000000000E+00");
        assert_eq!(eval("min({3,1})"), "1");
        assert_eq!(eval("max({})"), "undefined");
    }

    #[test]
    fn membership() {
        assert_eq!(eval("member(\"A\",{1,\"a\"})"), "true");
        assert_eq!(eval("identicalMember(\"A\",{1,\"a\"})"), "false");
        assert_eq!(eval("member(undefined,{1})"), "undefined");
        assert_eq!(eval("anyCompare(\">\",{1,5},3)"), "true");
        assert_eq!(eval("allCompare(\">\",{4,undefined},3)"), "false");
        assert_eq!(eval("anyCompare(\"=?=\",{1},1)"), "error");
    }
}
