//! The XML form.

use super::{escape, expr as print_expr, number};
use crate::Syntax;
use crate::ad::ClassAd;
use crate::expr::{Expr, Literal, Node};

/// An ad as a `<c>` element, on one line.
pub(crate) fn ad(ad: &ClassAd) -> Vec<u8> {
    let mut out = Vec::new();
    record(ad, &mut out);
    out
}

/// An expression as an element, on one line.
pub(crate) fn expr(expr: &Expr) -> Vec<u8> {
    let mut out = Vec::new();
    value(expr, &mut out);
    out
}

fn record(ad: &ClassAd, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<c>");
    for (name, expr) in ad.iter() {
        out.extend_from_slice(b"<a n=\"");
        let mut escaped = Vec::with_capacity(name.len());
        escape(name.as_bytes(), b'"', Syntax::New, &mut escaped);
        entities(&escaped, out);
        out.extend_from_slice(b"\">");
        value(expr, out);
        out.extend_from_slice(b"</a>");
    }
    out.extend_from_slice(b"</c>");
}

fn value(expr: &Expr, out: &mut Vec<u8>) {
    match &expr.0 {
        Node::Literal(literal) => simple(literal, out),
        Node::List(items) => {
            out.extend_from_slice(b"<l>");
            items.iter().for_each(|item| value(item, out));
            out.extend_from_slice(b"</l>");
        }
        Node::Record(ad) => record(ad, out),
        _ => {
            out.extend_from_slice(b"<e>");
            entities(&print_expr(expr, Syntax::New), out);
            out.extend_from_slice(b"</e>");
        }
    }
}

fn simple(literal: &Literal, out: &mut Vec<u8>) {
    match literal {
        Literal::Undefined => out.extend_from_slice(b"<un/>"),
        Literal::Error => out.extend_from_slice(b"<er/>"),
        Literal::Bool(true) => out.extend_from_slice(b"<b v=\"t\"/>"),
        Literal::Bool(false) => out.extend_from_slice(b"<b v=\"f\"/>"),
        Literal::Int(i) => out.extend_from_slice(format!("<i>{i}</i>").as_bytes()),
        Literal::Real(r) | Literal::RelTime(r) => {
            out.extend_from_slice(format!("<r>{}</r>", number::xml_real(*r)).as_bytes());
        }
        Literal::AbsTime(t) => out.extend_from_slice(format!("<at>{t}</at>").as_bytes()),
        Literal::String(text) => {
            let mut escaped = Vec::with_capacity(text.len());
            escape(text.as_bytes(), 0, Syntax::New, &mut escaped);
            out.extend_from_slice(b"<s>");
            entities(&escaped, out);
            out.extend_from_slice(b"</s>");
        }
    }
}

fn entities(text: &[u8], out: &mut Vec<u8>) {
    for b in text {
        match b {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_expressions() {
        let ad = ClassAd::parse("[a={1,true}; b=\"<&\"; c=x<1]").unwrap();
        assert_eq!(
            ad.to_xml(),
            "<c><a n=\"a\"><l><i>1</i><b v=\"t\"/></l></a><a n=\"b\"><s>&lt;&amp;</s></a>\
             <a n=\"c\"><e>x &lt; 1</e></a></c>"
        );
    }
}
