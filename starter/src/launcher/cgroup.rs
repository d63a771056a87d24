//! A job's cgroup (v2): its limits, what its processes use, stopping and killing them, and what the
//! kernel says of their end.
//!
//! The job is born in it (clone3), so there is no moment without limits and nothing to count twice. It
//! goes when this is dropped, whatever the job left in it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::message::OutOfMemory;
use crate::failure::{Context, Failure, Step};
use crate::host::cgroups::{Cgroups, ROOT};
use crate::knobs::Knobs;
use crate::plan::cgroup::{self, Cgroup};
use crate::report::{Sample, Usage};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What jobs' cgroups should have, the most wanted first; switched on one by one, as not every machine
/// has all.
const CONTROLLERS: [&str; 4] = ["+memory", "+pids", "+cpu", "+io"];
/// Only for jobs that are kept on CPUs: it has a price for all that fork.
const CPUSET: &str = "+cpuset";
/// How long killed processes may take to be gone. One that hangs in the kernel takes for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cgroup that exists.
#[derive(Debug)]
pub(crate) struct Group {
    base: OwnedFd,
    /// Locked as long as its starter lives.
    dir: Flock<File>,
    name: String,
    /// `memory.stat`, kept open to be read again and again.
    memory: Option<File>,
    /// How memory is counted.
    count: Count,
    /// Most memory that was seen, in KiB.
    seen_kib: u64,
    interval: Duration,
    due: Instant,
}

/// How the memory that a job uses is counted.
#[derive(Clone, Copy, Debug)]
enum Count {
    /// Anonymous and shared memory, which can't be had back.
    Needed,
    /// The kernel's peak.
    Peak {
        /// Without what files could be read into again.
        without_caches: bool,
    },
}

impl Group {
    /// Makes the cgroup of a plan, with its limits. One of that name that is there still is of a starter
    /// that was killed: its processes go with it.
    pub(crate) fn make(cgroup: &Cgroup, cgroups: &Cgroups, knobs: &Knobs) -> Result<Self, Failure> {
        let path = match cgroups {
            Cgroups::Below(path) => path,
            Cgroups::None(why) => {
                return Err(Failure::host(Step::Limits, format!("no cgroup for the job: {why}")));
            }
        };
        let base = match openat(CWD, path.as_path(), DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                enable(path, cgroup);
                openat(CWD, path.as_path(), DIRECTORY, Mode::empty())
            }
            other => other,
        };
        let base = base.at(Step::Limits, path.display())?;
        let show = || path.join(&cgroup.name).display().to_string();
        let (name, mode) = (cgroup.name.as_str(), Mode::from_raw_mode(0o755));
        match mkdirat(&base, name, mode) {
            Err(Errno::EXIST) => remove_stale(base.as_fd(), name)
                .and_then(|()| Ok(mkdirat(&base, name, mode)?))
                .at(Step::Limits, format!("making cgroup {}", show()))?,
            other => other.at(Step::Limits, format!("making cgroup {}", show()))?,
        }
        let locked = || -> io::Result<Flock<File>> {
            let dir = openat(&base, name, DIRECTORY, Mode::empty())?;
            let lock = Flock::lock(File::from(dir), FlockArg::LockSharedNonblock);
            Ok(lock.map_err(|(_, errno)| errno)?)
        };
        let dir = locked()
            .inspect_err(|_| {
                let _ = unlinkat(&base, name, AtFlags::REMOVEDIR);
            })
            .at(Step::Limits, show())?;
        let count = match knobs.cgroup_use_peak_memory {
            true => Count::Peak { without_caches: knobs.cgroup_ignore_cache_memory },
            false => Count::Needed,
        };
        let seconds = u64::try_from(knobs.cgroup_polling_interval).unwrap_or(1).max(1);
        let interval = Duration::from_secs(seconds);
        let group = Self {
            base,
            dir,
            name: cgroup.name.clone(),
            memory: None,
            count,
            seen_kib: 0,
            interval,
            due: Instant::now() + interval,
        };
        group.limit(cgroup, path)?;
        Ok(group)
    }

    /// Sets the limits. A file that isn't there belongs to a controller that isn't switched on.
    fn limit(&self, cgroup: &Cgroup, path: &Path) -> Result<(), Failure> {
        let mut enabled = false;
        for (file, value) in cgroup.settings() {
            let mut written = self.write(file, &value);
            if is_missing(&written) && !enabled {
                enabled = true;
                enable(path, cgroup);
                written = self.write(file, &value);
            }
            let what = || format!("{file} = {value} for the job's cgroup");
            if is_missing(&written) {
                if cgroup.needed.iter().any(|needed| needed == file) {
                    return written.at(Step::Limits, what());
                }
                tracing::warn!("{}: there is no such limit on this machine", what());
                continue;
            }
            // None of them is on this machine: slots may be more than CPUs.
            if file == cgroup::CPUS && is_no_cpu(&written) {
                tracing::warn!("{}: there are no such CPUs", what());
                continue;
            }
            written.at(Step::Limits, what())?;
        }
        Ok(())
    }

    /// For clone3.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        write_at(self.dir.as_fd(), file, text)
    }

    fn read(&self, file: &str) -> String {
        read_at(self.dir.as_fd(), file).unwrap_or_default()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file).trim().parse().ok()
    }

    /// Stops all processes, or lets them go on. None of them notices.
    pub(crate) fn freeze(&self, stop: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if stop { "1" } else { "0" })
    }

    /// Kills all processes at once, those that are being made too. Linux before 5.14 can't.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.write("cgroup.kill", "1")
    }

    /// What kills them when `1` is written to it, whoever does that. `None` where Linux can't.
    pub(crate) fn killer(&self) -> Option<OwnedFd> {
        open_at(self.dir.as_fd(), "cgroup.kill", OFlags::WRONLY).ok().map(OwnedFd::from)
    }

    /// When memory is to be looked at next.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Looks at the memory in use, if it is time: what the kernel's peak can't tell is only known of
    /// those moments that somebody looked.
    pub(crate) fn look_if_due(&mut self) {
        if self.due <= Instant::now() {
            self.due = Instant::now() + self.interval;
            self.look();
        }
    }

    /// Memory in use now, in KiB.
    fn look(&mut self) -> u64 {
        let text = match self.memory.as_mut() {
            Some(file) => again(file),
            None => open_at(self.dir.as_fd(), "memory.stat", OFlags::RDONLY).and_then(|file| {
                let file = self.memory.insert(file);
                again(file)
            }),
        };
        let text = text.unwrap_or_default();
        let field = |name| field(&text, name).unwrap_or_default();
        let bytes = match self.count {
            Count::Needed => field("anon") + field("shmem"),
            Count::Peak { without_caches } => {
                let peak = self.number("memory.peak").unwrap_or_default();
                let caches = field("file") + field("inactive_anon");
                if without_caches && peak > caches { peak - caches } else { peak }
            }
        };
        self.seen_kib = self.seen_kib.max(bytes / 1024);
        bytes / 1024
    }

    /// What the processes use; init, which is one of them, doesn't count as one.
    pub(crate) fn sample(&mut self) -> Sample {
        let now = self.look();
        let cpu = self.read("cpu.stat");
        let (read_bytes, written_bytes) = blocks(&self.read("io.stat"));
        let processes = self.read("cgroup.procs").lines().count();
        Sample {
            processes: u64::try_from(processes).unwrap_or_default().saturating_sub(1),
            user: micros(&cpu, "user_usec"),
            system: micros(&cpu, "system_usec"),
            resident_kib: now.max(self.seen_kib),
            image_kib: now.max(self.seen_kib),
            read_bytes,
            written_bytes,
        }
    }

    /// What all of them have used in the end, given what the kernel says of those that were waited for.
    pub(crate) fn usage(&self, waited: Usage) -> Usage {
        let cpu = self.read("cpu.stat");
        // Of a job that was too short to be looked at, its largest process is known, and the peak of all.
        let peak = self.number("memory.peak").map_or(u64::MAX, |bytes| bytes / 1024);
        let io = self.read("io.stat");
        let (read, written) = blocks(&io);
        Usage {
            user: waited.user.max(micros(&cpu, "user_usec")),
            system: waited.system.max(micros(&cpu, "system_usec")),
            peak_memory_kib: self.seen_kib.max(waited.peak_memory_kib.min(peak)),
            blocks_read: if io.is_empty() { waited.blocks_read } else { read / 512 },
            blocks_written: if io.is_empty() { waited.blocks_written } else { written / 512 },
        }
    }

    /// Whether the kernel has killed processes because there was no memory left.
    pub(crate) fn out_of_memory(&self) -> Option<OutOfMemory> {
        let events = self.read("memory.events");
        let count = |name| field(&events, name).unwrap_or_default();
        if count("oom_kill").max(count("oom_group_kill")) == 0 {
            return None;
        }
        Some(OutOfMemory {
            own_limit: count("oom") > 0,
            peak_kib: self.number("memory.peak").map_or(self.seen_kib, |bytes| bytes / 1024),
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = remove(self.base.as_fd(), &self.name) {
            tracing::error!("cgroup {} can't be removed: {error}", self.name);
        }
    }
}

fn is_no_cpu(written: &io::Result<()>) -> bool {
    let errno = written.as_ref().err().and_then(io::Error::raw_os_error);
    matches!(errno, Some(libc::EINVAL | libc::ERANGE | libc::ENOSPC))
}

/// Makes the directory with those above it, and switches the controllers on for what is below each.
/// What can't be done shows where it is needed.
fn enable(path: &Path, cgroup: &Cgroup) {
    let Ok(relative) = path.strip_prefix(ROOT) else { return };
    let mut here = PathBuf::from(ROOT);
    let switch_on = |dir: &Path| {
        let cpuset = (!cgroup.cpus.is_empty()).then_some(CPUSET);
        for controller in CONTROLLERS.into_iter().chain(cpuset) {
            let _ = fs::write(dir.join("cgroup.subtree_control"), controller);
        }
    };
    switch_on(&here);
    for part in relative.components() {
        here.push(part);
        let _ = rustix::fs::mkdir(&here, Mode::from_raw_mode(0o755));
        switch_on(&here);
    }
}

/// The same for one that a starter left that was killed; one whose starter lives stays.
fn remove_stale(base: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let dir = match openat(base, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let lock = Flock::lock(File::from(dir), FlockArg::LockExclusiveNonblock);
    let Ok(_lock) = lock else {
        return Err(io::Error::other("a starter that lives has one of that name"));
    };
    tracing::info!("removing cgroup {name}, which a dead starter left");
    remove(base, name)
}

/// Removes what starters left that were killed, where each has a name of its own and none comes back
/// to its.
pub(crate) fn clean(cgroups: &Cgroups, knobs: &Knobs) {
    let Cgroups::Below(path) = cgroups else { return };
    let Ok(base) = openat(CWD, path.as_path(), DIRECTORY, Mode::empty()) else { return };
    let Ok(list) = Dir::read_from(&base) else { return };
    for entry in list.flatten() {
        let name = entry.file_name().to_string_lossy();
        // One that has just begun has yet to lock its own.
        if cgroup::starter_of(&name, knobs).is_some_and(is_gone) {
            let _ = remove_stale(base.as_fd(), &name);
        }
    }
}

fn is_gone(starter: i32) -> bool {
    let pid = nix::unistd::Pid::from_raw(starter);
    nix::sys::signal::kill(pid, None) == Err(nix::errno::Errno::ESRCH)
}

/// Kills what is in a cgroup, and removes it with all below it.
fn remove(base: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // Most are empty by now.
    match unlinkat(base, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY) => {}
        Err(errno) => return Err(errno.into()),
    }
    let dir = openat(base, name, DIRECTORY, Mode::empty())?;
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(100);
    loop {
        if write_at(dir.as_fd(), "cgroup.kill", "1").is_err() {
            kill_each(dir.as_fd());
        }
        let gone =
            remove_below(dir.as_fd()).and_then(|()| Ok(unlinkat(base, name, AtFlags::REMOVEDIR)?));
        match gone {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < end => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// Removes the cgroups in a cgroup, which a job with the right to may have made.
fn remove_below(dir: BorrowedFd<'_>) -> io::Result<()> {
    for entry in Dir::read_from(dir)?.flatten() {
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
            continue;
        }
        let below = openat(dir, name, DIRECTORY, Mode::empty())?;
        remove_below(below.as_fd())?;
        unlinkat(dir, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// For kernels that can't do it at once. A frozen process has to be let go to die.
fn kill_each(dir: BorrowedFd<'_>) {
    let _ = write_at(dir, "cgroup.freeze", "0");
    for line in read_at(dir, "cgroup.procs").unwrap_or_default().lines() {
        let pid = line.parse::<i32>().ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn open_at(dir: BorrowedFd<'_>, file: &str, how: OFlags) -> io::Result<File> {
    Ok(openat(dir, file, how | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?.into())
}

fn write_at(dir: BorrowedFd<'_>, file: &str, text: &str) -> io::Result<()> {
    open_at(dir, file, OFlags::WRONLY)?.write_all(text.as_bytes())
}

fn read_at(dir: BorrowedFd<'_>, file: &str) -> io::Result<String> {
    io::read_to_string(open_at(dir, file, OFlags::RDONLY)?)
}

fn again(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text).map(|_| text)
}

fn is_missing(written: &io::Result<()>) -> bool {
    written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A number of a file with a name and a number on each line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

fn micros(text: &str, name: &str) -> Duration {
    Duration::from_micros(field(text, name).unwrap_or_default())
}

/// Bytes read and written, on all disks.
fn blocks(text: &str) -> (u64, u64) {
    let sum = |name: &str| -> u64 {
        let words = text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name));
        words.filter_map(|number| number.parse::<u64>().ok()).sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let text = "anon 4096\nanon_thp 7\nshmem 8192\nuser_usec 1500000\n";
        assert_eq!((field(text, "anon"), field(text, "shmem")), (Some(4096), Some(8192)));
        assert_eq!(field(text, "an"), None);
        assert_eq!(micros(text, "user_usec"), Duration::from_millis(1500));
        let io =
            "8:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n";
        assert_eq!(blocks(io), (513, 1026));
        assert_eq!(blocks(""), (0, 0));
    }
}
