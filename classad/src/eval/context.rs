//! The way in: what an expression is evaluated against, and with which switches.

use super::scope::Scope;
use super::{EvalFailed, Evaluator, MAX_BYTES, MAX_DEPTH, MAX_STEPS};
use crate::Semantics;
use crate::ad::ClassAd;
use crate::expr::Expr;
use crate::host::{Host, SystemHost};
use crate::matching;
use crate::time::Zone;
use crate::value::Value;

/// Where and how an expression is evaluated.
///
/// ```
/// use classad::{ClassAd, Context, Expr, Semantics, Value};
/// let job = ClassAd::parse("[RequestCpus = 2]")?;
/// let slot = ClassAd::parse("[Cpus = 4]")?;
/// let enough = Expr::parse("TARGET.Cpus >= MY.RequestCpus")?;
/// assert_eq!(Context::new(&job).target(&slot).eval(&enough), Value::Bool(true));
/// assert_eq!(Context::new(&job).eval(&enough), Value::Undefined);
/// # Ok::<(), classad::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Context<'a> {
    scope: Option<Scope>,
    semantics: Semantics,
    zone: Zone,
    host: &'a dyn Host,
    max_steps: u32,
}

impl<'a> Context<'a> {
    /// Attributes of `ad` are in sight.
    pub fn new(ad: &ClassAd) -> Context<'a> {
        Context::in_scope(Some(Scope::top(ad.clone())))
    }

    pub(crate) fn in_scope(scope: Option<Scope>) -> Context<'a> {
        let (semantics, zone) = (Semantics::Old, Zone::SYSTEM);
        Context { scope, semantics, zone, host: &SystemHost, max_steps: MAX_STEPS }
    }

    /// Matches the ad with `target`, which becomes `TARGET`.
    #[must_use]
    pub fn target(mut self, target: &ClassAd) -> Context<'a> {
        if let Some(scope) = &self.scope {
            self.scope = Some(matching::left_scope(scope.ad(), target, "", ""));
        }
        self
    }

    /// Old semantics unless changed.
    #[must_use]
    pub fn semantics(mut self, semantics: Semantics) -> Context<'a> {
        self.semantics = semantics;
        self
    }

    /// The zone of the process unless changed.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Context<'a> {
        self.zone = zone;
        self
    }

    /// [`SystemHost`] unless changed.
    #[must_use]
    pub fn host(mut self, host: &'a dyn Host) -> Context<'a> {
        self.host = host;
        self
    }

    /// How much the evaluation may do, in nodes of expressions visited; ten million, as in
    /// HTCondor, unless changed. Beyond that it fails.
    #[must_use]
    pub fn max_steps(mut self, steps: u32) -> Context<'a> {
        self.max_steps = steps;
        self
    }

    /// The value; a failed evaluation is an error value.
    pub fn eval(&self, expr: &Expr) -> Value {
        self.try_eval(expr).unwrap_or(Value::Error)
    }

    /// The value, or that there is none.
    pub fn try_eval(&self, expr: &Expr) -> Result<Value, EvalFailed> {
        self.evaluator().eval(expr, self.scope.as_ref())
    }

    /// The value of an attribute, looked for outwards from the ad; undefined if there is none.
    pub fn eval_attr(&self, name: impl AsRef<[u8]>) -> Value {
        self.evaluator().attribute(name.as_ref(), self.scope.as_ref()).unwrap_or(Value::Error)
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            root: self.scope.as_ref().map(Scope::outermost),
            semantics: self.semantics,
            zone: &self.zone,
            host: self.host,
            depth: MAX_DEPTH,
            steps_left: self.max_steps,
            frames: 0,
            bytes: MAX_BYTES,
            active: Vec::new(),
        }
    }
}
