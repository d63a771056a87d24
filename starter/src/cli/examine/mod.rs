//! What can be found out about this machine and its named roots: one engine for `starter check`, for
//! what a startd is told, and for the look at roots while a startd runs.

pub(super) mod ask;
pub(super) mod machine;
mod root;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::root::offered;
use crate::knobs::Knobs;
use crate::knobs::roots::{NamedRoot, Unusable};

/// How one examination went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Grade {
    /// All well.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It doesn't work.
    Fail,
}

impl Grade {
    /// In small letters.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One examination: a name that stays, of what, what was found, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) grade: Grade,
    pub(super) id: String,
    /// The root that it is about, if it is about one.
    pub(super) root: Option<String>,
    pub(super) found: String,
}

impl Finding {
    pub(super) fn ok(id: &str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, id: id.to_owned(), root: None, found: found.into() }
    }

    pub(super) fn warn(id: &str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, ..Self::ok(id, found) }
    }

    pub(super) fn fail(id: &str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Fail, ..Self::ok(id, found) }
    }
}

/// What was found out about a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// Its revision, and the name of its system, if they are known.
    pub(super) revision: Option<String>,
    pub(super) system: Option<String>,
}

impl Looked {
    /// A root about which nothing else is to be said.
    fn failed(finding: Finding) -> Self {
        Self { findings: vec![finding], revision: None, system: None }
    }

    /// Why jobs can't have it; nothing if they can.
    pub(super) fn unfit(&self) -> Option<&str> {
        let failed = self.findings.iter().find(|finding| finding.grade == Grade::Fail);
        failed.map(|finding| finding.found.as_str())
    }
}

/// A root as it is offered, and what was found out about it.
pub(super) struct Examined<'a> {
    pub(super) name: &'a str,
    /// `None`: its knobs are wrong.
    pub(super) root: Option<&'a NamedRoot>,
    pub(super) looked: Looked,
}

/// Looks at the roots of NAMED_CHROOT that have a name, in bounded time; `wanted` chooses. `deep` looks at every
/// file.
pub(super) fn roots<'a>(
    knobs: &'a Knobs,
    patience: Duration,
    deep: bool,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Examined<'a>> {
    let chosen: Vec<&NamedRoot> =
        knobs.roots.iter().flatten().filter(|root| wanted(&root.name)).collect();
    let mut looked =
        ask::examine(&chosen, patience, |root| root::look(root, knobs, deep)).into_iter();
    let mut all = Vec::new();
    for item in &knobs.roots {
        match item {
            Ok(root) if wanted(&root.name) => {
                let Some(looked) = looked.next() else { break };
                all.push(Examined { name: &root.name, root: Some(root), looked });
            }
            Err(Unusable { name: Some(name), why }) if wanted(name) => {
                let looked = Looked::failed(Finding::fail("root-knobs", why.clone()));
                all.push(Examined { name, root: None, looked });
            }
            _ => {}
        }
    }
    for Examined { name, looked, .. } in &mut all {
        for finding in &mut looked.findings {
            finding.root = Some((*name).to_owned());
        }
    }
    all
}
