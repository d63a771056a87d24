//! Named roots: NAMED_CHROOT and the choice that a job makes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Root;
use crate::failure::{Failure, Step, hold};
use crate::job::Job;
use crate::knobs::Knobs;

/// A directory tree that an admin offers by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedRoot {
    /// As users write it; compared without regard to case.
    pub(crate) name: String,
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
}

impl NamedRoot {
    /// An error if it and EXECUTE lie within each other: other jobs' sandboxes would be in sight.
    pub(crate) fn apart_from(&self, execute: &Path) -> Result<(), String> {
        if !execute.starts_with(&self.path) && !self.path.starts_with(execute) {
            return Ok(());
        }
        Err(format!(
            "named root {} ({}) and EXECUTE ({}) lie within each other, so that other jobs' \
             sandboxes would be in sight: move one",
            self.name,
            self.path.display(),
            execute.display()
        ))
    }
}

/// NAMED_CHROOT: `NAME=PATH` items between commas or blanks. An item that can't be used is an
/// error with its reason, never left out silently.
pub(crate) fn named_roots(knob: Option<&str>) -> Vec<Result<NamedRoot, String>> {
    let mut roots: Vec<Result<NamedRoot, String>> = Vec::new();
    for item in knob.unwrap_or_default().split([',', ' ', '\t', '\n']).filter(|i| !i.is_empty()) {
        let root = parse(item).and_then(|root| {
            let twice = roots.iter().flatten().any(|known| same_name(&known.name, &root.name));
            if twice { Err(format!("{} is named twice", root.name)) } else { Ok(root) }
        });
        roots.push(root);
    }
    roots
}

fn parse(item: &str) -> Result<NamedRoot, String> {
    let (name, path) =
        item.split_once('=').ok_or_else(|| format!("{item}: NAME=PATH is needed"))?;
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word {
        return Err(format!("{name:?} is not a name: letters, digits and _ , a letter first"));
    }
    if same_name(name, "root") {
        return Err("the name root is reserved for the machine's own root".to_owned());
    }
    let path = Path::new(path);
    let plain = path.is_absolute()
        && path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    if !plain {
        return Err(format!("{name}={}: an absolute path without .. is needed", path.display()));
    }
    let path: PathBuf = path.components().collect();
    if path == Path::new("/") {
        return Err(format!("{name}=/ is the machine's own root, which needs no name"));
    }
    Ok(NamedRoot { name: name.to_owned(), path })
}

fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The root for this job. A name that isn't offered is the job's fault and never falls back.
pub(super) fn choose(job: &Job, knobs: &Knobs, machine: &str) -> Result<Root, Failure> {
    let Some(wanted) = job.root.as_deref() else { return Ok(Root::Host) };
    if same_name(wanted, "root") {
        return Ok(Root::Host);
    }
    let roots = named_roots(knobs.named_chroot.as_deref());
    let path_form = Path::new(wanted);
    let found = roots.iter().flatten().find(|root| {
        same_name(&root.name, wanted)
            || (path_form.is_absolute() && root.path == path_form.components().collect::<PathBuf>())
    });
    if let Some(root) = found {
        root.apart_from(&knobs.execute).map_err(|why| Failure::host(Step::Root, why))?;
        return Ok(Root::Named(root.clone()));
    }
    let offered: Vec<&str> = roots.iter().flatten().map(|root| root.name.as_str()).collect();
    let offer = if offered.is_empty() {
        "no named roots; an admin sets them with NAMED_CHROOT".to_owned()
    } else {
        offered.join(" ")
    };
    Err(Failure::job(
        Step::Root,
        hold::FAILED_TO_CREATE_PROCESS,
        libc::ENOENT,
        format!("RequestedChroot {wanted:?} is not offered by {machine} (offers: {offer})"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_and_bad_ones_say_why() {
        let roots = named_roots(Some(
            "SL7=/chroot/sl7, EL9=/cvmfs/x/el9:latest/ 9x=/a, y=b, sl7=/z, root=/",
        ));
        assert_eq!(
            roots[0].as_ref().unwrap(),
            &NamedRoot { name: "SL7".into(), path: "/chroot/sl7".into() }
        );
        assert_eq!(roots[1].as_ref().unwrap().path, Path::new("/cvmfs/x/el9:latest"));
        for bad in &roots[2..] {
            assert!(bad.is_err(), "{bad:?}");
        }
        assert_eq!(roots.len(), 6);
    }
}
