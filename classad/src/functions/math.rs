//! Rounding, powers, multiples, dice.

use super::Call;
use crate::EvalFailed;
use crate::eval::{Evaluated, real_of};
use crate::num;
use crate::value::Value;

pub(super) fn round(call: &mut Call<'_, '_>, mode: fn(f64) -> f64) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    Ok(match value {
        Value::Int(i) => Value::Int(i),
        other => real_of(&other).map_or(Value::Error, |r| Value::Int(num::truncate(mode(r)))),
    })
}

pub(super) fn pow(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([base, exponent]) = call.values()? else { return Ok(Value::Error) };
    if let (Value::Int(base), Value::Int(exponent @ 0..)) = (&base, &exponent) {
        // Half is added before truncation whatever the sign, so (-2)^3 is -7.
        let power = num::real(*base).powf(num::real(*exponent));
        return Ok(Value::Int(num::truncate(power + 0.5)));
    }
    Ok(match (real_of(&base), real_of(&exponent)) {
        (Ok(base), Ok(exponent)) => Value::Real(base.powf(exponent)),
        _ => Value::Error,
    })
}

/// The next multiple of the second argument; of a list the first element that is not smaller, or
/// a multiple of its last.
pub(super) fn quantize(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value, step]) = call.values()? else { return Ok(Value::Error) };
    let Ok(target) = real_of(&value) else { return Ok(Value::Error) };
    let (step, size) = match step {
        Value::List(list) => {
            let mut last = (Value::Real(0.0), 0.0);
            for n in 0..list.len() {
                let item = call.element(&list, n)?;
                let Ok(size) = real_of(&item) else { return Ok(Value::Error) };
                if size >= target {
                    return Ok(item);
                }
                last = (item, size);
            }
            last
        }
        other => match real_of(&other) {
            Ok(size) => (other, size),
            Err(_) => return Ok(Value::Error),
        },
    };
    Ok(match (step, &value) {
        (Value::Int(0), _) => value,
        (Value::Int(step), Value::Int(i)) => {
            Value::Int(i.wrapping_add(step).wrapping_sub(1).wrapping_div(step).wrapping_mul(step))
        }
        (Value::Int(step), _) => {
            let step = num::real(step);
            Value::Real((target / step).ceil() * step)
        }
        _ if size.abs() <= 1e-8 => value,
        _ => Value::Real((target / size).ceil() * size),
    })
}

pub(super) fn random(call: &mut Call<'_, '_>) -> Evaluated {
    let limit = match call.count() {
        0 => Value::Real(1.0),
        1 => call.arg(0)?,
        _ => return Ok(Value::Error),
    };
    let dice = call.eval.host.random();
    match limit {
        Value::Int(limit) => {
            let limit = u64::try_from(num::low32(limit)).ok().filter(|n| *n > 0);
            let number = dice % limit.ok_or(EvalFailed)?;
            Ok(Value::Int(i64::try_from(number).unwrap_or(0)))
        }
        Value::Real(limit) => {
            if limit <= 0.0 {
                return Err(EvalFailed);
            }
            // 53 bits, all that a real holds.
            let fraction =
                i64::try_from(dice >> 11).map_or(0.0, num::real) / 9_007_199_254_740_992.0;
            Ok(Value::Real(limit * fraction))
        }
        _ => Ok(Value::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn rounding() {
        assert_eq!(eval("round(2.5)"), "2");
        assert_eq!(eval("round(-3.5)"), "-4");
        assert_eq!(eval("floor(-1.5)"), "-2");
        assert_eq!(eval("ceiling(\"1.2\")"), "2");
        assert_eq!(eval("floor(undefined)"), "error");
    }

    #[test]
    fn powers() {
        assert_eq!(eval("pow(2,10)"), "1024");
        assert_eq!(eval("pow(-2,3)"), "-7");
        assert_eq!(eval("pow(2,-1)"), "5.000000000000000E-01");
    }

    #[test]
    fn multiples() {
        assert_eq!(eval("quantize(5,4)"), "8");
        assert_eq!(eval("quantize(5,{4,6,8})"), "6");
        assert_eq!(eval("quantize(9,{4})"), "12");
        assert_eq!(eval("quantize(5,{})"), "5");
        assert_eq!(eval("quantize(5,0)"), "5");
        assert_eq!(eval("quantize(5,undefined)"), "error");
    }

    #[test]
    fn dice_stay_below_their_limit() {
        for _ in 0..50 {
            assert_eq!(eval("random(3) < 3 && random() < 1.0 && random(2.5) < 2.5"), "true");
        }
        assert_eq!(eval("isError(random(0))"), "error");
    }
}
