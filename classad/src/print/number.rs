//! Reals as C's `printf` writes them.

/// `%1.15E`, and `real("INF")` for what has no digits.
pub(super) fn new_real(r: f64) -> String {
    special(r).unwrap_or_else(|| exponential(r, 15))
}

/// `%.16G` with `.0` behind whatever would read as an integer.
pub(super) fn old_real(r: f64) -> String {
    special(r).unwrap_or_else(|| {
        let mut text = general(r, 16, true);
        if !text.contains(['.', 'E']) {
            text.push_str(".0");
        }
        text
    })
}

/// XML has its own words.
pub(super) fn xml_real(r: f64) -> String {
    if r == 0.0 {
        return "0.0".to_owned();
    }
    if r.is_nan() {
        return "NaN".to_owned();
    }
    if r.is_infinite() {
        return if r > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    exponential(r, 15)
}

fn special(r: f64) -> Option<String> {
    if r == 0.0 {
        Some(if r.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned())
    } else if r.is_nan() {
        Some("real(\"NaN\")".to_owned())
    } else if r.is_infinite() {
        Some(if r > 0.0 { "real(\"INF\")" } else { "real(\"-INF\")" }.to_owned())
    } else {
        None
    }
}

/// Mantissa digits and exponent, correctly rounded.
fn parts(r: f64, digits: usize) -> (String, i32) {
    let text = format!("{r:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

fn with_exponent(mantissa: &str, exponent: i32, upper: bool) -> String {
    let e = if upper { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{e}{sign}{:02}", exponent.unsigned_abs())
}

fn exponential(r: f64, digits: usize) -> String {
    let (mantissa, exponent) = parts(r, digits);
    with_exponent(&mantissa, exponent, true)
}

/// `%.{digits}g`, or `G` if `upper`, of a finite number.
pub(crate) fn general(r: f64, digits: usize, upper: bool) -> String {
    let precision = digits.max(1);
    let (mantissa, exponent) = parts(r, precision - 1);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let strip = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= limit {
        return with_exponent(&strip(&mantissa), exponent, upper);
    }
    let after_point = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    strip(&format!("{r:.after_point$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_form() {
        assert_eq!(new_real(1.5), "1.500000000000000E+00");
        assert_eq!(new_real(-1e-300), "-1.000000000000000E-300");
        assert_eq!(new_real(-0.0), "-0.0");
        assert_eq!(new_real(f64::NEG_INFINITY), "real(\"-INF\")");
    }

    #[test]
    fn old_form() {
        assert_eq!(old_real(1e16), "1E+16");
        assert_eq!(old_real(1e10), "10000000000.0");
        assert_eq!(old_real(0.1), "0.1");
        assert_eq!(old_real(0.0001), "0.0001");
        assert_eq!(old_real(0.00001), "1E-05");
        assert_eq!(old_real(-659.624_535_257_909_8), "-659.6245352579098");
        assert_eq!(old_real(9_999_999_999_999_999.0), "1E+16");
    }
}
