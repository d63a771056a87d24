//! What must be out of the job's sight wherever it is mounted: a /proc with all processes of the
//! machine, and EXECUTE with all sandboxes.
//!
//! A chroot that somebody works in has a /proc of its own; EXECUTE, or what it lies in, may be bound
//! at a second path. Both are found in the table of mounts.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::Identity;
use crate::failure::{Context, Failure, Step};
use crate::knobs::roots::{NamedRoot, Writing};
use crate::plan::{Plan, Root, What};
use crate::sys::open::read_short;

/// A place that is to be covered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The path in the job's root.
    pub(super) path: PathBuf,
    /// What makes it one.
    pub(super) kind: Kind,
}

/// Why a place is to be covered, and with it how to tell whether it is still in sight: another mount
/// may lie over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A /proc.
    Processes,
    /// EXECUTE.
    Execute,
    /// A directory or file below EXECUTE.
    Sandbox,
    /// EXECUTE as a layer shows it.
    Layered,
}

/// What is to be done about them.
#[derive(Debug)]
pub(super) struct Places {
    /// In the tree that becomes the job's root.
    pub(super) own: Vec<Place>,
    /// In what is bound into it.
    pub(super) by_binds: Vec<Place>,
    /// Mounts that are to be taken off because the job gets its own.
    pub(super) replaced: Vec<PathBuf>,
}

/// The places in the job's root, and the mounts of it that are to be taken off because the job gets
/// its own; `execute` is open on EXECUTE in this mount namespace.
pub(super) fn places(plan: &Plan, execute: impl AsFd, for_job: bool) -> Result<Places, Failure> {
    const TABLE: &str = "/proc/self/mountinfo";
    let table = read_short(TABLE).at(Step::View, TABLE)?;
    let id = statx(execute, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .at(Step::View, "the mount of EXECUTE")?
        .stx_mnt_id;
    let mounts: Vec<Mounted> = table.split(|byte| *byte == b'\n').filter_map(mounted).collect();
    // Paths in the table are without links.
    let base = match &plan.root {
        Root::Host => PathBuf::from("/"),
        Root::Named(root) => {
            std::fs::canonicalize(&root.path).at(Step::Root, root.path.display())?
        }
    };
    let replaced = replaced(plan, &mounts, &base, for_job);
    let own_proc = plan.mounts.iter().find(|mount| mount.what == What::Processes);
    let processes = mounts.iter().filter(|mount| mount.is_proc && own_proc.is_some());
    let mut found: Vec<_> = processes.map(|mount| (mount.point.clone(), Kind::Processes)).collect();
    found.extend(of_execute(&mounts, id, &plan.sandbox.execute));
    if let Root::Named(NamedRoot { writing: Writing::InScratch | Writing::InMemory, .. }) =
        &plan.root
    {
        // A layer shows no mounts, and what it shows has numbers of its own.
        found.retain(|(_, kind)| *kind == Kind::Execute);
        for (_, kind) in &mut found {
            *kind = Kind::Layered;
        }
    }
    let mut own = below(&found, &base, Path::new("/"));
    let keep = |place: &Place| match place.kind {
        Kind::Processes => own_proc.is_none_or(|own| !place.path.starts_with(&own.target)),
        // That place gets a cover with the way to the job's sandbox.
        Kind::Execute | Kind::Sandbox | Kind::Layered => {
            !place.path.starts_with(&plan.sandbox.execute)
        }
    };
    own.retain(keep);
    let mut by_binds = Vec::new();
    if let Root::Named(root) = &plan.root {
        for bind in &root.binds {
            by_binds.extend(below(&found, &bind.source, &bind.target));
        }
        by_binds.retain(keep);
    }
    if own.iter().any(|place| place.path == Path::new("/")) {
        return Err(Failure::host(
            Step::Root,
            "the named root is a /proc or a part of EXECUTE: choose another directory",
        ));
    }
    Ok(Places { own, by_binds, replaced })
}

/// Those below a directory, where that is at another path.
fn below(found: &[(PathBuf, Kind)], base: &Path, target: &Path) -> Vec<Place> {
    let moved = |(path, kind): &(PathBuf, Kind)| {
        let below = path.strip_prefix(base).ok()?;
        let path = target.components().chain(below.components()).collect();
        Some(Place { path, kind: *kind })
    };
    found.iter().filter_map(moved).collect()
}

/// Mounts where the plan has a /dev, /proc or /sys of the job's own; what is mounted below goes with
/// them. In a user namespace the kernel takes none apart.
fn replaced(plan: &Plan, mounts: &[Mounted], base: &Path, for_job: bool) -> Vec<PathBuf> {
    if plan.namespaces.user {
        return Vec::new();
    }
    let targets = plan.mounts.iter().filter(|mount| match mount.what {
        What::Devices { .. } | What::System => true,
        // Only the job's process can have its own.
        What::Processes => for_job,
        _ => false,
    });
    let mut paths = Vec::new();
    for target in targets {
        let below = mounts.iter().filter_map(|mount| {
            let path = Path::new("/").join(mount.point.strip_prefix(base).ok()?);
            path.starts_with(&target.target).then_some(path)
        });
        let below: Vec<PathBuf> = below.collect();
        let tops = below
            .iter()
            .filter(|path| below.iter().all(|other| *path == other || !path.starts_with(other)));
        paths.extend(tops.cloned());
    }
    paths
}

/// Where EXECUTE, or something below it, can be seen by way of any mount; `id` is that of the mount
/// it is reached by at its own path.
fn of_execute(mounts: &[Mounted], id: u64, execute: &Path) -> Vec<(PathBuf, Kind)> {
    let Some(own) = mounts.iter().find(|mount| mount.id == id) else { return Vec::new() };
    let Ok(below) = execute.strip_prefix(&own.point) else { return Vec::new() };
    // The path in its file system, which is the same for every mount of that.
    let inner = own.root.join(below);
    let same = mounts.iter().filter(|mount| mount.device == own.device);
    same.filter_map(|mount| {
        if let Ok(below) = inner.strip_prefix(&mount.root) {
            // `join` of nothing would end in a slash.
            let path = mount.point.components().chain(below.components()).collect();
            Some((path, Kind::Execute))
        } else if mount.root.starts_with(&inner) {
            Some((mount.point.clone(), Kind::Sandbox))
        } else {
            None
        }
    })
    .collect()
}

/// A line of the table.
#[derive(Debug)]
struct Mounted {
    id: u64,
    /// `major:minor` of the file system.
    device: Vec<u8>,
    /// The directory of the file system that is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
    is_proc: bool,
}

fn mounted(line: &[u8]) -> Option<Mounted> {
    let mut words = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let device = words.nth(1)?.to_vec();
    let mut path = || Some(PathBuf::from(OsString::from_vec(unescaped(words.next()?))));
    let (root, point) = (path()?, path()?);
    let is_proc = words.skip_while(|word| *word != b"-").nth(1) == Some(b"proc");
    Some(Mounted { id, device, root, point, is_proc })
}

/// Blanks and the like are written as `\040` in the table.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (byte, code) {
            (b'\\', Some(code)) => {
                plain.push(code);
                rest = &after[3..];
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

impl Kind {
    /// Whether what is found at the path is what was meant; `execute` is EXECUTE.
    pub(super) fn is(self, found: Identity, execute: Identity) -> bool {
        match self {
            Self::Processes | Self::Layered => true,
            Self::Execute => found == execute,
            Self::Sandbox => found.device == execute.device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_writes_blanks_as_numbers() {
        assert_eq!(unescaped(b"/a\\040b\\134c"), b"/a b\\c");
        assert_eq!(unescaped(b"/a\\9"), b"/a\\9");
    }

    fn found(table: &str, id: u64, execute: &str) -> Vec<(String, Kind)> {
        let mounts: Vec<Mounted> = table.lines().filter_map(|l| mounted(l.as_bytes())).collect();
        assert_eq!(mounts.len(), table.lines().count());
        let list = of_execute(&mounts, id, Path::new(execute));
        list.into_iter().map(|(path, kind)| (path.to_str().unwrap().to_owned(), kind)).collect()
    }

    #[test]
    fn execute_is_found_by_way_of_every_mount_that_shows_it() {
        let table = "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
                     2 1 8:1 / /mnt/all rw - ext4 /dev/sda rw\n\
                     3 1 8:1 /var/lib /mnt/lib\\040x rw shared:1 - ext4 /dev/sda rw\n\
                     4 1 8:1 /var/lib/execute/dir_1 /mnt/one rw - ext4 /dev/sda rw\n\
                     5 1 8:1 /var/lib/execute2 /mnt/not rw - ext4 /dev/sda rw\n\
                     6 1 8:2 / /mnt/other rw - ext4 /dev/sdb rw\n\
                     7 1 8:1 /var/lib/execute /mnt/itself rw - ext4 /dev/sda rw";
        let expected = [
            ("/var/lib/execute", Kind::Execute),
            ("/mnt/all/var/lib/execute", Kind::Execute),
            ("/mnt/lib x/execute", Kind::Execute),
            ("/mnt/one", Kind::Sandbox),
            ("/mnt/itself", Kind::Execute),
        ];
        let expected = expected.map(|(path, kind)| (path.to_owned(), kind));
        assert_eq!(found(table, 1, "/var/lib/execute"), expected);
    }

    #[test]
    fn a_mount_of_its_own_is_found_too() {
        let table = "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
                     2 1 8:2 /x /execute rw - ext4 /dev/sdb rw\n\
                     3 1 8:2 / /scratch rw - ext4 /dev/sdb rw";
        let expected = [("/execute", Kind::Execute), ("/scratch/x", Kind::Execute)];
        assert_eq!(
            found(table, 2, "/execute"),
            expected.map(|(path, kind)| (path.to_owned(), kind))
        );
    }
}
