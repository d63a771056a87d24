//! What the sandbox's top level held before the start, to tell what the job has made or changed.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// The top level of a sandbox at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalogue(BTreeMap<Vec<u8>, Seen>);

/// What makes a file the same file as before. HTCondor compares size and seconds only, and
/// therefore has to wait a second before each start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    kind: u32,
    size: i64,
    /// Seconds and nanoseconds. The clock that the kernel stamps files with moves in steps of up to
    /// 10 ms, so the receiver sets the time of what it has written from a finer one: a job that
    /// writes again within the same step gives it another.
    modified: (i64, u64),
    inode: u64,
}

impl Seen {
    fn new(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode).as_raw_mode(),
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            inode: stat.st_ino,
        }
    }
}

impl Catalogue {
    /// Looks at every name in the directory; opens none.
    pub(super) fn of(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let mut seen = BTreeMap::new();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => seen.insert(name.to_bytes().to_vec(), Seen::new(&stat)),
                Err(Errno::NOENT) => None,
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(Self(seen))
    }

    /// Whether this very file was there before.
    pub(super) fn has(&self, name: &CStr, stat: &Stat) -> bool {
        self.0.get(name.to_bytes()) == Some(&Seen::new(stat))
    }
}
