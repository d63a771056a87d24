//! Functions about expressions: choice, evaluation elsewhere, references.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Call;
use super::pattern::{Options, Pattern};
use crate::EvalFailed;
use crate::eval::{Evaluated, Evaluator, Found, Scope, string_of};
use crate::expr::{Expr, Node, Postfix, Step};
use crate::num;
use crate::print;
use crate::text::Text;
use crate::value::{List, Value};
use crate::{ParseOptions, Syntax, parser};

/// Like `c ? a : b`, except that an error of the condition is one of type.
pub(super) fn if_then_else(call: &mut Call<'_, '_>) -> Evaluated {
    if call.count() != 3 {
        return Ok(Value::Error);
    }
    match call.arg(0)? {
        Value::Undefined => Ok(Value::Undefined),
        condition => match condition.as_bool() {
            Some(true) => call.arg(1),
            Some(false) => call.arg(2),
            None => Ok(Value::Error),
        },
    }
}

/// Parses the text of the argument and evaluates that where the call stands.
pub(super) fn eval(call: &mut Call<'_, '_>) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    let Ok(text) = string_of(value) else { return Ok(Value::Error) };
    // Parsing is work as well: a long text counts for more than one step.
    call.eval.spend_bytes(text.len())?;
    let options = ParseOptions {
        syntax: Syntax::New,
        semantics: call.eval.semantics,
        zone: call.eval.zone.clone(),
    };
    let Ok(expr) = parser::expression(text.as_bytes(), &options) else {
        return Ok(Value::Error);
    };
    let scope = call.scope;
    call.eval.deeper(|e| e.eval(&expr, scope))
}

pub(super) fn debug(call: &mut Call<'_, '_>) -> Evaluated {
    if call.count() != 1 {
        return Ok(Value::Error);
    }
    let value = call.arg(0)?;
    call.eval.host.debug(&format!("{} --> {value}", call.args[0]));
    Ok(value)
}

/// A name, alone or selected from something.
fn is_reference(expr: &Expr) -> bool {
    match &expr.0 {
        Node::Attr { .. } => true,
        Node::Postfix(postfix) => matches!(postfix.steps.last(), Some(Step::Select(_))),
        _ => false,
    }
}

/// The text of the expression of an attribute of this ad, indented.
pub(super) fn unparse(call: &mut Call<'_, '_>) -> Evaluated {
    let [reference] = call.args else { return Ok(Value::Error) };
    if !is_reference(reference) {
        return Ok(Value::Error);
    }
    let name = reference.to_new_bytes();
    let expr = call.scope.and_then(|scope| scope.ad().get(&name));
    let text = expr.map(print::pretty).unwrap_or_default();
    call.string(text)
}

/// What a reference leads to, or none if there is no such attribute.
fn resolve(
    eval: &mut Evaluator<'_>,
    reference: &Expr,
    scope: Option<&Scope>,
) -> Result<Option<(Found, Text)>, EvalFailed> {
    let (found, name) = match &reference.0 {
        Node::Attr { name, absolute } => (eval.lookup(name, *absolute, scope), name),
        Node::Postfix(postfix) => {
            let Some((Step::Select(name), steps)) = postfix.steps.split_last() else {
                return Ok(None);
            };
            match eval.steps(&postfix.base, steps, scope)? {
                Value::Ad(ad) => (ad.scope().find(name.as_bytes(), eval), name),
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    Ok(match found {
        Found::Nothing => None,
        found => Some((found, name.clone())),
    })
}

/// `evalInEachContext(expr, list)`, or the count of those that are true.
pub(super) fn each(call: &mut Call<'_, '_>, count: bool) -> Evaluated {
    let [expr, list] = call.args else { return Ok(Value::Error) };
    let scope = call.scope;
    // A reference stands for the expression it leads to; that is looked up here, not in the ads.
    let target = if is_reference(expr) { resolve(call.eval, expr, scope)? } else { None };
    let resolved = match &target {
        Some((Found::Attr(place), name)) => place.ad().get(name).cloned(),
        Some((Found::Place(place), _)) => Some(Expr(Node::Record(place.ad().clone()))),
        _ => None,
    };
    let expr = resolved.as_ref().unwrap_or(expr);
    let list = match &list.0 {
        Node::List(items) => List::new(Arc::clone(items), scope.cloned()),
        _ => match call.eval.contained(|e| e.eval(list, scope)) {
            Value::List(list) => list,
            Value::Undefined if count => return Ok(Value::Int(0)),
            Value::Undefined => return Ok(Value::Undefined),
            _ => return Ok(Value::Error),
        },
    };
    let mut values = Vec::with_capacity(list.len());
    for item in list.exprs() {
        let ad = call.eval.contained(|e| e.element(item, &list, scope));
        values.push(match ad {
            Value::Ad(ad) => call.eval.elsewhere(&ad.scope().in_match(), expr),
            Value::Undefined => Value::Undefined,
            _ => Value::Error,
        });
    }
    if count {
        let matches = values.iter().filter(|v| v.as_bool() == Some(true)).count();
        return Ok(Value::Int(num::len(matches)));
    }
    Ok(Value::List(List::new(values.into_iter().map(Expr::from).collect(), None)))
}

/// The names that the expression of an attribute refers to and that lead nowhere; with a pattern,
/// whether one of them matches it.
pub(super) fn unresolved(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(1..=2).contains(&count) || !is_reference(&call.args[0]) {
        return Ok(Value::Error);
    }
    let Some((found, name)) = resolve(call.eval, &call.args[0], call.scope)? else {
        return Ok(Value::Undefined);
    };
    let mut pattern = None;
    if count == 2 {
        // Here a wrong type fails.
        let Value::String(text) = call.arg(1)? else { return Err(EvalFailed) };
        let options = Options { caseless: true, ..Options::default() };
        pattern = Pattern::new(text.as_bytes(), options, false);
        if pattern.is_none() {
            return Ok(Value::Error);
        }
    }
    let mut references = References { eval: call.eval, names: BTreeMap::new() };
    let complete = match &found {
        Found::Attr(place) => match place.ad().get(&name) {
            Some(expr) => references.visit(expr, place),
            None => false,
        },
        Found::Place(place) => references.visit_ad(place.ad(), place),
        Found::Time | Found::Nothing => true,
    };
    let names = if complete { references.names } else { BTreeMap::new() };
    let short = |name: &'_ Vec<u8>| -> Vec<u8> {
        let prefix = name.get(..7).is_some_and(|p| p.eq_ignore_ascii_case(b"target."));
        name[if prefix { 7 } else { 0 }..].to_vec()
    };
    if let Some(pattern) = pattern {
        let found = names.values().map(short).any(|name| {
            // An empty match is none.
            matches!(pattern.find(&name, 0), Ok(Some(g)) if matches!(g.first(), Some(Some((a, b))) if a < b))
        });
        return Ok(Value::Bool(found));
    }
    let list: Vec<Vec<u8>> = names.values().map(short).collect();
    call.string(list.join(&b','))
}

/// Collects references that lead nowhere. The methods return whether all could be followed.
struct References<'e, 'a> {
    eval: &'e mut Evaluator<'a>,
    /// By the name in lower case; the spelling that came first stays.
    names: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl References<'_, '_> {
    fn add(&mut self, name: Vec<u8>) {
        self.names.entry(name.to_ascii_lowercase()).or_insert(name);
    }

    /// One level deeper; too deep or too much is not complete.
    fn visit(&mut self, expr: &Expr, scope: &Scope) -> bool {
        if !self.eval.enter() {
            return false;
        }
        let complete = self.visit_node(expr, scope);
        self.eval.leave();
        complete
    }

    fn visit_node(&mut self, expr: &Expr, scope: &Scope) -> bool {
        match &expr.0 {
            Node::Literal(_) => true,
            Node::Attr { name, absolute } => {
                let start = if *absolute { self.eval.root.clone() } else { Some(scope.clone()) };
                start.is_some_and(|start| self.follow(name, &start))
            }
            Node::Paren(inner) => self.visit(inner, scope),
            Node::Unary(unary) => self.visit(&unary.1, scope),
            Node::Binary(chain) => {
                self.visit(&chain.first, scope)
                    && chain.rest.iter().all(|(_, operand)| self.visit(operand, scope))
            }
            Node::Ternary(parts) => {
                [&parts.0, &parts.1, &parts.2].into_iter().all(|part| self.visit(part, scope))
            }
            Node::Elvis(parts) => self.visit(&parts.0, scope) && self.visit(&parts.1, scope),
            Node::Postfix(postfix) => self.visit_postfix(postfix, scope),
            Node::Call(call) => call.args.iter().all(|arg| self.visit(arg, scope)),
            Node::List(items) => items.iter().all(|item| self.visit(item, scope)),
            Node::Record(ad) => self.visit_ad(ad, scope),
        }
    }

    fn visit_ad(&mut self, ad: &crate::ClassAd, scope: &Scope) -> bool {
        ad.iter().all(|(_, expr)| self.visit(expr, scope))
    }

    fn visit_postfix(&mut self, postfix: &Postfix, scope: &Scope) -> bool {
        let mut steps = postfix.steps.as_slice();
        let mut complete = true;
        while let Some((last, before)) = steps.split_last() {
            match last {
                Step::Index(index) => complete &= self.visit(index, scope),
                Step::Select(name) => {
                    return complete && self.visit_selection(&postfix.base, before, name, scope);
                }
            }
            steps = before;
        }
        complete && self.visit(&postfix.base, scope)
    }

    fn visit_selection(&mut self, base: &Expr, steps: &[Step], name: &Text, scope: &Scope) -> bool {
        match self.eval.steps(base, steps, Some(scope)) {
            Ok(Value::Undefined) => {
                let whole = if steps.is_empty() {
                    base.clone()
                } else {
                    let postfix = Postfix { base: base.clone(), steps: steps.to_vec() };
                    Expr(Node::Postfix(Box::new(postfix)))
                };
                let mut full = whole.to_new_bytes();
                full.push(b'.');
                full.extend_from_slice(name.as_bytes());
                self.add(full);
                true
            }
            Ok(Value::Ad(ad)) => self.follow(name, &ad.scope()),
            _ => false,
        }
    }

    /// A name from `start` outwards: what it leads to is visited.
    fn follow(&mut self, name: &Text, start: &Scope) -> bool {
        match start.find(name.as_bytes(), self.eval) {
            Found::Nothing => {
                self.add(name.as_bytes().to_vec());
                true
            }
            Found::Time => true,
            Found::Place(place) => {
                let ad = place.ad().clone();
                self.visit(&Expr(Node::Record(ad)), &place)
            }
            Found::Attr(place) => match place.ad().get(name) {
                Some(expr) => self.visit(expr, &place),
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ClassAd, Expr, MatchClassAd};

    fn eval(expr: &str, ad: &str) -> String {
        Expr::parse(expr).unwrap().eval_in(&ClassAd::parse(ad).unwrap()).to_string()
    }

    #[test]
    fn choice_and_evaluation() {
        assert_eq!(eval("ifThenElse(undefined,1,2)", "[]"), "undefined");
        assert_eq!(eval("ifThenElse(a > 1,a,0)", "[a=2]"), "2");
        assert_eq!(eval("eval(\"a + 1\")", "[a=2]"), "3");
        assert_eq!(eval("eval(undefined)", "[]"), "error");
        assert_eq!(eval("debug(a)", "[a=2]"), "2");
    }

    #[test]
    fn references() {
        let ad = "[f = TARGET.q + MY.z + w.v + a + strcat(u,t); a = 5; g = [h = i; j = a]]";
        assert_eq!(eval("unresolved(f)", ad), "\"t,q,u,w.v,z\"");
        assert_eq!(eval("unresolved(g)", ad), "\"i\"");
        assert_eq!(eval("unresolved(f,\"^T\")", ad), "true");
        assert_eq!(eval("unresolved(nope)", ad), "undefined");
        assert_eq!(eval("unresolved(a)", "[a=b;b=a]"), "\"\"");
        assert_eq!(eval("unparse(l)", "[l={1}]"), "\"\\n   {\\n      1\\n   }\"");
    }

    #[test]
    fn each_ad_of_a_list() {
        let ad = "[q = x > 1; gl = {[x=1],[x=2],undefined,3}]";
        assert_eq!(eval("evalInEachContext(q,gl)", ad), "{ false,true,undefined,error }");
        assert_eq!(eval("countMatches(MY.q,gl)", ad), "1");
        assert_eq!(eval("countMatches(q,nope)", ad), "0");
    }

    #[test]
    fn each_ad_of_the_target() {
        let job = ClassAd::parse("[Want = 4; Require = Capability > Want]").unwrap();
        let slot = ClassAd::parse(
            "[GPUs = {g1,g2}; g1 = [Capability = 3]; g2 = [Capability = 5];\
              n = countMatches(TARGET.Require, GPUs)]",
        )
        .unwrap();
        let pair = MatchClassAd::new(&job, &slot);
        assert_eq!(pair.right().eval_attr("n").to_string(), "1");
    }
}
