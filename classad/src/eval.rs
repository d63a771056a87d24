//! The evaluator.

mod context;
mod convert;
mod ops;
mod scope;

pub use context::Context;
pub(crate) use convert::{NoValue, integer_of, real_of, string_of};
pub(crate) use ops::{binary, same};
pub(crate) use scope::{Found, Scope};

use crate::ad::ClassAd;
use crate::expr::{BinaryOp, Chain, Expr, Node, Postfix, Step};
use crate::host::Host;
use crate::num;
use crate::text::Text;
use crate::time::Zone;
use crate::value::{List, ScopedAd, Value};
use crate::{Semantics, functions};

/// Nested operators and references, as in HTCondor 25.14.
const MAX_DEPTH: usize = 400;

/// Nodes visited in one evaluation, as in HTCondor 25.14.
const MAX_STEPS: u32 = 10_000_000;

/// Rust calls that nest inside one another. HTCondor does not count those of function arguments;
/// without a bound a chain of attributes, each a nest of calls, would exhaust the stack.
const MAX_FRAMES: u32 = 640;

/// Bytes that one evaluation may make up. An attribute that doubles another's string forty
/// times over is short to write.
const MAX_BYTES: usize = 256 << 20;

/// The evaluation went too deep, did too much, or called a function in a way HTCondor gives up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation failed")]
pub struct EvalFailed;

pub(crate) type Evaluated = Result<Value, EvalFailed>;

/// The state of one evaluation.
pub(crate) struct Evaluator<'a> {
    /// Where `.name` starts.
    pub(crate) root: Option<Scope>,
    pub(crate) semantics: Semantics,
    pub(crate) zone: &'a Zone,
    pub(crate) host: &'a dyn Host,
    /// What remains of [`MAX_DEPTH`].
    depth: usize,
    steps_left: u32,
    frames: u32,
    bytes: usize,
    /// Attributes being evaluated: the address of the expression, and where it was found. A
    /// reference to one of them is circular.
    active: Vec<(usize, Scope)>,
}

impl Evaluator<'_> {
    /// The value of `expr`, names in it looked for from `scope` outwards.
    pub(crate) fn eval(&mut self, expr: &Expr, scope: Option<&Scope>) -> Evaluated {
        self.step()?;
        if let Node::Literal(literal) = &expr.0 {
            return Ok(literal.value());
        }
        if self.frames >= MAX_FRAMES {
            return Err(EvalFailed);
        }
        self.frames += 1;
        let value = match &expr.0 {
            Node::Literal(literal) => Ok(literal.value()),
            Node::Attr { name, absolute } => self.reference(name, *absolute, scope),
            Node::Paren(inner) => self.deeper(|e| e.eval(inner, scope)),
            Node::Unary(unary) => {
                self.deeper(|e| Ok(ops::unary(unary.0, e.eval(&unary.1, scope)?)))
            }
            Node::Binary(chain) => self.chain(chain, scope),
            Node::Ternary(parts) => {
                let (condition, yes, no) = &**parts;
                self.deeper(|e| match e.eval(condition, scope)? {
                    Value::Undefined => Ok(Value::Undefined),
                    value => match value.as_bool() {
                        Some(true) => e.eval(yes, scope),
                        Some(false) => e.eval(no, scope),
                        None => Ok(Value::Error),
                    },
                })
            }
            Node::Elvis(parts) => self.deeper(|e| match e.eval(&parts.0, scope)? {
                Value::Undefined => e.eval(&parts.1, scope),
                value => Ok(value),
            }),
            Node::Postfix(postfix) => self.postfix(postfix, scope),
            Node::Call(call) => functions::call(self, call, scope),
            Node::List(items) => Ok(Value::List(List::new(items.clone(), scope.cloned()))),
            Node::Record(ad) => Ok(record(ad, scope)),
        };
        self.frames -= 1;
        value
    }

    /// Runs `eval` one level deeper; too deep fails.
    pub(crate) fn deeper<T>(
        &mut self,
        eval: impl FnOnce(&mut Self) -> Result<T, EvalFailed>,
    ) -> Result<T, EvalFailed> {
        self.depth = self.depth.checked_sub(1).ok_or(EvalFailed)?;
        let value = eval(self);
        self.depth += 1;
        value
    }

    fn step(&mut self) -> Result<(), EvalFailed> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(EvalFailed)?;
        Ok(())
    }

    /// Goes a level deeper without evaluating, for a walk over expressions. False: no further.
    pub(crate) fn enter(&mut self) -> bool {
        if self.depth == 0 || self.step().is_err() {
            return false;
        }
        self.depth -= 1;
        true
    }

    /// Undoes [`Evaluator::enter`].
    pub(crate) fn leave(&mut self) {
        self.depth += 1;
    }

    /// Evaluates in another ad, as an evaluation of its own: `.name` starts there, and references
    /// are circular only within. A failure is an error value.
    pub(crate) fn elsewhere(&mut self, place: &Scope, expr: &Expr) -> Value {
        let root = self.root.replace(place.outermost());
        let active = std::mem::take(&mut self.active);
        let value = self.contained(|e| e.deeper(|e| e.eval(expr, Some(place))));
        self.root = root;
        self.active = active;
        value
    }

    /// Accounts for `count` bytes that the evaluation makes up.
    pub(crate) fn spend_bytes(&mut self, count: usize) -> Result<(), EvalFailed> {
        self.bytes = self.bytes.checked_sub(count).ok_or(EvalFailed)?;
        Ok(())
    }

    /// Runs `eval`; a failure inside is an error value, as where HTCondor does not look.
    pub(crate) fn contained(&mut self, eval: impl FnOnce(&mut Self) -> Evaluated) -> Value {
        let (depth, frames, active) = (self.depth, self.frames, self.active.len());
        eval(self).unwrap_or_else(|EvalFailed| {
            self.depth = depth;
            self.frames = frames;
            self.active.truncate(active);
            Value::Error
        })
    }

    /// `first op e op e ...`. HTCondor holds this as a tree that leans to the left, and counts
    /// depth accordingly: the first operand is the deepest.
    fn chain(&mut self, chain: &Chain, scope: Option<&Scope>) -> Evaluated {
        let length = chain.rest.len();
        self.depth = self.depth.checked_sub(length).ok_or(EvalFailed)?;
        let mut left = self.eval(&chain.first, scope)?;
        for (op, right) in &chain.rest {
            left = match (op, left.as_bool()) {
                (BinaryOp::Or, Some(true)) => Value::Bool(true),
                (BinaryOp::And, Some(false)) => Value::Bool(false),
                (BinaryOp::Or | BinaryOp::And, _) if left.is_error() => Value::Error,
                _ => binary(*op, left, self.eval(right, scope)?),
            };
            self.depth += 1;
        }
        Ok(left)
    }

    /// Selections and subscripts. As with operators, the base is the deepest.
    fn postfix(&mut self, postfix: &Postfix, scope: Option<&Scope>) -> Evaluated {
        self.steps(&postfix.base, &postfix.steps, scope)
    }

    /// The value after some of the steps.
    pub(crate) fn steps(
        &mut self,
        base: &Expr,
        mut steps: &[Step],
        scope: Option<&Scope>,
    ) -> Evaluated {
        let length = steps.len();
        let mut value = None;
        if self.depth < length {
            // Too deep for a selection is an error value, and the steps behind it get that; too
            // deep for a subscript fails.
            let kept = length - self.depth;
            if let Step::Index(_) = &steps[kept - 1] {
                return Err(EvalFailed);
            }
            steps = &steps[kept..];
            value = Some(Value::Error);
        }
        self.depth -= steps.len();
        let mut value = match value {
            Some(value) => value,
            None => self.eval(base, scope)?,
        };
        for step in steps {
            match step {
                // A selection gives its level back before it evaluates what it found.
                Step::Select(name) => {
                    self.depth += 1;
                    value = self.select(value, name, scope)?;
                }
                Step::Index(index) => {
                    let index = self.eval(index, scope)?;
                    value = self.subscript(value, index)?;
                    self.depth += 1;
                }
            }
        }
        Ok(value)
    }

    fn select(&mut self, base: Value, name: &Text, scope: Option<&Scope>) -> Evaluated {
        match base {
            Value::Undefined => Ok(Value::Undefined),
            Value::Ad(ad) => self.found(ad.scope().find(name.as_bytes(), self), name),
            Value::List(list) => {
                let mut items = Vec::with_capacity(list.len());
                for item in list.exprs() {
                    self.step()?;
                    let value = self.deeper(|e| e.element(item, &list, scope))?;
                    let value = self.select(value, name, scope)?;
                    items.push(Expr::from(value));
                }
                Ok(Value::List(List::new(items.into(), None)))
            }
            _ => Ok(Value::Error),
        }
    }

    /// An element of a list, names in it looked for from `scope`, where the list is used. An ad
    /// keeps the place it was written in.
    pub(crate) fn element(&mut self, item: &Expr, list: &List, scope: Option<&Scope>) -> Evaluated {
        let mut inner = item;
        while let Node::Paren(expr) = &inner.0 {
            inner = expr;
        }
        match &inner.0 {
            Node::Record(_) | Node::List(_) => self.eval(item, list.scope()),
            _ => self.eval(item, scope),
        }
    }

    fn subscript(&mut self, base: Value, index: Value) -> Evaluated {
        if base.is_error() || index.is_error() {
            return Ok(Value::Error);
        }
        if base.is_undefined() || index.is_undefined() {
            return Ok(Value::Undefined);
        }
        match (base, index) {
            (Value::Ad(ad), Value::String(name)) => {
                let Some(expr) = ad.get(&name) else { return Ok(Value::Undefined) };
                Ok(self.elsewhere(&ad.scope(), expr))
            }
            (Value::List(list), Value::Int(index)) => {
                let index = num::low32(index);
                let item = usize::try_from(index).ok().and_then(|n| list.exprs().get(n));
                let Some(item) = item else { return Ok(Value::Error) };
                if self.depth == 0 {
                    return Ok(Value::Error);
                }
                let scope = list.scope();
                Ok(self.contained(|e| e.deeper(|e| e.eval(item, scope))))
            }
            _ => Ok(Value::Error),
        }
    }

    /// `name` or `.name`.
    fn reference(&mut self, name: &Text, absolute: bool, scope: Option<&Scope>) -> Evaluated {
        let found = self.lookup(name, absolute, scope);
        self.found(found, name)
    }

    /// What a reference leads to.
    pub(crate) fn lookup(&self, name: &Text, absolute: bool, scope: Option<&Scope>) -> Found {
        if absolute {
            let Some(root) = &self.root else { return Found::Nothing };
            return root.find(name.as_bytes(), self);
        }
        let Some(scope) = scope else { return Found::Nothing };
        let found = scope.find(name.as_bytes(), self);
        if matches!(found, Found::Nothing)
            && self.semantics == Semantics::Old
            && let Some(other) = scope.alternate()
        {
            return other.find(name.as_bytes(), self);
        }
        found
    }

    fn found(&mut self, found: Found, name: &Text) -> Evaluated {
        match found {
            Found::Nothing => Ok(Value::Undefined),
            Found::Place(place) => Ok(place.into_value()),
            Found::Time => Ok(Value::Int(self.host.now())),
            Found::Attr(place) => {
                let Some(expr) = place.ad().get(name) else { return Ok(Value::Undefined) };
                self.active_eval(expr, &place, name)
            }
        }
    }

    /// Evaluates the expression of an attribute, unless that is going on already.
    fn active_eval(&mut self, expr: &Expr, place: &Scope, name: &Text) -> Evaluated {
        if self.depth == 0 {
            return Err(EvalFailed);
        }
        let address = std::ptr::from_ref(expr).addr();
        if self.active.iter().any(|(a, s)| *a == address && s.same(place)) {
            return Ok(Value::Undefined);
        }
        match &expr.0 {
            Node::Literal(literal) => {
                self.step()?;
                Ok(literal.value())
            }
            Node::Record(ad) => Ok(place.enter(name.as_bytes(), ad).into_value()),
            _ => {
                self.active.push((address, place.clone()));
                let value = self.deeper(|e| e.eval(expr, Some(place)))?;
                self.active.pop();
                Ok(value)
            }
        }
    }

    /// The value of an attribute by name, as a caller from outside asks for it.
    fn attribute(&mut self, name: &[u8], scope: Option<&Scope>) -> Evaluated {
        let Some(scope) = scope else { return Ok(Value::Undefined) };
        match scope.find(name, self) {
            Found::Attr(place) => match place.ad().get(name) {
                Some(Expr(Node::Record(ad))) => Ok(place.enter(name, ad).into_value()),
                Some(expr) => self.eval(expr, Some(&place)),
                None => Ok(Value::Undefined),
            },
            Found::Place(place) => Ok(place.into_value()),
            Found::Time => Ok(Value::Int(self.host.now())),
            Found::Nothing => Ok(Value::Undefined),
        }
    }
}

fn record(ad: &ClassAd, scope: Option<&Scope>) -> Value {
    let place = match scope {
        Some(scope) => scope.child(ad.clone()),
        None => Scope::top(ad.clone()),
    };
    Value::Ad(ScopedAd::new(ad.clone(), Some(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(expr: &str, ad: &str) -> String {
        let ad = ClassAd::parse(ad).unwrap();
        match Context::new(&ad).try_eval(&Expr::parse(expr).unwrap()) {
            Ok(value) => value.to_string(),
            Err(EvalFailed) => "failed".to_owned(),
        }
    }

    #[test]
    fn names_are_looked_for_outwards() {
        assert_eq!(eval("x.b", "[x=[c=1]; b=9]"), "9");
        assert_eq!(eval("x.d", "[x=[c=1; d=parent.b + .b]; b=9]"), "18");
        assert_eq!(eval("x.MY.c", "[x=[c=1]]"), "1");
        assert_eq!(eval("TARGET.a", "[a=1]"), "undefined");
    }

    #[test]
    fn circles_are_undefined() {
        assert_eq!(eval("a", "[a=b; b=a]"), "undefined");
        assert_eq!(eval("a", "[a=b ?: 5; b=a]"), "5");
        assert_eq!(eval("a.b", "[a=[b=a.b]]"), "undefined");
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(eval(&format!("1{}", "+1".repeat(400)), "[]"), "401");
        assert_eq!(eval(&format!("1{}", "+1".repeat(401)), "[]"), "failed");
        assert_eq!(eval(&format!("isError(1{})", "+1".repeat(401)), "[]"), "failed");
        assert_eq!(eval(&format!("a{}", ".a".repeat(5000)), "[]"), "error");
    }

    #[test]
    fn work_is_bounded() {
        let mut ad = String::from("[a0=1");
        for n in 1..60 {
            ad.push_str(&format!(";a{n}=a{0}+a{0}", n - 1));
        }
        let ad = ClassAd::parse(&(ad + "]")).unwrap();
        // The real budget takes its time in a debug build.
        let context = Context::new(&ad).max_steps(100_000);
        assert_eq!(context.try_eval(&Expr::attribute("a59")), Err(EvalFailed));
    }

    #[test]
    fn lists_of_ads_are_projected() {
        assert_eq!(eval("l.x", "[l={[x=1],[y=2],undefined,3}]"), "{ 1,undefined,undefined,error }");
        assert_eq!(eval("l[1]", "[l={1,2}]"), "2");
        assert_eq!(eval("l[-1]", "[l={1,2}]"), "error");
        assert_eq!(eval("r[\"x\"]", "[r=[x=y]; y=7]"), "7");
        assert_eq!(eval("r[\"y\"]", "[r=[x=y]; y=7]"), "undefined");
    }
}
