//! Expressions: the syntax tree, its construction from Rust values, and its equality.
//!
//! Runs of operators that associate to the left (`a + b + c`, `a.b[1].c`) are kept flat, in one
//! node. Depth of the tree is then bounded by the nesting of brackets, which the parser limits, and
//! not by the length of the text, so no input makes printing or dropping a tree overflow the stack.

use std::fmt;
use std::sync::Arc;

use crate::ad::ClassAd;
use crate::error::ParseError;
use crate::parser;
use crate::print;
use crate::text::Text;
use crate::time::AbsTime;
use crate::value::Value;
use crate::{Context, ParseOptions, Syntax};

/// An expression: what an attribute of an ad holds.
///
/// ```
/// use classad::{ClassAd, Expr, Value};
/// let ad = ClassAd::parse("[Cpus = 4; Memory = 2048]")?;
/// let expr = Expr::parse("Memory / Cpus")?;
/// assert_eq!(expr.eval_in(&ad), Value::Int(512));
/// assert_eq!(expr.to_string(), "Memory / Cpus");
/// # Ok::<(), classad::ParseError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Expr(pub(crate) Node);

/// The tree. Parentheses are a node: they survive printing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Literal(Literal),
    /// `name`, or `.name` if absolute.
    Attr {
        name: Text,
        absolute: bool,
    },
    Paren(Box<Expr>),
    Unary(Box<(UnaryOp, Expr)>),
    Binary(Box<Chain>),
    /// Condition and the two branches.
    Ternary(Box<(Expr, Expr, Expr)>),
    Elvis(Box<(Expr, Expr)>),
    Postfix(Box<Postfix>),
    Call(Box<Call>),
    List(Arc<[Expr]>),
    Record(ClassAd),
}

/// `first op e op e ...`, all operators of one precedence, evaluated from the left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chain {
    pub(crate) first: Expr,
    /// Never empty.
    pub(crate) rest: Vec<(BinaryOp, Expr)>,
}

/// Selections and subscripts after one expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Postfix {
    pub(crate) base: Expr,
    /// Never empty.
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// `.name`
    Select(Text),
    /// `[expr]`
    Index(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: Text,
    pub(crate) args: Vec<Expr>,
}

/// A literal. A relative time is written `relTime("...")` and evaluates to a real.
#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Undefined,
    Error,
    Bool(bool),
    Int(i64),
    Real(f64),
    String(Text),
    AbsTime(AbsTime),
    RelTime(f64),
}

impl PartialEq for Literal {
    /// Same text when printed: NaN is equal to itself here, and 0.0 is not -0.0.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Literal::Undefined, Literal::Undefined) | (Literal::Error, Literal::Error) => true,
            (Literal::Bool(a), Literal::Bool(b)) => a == b,
            (Literal::Int(a), Literal::Int(b)) => a == b,
            (Literal::Real(a), Literal::Real(b)) | (Literal::RelTime(a), Literal::RelTime(b)) => {
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
            }
            (Literal::String(a), Literal::String(b)) => a == b,
            (Literal::AbsTime(a), Literal::AbsTime(b)) => a == b,
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Minus,
    Plus,
    BitNot,
    Not,
}

impl UnaryOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Minus => "-",
            UnaryOp::Plus => "+",
            UnaryOp::BitNot => "~",
            UnaryOp::Not => "!",
        }
    }
}

/// The binary operators, `is` and `isnt` standing for `=?=` and `=!=` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Equal,
    NotEqual,
    Is,
    Isnt,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    ShiftLeft,
    ShiftRight,
    ShiftRightLogical,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl BinaryOp {
    /// Higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And => 2,
            BinaryOp::BitOr => 3,
            BinaryOp::BitXor => 4,
            BinaryOp::BitAnd => 5,
            BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Is | BinaryOp::Isnt => 6,
            BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual => 7,
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightLogical => 8,
            BinaryOp::Add | BinaryOp::Subtract => 9,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => 10,
        }
    }

    /// As the new form prints it.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "||",
            BinaryOp::And => "&&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::BitAnd => "&",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Is => "is",
            BinaryOp::Isnt => "isnt",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::ShiftLeft => "<<",
            BinaryOp::ShiftRight => ">>",
            BinaryOp::ShiftRightLogical => ">>>",
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
        }
    }

    /// As the old form prints it.
    pub(crate) fn old_symbol(self) -> &'static str {
        match self {
            BinaryOp::Is => "=?=",
            BinaryOp::Isnt => "=!=",
            other => other.symbol(),
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            BinaryOp::Or => "'||'",
            BinaryOp::And => "'&&'",
            BinaryOp::Is => "'=?='",
            BinaryOp::Isnt => "'=!='",
            BinaryOp::Equal => "'=='",
            BinaryOp::NotEqual => "'!='",
            BinaryOp::Multiply => "'*'",
            BinaryOp::Divide => "'/'",
            BinaryOp::Modulo => "'%'",
            BinaryOp::Less | BinaryOp::LessOrEqual => "'<'",
            BinaryOp::Greater | BinaryOp::GreaterOrEqual => "'>'",
            _ => "an operator",
        }
    }
}

impl Expr {
    /// Parses new syntax, as it stands inside `[...]`.
    ///
    /// Trailing text is an error, except after a top-level `c ? a : b`, where HTCondor 25.14
    /// ignores it.
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<Expr, ParseError> {
        parser::expression(text.as_ref(), &ParseOptions::NEW)
    }

    /// Parses old syntax: values of long-form ads, constraints, configuration values. It differs
    /// from new syntax inside strings, where a backslash is an ordinary byte.
    pub fn parse_old<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<Expr, ParseError> {
        parser::expression(text.as_ref(), &ParseOptions::OLD)
    }

    /// Parses with the given switches.
    pub fn parse_with<T: AsRef<[u8]> + ?Sized>(
        text: &T,
        options: &ParseOptions,
    ) -> Result<Expr, ParseError> {
        parser::expression(text.as_ref(), options)
    }

    /// A reference to the attribute `name`, looked up from the innermost ad outwards.
    pub fn attribute(name: impl Into<Text>) -> Expr {
        Expr(Node::Attr { name: name.into(), absolute: false })
    }

    /// A list of expressions.
    pub fn list(items: impl IntoIterator<Item = Expr>) -> Expr {
        Expr(Node::List(items.into_iter().collect()))
    }

    /// The value, with the attributes of `ad` in sight.
    pub fn eval_in(&self, ad: &ClassAd) -> Value {
        Context::new(ad).eval(self)
    }

    /// The value during a match: `MY` is `ad`, `TARGET` is `target`, and names that `ad` lacks are
    /// looked up in `target`.
    pub fn eval_in_match(&self, ad: &ClassAd, target: &ClassAd) -> Value {
        Context::new(ad).target(target).eval(self)
    }

    /// The value if the expression is a literal (a list or ad is not one).
    pub fn as_literal(&self) -> Option<Value> {
        match &self.0 {
            Node::Literal(literal) => Some(literal.value()),
            _ => None,
        }
    }

    /// The elements if the expression is a list written out.
    pub fn as_list(&self) -> Option<&[Expr]> {
        match &self.0 {
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The ad if the expression is one written out.
    pub fn as_ad(&self) -> Option<&ClassAd> {
        match &self.0 {
            Node::Record(ad) => Some(ad),
            _ => None,
        }
    }

    /// The text in new form, byte for byte.
    pub fn to_new_bytes(&self) -> Vec<u8> {
        print::expr(self, Syntax::New)
    }

    /// The text in old form, byte for byte: what may stand after `Name = `.
    pub fn to_old_bytes(&self) -> Vec<u8> {
        print::expr(self, Syntax::Old)
    }

    /// The text in old form; bytes that are not UTF-8 become U+FFFD.
    pub fn to_old_string(&self) -> String {
        print::lossy(self.to_old_bytes())
    }

    /// The expression as a JSON value.
    pub fn to_json(&self) -> String {
        print::lossy(print::json::expr(self))
    }

    /// The expression as an XML element.
    pub fn to_xml(&self) -> String {
        print::lossy(print::xml::expr(self))
    }

    /// New form, with each element of a nested list or ad on an indented line of its own.
    pub fn to_pretty_string(&self) -> String {
        print::lossy(print::pretty(self))
    }

    pub(crate) fn string(text: impl Into<Text>) -> Expr {
        Expr(Node::Literal(Literal::String(text.into())))
    }
}

impl Literal {
    /// What the literal evaluates to. HTCondor 25.14 makes a real of `relTime("...")`.
    pub(crate) fn value(&self) -> Value {
        match self {
            Literal::Undefined => Value::Undefined,
            Literal::Error => Value::Error,
            Literal::Bool(b) => Value::Bool(*b),
            Literal::Int(i) => Value::Int(*i),
            Literal::Real(r) | Literal::RelTime(r) => Value::Real(*r),
            Literal::String(s) => Value::String(s.clone()),
            Literal::AbsTime(t) => Value::AbsTime(*t),
        }
    }
}

/// New form.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_new_bytes()))
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({self})")
    }
}

impl From<Value> for Expr {
    fn from(value: Value) -> Expr {
        Expr(match value {
            Value::Undefined => Node::Literal(Literal::Undefined),
            Value::Error => Node::Literal(Literal::Error),
            Value::Bool(b) => Node::Literal(Literal::Bool(b)),
            Value::Int(i) => Node::Literal(Literal::Int(i)),
            Value::Real(r) => Node::Literal(Literal::Real(r)),
            Value::String(s) => Node::Literal(Literal::String(s)),
            Value::AbsTime(t) => Node::Literal(Literal::AbsTime(t)),
            Value::RelTime(t) => Node::Literal(Literal::RelTime(t.seconds())),
            Value::List(list) => Node::List(list.into_shared()),
            Value::Ad(ad) => Node::Record(ad.into_ad()),
        })
    }
}

impl From<ClassAd> for Expr {
    fn from(ad: ClassAd) -> Expr {
        Expr(Node::Record(ad))
    }
}

/// Rust values that have one obvious ClassAd counterpart.
macro_rules! expr_from {
    ($($t:ty),*) => {$(
        impl From<$t> for Expr {
            fn from(value: $t) -> Expr {
                Expr::from(Value::from(value))
            }
        }
    )*};
}

expr_from!(bool, i8, i16, i32, i64, u8, u16, u32, f64, &str, String, &String, Text);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stay_small() {
        assert!(size_of::<Expr>() <= 32, "{}", size_of::<Expr>());
    }

    #[test]
    fn rust_values_become_literals() {
        assert_eq!(Expr::from("a\"b").to_string(), r#""a\"b""#);
        assert_eq!(Expr::from(true).to_string(), "true");
        assert_eq!(Expr::from(-3).to_string(), "-3");
        assert_eq!(Expr::from(1.5).to_old_string(), "1.5");
        assert_eq!(Expr::list([Expr::from(1), Expr::attribute("a b")]).to_string(), "{ 1,'a b' }");
    }
}
