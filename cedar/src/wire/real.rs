//! Reals on the wire: two integers, of which the first has about 31 bits of the value.
//!
//! `value = fraction / (2^31 - 1) * 2^exponent` with `0.5 <= |fraction / (2^31 - 1)| < 1`, as
//! C's `frexp` gives it (HTCondor 25.14.1).

const SCALE: f64 = 2_147_483_647.0;
/// Beyond these a real is 0 or infinite whatever its fraction.
const EXPONENTS: std::ops::RangeInclusive<i64> = -2000..=2000;

/// Fraction and exponent of `value`; 0 and 0 for what is no finite number.
pub(super) fn split(value: f64) -> (i64, i64) {
    if value == 0.0 || !value.is_finite() {
        return (0, 0);
    }
    // Subnormal numbers get a full mantissa first.
    let (value, shift) =
        if value.abs() < f64::MIN_POSITIVE { (value * 2f64.powi(64), 64) } else { (value, 0) };
    let bits = value.to_bits();
    // Below 2^11 by the mask.
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1022 - shift;
    let mantissa = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    #[expect(clippy::cast_possible_truncation, reason = "less than 2^31 by its factors")]
    let fraction = (mantissa * SCALE) as i64;
    (fraction, exponent)
}

/// The value of a fraction and an exponent; a peer's exponents may be anything.
pub(super) fn join(fraction: i64, exponent: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "so does HTCondor")]
    let mantissa = fraction as f64 / SCALE;
    let exponent = exponent.clamp(*EXPONENTS.start(), *EXPONENTS.end());
    // In two steps, for neither half of the range leaves the reals by itself.
    let half = i32::try_from(exponent / 2).unwrap_or(0);
    let rest = i32::try_from(exponent - exponent / 2).unwrap_or(0);
    mantissa * 2f64.powi(half) * 2f64.powi(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_recorded() {
        assert_eq!(split(0.25), (1_073_741_823, -1));
        assert_eq!(split(0.0), (0, 0));
        assert_eq!(split(f64::NAN), (0, 0));
        assert_eq!(join(0, 0), 0.0);
    }

    #[test]
    fn about_thirty_bits_survive() {
        for value in [1.0, -1.0, 0.1, 3e300, -2.5e-300, 5e-324, f64::MAX] {
            let (fraction, exponent) = split(value);
            let again = join(fraction, exponent);
            assert!((again - value).abs() <= value.abs() * 2e-9, "{value} {again}");
        }
        assert!(join(1, i64::MAX).is_infinite());
        assert_eq!(join(i64::MIN, i64::MIN), 0.0);
    }
}
