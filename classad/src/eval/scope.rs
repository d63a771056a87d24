//! Places: an ad, the ads around it, and the other side of a match.

use std::sync::Arc;

use super::Evaluator;
use crate::Semantics;
use crate::ad::ClassAd;
use crate::expr::{Expr, Node};
use crate::value::{ScopedAd, Value};

/// An ad at the place it is seen from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope(Arc<Place>);

struct Place {
    ad: ClassAd,
    parent: Option<Scope>,
    role: Role,
}

/// What part of a match an ad is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    /// The ad that holds the two sides.
    Match,
    /// The ad that gives a side its `MY` and `TARGET`.
    Context,
    Left,
    Right,
    /// An ad inside a side that, for once, may look into the other side.
    Inside,
}

/// What a name leads to.
pub(crate) enum Found {
    Nothing,
    /// The attribute of this ad.
    Attr(Scope),
    /// This ad itself.
    Place(Scope),
    /// `CurrentTime`.
    Time,
}

impl Scope {
    fn new(ad: ClassAd, parent: Option<Scope>, role: Role) -> Scope {
        Scope(Arc::new(Place { ad, parent, role }))
    }

    /// An ad with nothing around it.
    pub(crate) fn top(ad: ClassAd) -> Scope {
        Scope::new(ad, None, Role::Plain)
    }

    /// The outer ad of a match.
    pub(crate) fn top_of_match(ad: ClassAd) -> Scope {
        Scope::new(ad, None, Role::Match)
    }

    /// An ad written inside this one.
    pub(crate) fn child(&self, ad: ClassAd) -> Scope {
        Scope::new(ad, Some(self.clone()), Role::Plain)
    }

    /// The ad that is the attribute `name` of this one.
    pub(crate) fn enter(&self, name: &[u8], ad: &ClassAd) -> Scope {
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        if self.0.role == Role::Match {
            // Each side stands in its context, as if it were written there.
            let sides =
                [(&b"LEFT"[..], &b"lCtx"[..], Role::Left), (b"RIGHT", b"rCtx", Role::Right)];
            for (side, context, role) in sides {
                if is(context) {
                    return Scope::new(ad.clone(), Some(self.clone()), Role::Context);
                }
                if is(side)
                    && let Some(Expr(Node::Record(around))) = self.ad().get(context)
                {
                    let around = self.enter(context, around);
                    return Scope::new(ad.clone(), Some(around), role);
                }
            }
        }
        self.child(ad.clone())
    }

    pub(crate) fn ad(&self) -> &ClassAd {
        &self.0.ad
    }

    pub(crate) fn parent(&self) -> Option<&Scope> {
        self.0.parent.as_ref()
    }

    pub(crate) fn outermost(&self) -> Scope {
        let mut scope = self;
        while let Some(parent) = scope.parent() {
            scope = parent;
        }
        scope.clone()
    }

    /// This ad with a view of the other side of the match, if it is inside of one.
    pub(crate) fn in_match(&self) -> Scope {
        Scope::new(self.ad().clone(), self.parent().cloned(), Role::Inside)
    }

    /// The other side, if this ad is one side of a match.
    pub(crate) fn alternate(&self) -> Option<Scope> {
        let mut side = self;
        while side.0.role == Role::Inside
            || (self.0.role == Role::Inside && side.0.role == Role::Plain)
        {
            side = side.parent()?;
        }
        let other: &[u8] = match side.0.role {
            Role::Left => b"RIGHT",
            Role::Right => b"LEFT",
            _ => return None,
        };
        let top = self.outermost();
        match top.ad().get(other) {
            Some(Expr(Node::Record(ad))) => Some(top.enter(other, ad)),
            _ => None,
        }
    }

    /// Looks for `name` in this ad, then in those around it. The reserved names are known to
    /// every ad that has no attribute of that name.
    pub(crate) fn find(&self, name: &[u8], eval: &Evaluator<'_>) -> Found {
        let reserved = Reserved::of(name, eval.semantics);
        let mut scope = self;
        loop {
            if scope.ad().contains(name) {
                return Found::Attr(scope.clone());
            }
            match reserved {
                Some(Reserved::Own) => return Found::Place(scope.clone()),
                Some(Reserved::Parent) => {
                    return scope.parent().map_or(Found::Nothing, |p| Found::Place(p.clone()));
                }
                Some(Reserved::Top) => {
                    return eval.root.clone().map_or(Found::Nothing, Found::Place);
                }
                Some(Reserved::Time) => return Found::Time,
                None => {}
            }
            match scope.parent() {
                Some(parent) => scope = parent,
                None => return Found::Nothing,
            }
        }
    }

    /// Whether both are the same ad at the same place.
    pub(crate) fn same(&self, other: &Scope) -> bool {
        let (mut a, mut b) = (self, other);
        loop {
            if Arc::ptr_eq(&a.0, &b.0) {
                return true;
            }
            if !a.ad().same_storage(b.ad()) {
                return false;
            }
            match (a.parent(), b.parent()) {
                (None, None) => return a.0.role == b.0.role,
                (Some(p), Some(q)) => (a, b) = (p, q),
                _ => return false,
            }
        }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Ad(ScopedAd::new(self.0.ad.clone(), Some(self)))
    }
}

#[derive(Clone, Copy)]
enum Reserved {
    Own,
    Parent,
    Top,
    Time,
}

impl Reserved {
    fn of(name: &[u8], semantics: Semantics) -> Option<Reserved> {
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        let old = semantics == Semantics::Old;
        match name.len() {
            2 if old && is(b"my") => Some(Reserved::Own),
            4 if is(b"self") => Some(Reserved::Own),
            4 if is(b"root") => Some(Reserved::Top),
            6 if is(b"parent") => Some(Reserved::Parent),
            8 if is(b"toplevel") => Some(Reserved::Top),
            11 if old && is(b"currenttime") => Some(Reserved::Time),
            _ => None,
        }
    }
}
