//! A named root as the job sees it: the tree itself or a layer over it, files in its /etc that it has
//! from outside, and what of the machine is bound into it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::{HARMLESS, Identity, PLACE, View, fchmod_path};
use crate::failure::{Context, Failure, Reason, Step};
use crate::host::accounts;
use crate::knobs::roots::{Bind, EtcFile, NamedRoot, Writing};
use crate::launcher::root;
use crate::launcher::sandbox::Made;
use crate::plan::{Account, LAYER, Plan};
use crate::sys::mount::{Deny, attach, copy_tree, new_filesystem, overlay, restrict};
use crate::sys::open::openat2;

/// Accounts of a root that has no list of them.
const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const NAME_SERVICE: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n";

/// A detached copy of the root's mounts, or of the layer over it; and its revision.
pub(super) fn copy(
    plan: &Plan,
    named: &NamedRoot,
    checked: Option<Identity>,
    [sandbox, foothold]: [BorrowedFd<'_>; 2],
) -> Result<(OwnedFd, Option<String>), Failure> {
    let dir = root::reopen(named, checked)?;
    let revision = root::revision(dir.as_fd(), named);
    let made = match named.writing {
        Writing::Refused => copy_tree(dir.as_fd(), true)
            .and_then(|copy| restrict(copy.as_fd(), HARMLESS | Deny::WRITE, true).map(|()| copy)),
        Writing::InScratch | Writing::InMemory => layered(plan, named, &dir, [sandbox, foothold]),
    };
    made.map(|tree| (tree, revision)).map_err(|error| {
        let at = named.path.display();
        let why = match named.writing {
            Writing::Refused => format!("named root {} at {at}: {}", named.name, Reason(&error)),
            _ => format!(
                "named root {}: no layer over {at} ({} = {}): {}: EXECUTE must be on a file system that \
                 can hold one, such as ext4 or xfs",
                named.name,
                named.knob("ROOT"),
                named.writing.word(),
                Reason(&error)
            ),
        };
        Failure::host(Step::Root, why)
    })
}

/// The root with a layer over it that takes what is written, and one with files between them.
fn layered(
    plan: &Plan,
    named: &NamedRoot,
    dir: &OwnedFd,
    [sandbox, foothold]: [BorrowedFd<'_>; 2],
) -> io::Result<OwnedFd> {
    let place = |fd: BorrowedFd<'_>, name: &str| openat(fd, name, PLACE, Mode::empty());
    let mut lower = Vec::new();
    if !named.etc.is_empty() {
        // What layers are made of has to be attached somewhere.
        let files = new_filesystem("tmpfs", &[("mode", "0755")], HARMLESS)?;
        attach(files.as_fd(), foothold)?;
        mkdirat(&files, "etc", Mode::from_raw_mode(0o755))?;
        write_files(place(files.as_fd(), "etc")?.as_fd(), &named.etc, &plan.account, dir.as_fd())?;
        lower.push(files);
    }
    lower.push(dir.try_clone()?);
    let top = match named.writing {
        Writing::InMemory => {
            let memory = new_filesystem("tmpfs", &[("mode", "0755")], HARMLESS)?;
            attach(memory.as_fd(), foothold)?;
            for name in ["upper", "work"] {
                mkdirat(&memory, name, Mode::from_raw_mode(0o755))?;
            }
            let (uid, gid) = (plan.account.ids.uid, plan.account.ids.gid);
            if rustix::process::geteuid().is_root() {
                let ids = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                rustix::fs::chownat(&memory, "upper", Some(ids.0), Some(ids.1), AtFlags::empty())?;
            }
            memory
        }
        _ => Made::place(sandbox, Path::new(LAYER))?,
    };
    let (upper, work) = (place(top.as_fd(), "upper")?, place(top.as_fd(), "work")?);
    // The job may add to the top; everything else in the tree has its own owner and mode.
    fchmod_path(upper.as_fd(), 0o755)?;
    let lower: Vec<BorrowedFd<'_>> = lower.iter().map(AsFd::as_fd).collect();
    let above = Some((upper.as_fd(), work.as_fd()));
    overlay(&lower, above, plan.namespaces.user, HARMLESS)
}

/// Copies of what is bound in, in the order of the list.
pub(super) fn bound(named: &NamedRoot) -> Result<Vec<Option<OwnedFd>>, Failure> {
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let copy = |bind: &Bind| -> io::Result<Option<OwnedFd>> {
        let source = match openat2(CWD, bind.source.as_path(), PLACE, Mode::empty(), how) {
            Err(Errno::NOENT | Errno::NOTDIR) if bind.optional => return Ok(None),
            other => other?,
        };
        let copy = copy_tree(source.as_fd(), true)?;
        let deny = if bind.writable { HARMLESS } else { HARMLESS | Deny::WRITE };
        restrict(copy.as_fd(), deny, true)?;
        Ok(Some(copy))
    };
    let copies = named.binds.iter().map(|bind| {
        copy(bind).map_err(|error| {
            let why = root::no_bind(named, bind, &error);
            Failure::host(Step::Root, format!("named root {} can't be used: {why}", named.name))
        })
    });
    copies.collect()
}

impl View {
    /// Attaches a bind of the root.
    pub(super) fn bind(&mut self, copy: Option<&OwnedFd>, target: &Path) -> io::Result<()> {
        let Some(copy) = copy else { return Ok(()) };
        let directory = is_directory(copy.as_fd())?;
        let place = self.place_of(target, directory)?;
        attach(copy.as_fd(), place.as_fd())
    }

    /// Puts files into the /etc of a root that stays as it is, also where the root has links: by a
    /// layer over that directory, or where there can be none, by another directory.
    pub(super) fn etc(&mut self, plan: &Plan, named: &NamedRoot) -> Result<(), Failure> {
        if named.etc.is_empty() || named.writing != Writing::Refused {
            return Ok(());
        }
        self.files_in_etc(plan, named).at(Step::Root, format!("named root {}: /etc", named.name))
    }

    fn files_in_etc(&mut self, plan: &Plan, named: &NamedRoot) -> io::Result<()> {
        let files = new_filesystem("tmpfs", &[("mode", "0755")], HARMLESS)?;
        let root = self.root.try_clone()?;
        write_files(files.as_fd(), &named.etc, &plan.account, root.as_fd())?;
        let etc = self.place_of(Path::new("/etc"), true)?;
        attach(files.as_fd(), etc.as_fd())?;
        let lower = [files.as_fd(), etc.as_fd()];
        match overlay(&lower, None, plan.namespaces.user, HARMLESS | Deny::WRITE) {
            Ok(layer) => attach(layer.as_fd(), etc.as_fd()),
            Err(error) => {
                tracing::debug!("no layer over /etc of {}: {error}", named.name);
                let attached = format!("/proc/self/fd/{}", files.as_raw_fd());
                let copies: Vec<_> = named
                    .etc
                    .iter()
                    .filter_map(|file| {
                        let place = openat(&files, file.name(), PLACE, Mode::empty()).ok()?;
                        Some((file.name(), copy_tree(place.as_fd(), false)))
                    })
                    .collect();
                unmount(attached, UnmountFlags::DETACH)?;
                self.replace_in_etc(copies)
            }
        }
    }

    /// Binds files over those in /etc; links there are replaced in a copy of the directory.
    fn replace_in_etc(&mut self, copies: Vec<(&str, io::Result<OwnedFd>)>) -> io::Result<()> {
        for (name, copy) in copies {
            let copy = copy?;
            restrict(copy.as_fd(), HARMLESS | Deny::WRITE | Deny::EXEC, false)?;
            let etc = Self::resolve(self.root.as_fd(), Path::new("/etc"))?;
            let kind = statat(&etc, name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| FileType::from_raw_mode(stat.st_mode));
            let etc = match kind {
                Ok(FileType::RegularFile) => etc,
                _ => {
                    let etc = self.writable(Path::new("/etc"))?;
                    match unlinkat(&etc, name, AtFlags::empty()) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        Err(error) => return Err(error.into()),
                    }
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    openat(&etc, name, flags, Mode::from_raw_mode(0o644))?;
                    etc
                }
            };
            let place = openat(&etc, name, PLACE | OFlags::NOFOLLOW, Mode::empty())?;
            attach(copy.as_fd(), place.as_fd())?;
        }
        Ok(())
    }
}

fn is_directory(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

/// Writes those files of the list that there is content for.
fn write_files(
    into: BorrowedFd<'_>,
    files: &[EtcFile],
    account: &Account,
    root: BorrowedFd<'_>,
) -> io::Result<()> {
    for file in files {
        let Some(content) = content(*file, account, root)? else { continue };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = openat(into, file.name(), flags, Mode::from_raw_mode(0o644))?;
        File::from(fd).write_all(&content)?;
    }
    Ok(())
}

/// What is in such a file; nothing where the machine has none either.
fn content(file: EtcFile, account: &Account, root: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    let machines = |path: &str| match File::open(path).and_then(limited) {
        Ok(content) => Ok(Some(content)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Ok(None),
            _ => Err(io::Error::other(format!("{path}: {}", Reason(&error)))),
        },
    };
    let own = |path: &str, fallback: &str| {
        let read = root::read(root, path)?;
        Ok::<_, io::Error>(read.unwrap_or_else(|| fallback.into()))
    };
    Ok(match file {
        EtcFile::Passwd => Some(passwd(account, &own("etc/passwd", PASSWD)?)),
        EtcFile::Group => Some(group(account, &own("etc/group", GROUP)?, accounts::group_name)),
        EtcFile::NameService => Some(NAME_SERVICE.into()),
        EtcFile::Resolver => machines("/etc/resolv.conf")?,
        EtcFile::Hosts => machines("/etc/hosts")?,
        EtcFile::TimeZone => machines("/etc/localtime")?,
        EtcFile::MachineId => Some(Vec::new()),
    })
}

fn limited(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(root::MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// The account comes first: the first line of a name or number is the one that is found.
fn passwd(account: &Account, own: &[u8]) -> Vec<u8> {
    let Account { name, ids, home } = account;
    let mut text = format!("{name}:x:{}:{}:{name}:{}:/bin/sh\n", ids.uid, ids.gid, home.display())
        .into_bytes();
    text.extend_from_slice(own);
    text
}

fn group(account: &Account, own: &[u8], name_of: impl Fn(u32) -> Option<String>) -> Vec<u8> {
    let Account { name, ids, .. } = account;
    let mut all = vec![ids.gid];
    all.extend(ids.groups.iter().filter(|gid| **gid != ids.gid));
    let mut text = Vec::new();
    for gid in all {
        let group = name_of(gid).unwrap_or_else(|| format!("group{gid}"));
        text.extend_from_slice(format!("{group}:x:{gid}:{name}\n").as_bytes());
    }
    text.extend_from_slice(own);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::privilege::Ids;

    #[test]
    fn the_jobs_account_is_found_first() {
        let ids = Ids { uid: 7, gid: 8, groups: vec![9, 8] };
        let account = Account { name: "alice".into(), ids, home: "/home/alice".into() };
        let text = passwd(&account, b"bob:x:7:7::/:/bin/sh\n");
        assert_eq!(text, b"alice:x:7:8:alice:/home/alice:/bin/sh\nbob:x:7:7::/:/bin/sh\n");
        let name_of = |gid| (gid == 8).then(|| "staff".to_owned());
        let text = group(&account, b"root:x:0:\n", name_of);
        assert_eq!(text, b"staff:x:8:alice\ngroup9:x:9:alice\nroot:x:0:\n");
    }
}
