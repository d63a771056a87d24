//! A file system that never answers.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A FUSE file system whose server never answers, on a directory; gone with the guard.
pub(crate) struct DeadMount<'a> {
    dir: &'a Path,
    /// What the kernel asks goes here, and nobody reads it; closed, every call would fail instead.
    _server: File,
}

impl<'a> DeadMount<'a> {
    /// `None`, with the reason on standard error, where there is no FUSE.
    pub(crate) fn on(dir: &'a Path) -> Option<Self> {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let server = server.map_err(|error| eprintln!("SKIPPED: /dev/fuse: {error}")).ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let mounted =
            mount(Some("dead"), dir, Some("fuse"), MsFlags::empty(), Some(options.as_str()));
        mounted.map_err(|error| eprintln!("SKIPPED: a FUSE mount: {error}")).ok()?;
        Some(Self { dir, _server: server })
    }
}

impl Drop for DeadMount<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.dir, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
    }
}
