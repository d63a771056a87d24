//! The JSON form.

use super::{expr as print_expr, number};
use crate::Syntax;
use crate::ad::ClassAd;
use crate::expr::{Expr, Literal, Node};

/// An ad as a JSON object.
pub(crate) fn ad(ad: &ClassAd) -> Vec<u8> {
    let mut out = Vec::new();
    object(ad, &mut out);
    out
}

/// An expression as a JSON value.
pub(crate) fn expr(expr: &Expr) -> Vec<u8> {
    let mut out = Vec::new();
    value(expr, &mut out);
    out
}

fn object(ad: &ClassAd, out: &mut Vec<u8>) {
    out.push(b'{');
    for (n, (name, expr)) in ad.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string(name.as_bytes(), out);
        out.extend_from_slice(b": ");
        value(expr, out);
    }
    out.push(b'}');
}

fn value(expr: &Expr, out: &mut Vec<u8>) {
    match &expr.0 {
        Node::Literal(Literal::Undefined) => out.extend_from_slice(b"null"),
        Node::Literal(Literal::Bool(b)) => {
            out.extend_from_slice(if *b { b"true" } else { b"false" })
        }
        Node::Literal(Literal::Int(i)) => out.extend_from_slice(i.to_string().as_bytes()),
        // A relative time literal is a plain number here.
        Node::Literal(Literal::Real(r) | Literal::RelTime(r)) if r.is_finite() => {
            out.extend_from_slice(number::old_real(*r).as_bytes());
        }
        Node::Literal(Literal::String(text)) => string(text.as_bytes(), out),
        Node::List(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                value(item, out);
            }
            out.push(b']');
        }
        Node::Record(ad) => object(ad, out),
        _ => {
            out.extend_from_slice(b"\"\\/Expr(");
            escape(&print_expr(expr, Syntax::New), out);
            out.extend_from_slice(b")\\/\"");
        }
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for b in text {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(format!("\\u{b:04X}").as_bytes()),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_expressions() {
        let ad = ClassAd::parse("[a={1,2.5,\"x/\\n\"}; b=[c=undefined]; d=a+1]").unwrap();
        assert_eq!(
            ad.to_json(),
            r#"{"a": [1,2.5,"x/\n"],"b": {"c": null},"d": "\/Expr(a + 1)\/"}"#
        );
    }
}
