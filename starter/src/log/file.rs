//! The log file: opened with the daemons' rights, shared by processes, rotated without losing a line.
//!
//! Supervisor, launcher and the starters before and after them append to one file, each line in one
//! write. Whoever finds it too large renames it, unless somebody else just did: then the file at the
//! path is another one already, and is opened in its place. A process that still holds the old file
//! finds *that* too large before it writes again, so it changes over by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fcntl_lock, fstat, openat, readlinkat};

use super::size::Limit;
use crate::sys::privilege::{Borrowed, Ids};

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// When it is rotated.
    pub(crate) limit: Limit,
    /// How many old ones are kept: 1 has the suffix `.old`, more have the time of their end.
    pub(crate) old: u32,
    /// Emptied when it is opened.
    pub(crate) truncate: bool,
}

/// An open log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    path: PathBuf,
    pub(super) keeping: Keeping,
    /// Whose rights open and rename it.
    daemon: Ids,
    /// When the file was written to last before this process had it; `None` for a new one.
    pub(super) touched: Option<SystemTime>,
    /// The span of time in which the file began (`Limit::Seconds`).
    span: u64,
}

impl LogFile {
    /// Opens or makes the file.
    pub(crate) fn open(path: PathBuf, keeping: Keeping, daemon: &Ids) -> io::Result<Self> {
        let rights = Borrowed::rights_of(daemon)?;
        let file = open(&path)?;
        drop(rights);
        let meta = file.metadata()?;
        let touched = if meta.len() > 0 { meta.modified().ok() } else { None };
        if keeping.truncate && meta.is_file() {
            file.set_len(0)?;
        }
        let begun = touched.unwrap_or_else(SystemTime::now);
        let span = span_of(begun, keeping.limit);
        Ok(Self { file, path, keeping, daemon: daemon.clone(), touched, span })
    }

    /// Appends to the file, whatever its size.
    pub(super) fn append(&self, text: &str) {
        // A log that can't be written (a full disk) is no reason to fail a job that runs.
        let _ = (&self.file).write_all(text.as_bytes());
    }

    /// Whether the file is to be rotated before more is written, and how large or old it is.
    pub(super) fn due(&self) -> Option<u64> {
        match self.keeping.limit {
            Limit::None => None,
            Limit::Bytes(most) => {
                let stat = fstat(&self.file).ok()?;
                let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
                u64::try_from(stat.st_size).ok().filter(|size| is_file && *size >= most)
            }
            Limit::Seconds(length) => {
                let spans =
                    span_of(SystemTime::now(), self.keeping.limit).checked_sub(self.span)?;
                (spans > 0).then(|| spans.saturating_mul(length))
            }
        }
    }

    /// The name that the file gets.
    pub(super) fn old_name(&self, stamp: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(if self.keeping.old > 1 { stamp } else { "old" });
        name.into()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves on to a new file. `farewell` goes to the end of the old one, `greeting` to the start of
    /// the new one; neither if another process has done it. What fails leaves the old file in use.
    pub(super) fn rotate(&mut self, old: &Path, farewell: &str, greeting: &str) {
        let Ok(_rights) = Borrowed::rights_of(&self.daemon) else { return };
        self.lock();
        let here = self.file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let there = fs::symlink_metadata(&self.path).ok().map(|meta| (meta.dev(), meta.ino()));
        let ours = here.is_some() && here == there;
        if ours {
            self.append(farewell);
            if fs::rename(&self.path, old).is_err() {
                return;
            }
        }
        let Ok(file) = open(&self.path) else { return };
        self.file = file;
        self.span = span_of(SystemTime::now(), self.keeping.limit);
        if ours {
            self.append(greeting);
            self.remove_surplus();
        }
    }

    /// Keeps other processes from renaming at the same time. Everybody who may read the file can hold
    /// it locked, so this never waits for long; the check that follows is good enough without.
    fn lock(&self) {
        for _ in 0..5 {
            match fcntl_lock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }

    /// Removes the oldest of more old files than are to be kept.
    fn remove_surplus(&self) {
        let (Some(dir), Some(name)) = (self.path.parent(), self.path.file_name()) else { return };
        let Ok(entries) = fs::read_dir(dir) else { return };
        let mut old: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().is_some_and(|file| is_old(file.as_bytes(), name.as_bytes()))
            })
            .collect();
        if self.keeping.old <= 1 {
            return;
        }
        // Names with a time sort by it.
        old.sort();
        let keep = usize::try_from(self.keeping.old).unwrap_or(usize::MAX);
        for path in old.iter().take(old.len().saturating_sub(keep)) {
            let _ = fs::remove_file(path);
        }
    }
}

/// `NAME.20261125T083136`.
fn is_old(file: &[u8], name: &[u8]) -> bool {
    let stamp = file.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"."));
    stamp.is_some_and(|stamp| {
        stamp.len() == 15
            && stamp.iter().enumerate().all(|(index, byte)| match index {
                8 => *byte == b'T',
                _ => byte.is_ascii_digit(),
            })
    })
}

fn span_of(time: SystemTime, limit: Limit) -> u64 {
    let Limit::Seconds(length) = limit else { return 0 };
    let second = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    second / length
}

/// The time as part of an old file's name, where more than one is kept.
pub(super) const STAMP: &str = "%Y%m%dT%H%M%S";

/// Opens for appending. A link in place of the file is followed, once, if it is the daemons' own or
/// root's; and nothing is opened that could block.
fn open(path: &Path) -> io::Result<File> {
    match open_no_link(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let link = openat(CWD, path, flags, Mode::empty())?;
            let owner = fstat(&link)?.st_uid;
            if owner != 0 && owner != rustix::process::geteuid().as_raw() {
                let why = format!("it is a symbolic link of uid {owner}");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            // The target of this very link, even if the name means another one by now.
            let target = readlinkat(link.as_fd(), c"", Vec::new())?;
            let target = Path::new(std::ffi::OsStr::from_bytes(target.as_bytes()));
            open_no_link(&path.parent().map_or_else(|| target.to_owned(), |dir| dir.join(target)))
        }
        other => other,
    }
}

fn open_no_link(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(file)
}

/// The current time, once for all that a line needs it for.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const DAY: &str = "20261125T083136";

    fn keeping(limit: Limit, old: u32) -> Keeping {
        Keeping { limit, old, truncate: false }
    }

    fn opened(path: &Path, keeping: Keeping) -> LogFile {
        LogFile::open(path.to_owned(), keeping, &Ids::own().unwrap()).unwrap()
    }

    fn write(log: &mut LogFile, text: &str, stamp: &str) {
        if log.due().is_some() {
            log.rotate(&log.old_name(stamp), "bye\n", "hello\n");
        }
        log.append(text);
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn two_processes_share_a_file_and_lose_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("StarterLog.slot1");
        let limit = keeping(Limit::Bytes(100), 1000);
        let (mut one, mut other) = (opened(&path, limit.clone()), opened(&path, limit));
        for number in 0..200 {
            let stamp = format!("20261125T{number:06}");
            write(&mut one, &format!("one {number}\n"), &stamp);
            write(&mut other, &format!("other {number}\n"), &stamp);
        }
        let all: String = names(dir.path())
            .iter()
            .map(|name| fs::read_to_string(dir.path().join(name)).unwrap())
            .collect();
        for number in 0..200 {
            for line in [format!("one {number}\n"), format!("other {number}\n")] {
                assert_eq!(all.split_inclusive('\n').filter(|l| **l == line).count(), 1, "{line}");
            }
        }
        assert_eq!(all.matches("bye\n").count(), names(dir.path()).len() - 1);
        assert_eq!(all.matches("hello\n").count(), names(dir.path()).len() - 1);
    }

    #[test]
    fn old_files_have_the_names_and_the_number_that_stock_gives_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("L");
        let mut log = opened(&path, keeping(Limit::Bytes(5), 1));
        for text in ["first\n", "second\n", "third\n"] {
            write(&mut log, text, DAY);
        }
        assert_eq!(names(dir.path()), ["L", "L.old"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "hello\nthird\n");
        log.keeping.old = 2;
        for second in 10..15 {
            write(&mut log, "more\n", &format!("20261125T0000{second}"));
        }
        assert_eq!(names(dir.path()), ["L", "L.20261125T000013", "L.20261125T000014", "L.old"]);
    }

    #[test]
    fn a_span_of_time_ends_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("L");
        fs::write(&path, "yesterday\n").unwrap();
        let yesterday = SystemTime::now() - Duration::from_secs(86_400);
        File::options().append(true).open(&path).unwrap().set_modified(yesterday).unwrap();
        let mut log = opened(&path, keeping(Limit::Seconds(86_400), 1));
        write(&mut log, "today\n", DAY);
        write(&mut log, "still today\n", DAY);
        assert_eq!(fs::read_to_string(&path).unwrap(), "hello\ntoday\nstill today\n");
        assert_eq!(fs::read_to_string(dir.path().join("L.old")).unwrap(), "yesterday\nbye\n");
    }

    #[test]
    fn truncation_links_and_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("L");
        fs::write(&path, "old\n").unwrap();
        let log = opened(&path, Keeping { truncate: true, ..keeping(Limit::None, 1) });
        log.append("new\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");

        let link = dir.path().join("link");
        symlink("L", &link).unwrap();
        opened(&link, keeping(Limit::None, 1)).append("by own link\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\nby own link\n");
        let chain = dir.path().join("chain");
        symlink("link", &chain).unwrap();
        assert!(open(&chain).is_err());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
            let error = open(&link).unwrap_err();
            assert!(error.to_string().contains("symbolic link of uid 12345"), "{error}");
        }

        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&fifo).is_err());
        let _reader =
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
        assert!(open(&fifo).unwrap_err().to_string().contains("no file"));
        open(Path::new("/dev/null")).unwrap();
    }
}
