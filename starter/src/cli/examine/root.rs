//! One named root, as the launcher will find it: everything that stops a job from running in it is found
//! here before.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, statfs};

use super::{Examined, Finding, Looked};
use crate::failure::Reason;
use crate::knobs::Knobs;
use crate::knobs::roots::{NamedRoot, Writing};
use crate::launcher::root;
use crate::sys::open::openat2;

/// Files of a root that a deep look visits at most.
const MOST: usize = 1_000_000;
/// Directories below each other that it enters.
const DEEPEST: usize = 64;

/// File systems that take no layer of what is written: overlay, NFS, FUSE, Lustre.
const NO_LAYER: [(i64, &str); 4] =
    [(0x794c_7630, "overlay"), (0x6969, "nfs"), (0x6573_5546, "fuse"), (0x0bd0_0bd0, "lustre")];

/// Looks at it. May take as long as its file system takes to answer.
pub(super) fn look(root: &NamedRoot, knobs: &Knobs, deep: bool) -> Looked {
    let dir = match usable(root, knobs) {
        Ok(dir) => dir,
        Err(finding) => return Looked::failed(finding),
    };
    let show = root.path.display();
    let mut findings = vec![Finding::ok("root-path", format!("{} = {show}", root.name))];
    findings.extend(furniture(root, &dir));
    if deep {
        findings.push(every_file(root, dir.as_fd()));
    }
    let revision = root::revision(dir.as_fd(), root);
    findings.push(match (&revision, &root.revision) {
        (Some(revision), _) => Finding::ok("root-revision", format!("{}: {revision}", root.name)),
        (None, None) => Finding::ok(
            "root-revision",
            format!("{}: unknown ({} can name one)", root.name, root.knob("REVISION")),
        ),
        (None, Some(wanted)) => Finding::warn(
            "root-revision",
            format!("{}: {wanted} is no file of {show} with a line in it", root.knob("REVISION")),
        ),
    });
    Looked { findings, revision, system: root::system(dir.as_fd()) }
}

/// Everything without which no job can run in it.
fn usable(root: &NamedRoot, knobs: &Knobs) -> Result<OwnedFd, Finding> {
    let apart = |execute: &Path| {
        root.apart_from(execute, &knobs.hidden).map_err(|why| Finding::fail("root-apart", why))
    };
    apart(&knobs.execute)?;
    if let Ok(plain) = fs::canonicalize(&knobs.execute) {
        apart(&plain)?;
    }
    let dir = root::open(root).map_err(|failure| {
        // The name stands in front of the reason already, in the log and in the attribute.
        let known = format!("named root {} can't be used: ", root.name);
        let why = failure.message.strip_prefix(&known).unwrap_or(&failure.message);
        Finding::fail("root-path", why)
    })?;
    let unreadable = |error: rustix::io::Errno| {
        Finding::fail("root-path", format!("{}: {}", root.path.display(), Reason(&error.into())))
    };
    if is_empty(dir.as_fd()).map_err(unreadable)? {
        let why = format!("{} is empty: is its file system mounted?", root.path.display());
        return Err(Finding::fail("root-empty", why));
    }
    for bind in &root.binds {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(CWD, bind.source.as_path(), flags, Mode::empty(), how) {
            Ok(_) => {}
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) if bind.optional => {}
            Err(error) => {
                return Err(Finding::fail("root-binds", root::no_bind(root, bind, &error.into())));
            }
        }
    }
    layer(root, knobs).map_err(|why| Finding::fail("root-layer", why))?;
    Ok(dir)
}

/// Whether what jobs write to it can be kept.
fn layer(root: &NamedRoot, knobs: &Knobs) -> Result<(), String> {
    if root.writing == Writing::Refused {
        return Ok(());
    }
    let knob = format!("{} = {}", root.knob("ROOT"), root.writing.word());
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // It may be a module that isn't loaded yet; then a job finds out.
    let modules = Path::new("/proc/modules").exists();
    if !known.lines().any(|line| line.ends_with("\toverlay")) && !modules {
        return Err(format!("{knob}: the kernel has no overlay file system"));
    }
    if root.writing == Writing::InScratch
        && let Ok(found) = statfs(&knobs.execute)
        && let Some((_, kind)) = NO_LAYER.iter().find(|(magic, _)| *magic == found.f_type)
    {
        return Err(format!(
            "{knob}: EXECUTE ({}) is on {kind}, which takes no layer: put it on ext4 or xfs, or take \
             overlay-tmpfs",
            knobs.execute.display()
        ));
    }
    Ok(())
}

fn is_empty(dir: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    for entry in entries(dir)? {
        if ![c".", c".."].contains(&(entry?.file_name() as &CStr)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn entries(dir: BorrowedFd<'_>) -> rustix::io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(dir, c".", flags, Mode::empty()).and_then(Dir::new)
}

/// What jobs miss in it, or wait for.
fn furniture(root: &NamedRoot, dir: &OwnedFd) -> Vec<Finding> {
    let name = &root.name;
    let has = |path: &str| {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how).is_ok()
    };
    let mut findings = Vec::new();
    let shell = if ["bin/sh", "usr/bin/env"].iter().any(|path| has(path)) {
        Finding::ok("root-shell", format!("{name} has a shell"))
    } else {
        Finding::warn("root-shell", format!("{name} has no /bin/sh: scripts will not run in it"))
    };
    findings.push(shell);
    let missing: Vec<&str> = ["proc", "dev", "sys", "tmp", "var/tmp", "etc"]
        .into_iter()
        .filter(|dir| !has(dir))
        .collect();
    findings.push(if missing.is_empty() {
        Finding::ok("root-mount-points", format!("{name} has what is mounted on"))
    } else {
        let text = format!(
            "{name} lacks /{}: they are put there for each job, which is slower than mkdir in it once",
            missing.join(" /")
        );
        Finding::warn("root-mount-points", text)
    });
    findings
}

/// Whether only root can change the files in it, and how many would be of other rights elsewhere.
fn every_file(root: &NamedRoot, dir: BorrowedFd<'_>) -> Finding {
    let mut sum = Sum::default();
    let read_only = rustix::fs::fstatvfs(dir)
        .is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    sum.add(dir, Path::new("/"), 0);
    let name = &root.name;
    let Sum { files, set_id, .. } = sum;
    match sum.open {
        Some((path, count)) if !read_only => Finding::warn(
            "root-files",
            format!(
                "{name}: {count} of {files} files can be changed by others than root, such as {path}: chown \
                 root, chmod go-w"
            ),
        ),
        _ if sum.files >= MOST => Finding::warn(
            "root-files",
            format!("{name} has more than {MOST} files: not all were seen"),
        ),
        _ => Finding::ok(
            "root-files",
            format!(
                "{name}: {files} files that only root can change; {set_id} set-uid, without effect"
            ),
        ),
    }
}

#[derive(Default)]
struct Sum {
    files: usize,
    set_id: usize,
    /// The first that somebody else can change, and how many.
    open: Option<(String, usize)>,
}

impl Sum {
    fn add(&mut self, dir: BorrowedFd<'_>, path: &Path, depth: usize) {
        let Ok(list) = entries(dir) else { return };
        for entry in list.flatten() {
            let name = entry.file_name();
            if [c".", c".."].contains(&(name as &CStr)) || self.files >= MOST {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(file) = openat(dir, name, flags, Mode::empty()) else { continue };
            let Ok(stat) = fstat(&file) else { continue };
            self.files += 1;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let path = path.join(&*name.to_string_lossy());
            // What is in a directory that all may write to, such as /tmp, is nobody's program.
            let sticky = kind == FileType::Directory && stat.st_mode & 0o1000 != 0;
            let open = stat.st_uid != 0 || stat.st_mode & 0o022 != 0;
            if open && !sticky && matches!(kind, FileType::RegularFile | FileType::Directory) {
                let known = self.open.take();
                let count = known.as_ref().map_or(0, |(_, count)| *count) + 1;
                let first = known.map_or_else(|| path.display().to_string(), |(path, _)| path);
                self.open = Some((first, count));
            }
            self.set_id += usize::from(kind == FileType::RegularFile && stat.st_mode & 0o6000 != 0);
            if kind == FileType::Directory && depth < DEEPEST {
                self.add(file.as_fd(), &path, depth + 1);
            }
        }
    }
}

/// Attributes of a slot for the roots: names and values, the latter `None` for what isn't so any more.
pub(in crate::cli) fn offered(roots: &[Examined<'_>]) -> Vec<(String, Option<String>)> {
    let fit: Vec<&str> =
        roots.iter().filter(|root| root.looked.unfit().is_none()).map(|root| root.name).collect();
    let unfit: Vec<&str> =
        roots.iter().filter(|root| root.looked.unfit().is_some()).map(|root| root.name).collect();
    let list = |names: &[&str]| (!names.is_empty()).then(|| names.join(","));
    // With no root left these names stay away, so that nothing is compared with an empty list.
    let mut all = vec![
        ("NamedChroots".to_owned(), list(&fit)),
        ("edChroot".to_owned(), list(&fit)),
        // Also alone: a startd of 23.9 makes one of its own, without any check, and this one replaces it.
        ("NamedChroot".to_owned(), list(&[&["root"], &fit[..]].concat())),
        ("OfflineNamedChroots".to_owned(), list(&unfit)),
    ];
    for Examined { name, root, looked } in roots {
        let why = looked.unfit();
        let fit = |value: Option<String>| value.filter(|_| why.is_none());
        all.push((format!("{name}_ChrootOfflineReason"), why.map(str::to_owned)));
        all.push((format!("{name}_ChrootRevision"), fit(looked.revision.clone())));
        all.push((format!("{name}_ChrootSystem"), fit(looked.system.clone())));
        let writing = root.map(|root| root.writing.word().to_owned());
        all.push((format!("{name}_ChrootWriting"), fit(writing)));
    }
    all
}
