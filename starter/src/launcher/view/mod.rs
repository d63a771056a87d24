//! The job's view of the file system, built by descriptor in a mount namespace of its own.
//!
//! The order of work:
//! 1. the whole tree becomes a slave of the machine's: later automounts arrive, nothing leaves;
//! 2. the sandbox is opened through the new namespace and must be the directory that was made;
//! 3. a copy of the root's mounts is attached on EXECUTE, as a first foothold, and what the job gets
//!    anew is taken off it;
//! 4. the mounts of the plan are made in it, in order; a missing directory is made without writing
//!    to the root: its parent is replaced by a memory file system with the parent's entries bound in;
//! 5. the starter's own files in the sandbox become read-only;
//! 6. the copy becomes `/` by pivot_root, and the old tree is detached, not just hidden.

mod covers;
mod elsewhere;
mod named;
mod writing;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, mkdirat, openat, readlinkat,
    symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use elsewhere::Place;
use serde::{Deserialize, Serialize};

use super::devices;
use super::sandbox::Made;
use crate::failure::{Context, Failure, Step};
use crate::knobs::roots::Writing;
use crate::plan::{PidOne, Plan, Root, USER, What};
use crate::sys::mount::{Deny, attach, copy_tree, new_filesystem, restrict};
use crate::sys::open::openat2;
use crate::sys::privilege;
use crate::sys::seccomp::Profile;

/// A directory with more entries than this is not rebuilt to add a mount point to it.
const MAX_REBUILT_ENTRIES: usize = 1024;

const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const HARMLESS: Deny = Deny::SETUID.union(Deny::DEVICES);

/// What the view is built from: the very directories that the launcher made and checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// The job's directory.
    pub(crate) sandbox: Identity,
    /// The named root, if the plan has one and it was checked before.
    pub(crate) root: Option<Identity>,
    /// Whether this is for the job itself, and not for who only moves its files.
    pub(crate) for_job: bool,
}

/// The identity of a directory, to find it again in another mount namespace, where the descriptors
/// of this one can't be mounted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of an open directory.
    pub(crate) fn of(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fstat(dir)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// A view under construction.
struct View {
    /// The directory that will be `/`.
    root: OwnedFd,
    /// Directories that this view rebuilt in memory, with their device numbers: there more may be
    /// added until the view is finished.
    rebuilt: Vec<(u64, OwnedFd)>,
    /// What is written to the root goes to a layer of the job's own.
    layered: bool,
    /// The empty directory that covers others, once there is one.
    nothing: Option<OwnedFd>,
}

/// Builds the view of the plan and makes it this process's root; gives the revision of a named one, where
/// it is known. Called in the new mount namespace.
pub(crate) fn build(plan: &Plan, places: Places) -> Result<Option<String>, Failure> {
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .at(Step::View, "making / a slave of the machine's mounts")?;
    let sandbox_dir = find_sandbox(plan, places.sandbox)?;
    // Before something lies over EXECUTE.
    let foothold = openat(CWD, plan.sandbox.execute.as_path(), PLACE, Mode::empty())
        .at(Step::View, plan.sandbox.execute.display())?;
    let slot = Made::place(foothold.as_fd(), Path::new(&plan.sandbox.slot))
        .at(Step::View, plan.sandbox.slot_path().display())?;
    let beside = beside(plan, slot.as_fd())?;
    let (tree, revision) = match &plan.root {
        Root::Host => (copy_root()?, None),
        Root::Named(named) => {
            named::copy(plan, named, places.root, [sandbox_dir.as_fd(), foothold.as_fd()])?
        }
    };
    let bound = match &plan.root {
        Root::Host => Vec::new(),
        Root::Named(named) => named::bound(named)?,
    };
    let own_sandbox = copy_tree(sandbox_dir.as_fd(), false)
        .and_then(|copy| restrict(copy.as_fd(), HARMLESS, false).map(|()| copy))
        .at(Step::View, "the sandbox")?;
    let private = private_copies(plan, slot.as_fd())?;
    let elsewhere::Places { own: elsewhere, by_binds, replaced } =
        elsewhere::places(plan, &foothold, places.for_job)?;
    let execute = Identity::of(foothold.as_fd()).at(Step::View, plan.sandbox.execute.display())?;
    let system = openat(CWD, "/sys", PLACE, Mode::empty()).at(Step::View, "/sys")?;
    let proc = openat(CWD, "/proc", PLACE, Mode::empty()).at(Step::View, "/proc")?;
    attach(tree.as_fd(), foothold.as_fd()).at(Step::View, "attaching the new root")?;

    let layered = matches!(&plan.root, Root::Named(named) if named.writing != Writing::Refused);
    let mut view = View { root: tree, rebuilt: Vec::new(), layered, nothing: None };
    view.put_aside(&replaced, sandbox_dir.as_fd())?;
    view.restrict_writing(plan)?;
    if let Root::Named(named) = &plan.root {
        view.etc(plan, named)?;
    }
    for place in &elsewhere {
        view.hide(place, execute).at(Step::View, format!("covering {}", place.path.display()))?;
    }
    let mut private = private.into_iter();
    for mount in &plan.mounts {
        let what = mount.target.display();
        match &mount.what {
            What::Private(_) => {
                let copy = private.next().ok_or_else(|| Failure::host(Step::View, "no copy"))?;
                view.mount(copy.as_fd(), &mount.target)
            }
            What::OwnSandboxOnly => {
                let beside = beside.as_ref().map(AsFd::as_fd);
                view.own_sandbox_only(plan, own_sandbox.as_fd(), beside)
            }
            What::Memory => memory("1777").and_then(|fs| view.mount(fs.as_fd(), &mount.target)),
            What::Devices { granted, machines_memory } => {
                devices::filesystem().and_then(|fs| {
                    view.mount(fs.as_fd(), &mount.target)?;
                    devices::harmless(&fs, plan.namespaces.user)?;
                    // Who only moves files has no use for the rest.
                    if places.for_job {
                        devices::fill(&fs, plan.namespaces.user, granted, *machines_memory)?;
                    }
                    devices::close(&fs)
                })
            }
            What::Home(_) => {
                let copy = private.next().ok_or_else(|| Failure::host(Step::View, "no copy"))?;
                view.home(copy.as_fd(), &mount.target)
            }
            What::HomeReadOnly => view.read_only(&mount.target),
            // Done before all others.
            What::ReadOnly | What::AsItIs => Ok(()),
            What::Bind(index) => {
                view.bind(bound.get(*index).and_then(Option::as_ref), &mount.target)
            }
            What::MemoryIfThere => view.memory_over(&mount.target),
            What::Hidden => view.cover(&mount.target, &plan.account),
            // Without what is mounted below, such as cgroups. In a user namespace the kernel hands
            // out a mount only together with those.
            What::System => copy_tree(system.as_fd(), plan.namespaces.user)
                .and_then(|copy| {
                    let deny = HARMLESS | Deny::WRITE | Deny::EXEC;
                    restrict(copy.as_fd(), deny, true).map(|()| copy)
                })
                .and_then(|copy| view.mount(copy.as_fd(), &mount.target)),
            // Nor for this.
            What::Cgroup if !places.for_job => Ok(()),
            What::Cgroup => new_filesystem("cgroup2", &[], HARMLESS | Deny::WRITE | Deny::EXEC)
                .and_then(|fs| view.mount(fs.as_fd(), &mount.target)),
            // Needs a process of the new PID namespace; only the place is prepared here.
            What::Processes => view.place_for_processes(plan, &mount.target, proc.as_fd()),
        }
        .at(Step::View, format!("mounting {what} ({})", mount.why))?;
    }
    for place in &by_binds {
        view.hide(place, execute).at(Step::View, format!("covering {}", place.path.display()))?;
    }
    for (name, _) in &plan.sandbox.files {
        let file = plan.sandbox.path().join(name);
        view.protect(&file).at(Step::View, format!("protecting {}", file.display()))?;
    }
    for (_, rebuilt) in &view.rebuilt {
        restrict(rebuilt.as_fd(), Deny::WRITE, false).at(Step::View, "a rebuilt directory")?;
    }
    enter(&view.root).map(|()| revision)
}

/// Mounts the job's own /proc. Called by a process of the job's PID namespace.
///
/// Where the job shares the machine's process numbers, it sees those that it may trace: its own.
pub(crate) fn mount_processes(plan: &Plan) -> Result<(), Failure> {
    let shared = plan.namespaces.pid == PidOne::Shared;
    if shared && plan.namespaces.user {
        // The machine's is in its place already; the kernel gives another one to root only.
        return Ok(());
    }
    let options: &[_] = if shared { &[("hidepid", "ptraceable")] } else { &[] };
    for mount in plan.mounts.iter().filter(|mount| mount.what == What::Processes) {
        let made = || -> io::Result<()> {
            let proc = new_filesystem("proc", options, HARMLESS | Deny::EXEC)?;
            let target = openat(CWD, mount.target.as_path(), PLACE, Mode::empty())?;
            attach(proc.as_fd(), target.as_fd())
        };
        made().at(Step::View, format!("mounting {}", mount.target.display()))?;
    }
    Ok(())
}

/// Takes the right to write to its own /proc from a job that could make itself one of those that are spared
/// when memory runs out: without CAP_SYS_RESOURCE the starter sets a score and no floor. What makes
/// containers or changes processes by debuggers needs to write there; they aren't in the default profile.
pub(crate) fn protect_processes(plan: &Plan) -> Result<(), Failure> {
    let user = plan.namespaces.user;
    let own = plan.namespaces.mount && !(user && plan.namespaces.pid == PidOne::Shared);
    let floor = privilege::rules_over_resources() && !user;
    if floor || !own || plan.calls != Profile::Default {
        return Ok(());
    }
    for mount in plan.mounts.iter().filter(|mount| mount.what == What::Processes) {
        let protect = || -> io::Result<()> {
            let proc = openat(CWD, mount.target.as_path(), PLACE, Mode::empty())?;
            restrict(proc.as_fd(), Deny::WRITE, false)
        };
        protect().at(Step::View, format!("protecting {}", mount.target.display()))?;
    }
    Ok(())
}

fn find_sandbox(plan: &Plan, identity: Identity) -> Result<OwnedFd, Failure> {
    let path = plan.sandbox.path();
    let find = || -> io::Result<OwnedFd> {
        let execute = openat(CWD, plan.sandbox.execute.as_path(), PLACE, Mode::empty())?;
        let relative = path.strip_prefix(&plan.sandbox.execute).map_err(io::Error::other)?;
        let dir = Made::place(execute.as_fd(), relative)?;
        if Identity::of(dir.as_fd())? == identity {
            Ok(dir)
        } else {
            Err(io::Error::other("it is not the directory that was made"))
        }
    };
    find().at(Step::View, format!("sandbox {}", path.display()))
}

/// A copy of the directory beside the sandbox, if the job is told something there. The slot's directory
/// is the daemons', so it can't be another.
fn beside(plan: &Plan, slot: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    if !plan.sandbox.nested || !plan.sandbox.chirp {
        return Ok(None);
    }
    let find = || -> io::Result<OwnedFd> {
        let dir = Made::place(slot, Path::new(USER))?;
        let copy = copy_tree(dir.as_fd(), false)?;
        restrict(copy.as_fd(), HARMLESS | Deny::EXEC, false).map(|()| copy)
    };
    find().map(Some).at(Step::View, plan.sandbox.slot_path().join(USER).display())
}

/// A detached copy of the machine's mounts as they are.
fn copy_root() -> Result<OwnedFd, Failure> {
    openat(CWD, "/", PLACE, Mode::empty())
        .map_err(io::Error::from)
        .and_then(|root| copy_tree(root.as_fd(), true))
        .at(Step::View, "the machine's root")
}

/// Detached copies of the sandbox's directories, in the order of the plan's mounts. The slot's directory is
/// the daemons' or the very one that was made, so what it leads to can't be another's.
fn private_copies(plan: &Plan, slot: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Failure> {
    let wanted = plan.mounts.iter().filter_map(|mount| match &mount.what {
        What::Private(relative) | What::Home(relative) => Some(relative),
        _ => None,
    });
    wanted
        .map(|relative| {
            let copy = match Made::place(slot, relative) {
                Ok(dir) => copy_tree(dir.as_fd(), false),
                // After its end a job may have removed it, or put something else there.
                Err(error) if is_no_directory(&error) => memory("1777"),
                Err(error) => Err(error),
            };
            copy.and_then(|copy| restrict(copy.as_fd(), HARMLESS, false).map(|()| copy))
                .at(Step::View, format!("sandbox/{}", relative.display()))
        })
        .collect()
}

/// Nothing is there, or a file, or a link.
fn is_no_directory(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}

fn memory(mode: &str) -> io::Result<OwnedFd> {
    new_filesystem("tmpfs", &[("mode", mode)], HARMLESS)
}

/// pivot_root onto itself: the old root ends up on top of the new one and is detached there.
fn enter(root: &OwnedFd) -> Result<(), Failure> {
    rustix::process::fchdir(root).at(Step::View, "entering the new root")?;
    rustix::process::pivot_root(".", ".").at(Step::View, "pivot_root")?;
    unmount(".", UnmountFlags::DETACH).at(Step::View, "detaching the old root")?;
    rustix::process::chdir("/").at(Step::View, "the new root")
}

impl View {
    /// Takes mounts off the copy that the job gets others for, so that nothing is under those. They move
    /// to a directory of the old tree and are detached with it: the kernel waits for all processors each
    /// time that something is detached.
    fn put_aside(&self, paths: &[PathBuf], aside: BorrowedFd<'_>) -> Result<(), Failure> {
        for path in paths {
            let what = || format!("detaching {}", path.display());
            let moved = match Self::resolve(self.root.as_fd(), path) {
                Ok(mount) => attach(mount.as_fd(), aside).is_ok(),
                Err(Errno::NOENT) => false,
                Err(error) => return Err(error).at(Step::View, what()),
            };
            if !moved {
                self.detach(path).at(Step::View, what())?;
            }
        }
        Ok(())
    }

    /// For what can't be moved, such as a file.
    fn detach(&self, path: &Path) -> rustix::io::Result<()> {
        rustix::process::fchdir(&self.root)?;
        let relative = path.strip_prefix("/").unwrap_or(path);
        match unmount(relative, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Another mount lay over it, or it went with one.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// Attaches a mount at a path of the view.
    fn mount(&mut self, mount: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        let place = self.place(target)?;
        attach(mount, place.as_fd())
    }

    /// Covers a directory or file of the root by nothing, unless it is out of sight already.
    fn hide(&self, place: &Place, execute: Identity) -> io::Result<()> {
        let Place { path, kind } = place;
        let place = match Self::resolve(self.root.as_fd(), path) {
            Ok(place) => place,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !kind.is(Identity::of(place.as_fd())?, execute) {
            return Ok(());
        }
        let cover = if FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Directory {
            new_filesystem("tmpfs", &[("mode", "0555")], HARMLESS | Deny::WRITE | Deny::EXEC)?
        } else {
            copy_tree(openat(CWD, "/dev/null", PLACE, Mode::empty())?.as_fd(), false)?
        };
        attach(cover.as_fd(), place.as_fd())
    }

    /// Mounts a file on itself, read-only: the job can neither change nor replace it.
    fn protect(&self, path: &Path) -> io::Result<()> {
        let place = match Self::resolve(self.root.as_fd(), path) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let copy = copy_tree(place.as_fd(), false)?;
        restrict(copy.as_fd(), HARMLESS | Deny::WRITE | Deny::EXEC, false)?;
        attach(copy.as_fd(), place.as_fd())
    }

    /// The place for /proc. In a user namespace the kernel makes a new one only where a whole one can
    /// be seen, so the machine's is put there first and covered by the job's own.
    fn place_for_processes(
        &mut self,
        plan: &Plan,
        target: &Path,
        machines: BorrowedFd<'_>,
    ) -> io::Result<()> {
        if plan.namespaces.user && plan.root != Root::Host {
            return self.mount(copy_tree(machines, true)?.as_fd(), target);
        }
        self.place(target).map(drop)
    }

    /// Covers EXECUTE by an empty directory with nothing in it but the way to the job's sandbox.
    fn own_sandbox_only(
        &mut self,
        plan: &Plan,
        sandbox: BorrowedFd<'_>,
        beside: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let cover = memory("0755")?;
        let relative = plan.sandbox.path();
        let relative =
            relative.strip_prefix(&plan.sandbox.execute).map_err(io::Error::other)?.to_path_buf();
        let mut here = cover.try_clone()?;
        for part in relative.components() {
            mkdirat(&here, part.as_os_str(), Mode::from_raw_mode(0o755))?;
            here = openat(&here, part.as_os_str(), PLACE, Mode::empty())?;
        }
        let user = plan.sandbox.slot_path().join(USER);
        if beside.is_some() {
            let slot = openat(&cover, plan.sandbox.slot.as_str(), PLACE, Mode::empty())?;
            mkdirat(&slot, USER, Mode::from_raw_mode(0o755))?;
        }
        self.mount(cover.as_fd(), &plan.sandbox.execute)?;
        // The places below the cover are looked up again, because those above were opened before
        // it was attached and belong to the detached mount.
        let place = Self::resolve(self.root.as_fd(), &plan.sandbox.path())?;
        attach(sandbox, place.as_fd())?;
        if let Some(beside) = beside {
            attach(beside, Self::resolve(self.root.as_fd(), &user)?.as_fd())?;
        }
        restrict(cover.as_fd(), HARMLESS | Deny::WRITE, false)
    }

    /// Links are followed as the job will follow them: within the new root.
    fn resolve(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(root, path, PLACE, Mode::empty(), how)
    }

    /// The directory at a path, made if it is missing.
    fn place(&mut self, target: &Path) -> io::Result<OwnedFd> {
        self.place_of(target, true)
    }

    /// The directory or file at a path, made if it is missing.
    fn place_of(&mut self, target: &Path, directory: bool) -> io::Result<OwnedFd> {
        match Self::resolve(self.root.as_fd(), target) {
            Err(Errno::NOENT) => {}
            other => return Ok(other?),
        }
        let mut path = PathBuf::from("/");
        for component in target.components() {
            let Component::Normal(name) = component else { continue };
            let parent = path.clone();
            path.push(name);
            match Self::resolve(self.root.as_fd(), &path) {
                Ok(_) => continue,
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let place = self.writable(&parent)?;
            let made = if directory || path != target {
                mkdirat(&place, name, Mode::from_raw_mode(0o755))
            } else {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(&place, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            };
            match made {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    return Err(io::Error::other(format!(
                        "{} is a link that leads nowhere",
                        path.display()
                    )));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::resolve(self.root.as_fd(), target)?)
    }

    /// The directory at a path in a form to which entries can be added without changing the root:
    /// already ours, or rebuilt.
    fn writable(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let place = Self::resolve(self.root.as_fd(), path)?;
        let device = fstat(&place)?.st_dev;
        if self.layered || self.rebuilt.iter().any(|(known, _)| *known == device) {
            return Ok(place);
        }
        let rebuilt = rebuild(place.as_fd())?;
        if path == Path::new("/") {
            self.root = rebuilt.try_clone()?;
        }
        self.rebuilt.push((fstat(&rebuilt)?.st_dev, rebuilt.try_clone()?));
        Ok(rebuilt)
    }
}

/// Covers a directory by a memory file system with the same entries: directories and files are bound,
/// links are made again. It is attached first, because Linux before 6.15 attaches nothing to what isn't.
fn rebuild(dir: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = new_filesystem("tmpfs", &[("mode", "0755")], HARMLESS)?;
    fchmod_path(copy.as_fd(), fstat(dir)?.st_mode)?;
    let readable =
        openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    attach(copy.as_fd(), dir)?;
    let mut count = 0;
    for entry in Dir::read_from(&readable)? {
        let entry = entry?;
        let name: CString = entry.file_name().to_owned();
        if name.as_c_str() == c"." || name.as_c_str() == c".." {
            continue;
        }
        count += 1;
        if count > MAX_REBUILT_ENTRIES {
            return Err(io::Error::other(
                "a mount point is missing in a directory with too many entries: make it there",
            ));
        }
        let nofollow = PLACE | OFlags::NOFOLLOW;
        let original = openat(&readable, &name, nofollow, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&original)?.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(&readable, &name, Vec::new())?;
                symlinkat(&target, &copy, &name)?;
            }
            kind => {
                if kind == FileType::Directory {
                    mkdirat(&copy, &name, Mode::from_raw_mode(0o755))?;
                } else {
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    openat(&copy, &name, flags, Mode::from_raw_mode(0o644))?;
                }
                let place = openat(&copy, &name, nofollow, Mode::empty())?;
                attach(copy_tree(original.as_fd(), true)?.as_fd(), place.as_fd())?;
            }
        }
    }
    Ok(copy)
}

/// fchmod refuses the descriptor of a mount, which is only a place.
fn fchmod_path(dir: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let real = openat(dir, ".", flags, Mode::empty())?;
    Ok(fchmod(real, Mode::from_raw_mode(mode & 0o7777))?)
}
