//! Opening with limits on where a path may lead, and reading what the kernel writes.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// How often a path is tried.
const TRIES: usize = 1000;

/// `openat2`, which the kernel may ask to be called again: with limits on where a path may lead it
/// doesn't vouch for a `..` while anything on the machine is being renamed or mounted.
pub(crate) fn openat2(
    dir: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
    how: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 1..TRIES {
        match rustix::fs::openat2(&dir, path, flags, mode, how) {
            Err(Errno::AGAIN) => std::thread::yield_now(),
            other => return other,
        }
    }
    rustix::fs::openat2(&dir, path, flags, mode, how)
}

/// A file of the kernel's or a short one of the machine's, whole. The standard library asks for its length
/// first, and where that is unknown begins with 32 bytes.
pub(crate) fn read_short(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(4096);
    File::open(path)?.take(u64::MAX).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Fails with the plain call, in a few thousand turns.
    #[test]
    fn renames_elsewhere_do_not_disturb() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| elsewhere.path().join(name));
        fs::create_dir(&one).unwrap();
        let top = fs::File::open(dir.path()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    fs::rename(&one, &two).unwrap();
                    fs::rename(&two, &one).unwrap();
                }
            });
            let results: Vec<_> = (0..5000)
                .map(|_| {
                    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                    let how = ResolveFlags::BENEATH;
                    openat2(&top, "a/b/../../file", flags, Mode::empty(), how).map(drop)
                })
                .collect();
            over.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|r| r.is_err()));
        });
    }
}
