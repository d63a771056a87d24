//! Values: what expressions evaluate to.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::ad::ClassAd;
use crate::eval::Scope;
use crate::expr::Expr;
use crate::num;
use crate::print;
use crate::text::Text;
use crate::time::{AbsTime, RelTime};
use crate::{Context, Syntax};

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A name led nowhere, or an operand was undefined.
    Undefined,
    /// The operation has no meaning for its operands.
    Error,
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A double; NaN is not equal to itself.
    Real(f64),
    /// Bytes.
    String(Text),
    /// Expressions, each evaluated when it is looked at.
    List(List),
    /// An ad, and the ad it was found in.
    Ad(ScopedAd),
    /// A moment, and the zone it is shown in.
    AbsTime(AbsTime),
    /// A span of time.
    RelTime(RelTime),
}

/// A list with the place its elements see their names from.
#[derive(Clone)]
pub struct List {
    items: Arc<[Expr]>,
    scope: Option<Scope>,
}

/// An ad with the ad around it, which its expressions may refer to.
#[derive(Clone)]
pub struct ScopedAd {
    ad: ClassAd,
    /// The ad's own place, with the enclosing ones behind it.
    scope: Option<Scope>,
}

impl List {
    pub(crate) fn new(items: Arc<[Expr]>, scope: Option<Scope>) -> List {
        List { items, scope }
    }

    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    pub(crate) fn into_shared(self) -> Arc<[Expr]> {
        self.items
    }

    /// The elements, not evaluated.
    pub fn exprs(&self) -> &[Expr] {
        &self.items
    }

    /// The elements, each evaluated where the list was written.
    pub fn values(&self) -> impl Iterator<Item = Value> {
        self.items.iter().map(|item| Context::in_scope(self.scope.clone()).eval(item))
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl ScopedAd {
    pub(crate) fn new(ad: ClassAd, scope: Option<Scope>) -> ScopedAd {
        ScopedAd { ad, scope }
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope.clone().unwrap_or_else(|| Scope::top(self.ad.clone()))
    }

    /// The value of an attribute of this ad, names in it found outwards from here.
    pub fn eval(&self, name: impl AsRef<[u8]>) -> Value {
        Context::in_scope(Some(self.scope())).eval_attr(name)
    }

    /// The ad alone.
    pub fn into_ad(self) -> ClassAd {
        self.ad
    }
}

impl Deref for ScopedAd {
    type Target = ClassAd;

    fn deref(&self) -> &ClassAd {
        &self.ad
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.items == other.items
    }
}

impl PartialEq for ScopedAd {
    fn eq(&self, other: &ScopedAd) -> bool {
        self.ad == other.ad
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items.iter()).finish()
    }
}

impl fmt::Debug for ScopedAd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ad.fmt(f)
    }
}

impl Value {
    /// `undefined`?
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// `error`?
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error)
    }

    /// The number as an integer; reals lose their fraction, booleans are 0 or 1.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Real(r) => Some(num::truncate(*r)),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// The number as a real; booleans are 0 or 1.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(num::real(*i)),
            Value::Real(r) => Some(*r),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            _ => None,
        }
    }

    /// The boolean, or whether a number is not zero.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            Value::Int(i) => Some(*i != 0),
            Value::Real(r) => Some(*r != 0.0),
            _ => None,
        }
    }

    /// The string if it is one and is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => text.to_str(),
            _ => None,
        }
    }

    /// The bytes of a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::String(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The name HTCondor has for the type: "undefined", "integer", "classad" and so on.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::Error => "error",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Real(_) => "real",
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Ad(_) => "classad",
            Value::AbsTime(_) => "abstime",
            Value::RelTime(_) => "reltime",
        }
    }

    /// The text in new form, byte for byte.
    pub fn to_new_bytes(&self) -> Vec<u8> {
        print::value(self, Syntax::New)
    }

    /// The text in old form, byte for byte.
    pub fn to_old_bytes(&self) -> Vec<u8> {
        print::value(self, Syntax::Old)
    }

    /// The text in old form; bytes that are not UTF-8 become U+FFFD.
    pub fn to_old_string(&self) -> String {
        print::lossy(self.to_old_bytes())
    }
}

/// New form.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_new_bytes()))
    }
}

macro_rules! value_from {
    ($($t:ty => $v:ident($e:expr)),* $(,)?) => {$(
        impl From<$t> for Value {
            fn from(value: $t) -> Value {
                let convert: fn($t) -> _ = $e;
                Value::$v(convert(value))
            }
        }
    )*};
}

value_from! {
    bool => Bool(|b| b),
    i8 => Int(i64::from),
    i16 => Int(i64::from),
    i32 => Int(i64::from),
    i64 => Int(|i| i),
    u8 => Int(i64::from),
    u16 => Int(i64::from),
    u32 => Int(i64::from),
    f64 => Real(|r| r),
    String => String(Text::from),
    Text => String(|t| t),
    AbsTime => AbsTime(|t| t),
    RelTime => RelTime(|t| t),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Text::from(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::String(Text::from(text))
    }
}

impl From<ClassAd> for Value {
    fn from(ad: ClassAd) -> Value {
        Value::Ad(ScopedAd::new(ad, None))
    }
}

impl<E: Into<Expr>> From<Vec<E>> for Value {
    fn from(items: Vec<E>) -> Value {
        Value::List(List::new(items.into_iter().map(Into::into).collect(), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_evaluate_where_they_were_written() {
        let ad = ClassAd::parse("[a = 5; l = { a, a + 1 }]").unwrap();
        let Value::List(list) = ad.eval("l") else { panic!("no list") };
        assert_eq!(list.values().collect::<Vec<_>>(), [Value::Int(5), Value::Int(6)]);
    }

    #[test]
    fn nested_ads_see_outwards() {
        let ad = ClassAd::parse("[a = 5; c = [b = a]]").unwrap();
        let Value::Ad(inner) = ad.eval("c") else { panic!("no ad") };
        assert_eq!(inner.eval("b"), Value::Int(5));
    }

    #[test]
    fn conversions() {
        assert_eq!(Value::from(3_u32).as_f64(), Some(3.0));
        assert_eq!(Value::from("x").as_i64(), None);
        assert_eq!(Value::from(vec![1, 2]).to_string(), "{ 1,2 }");
    }
}
