//! Any bytes as an ad or expression, in every form: no panic, no overflow, no hang.

use classad::{ClassAd, Context, Expr, MatchClassAd};

/// Enough for an expression to get into trouble, not so much that a run takes seconds.
const STEPS: u32 = 20_000;

/// Runs the target on one input.
pub fn classad_parse(bytes: &[u8]) {
    for parsed in [Expr::parse(bytes), Expr::parse_old(bytes)] {
        match parsed {
            Ok(expr) => expression(&expr),
            Err(error) => drop(error.render(bytes)),
        }
    }
    for parsed in [
        ClassAd::parse(bytes),
        ClassAd::parse_old(bytes),
        ClassAd::parse_json(bytes),
        ClassAd::parse_xml(bytes),
        ClassAd::parse_auto(bytes),
    ] {
        match parsed {
            Ok(ad) => attributes(&ad),
            Err(error) => drop(error.render(bytes)),
        }
    }
}

fn expression(expr: &Expr) {
    let ad =
        ClassAd::parse("[a = 1; b = \"x,y\"; c = {1, b}; d = [e = a]; f = f]").unwrap_or_default();
    drop(Context::new(&ad).max_steps(STEPS).eval(expr).to_old_bytes());
    let printed = expr.to_new_bytes();
    drop((expr.to_old_bytes(), expr.to_json(), expr.to_xml(), expr.to_pretty_string()));
    // Some trees print as a text that reads as another tree (`- 0`), as in HTCondor; the
    // properties in the crate's tests leave those out.
    if let Ok(again) = Expr::parse(&printed) {
        drop(again.to_new_bytes());
    }
}

fn attributes(ad: &ClassAd) {
    let pair = MatchClassAd::new(ad, ad);
    for (name, _) in ad.iter().take(20) {
        drop(Context::new(ad).max_steps(STEPS).eval_attr(name));
        drop(pair.left().max_steps(STEPS).eval_attr(name));
    }
    drop((ad.to_old_bytes(), ad.to_new_string(), ad.to_xml()));
    let json = ad.to_json_bytes();
    let _ = ClassAd::parse_json(&json);
}
