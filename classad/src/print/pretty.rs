//! The indented form that `unparse()` returns.

use super::Printer;
use crate::Syntax;
use crate::expr::Expr;

pub(super) const AD_INDENT: usize = 4;
pub(super) const LIST_INDENT: usize = 3;

/// New form, with each element of a nested list or ad on a line of its own.
pub(crate) fn pretty(expr: &Expr) -> Vec<u8> {
    let mut printer = Printer { out: Vec::new(), syntax: Syntax::New, indent: Some(0) };
    printer.expr(expr);
    printer.out
}

impl Printer {
    /// A new line at the current indentation, in pretty form.
    pub(super) fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + indent, b' ');
        }
    }

    pub(super) fn open(&mut self, bracket: u8, step: usize) {
        if let Some(indent) = self.indent {
            self.indent = Some(indent + step);
            self.new_line();
            self.out.push(bracket);
            self.indent = Some(indent + 2 * step);
        } else {
            self.out.extend_from_slice(&[bracket, b' ']);
        }
    }

    pub(super) fn close(&mut self, bracket: u8, step: usize) {
        if let Some(indent) = self.indent {
            self.indent = Some(indent.saturating_sub(step));
            self.new_line();
            self.out.push(bracket);
            self.indent = Some(indent.saturating_sub(2 * step));
        } else {
            self.out.extend_from_slice(&[b' ', bracket]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_indented() {
        let text = |source: &str| {
            String::from_utf8(pretty(&Expr::parse(source).expect("an expression"))).expect("UTF-8")
        };
        assert_eq!(text("a + 1"), "a + 1");
        assert_eq!(text("{1,2}"), "\n   {\n      1,\n      2\n   }");
        assert_eq!(text("[a=1;b=2]"), "\n    [\n        a = 1; \n        b = 2\n    ]");
    }
}
