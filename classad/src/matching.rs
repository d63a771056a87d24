//! Two ads in a match, each the other's `TARGET`.

use std::sync::OnceLock;

use crate::ad::ClassAd;
use crate::eval::{Context, Scope};
use crate::expr::{Expr, Node};
use crate::value::Value;
use crate::{Host, Semantics, Zone};

/// Two ads that are matched: `LEFT`, called `MY` in its own attributes, and `RIGHT`, its `TARGET`.
///
/// ```
/// use classad::{ClassAd, Expr, MatchClassAd, Value};
/// let job = ClassAd::parse("[Memory = 10; Requirements = TARGET.Memory > MY.Memory]")?;
/// let slot = ClassAd::parse("[Memory = 20; Requirements = true]")?;
/// let pair = MatchClassAd::new(&job, &slot);
/// assert!(pair.matches());
/// let left = pair.left().eval(&Expr::parse("MY.Memory + TARGET.Memory")?);
/// assert_eq!(left, Value::Int(30));
/// # Ok::<(), classad::ParseError>(())
/// ```
pub struct MatchClassAd {
    top: Scope,
    semantics: Semantics,
}

/// The parts of a match ad that are always the same.
struct Frame {
    top: ClassAd,
    left_context: ClassAd,
    right_context: ClassAd,
}

fn frame() -> &'static Frame {
    static FRAME: OnceLock<Frame> = OnceLock::new();
    FRAME.get_or_init(|| {
        let absolute = |name: &str| Expr(Node::Attr { name: name.into(), absolute: true });
        let context = |my: &str, target: &str| -> ClassAd {
            [("my", my), ("ad", my), ("target", target), ("other", target)]
                .into_iter()
                .map(|(name, side)| (name, absolute(side)))
                .collect()
        };
        let read = |text: &str| ClassAd::parse(text).unwrap_or_default();
        Frame {
            top: read(
                "[symmetricMatch = RIGHT.requirements && LEFT.requirements;\
                  leftMatchesRight = RIGHT.requirements;\
                  rightMatchesLeft = LEFT.requirements;\
                  leftRankValue = LEFT.rank;\
                  rightRankValue = RIGHT.rank]",
            ),
            left_context: context("LEFT", "RIGHT"),
            right_context: context("RIGHT", "LEFT"),
        }
    })
}

/// The scope of the left ad in a match, for expressions about one ad with another as target.
/// Aliases may be empty.
pub(crate) fn left_scope(left: &ClassAd, right: &ClassAd, mine: &str, other: &str) -> Scope {
    side(&top(left, right, mine, other), b"LEFT")
}

fn side(top: &Scope, name: &[u8]) -> Scope {
    match top.ad().get(name) {
        Some(Expr(Node::Record(ad))) => top.enter(name, ad),
        _ => top.clone(),
    }
}

fn top(left: &ClassAd, right: &ClassAd, mine: &str, other: &str) -> Scope {
    let frame = frame();
    let (mut left_context, mut right_context) =
        (frame.left_context.clone(), frame.right_context.clone());
    let absolute = |name: &str| Expr(Node::Attr { name: name.into(), absolute: true });
    if !mine.is_empty() {
        left_context.insert(mine, Expr::attribute("ad"));
        right_context.insert(mine, absolute("LEFT"));
    }
    if !other.is_empty() {
        left_context.insert(other, absolute("RIGHT"));
        right_context.insert(other, Expr::attribute("ad"));
    }
    let mut ad = frame.top.clone();
    ad.insert("lCtx", left_context);
    ad.insert("rCtx", right_context);
    ad.insert("LEFT", left.clone());
    ad.insert("RIGHT", right.clone());
    Scope::top_of_match(ad)
}

impl MatchClassAd {
    /// Puts two ads into a match.
    pub fn new(left: &ClassAd, right: &ClassAd) -> MatchClassAd {
        MatchClassAd::with_aliases(left, right, "", "")
    }

    /// The same, with further names for the two, known in both: `JOB` and `SLOT`, say. An empty
    /// alias is none.
    pub fn with_aliases(
        left: &ClassAd,
        right: &ClassAd,
        left_alias: &str,
        right_alias: &str,
    ) -> MatchClassAd {
        let top = top(left, right, left_alias, right_alias);
        MatchClassAd { top, semantics: Semantics::Old }
    }

    /// Old semantics unless changed.
    #[must_use]
    pub fn semantics(mut self, semantics: Semantics) -> MatchClassAd {
        self.semantics = semantics;
        self
    }

    /// For expressions about the left ad, with the right one as target.
    pub fn left(&self) -> Context<'_> {
        Context::in_scope(Some(side(&self.top, b"LEFT"))).semantics(self.semantics)
    }

    /// For expressions about the right ad, with the left one as target.
    pub fn right(&self) -> Context<'_> {
        Context::in_scope(Some(side(&self.top, b"RIGHT"))).semantics(self.semantics)
    }

    /// Whether the `Requirements` of both are true, or a number that is not zero.
    pub fn matches(&self) -> bool {
        self.is_true("symmetricMatch")
    }

    /// Whether the right ad accepts the left one: its `Requirements`.
    pub fn left_matches_right(&self) -> bool {
        self.is_true("leftMatchesRight")
    }

    /// Whether the left ad accepts the right one: its `Requirements`.
    pub fn right_matches_left(&self) -> bool {
        self.is_true("rightMatchesLeft")
    }

    /// The left ad's `Rank` of the right one; 0 if there is none.
    pub fn left_rank(&self) -> f64 {
        self.eval("leftRankValue").as_f64().unwrap_or(0.0)
    }

    /// The right ad's `Rank` of the left one; 0 if there is none.
    pub fn right_rank(&self) -> f64 {
        self.eval("rightRankValue").as_f64().unwrap_or(0.0)
    }

    /// Whether both match, functions in the requirements asking `host` and using `zone`.
    pub fn matches_with(&self, host: &dyn Host, zone: &Zone) -> bool {
        let context = Context::in_scope(Some(self.top.clone()))
            .semantics(self.semantics)
            .host(host)
            .zone(zone.clone());
        context.eval_attr("symmetricMatch").as_bool() == Some(true)
    }

    fn is_true(&self, name: &str) -> bool {
        self.eval(name).as_bool() == Some(true)
    }

    fn eval(&self, name: &str) -> Value {
        Context::in_scope(Some(self.top.clone())).semantics(self.semantics).eval_attr(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(left: &str, right: &str) -> MatchClassAd {
        MatchClassAd::new(&ClassAd::parse(left).unwrap(), &ClassAd::parse(right).unwrap())
    }

    fn left(pair: &MatchClassAd, expr: &str) -> String {
        pair.left().eval(&Expr::parse(expr).unwrap()).to_string()
    }

    #[test]
    fn each_is_the_target_of_the_other() {
        let pair = pair("[a=1; b=TARGET.c]", "[a=2; c=TARGET.a + MY.a]");
        assert_eq!(left(&pair, "MY.b"), "3");
        assert_eq!(left(&pair, "c"), "3");
        assert_eq!(left(&pair, ".a"), "undefined");
        assert_eq!(left(&pair, "other.a"), "2");
    }

    #[test]
    fn the_other_ad_is_searched_only_from_the_top() {
        let pair = pair("[c=[d=zz]]", "[zz=2]");
        assert_eq!(left(&pair, "zz"), "2");
        assert_eq!(left(&pair, "c.d"), "undefined");
        assert_eq!(left(&pair, "{zz}[0]"), "2");
    }

    #[test]
    fn aliases() {
        let job = ClassAd::parse("[a=1]").unwrap();
        let slot = ClassAd::parse("[a=2; b=JOB.a + SLOT.a]").unwrap();
        let pair = MatchClassAd::with_aliases(&job, &slot, "JOB", "SLOT");
        assert_eq!(left(&pair, "SLOT.b * 10 + JOB.a"), "31");
    }

    #[test]
    fn an_ad_may_match_itself() {
        let ad = ClassAd::parse("[x = 1; r = TARGET.x; Requirements = TARGET.r == 1]").unwrap();
        assert!(MatchClassAd::new(&ad, &ad).matches());
    }
}
