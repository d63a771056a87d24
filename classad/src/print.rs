//! Text from expressions: new form, old form, and the indented form of `unparse()`.

pub(crate) mod json;
mod number;
mod pretty;
pub(crate) mod xml;

pub(crate) use number::general;
pub(crate) use pretty::pretty;

use crate::ad::ClassAd;
use crate::expr::{Chain, Expr, Literal, Node, Postfix, Step};
use crate::num::is_space;
use crate::value::Value;
use crate::{Syntax, expr::Call};

/// Text where bytes that are not UTF-8 are replaced.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

pub(crate) fn expr(expr: &Expr, syntax: Syntax) -> Vec<u8> {
    let mut printer = Printer::new(syntax);
    printer.expr(expr);
    printer.out
}

pub(crate) fn value(value: &Value, syntax: Syntax) -> Vec<u8> {
    let mut printer = Printer::new(syntax);
    printer.value(value);
    printer.out
}

/// `[ a = 1; b = 2 ]`
pub(crate) fn new_ad(ad: &ClassAd) -> Vec<u8> {
    let mut printer = Printer::new(Syntax::New);
    printer.record(ad);
    printer.out
}

/// One line for each attribute, sorted by the bytes of the name. The name is never quoted here,
/// whatever it holds.
pub(crate) fn old_ad(ad: &ClassAd) -> Vec<u8> {
    let mut attrs: Vec<_> = ad.iter().collect();
    attrs.sort_by(|a, b| a.0.cmp(b.0));
    let mut printer = Printer::new(Syntax::Old);
    for (name, expr) in attrs {
        printer.text(name.as_bytes());
        printer.text(b" = ");
        printer.expr(expr);
        printer.text(b"\n");
    }
    printer.out
}

/// Writes the text of a tree. Recursion is bounded by the depth that the parser accepts.
struct Printer {
    out: Vec<u8>,
    syntax: Syntax,
    /// Indentation, for the pretty form.
    indent: Option<usize>,
}

impl Printer {
    fn new(syntax: Syntax) -> Printer {
        Printer { out: Vec::new(), syntax, indent: None }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn old(&self) -> bool {
        self.syntax == Syntax::Old
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.0 {
            Node::Literal(literal) => self.literal(literal),
            Node::Attr { name, absolute } => {
                if *absolute {
                    self.text(b".");
                }
                self.name(name.as_bytes());
            }
            Node::Paren(inner) => {
                self.text(b"(");
                self.expr(inner);
                self.text(b")");
            }
            Node::Unary(unary) => {
                // The blank in front is HTCondor's, and tells ` -3` from the literal `-3`.
                self.text(b" ");
                self.text(unary.0.symbol().as_bytes());
                self.expr(&unary.1);
            }
            Node::Binary(chain) => self.chain(chain),
            Node::Ternary(parts) => {
                self.expr(&parts.0);
                self.text(b" ? ");
                self.expr(&parts.1);
                self.text(b" : ");
                self.expr(&parts.2);
            }
            Node::Elvis(parts) => {
                self.expr(&parts.0);
                self.text(b" ?: ");
                self.expr(&parts.1);
            }
            Node::Postfix(postfix) => self.postfix(postfix),
            Node::Call(call) => self.call(call),
            Node::List(items) => self.list(items),
            Node::Record(ad) => self.record(ad),
        }
    }

    fn chain(&mut self, chain: &Chain) {
        self.expr(&chain.first);
        for (op, operand) in &chain.rest {
            let symbol = if self.old() { op.old_symbol() } else { op.symbol() };
            self.text(b" ");
            self.text(symbol.as_bytes());
            self.text(b" ");
            self.expr(operand);
        }
    }

    fn postfix(&mut self, postfix: &Postfix) {
        self.expr(&postfix.base);
        for step in &postfix.steps {
            match step {
                Step::Select(name) => {
                    // Never quoted by HTCondor, even where the result cannot be read back.
                    self.text(b".");
                    self.text(name.as_bytes());
                }
                Step::Index(index) => {
                    self.text(b"[");
                    self.expr(index);
                    self.text(b"]");
                }
            }
        }
    }

    fn call(&mut self, call: &Call) {
        self.text(call.name.as_bytes());
        self.text(b"(");
        for (n, arg) in call.args.iter().enumerate() {
            if n > 0 {
                self.text(b",");
            }
            self.expr(arg);
        }
        self.text(b")");
    }

    fn list(&mut self, items: &[Expr]) {
        self.open(b'{', pretty::LIST_INDENT);
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.text(b",");
            }
            self.new_line();
            self.expr(item);
        }
        self.close(b'}', pretty::LIST_INDENT);
    }

    fn record(&mut self, ad: &ClassAd) {
        self.open(b'[', pretty::AD_INDENT);
        for (n, (name, expr)) in ad.iter().enumerate() {
            if n > 0 {
                self.text(b"; ");
            }
            self.new_line();
            self.name(name.as_bytes());
            self.text(b" = ");
            self.expr(expr);
        }
        self.close(b']', pretty::AD_INDENT);
    }

    fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Undefined => self.text(b"undefined"),
            Literal::Error => self.text(b"error"),
            Literal::Bool(b) => self.text(if *b { b"true" } else { b"false" }),
            Literal::Int(i) => self.text(i.to_string().as_bytes()),
            Literal::Real(r) => self.real(*r),
            Literal::String(text) => self.string(text.as_bytes()),
            Literal::AbsTime(t) => self.text(format!("absTime(\"{t}\")").as_bytes()),
            Literal::RelTime(t) => {
                let t = crate::time::RelTime::new(*t);
                self.text(format!("relTime(\"{t}\")").as_bytes());
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Undefined => self.text(b"undefined"),
            Value::Error => self.text(b"error"),
            Value::Bool(b) => self.text(if *b { b"true" } else { b"false" }),
            Value::Int(i) => self.text(i.to_string().as_bytes()),
            Value::Real(r) => self.real(*r),
            Value::String(text) => self.string(text.as_bytes()),
            Value::AbsTime(t) => self.text(format!("absTime(\"{t}\")").as_bytes()),
            Value::RelTime(t) => self.text(format!("relTime(\"{t}\")").as_bytes()),
            Value::List(list) => self.list(list.exprs()),
            Value::Ad(ad) => self.record(ad),
        }
    }

    fn real(&mut self, r: f64) {
        let text = if self.old() { number::old_real(r) } else { number::new_real(r) };
        self.text(text.as_bytes());
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        escape(text, b'"', self.syntax, &mut self.out);
        self.out.push(b'"');
    }

    fn name(&mut self, name: &[u8]) {
        let mut escaped = Vec::with_capacity(name.len());
        escape(name, b'\'', self.syntax, &mut escaped);
        if needs_quotes(&escaped) {
            self.text(b"'");
            self.text(&escaped);
            self.text(b"'");
        } else {
            self.text(&escaped);
        }
    }
}

/// Escapes for a string or name between `quote`s; a quote of 0 is none.
fn escape(text: &[u8], quote: u8, syntax: Syntax, out: &mut Vec<u8>) {
    for b in text {
        if *b == quote {
            out.extend_from_slice(&[b'\\', quote]);
            continue;
        }
        if syntax == Syntax::Old {
            out.push(*b);
            continue;
        }
        match b {
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0b => out.extend_from_slice(b"\\v"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' '..=b'~' => out.push(*b),
            other => out.extend_from_slice(format!("\\{other:03o}").as_bytes()),
        }
    }
}

/// Whether a name would be read as something else without quotes.
fn needs_quotes(name: &[u8]) -> bool {
    const RESERVED: [&[u8]; 7] =
        [b"error", b"false", b"is", b"isnt", b"parent", b"true", b"undefined"];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    !name.iter().all(plain)
        || name.first().is_none_or(u8::is_ascii_digit)
        || RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Trims white space at both ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> (String, String) {
        let expr = Expr::parse(text).unwrap();
        (expr.to_string(), expr.to_old_string())
    }

    #[test]
    fn operators() {
        assert_eq!(both("a+-b").0, "a +  -b");
        assert_eq!(both("-3").0, "-3");
        assert_eq!(both("a=?=b && !(c)"), ("a is b &&  !(c)".into(), "a =?= b &&  !(c)".into()));
        assert_eq!(both("a[1].b ?: c").0, "a[1].b ?: c");
    }

    #[test]
    fn strings_and_names() {
        let (new, old) = both(r#""a\"\\\n\001é""#);
        assert_eq!(new, r#""a\"\\\n\001\303\251""#);
        assert_eq!(old, "\"a\\\"\\\n\u{1}é\"");
        assert_eq!(both("'a b' + 'true' + 'x'").0, "'a b' + 'true' + x");
        assert_eq!(both("MY.'a b'").0, "MY.a b");
    }

    #[test]
    fn containers() {
        assert_eq!(
            both("[a={}; b=[]; c={1,[d=2]}]").0,
            "[ a = {  }; b = [  ]; c = { 1,[ d = 2 ] } ]"
        );
    }
}
