//! The sandbox: made, filled with the starter's own files, and removed at the end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, chownat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::fence::Fence;
use super::remove;
use crate::failure::{Context, Failure, Reason, Step};
use crate::plan::{Account, Plan, Sandbox, USER};
use crate::report::{self, Disk};
use crate::sys::dir;
use crate::sys::open::openat2;
use crate::sys::privilege::{Borrowed, Ids};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Directories of the nested layout that belong to the job, the one it works in first.
const JOBS: [&str; 2] = ["scratch", USER];
/// The one that belongs to the daemons.
const DAEMONS: &str = "htcondor";

/// The startd's view of the slot, in the daemons' directory or in the sandbox.
const SNAPSHOT: &str = ".update.ad";
/// The file in which USER_JOB_WRAPPER says why it could not run the job.
pub(crate) const WRAPPER_ERROR: &str = ".job_wrapper_failure";
/// Most bytes of it that are read.
const MAX_WRAPPER_ERROR: u64 = 4096;
/// Most bytes of the snapshot that are read.
const MAX_SNAPSHOT: u64 = 1 << 20;

/// A sandbox that exists.
#[derive(Debug)]
pub(crate) struct Made {
    execute: OwnedFd,
    slot: String,
    owner: Ids,
    nested: bool,
    /// The slot's directory, locked as long as its starter lives.
    slot_dir: Flock<File>,
    /// The job's directory (the same one in the flat layout).
    pub(crate) dir: OwnedFd,
    /// Where that is.
    pub(crate) path: PathBuf,
    /// What keeps it from growing beyond its limit, where there is one and the file system can.
    fence: Option<Fence>,
}

/// Makes `EXECUTE/dir_N` (and `scratch` in it), its subdirectories and its files.
pub(crate) fn make(plan: &Plan, daemon: &Ids) -> Result<Made, Failure> {
    let Sandbox { execute, slot, nested, mode, .. } = &plan.sandbox;
    let execute_dir = openat(rustix::fs::CWD, execute.as_path(), DIRECTORY, Mode::empty())
        .at(Step::Sandbox, format!("EXECUTE directory {}", execute.display()))?;
    let slot_path = plan.sandbox.slot_path();
    let owner = &plan.account.ids;
    let made = |path: &Path| {
        format!(
            "making {} (needs owner, mode and free space of EXECUTE to be right)",
            path.display()
        )
    };

    mkdirat(&execute_dir, slot.as_str(), Mode::RWXU).at(Step::Sandbox, made(&slot_path))?;
    // From here on whatever fails must not leave the directory behind.
    let fill = || -> Result<Made, Failure> {
        let slot_fd = openat(&execute_dir, slot.as_str(), DIRECTORY, Mode::empty())
            .at(Step::Sandbox, slot_path.display())?;
        let slot_dir = Flock::lock(File::from(slot_fd), FlockArg::LockSharedNonblock)
            .map_err(|(_, errno)| errno)
            .at(Step::Sandbox, format!("locking {}", slot_path.display()))?;
        let fence = fence(plan, execute_dir.as_fd(), slot_dir.as_fd());
        let mode = Mode::from_raw_mode(*mode);
        let dir = if *nested {
            own(slot_dir.as_fd(), daemon, Mode::from_raw_mode(0o755), &slot_path)?;
            let inner = |name: &str, ids: &Ids, mode| -> Result<OwnedFd, Failure> {
                let path = slot_path.join(name);
                mkdirat(slot_dir.as_fd(), name, Mode::RWXU).at(Step::Sandbox, made(&path))?;
                let dir = openat(slot_dir.as_fd(), name, DIRECTORY, Mode::empty())
                    .at(Step::Sandbox, path.display())?;
                own(dir.as_fd(), ids, mode, &path).map(|()| dir)
            };
            if plan.sandbox.pool {
                inner(DAEMONS, daemon, Mode::from_raw_mode(0o755))?;
                inner(JOBS[1], owner, Mode::RWXU)?;
            }
            inner(JOBS[0], owner, mode)?
        } else {
            own(slot_dir.as_fd(), owner, mode, &slot_path)?;
            slot_dir.as_fd().try_clone_to_owned().at(Step::Sandbox, slot_path.display())?
        };
        let execute = execute_dir.try_clone().at(Step::Sandbox, execute.display())?;
        let made = Made {
            execute,
            slot: slot.clone(),
            owner: owner.clone(),
            nested: *nested,
            slot_dir,
            dir,
            path: plan.sandbox.path(),
            fence,
        };
        made.fill(&plan.sandbox)?;
        Ok(made)
    };
    fill().inspect_err(|_| {
        let _ = remove_slot(execute_dir.as_fd(), slot, owner);
    })
}

/// The fence that the plan's limit asks for. Without one the sandbox is measured, as the log says.
fn fence(plan: &Plan, execute: BorrowedFd<'_>, slot: BorrowedFd<'_>) -> Option<Fence> {
    let limit = plan.limits.disk_kib?;
    let number = plan.sandbox.slot.strip_prefix("dir_")?.parse().ok()?;
    match Fence::around(execute, slot, number, limit) {
        Ok(fence) => Some(fence),
        Err(error) => {
            tracing::info!(
                "the sandbox is measured, not fenced: EXECUTE's file system has no project quotas: {}",
                Reason(&error)
            );
            None
        }
    }
}

/// Gives a directory that was just made to its owner. `fchown` by descriptor: no name is looked up
/// again.
fn own(dir: BorrowedFd<'_>, ids: &Ids, mode: Mode, path: &Path) -> Result<(), Failure> {
    rustix::fs::fchmod(dir, mode).at(Step::Sandbox, path.display())?;
    if rustix::process::geteuid().is_root() {
        chownat(
            dir,
            "",
            Some(rustix::fs::Uid::from_raw(ids.uid)),
            Some(rustix::fs::Gid::from_raw(ids.gid)),
            AtFlags::EMPTY_PATH,
        )
        .at(Step::Sandbox, path.display())?;
    }
    Ok(())
}

impl Made {
    /// Subdirectories and files, made with the job's own rights.
    fn fill(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        let _rights = Borrowed::rights_of(&self.owner).at(Step::Sandbox, "the job's rights")?;
        self.directories(sandbox)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for (name, content) in &sandbox.files {
            let write = || -> std::io::Result<()> {
                let fd = openat(&self.dir, name.as_str(), flags, Mode::from_raw_mode(0o644))?;
                File::from(fd).write_all(content)
            };
            write().at(Step::Sandbox, format!("writing {}", self.path.join(name).display()))?;
        }
        Ok(())
    }

    /// Writes a file that tells the job something and isn't its data: beside its directory if there is
    /// such a place, and with its own rights.
    pub(crate) fn tell_job(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let write = || -> std::io::Result<()> {
            let user = match self.nested {
                true => Some(openat(self.slot_dir.as_fd(), USER, DIRECTORY, Mode::empty())?),
                false => None,
            };
            let dir = user.as_ref().map_or_else(|| self.slot_dir.as_fd(), AsFd::as_fd);
            let _rights = Borrowed::rights_of(&self.owner)?;
            // Input may have brought one along.
            match unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            File::from(openat(dir, name, flags, Mode::RWXU)?).write_all(content)
        };
        write().at(Step::Sandbox, format!("writing {name}"))
    }

    /// Writes a file at the top with the job's rights; one that is there is replaced.
    pub(crate) fn put(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        let _rights = Borrowed::rights_of(&self.owner)?;
        match unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::from_raw_mode(0o644))?;
        File::from(file).write_all(content)
    }

    /// Makes the directories of another plan that aren't there yet.
    pub(crate) fn add_directories(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        let _rights = Borrowed::rights_of(&self.owner).at(Step::Sandbox, "the job's rights")?;
        self.directories(sandbox)
    }

    fn directories(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        for relative in &sandbox.directories {
            self.directory(relative)
                .at(Step::Sandbox, sandbox.slot_path().join(relative).display())?;
        }
        Ok(())
    }

    /// Makes a directory with its parents; a part that exists may not be a link.
    fn directory(&self, relative: &Path) -> std::io::Result<()> {
        let mut above: Option<OwnedFd> = None;
        let mut parts = relative.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(std::io::ErrorKind::InvalidInput.into());
            };
            let here = above.as_ref().map_or_else(|| self.slot_dir.as_fd(), AsFd::as_fd);
            let made = match mkdirat(here, name, Mode::RWXU) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            if !made || parts.peek().is_some() {
                above = Some(openat(here, name, DIRECTORY, Mode::empty())?);
            }
        }
        Ok(())
    }

    /// A directory of the sandbox as a place to mount from; links are refused.
    pub(crate) fn place(dir: BorrowedFd<'_>, relative: &Path) -> std::io::Result<OwnedFd> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        Ok(openat2(dir, relative, flags, Mode::empty(), how)?)
    }

    /// Gives the owner of the job's directory back the rights to it, which the job may have taken from itself:
    /// its output is there all the same.
    pub(crate) fn open_again(&self) -> std::io::Result<()> {
        let _rights = Borrowed::rights_of(&self.owner)?;
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&self.dir)?.st_mode);
        if mode.contains(Mode::RWXU) {
            return Ok(());
        }
        Ok(rustix::fs::fchmod(&self.dir, mode | Mode::RWXU)?)
    }

    /// What the job's directories take on disk, as far as the job itself could see them.
    pub(crate) fn measure(&self) -> Disk {
        let measure = || {
            let Ok(_rights) = Borrowed::rights_of(&self.owner) else { return Disk::default() };
            let disk = report::measure(self.dir.as_fd());
            if !self.nested {
                return disk;
            }
            match openat(self.slot_dir.as_fd(), USER, DIRECTORY, Mode::empty()) {
                Ok(user) => disk.with(&report::measure(user.as_fd())),
                Err(_) => disk,
            }
        };
        let disk = measure();
        match self.fence.as_ref().and_then(Fence::used) {
            // Also what the job can't see itself.
            Some(kib) => Disk { kib, ..disk },
            None => disk,
        }
    }

    /// What the startd has last written of the slot, for its starter; nothing if it hasn't, or if the
    /// job has put something else in its place.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let read = || -> std::io::Result<Vec<u8>> {
            let file = if self.nested {
                let daemons = openat(self.slot_dir.as_fd(), DAEMONS, DIRECTORY, Mode::empty())?;
                openat(daemons, SNAPSHOT, flags, Mode::empty())?
            } else {
                // In the job's own directory: with its rights.
                let _rights = Borrowed::rights_of(&self.owner)?;
                openat(&self.dir, SNAPSHOT, flags, Mode::empty())?
            };
            let file = File::from(file);
            if !file.metadata()?.is_file() {
                return Err(std::io::ErrorKind::InvalidInput.into());
            }
            let mut content = Vec::new();
            file.take(MAX_SNAPSHOT).read_to_end(&mut content)?;
            Ok(content)
        };
        read().unwrap_or_default()
    }

    /// What the wrapper of the site has to say about its failure, if it failed; read with the job's
    /// rights.
    pub(crate) fn wrapper_error(&self) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let _rights = Borrowed::rights_of(&self.owner).ok()?;
        let file = openat(&self.dir, WRAPPER_ERROR, flags, Mode::empty()).ok().map(File::from)?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut text = Vec::new();
        file.take(MAX_WRAPPER_ERROR).read_to_end(&mut text).ok()?;
        // As stock shows several lines in one.
        let text = String::from_utf8_lossy(&text).trim().replace('\n', "|");
        Some(text.replace(char::is_control, " "))
    }

    /// Removes everything.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        // The fence goes last.
        let Self { execute, slot, owner, slot_dir, dir, path, fence: _fence, .. } = self;
        drop((slot_dir, dir));
        remove_slot(execute.as_fd(), &slot, &owner)
            .at(Step::Cleanup, format!("removing sandbox {}", path.display()))
    }
}

/// First with the job's own rights, which suffice for what the job made and can't hurt anybody
/// else; then the frame, which is the daemons'.
fn remove_slot(execute: BorrowedFd<'_>, slot: &str, owner: &Ids) -> std::io::Result<()> {
    let open = |dir: BorrowedFd<'_>, name: &str| {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        openat2(dir, name, DIRECTORY, Mode::empty(), how)
    };
    let slot_dir = match open(execute, slot) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut theirs = Vec::new();
    if rustix::fs::fstat(&slot_dir)?.st_uid == owner.uid {
        theirs.push(slot_dir.try_clone()?);
    } else {
        let dirs = JOBS.iter().map(|name| open(slot_dir.as_fd(), name));
        theirs.extend(dirs.filter_map(Result::ok));
    }
    let rights = Borrowed::rights_of(owner)?;
    for dir in &theirs {
        match remove::empty(dir.as_fd()) {
            // A layer over a root has something of the kernel's, which is root's.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    drop((rights, theirs));
    for name in JOBS.iter().chain(&[DAEMONS]) {
        // One that is not there, or not empty, is seen by the next step.
        let _ = unlinkat(&slot_dir, *name, AtFlags::REMOVEDIR);
    }
    if unlinkat(execute, slot, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    remove::empty(slot_dir.as_fd())?;
    Ok(unlinkat(execute, slot, AtFlags::REMOVEDIR)?)
}

/// Removes sandboxes whose starter is gone (killed together with its launcher): no process has
/// their number and nobody holds their lock. In a pool the startd does this.
pub(crate) fn remove_stale(execute: &Path) -> Vec<(PathBuf, Result<(), std::io::Error>)> {
    let Ok(execute_fd) = openat(rustix::fs::CWD, execute, DIRECTORY, Mode::empty()) else {
        return Vec::new();
    };
    let Ok(names) = dir::entries(execute_fd.as_fd()) else { return Vec::new() };
    let mut removed = Vec::new();
    for (name, _) in names {
        let Ok(slot) = name.to_str() else { continue };
        let number = slot.strip_prefix("dir_").and_then(|n| n.parse::<i32>().ok());
        let Some(pid) = number.filter(|n| *n > 0) else { continue };
        let alive = !matches!(
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None),
            Err(nix::errno::Errno::ESRCH)
        );
        if alive {
            continue;
        }
        let Ok(fd) = openat(&execute_fd, slot, DIRECTORY, Mode::empty()) else { continue };
        if let Ok(lock) = Flock::lock(File::from(fd), FlockArg::LockExclusiveNonblock) {
            let result = remove_abandoned(execute_fd.as_fd(), slot, &lock);
            removed.push((execute.join(slot), result));
        }
    }
    removed
}

/// Whose files they were is told by the job's directory.
fn remove_abandoned(execute: BorrowedFd<'_>, slot: &str, lock: &File) -> std::io::Result<()> {
    let inner = openat(lock, "scratch", DIRECTORY, Mode::empty());
    let stat = match &inner {
        Ok(dir) => rustix::fs::fstat(dir)?,
        Err(_) => rustix::fs::fstat(lock)?,
    };
    let owner = Ids { uid: stat.st_uid, gid: stat.st_gid, groups: Vec::new() };
    remove_slot(execute, slot, &owner)
}

/// The names and numbers in the plan must be ones that this launcher would have chosen itself.
pub(crate) fn check(
    sandbox: &Sandbox,
    account: &Account,
    execute: &Path,
    supervisor: u32,
) -> Result<(), Failure> {
    let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    let honest = sandbox.execute == execute
        && sandbox.slot == format!("dir_{supervisor}")
        && matches!(sandbox.mode, 0o700 | 0o750 | 0o755)
        && sandbox.directories.iter().all(|dir| plain(dir))
        && sandbox.files.iter().all(|(name, _)| plain(Path::new(name)) && !name.contains('/'))
        && account.ids.uid != 0;
    if honest {
        Ok(())
    } else {
        Err(Failure::host(Step::Sandbox, "the plan's sandbox isn't one of this starter"))
    }
}
