//! Measuring what a sandbox takes on disk.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use serde::{Deserialize, Serialize};

/// What a directory takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// On disk, in KiB.
    pub(crate) kib: u64,
    /// Regular files in it.
    pub(crate) files: u64,
    /// When standard output and error were changed last, seconds since 1970, where they are in it.
    pub(crate) standard: [Option<i64>; 2],
}

impl Disk {
    /// With what is elsewhere.
    pub(crate) fn with(self, more: &Self) -> Self {
        Self { kib: self.kib + more.kib, files: self.files + more.files, ..self }
    }
}

/// Entries that are counted at the most; a sandbox with more is reported as that many.
const MAX_ENTRIES: u64 = 1_000_000;
/// Directories below each other that are entered at the most.
const MAX_DEPTH: usize = 64;

/// Measures a directory with what is below it. Links are not followed.
pub(crate) fn measure(dir: BorrowedFd<'_>) -> Disk {
    let mut sum = Sum { blocks: 0, files: 0, entries: 0 };
    // The caller's descriptor is shared with processes that may read by it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(own) = openat(dir, ".", flags, Mode::empty()) {
        sum.add(own.as_fd(), 0);
    }
    let changed =
        |name: &str| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_mtime);
    Disk {
        kib: sum.blocks.div_ceil(2),
        files: sum.files,
        standard: ["_condor_stdout", "_condor_stderr"].map(changed),
    }
}

struct Sum {
    blocks: u64,
    files: u64,
    entries: u64,
}

impl Sum {
    /// What can't be read counts as nothing.
    fn add(&mut self, dir: BorrowedFd<'_>, depth: usize) {
        if let Ok(stat) = fstat(dir) {
            self.blocks += u64::try_from(stat.st_blocks).unwrap_or_default();
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut list = RawDir::new(dir, &mut buffer);
        while let Some(Ok(entry)) = list.next() {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if entry.file_type() == FileType::Directory {
                if depth < MAX_DEPTH
                    && let Ok(below) = openat(dir, name, flags, Mode::empty())
                {
                    self.add(below.as_fd(), depth + 1);
                }
                continue;
            }
            if let Ok(stat) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                self.blocks += u64::try_from(stat.st_blocks).unwrap_or_default();
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                    self.files += 1;
                }
            }
        }
    }
}
