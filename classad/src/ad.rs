//! The ad itself: named expressions, found and ordered as HTCondor's container does it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::error::{ParseError, ParseErrorKind};
use crate::expr::Expr;
use crate::text::{Text, cmp_ignore_case};
use crate::value::Value;
use crate::{Context, Form, ParseOptions, forms, parser, print};

/// A ClassAd: attributes with case-insensitive names, each an expression.
///
/// Iteration goes by length of the name, then by name without regard to case, which is the order
/// HTCondor's new form and JSON are printed in. Clones share their attributes until one is changed.
#[derive(Clone, Default)]
pub struct ClassAd {
    attrs: Arc<Vec<Attribute>>,
}

#[derive(Clone)]
struct Attribute {
    name: Text,
    expr: Expr,
}

/// The container order of HTCondor 25.14.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| cmp_ignore_case(a, b))
}

impl ClassAd {
    /// An ad without attributes.
    pub fn new() -> ClassAd {
        ClassAd::default()
    }

    /// Reads new form, `[a = 1; b = 2]`.
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<ClassAd, ParseError> {
        parser::ad(text.as_ref(), &ParseOptions::NEW)
    }

    /// Reads old (long) form, one `Name = expression` a line. Blank lines and lines that start with
    /// `#` are skipped; text behind a complete expression is ignored, as HTCondor does.
    pub fn parse_old<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<ClassAd, ParseError> {
        forms::parse(text.as_ref(), Form::Old, &ParseOptions::OLD)
    }

    /// Reads JSON form.
    pub fn parse_json<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<ClassAd, ParseError> {
        forms::parse(text.as_ref(), Form::Json, &ParseOptions::NEW)
    }

    /// Reads XML form: one `<c>` element, with or without the `<classads>` around it.
    pub fn parse_xml<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<ClassAd, ParseError> {
        forms::parse(text.as_ref(), Form::Xml, &ParseOptions::NEW)
    }

    /// Reads whatever form the first line shows it to be in, as HTCondor's file readers do.
    pub fn parse_auto<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<ClassAd, ParseError> {
        forms::parse_auto(text.as_ref())
    }

    /// Reads the given form, with the given switches. Of these only the semantics and the zone
    /// matter: the form decides the syntax.
    pub fn parse_with<T: AsRef<[u8]> + ?Sized>(
        text: &T,
        form: Form,
        options: &ParseOptions,
    ) -> Result<ClassAd, ParseError> {
        forms::parse(text.as_ref(), form, options)
    }

    /// Takes attributes in the order they were written: of equal names the last value stays, under
    /// the spelling of the first.
    pub(crate) fn from_pairs(pairs: Vec<(Text, Expr)>) -> ClassAd {
        let mut attrs: Vec<Attribute> = Vec::with_capacity(pairs.len());
        attrs.extend(pairs.into_iter().map(|(name, expr)| Attribute { name, expr }));
        // Stable, so that equal names stay in the order they came.
        attrs.sort_by(|a, b| order(a.name.as_bytes(), b.name.as_bytes()));
        attrs.dedup_by(|later, first| {
            let same = first.name.eq_ignore_case(&later.name);
            if same {
                std::mem::swap(&mut first.expr, &mut later.expr);
            }
            same
        });
        ClassAd { attrs: Arc::new(attrs) }
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.attrs.binary_search_by(|a| order(a.name.as_bytes(), name))
    }

    /// Sets the attribute `name`; the former expression comes back. A name that is there already
    /// keeps its spelling. An empty name is not an attribute: nothing is inserted.
    pub fn insert(&mut self, name: impl Into<Text>, expr: impl Into<Expr>) -> Option<Expr> {
        let (name, expr) = (name.into(), expr.into());
        if name.is_empty() {
            return None;
        }
        match self.find(name.as_bytes()) {
            Ok(at) => Some(std::mem::replace(&mut Arc::make_mut(&mut self.attrs)[at].expr, expr)),
            Err(at) => {
                Arc::make_mut(&mut self.attrs).insert(at, Attribute { name, expr });
                None
            }
        }
    }

    /// Sets the attribute `name` to a literal.
    pub fn insert_value(&mut self, name: impl Into<Text>, value: impl Into<Value>) -> Option<Expr> {
        self.insert(name, Expr::from(value.into()))
    }

    /// Sets the attribute `name` to the expression that `text`, in old syntax, stands for.
    pub fn insert_text<T: AsRef<[u8]> + ?Sized>(
        &mut self,
        name: impl Into<Text>,
        text: &T,
    ) -> Result<(), ParseError> {
        let name = name.into();
        if name.is_empty() {
            return Err(ParseError::new(0, ParseErrorKind::EmptyName));
        }
        self.insert(name, Expr::parse_old(text)?);
        Ok(())
    }

    /// Takes the attribute `name` out.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> Option<Expr> {
        let at = self.find(name.as_ref()).ok()?;
        Some(Arc::make_mut(&mut self.attrs).remove(at).expr)
    }

    /// The expression of the attribute `name`.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&Expr> {
        self.find(name.as_ref()).ok().map(|at| &self.attrs[at].expr)
    }

    /// The name as it is spelled in the ad, and the expression.
    pub fn get_entry(&self, name: impl AsRef<[u8]>) -> Option<(&Text, &Expr)> {
        self.find(name.as_ref()).ok().map(|at| (&self.attrs[at].name, &self.attrs[at].expr))
    }

    /// Whether the ad has an attribute `name`.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.find(name.as_ref()).is_ok()
    }

    /// How many attributes there are.
    pub fn len(&self) -> usize {
        self.attrs.len()
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.attrs.is_empty()
    }

    /// Names and expressions in container order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Expr)> + DoubleEndedIterator {
        self.attrs.iter().map(|a| (&a.name, &a.expr))
    }

    /// Copies every attribute of `other` into this ad.
    pub fn update(&mut self, other: &ClassAd) {
        for (name, expr) in other.iter() {
            self.insert(name, expr.clone());
        }
    }

    /// The value of the attribute `name`; undefined if there is none.
    pub fn eval(&self, name: impl AsRef<[u8]>) -> Value {
        Context::new(self).eval_attr(name)
    }

    /// The value of the attribute `name` if it is a string of UTF-8.
    pub fn eval_string(&self, name: impl AsRef<[u8]>) -> Option<String> {
        match self.eval(name) {
            Value::String(text) => text.to_str().map(str::to_owned),
            _ => None,
        }
    }

    /// The value of the attribute `name` if it is a string, whatever its encoding.
    pub fn eval_text(&self, name: impl AsRef<[u8]>) -> Option<Text> {
        match self.eval(name) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of the attribute `name` as an integer: reals lose their fraction, a boolean is 0
    /// or 1.
    pub fn eval_i64(&self, name: impl AsRef<[u8]>) -> Option<i64> {
        self.eval(name).as_i64()
    }

    /// The value of the attribute `name` as a real, from any number or a boolean.
    pub fn eval_f64(&self, name: impl AsRef<[u8]>) -> Option<f64> {
        self.eval(name).as_f64()
    }

    /// The value of the attribute `name` as a truth value; a number is true if it is not zero.
    pub fn eval_bool(&self, name: impl AsRef<[u8]>) -> Option<bool> {
        self.eval(name).as_bool()
    }

    /// A copy without the attributes that hold secrets: what may be shown, logged, or put where
    /// the job can read it. See [`is_private`]; the printers leave nothing out by themselves.
    #[must_use]
    pub fn without_private(&self) -> ClassAd {
        let keep = self.attrs.iter().filter(|a| !is_private(&a.name)).cloned();
        ClassAd { attrs: Arc::new(keep.collect()) }
    }

    /// One `Name = expression` line per attribute, names in byte order. Bytes that are not UTF-8
    /// become U+FFFD: see [`ClassAd::to_old_bytes`].
    pub fn to_old_string(&self) -> String {
        print::lossy(self.to_old_bytes())
    }

    /// The same, byte for byte.
    pub fn to_old_bytes(&self) -> Vec<u8> {
        print::old_ad(self)
    }

    /// `[ a = 1; b = 2 ]`, on one line.
    pub fn to_new_string(&self) -> String {
        print::lossy(print::new_ad(self))
    }

    /// A JSON object, on one line. Expressions that JSON has no value for are strings of the form
    /// `"\/Expr(...)\/"`.
    pub fn to_json(&self) -> String {
        print::lossy(self.to_json_bytes())
    }

    /// The same, byte for byte.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        print::json::ad(self)
    }

    /// A `<c>` element, on one line. Strings in it are escaped and so ASCII.
    pub fn to_xml(&self) -> String {
        print::lossy(print::xml::ad(self))
    }

    /// Whether both share the same attributes in memory.
    pub(crate) fn same_storage(&self, other: &ClassAd) -> bool {
        Arc::ptr_eq(&self.attrs, &other.attrs)
    }
}

/// Attributes that hold secrets and are left out when an ad is printed or sent, by the list of
/// HTCondor 25.14.
pub fn is_private(name: impl AsRef<[u8]>) -> bool {
    const PRIVATE: [&[u8]; 6] =
        [b"Capability", b"ChildClaimIds", b"ClaimId", b"ClaimIdList", b"ClaimIds", b"TransferKey"];
    const PREFIX: &[u8] = b"_condor_priv";
    let name = name.as_ref();
    PRIVATE.iter().any(|p| name.eq_ignore_ascii_case(p))
        || name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

impl PartialEq for ClassAd {
    /// Same attributes, names compared without case.
    fn eq(&self, other: &Self) -> bool {
        self.same_storage(other)
            || (self.len() == other.len()
                && self
                    .iter()
                    .zip(other.iter())
                    .all(|((name, expr), (n, e))| name.eq_ignore_case(n) && expr == e))
    }
}

/// New form.
impl fmt::Display for ClassAd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_new_string())
    }
}

impl fmt::Debug for ClassAd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassAd({self})")
    }
}

impl<N: Into<Text>, E: Into<Expr>> FromIterator<(N, E)> for ClassAd {
    fn from_iter<I: IntoIterator<Item = (N, E)>>(pairs: I) -> ClassAd {
        let pairs = pairs.into_iter().map(|(name, expr)| (name.into(), expr.into()));
        ClassAd::from_pairs(pairs.filter(|(name, _): &(Text, Expr)| !name.is_empty()).collect())
    }
}

impl<N: Into<Text>, E: Into<Expr>> Extend<(N, E)> for ClassAd {
    fn extend<I: IntoIterator<Item = (N, E)>>(&mut self, pairs: I) {
        for (name, expr) in pairs {
            self.insert(name, expr);
        }
    }
}

impl std::str::FromStr for ClassAd {
    type Err = ParseError;

    /// New form.
    fn from_str(text: &str) -> Result<ClassAd, ParseError> {
        ClassAd::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_keep_their_spelling() {
        let mut ad = ClassAd::new();
        assert_eq!(ad.insert("JobUniverse", 5), None);
        assert_eq!(ad.insert("JOBUNIVERSE", 12), Some(Expr::from(5)));
        assert_eq!(ad.len(), 1);
        assert_eq!(ad.to_old_string(), "JobUniverse = 12\n");
        assert_eq!(ad.remove("jobuniverse"), Some(Expr::from(12)));
        assert!(ad.is_empty());
    }

    #[test]
    fn order_is_length_then_name() {
        let ad: ClassAd = [("b", 1), ("Aa", 2), ("a", 3)].into_iter().collect();
        assert_eq!(ad.to_new_string(), "[ a = 3; b = 1; Aa = 2 ]");
        assert_eq!(ad.to_old_string(), "Aa = 2\na = 3\nb = 1\n");
    }

    #[test]
    fn of_duplicates_the_first_name_and_the_last_value_stay() {
        let ad: ClassAd = [("Ab", 1), ("aB", 2), ("AB", 3)].into_iter().collect();
        assert_eq!(ad.to_new_string(), "[ Ab = 3 ]");
    }

    #[test]
    fn clones_are_independent() {
        let mut ad = ClassAd::new();
        ad.insert("a", 1);
        let before = ad.clone();
        ad.insert("a", 2);
        assert_eq!(before.eval_i64("a"), Some(1));
        assert_eq!(ad.eval_i64("a"), Some(2));
    }

    #[test]
    fn lookups_convert_as_old_classads_do() {
        let ad = ClassAd::parse("[i = 3; r = 2.9; t = true; s = \"x\"; u = nope]").unwrap();
        assert_eq!(ad.eval_i64("r"), Some(2));
        assert_eq!(ad.eval_i64("t"), Some(1));
        assert_eq!(ad.eval_f64("i"), Some(3.0));
        assert_eq!(ad.eval_bool("i"), Some(true));
        assert_eq!(ad.eval_string("s").as_deref(), Some("x"));
        assert_eq!(ad.eval_string("i"), None);
        assert_eq!(ad.eval_i64("u"), None);
    }

    #[test]
    fn secrets_can_be_left_out() {
        let ad: ClassAd =
            [("ClaimId", "x"), ("_CONDOR_privFoo", "y"), ("A", "z")].into_iter().collect();
        assert_eq!(ad.without_private().to_old_string(), "A = \"z\"\n");
        assert_eq!(ad.len(), 3);
    }
}
