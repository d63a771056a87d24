//! A directory that is hard to remove.

use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{mkfifo, symlinkat};

/// Fills the working directory: a chain of directories longer than any path may be, without any
/// permission at its end; FIFOs, sockets, links out of the sandbox, odd names, closed directories.
pub(crate) fn plant(levels: usize) {
    let mut here = std::os::fd::OwnedFd::from(File::open(".").unwrap());
    for _ in 0..levels {
        mkdirat(&here, "d", Mode::S_IRWXU).unwrap();
        symlinkat("/etc", &here, "out").unwrap();
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY;
        here = openat(here.as_fd(), "d", flags, Mode::empty()).unwrap();
    }
    fchmod(&here, Mode::empty()).unwrap();
    mkfifo("fifo", Mode::S_IRWXU).unwrap();
    drop(UnixListener::bind("socket").unwrap());
    symlink("/etc/passwd", "link").unwrap();
    symlink(".", "self").unwrap();
    symlink("..", "up").unwrap();
    let name = std::ffi::OsStr::from_bytes(b"-rf *\n\xff\x01");
    fs::write(name, "odd").unwrap();
    fs::write("n".repeat(255), "long").unwrap();
    fs::create_dir_all("closed/below").unwrap();
    fs::write("closed/below/file", "x").unwrap();
    for dir in ["closed/below", "closed"] {
        fs::set_permissions(dir, Permissions::from_mode(0o000)).unwrap();
    }
    for number in 0..300 {
        fs::hard_link(Path::new(name), format!("hard-{number}")).unwrap();
    }
    fs::set_permissions(".", Permissions::from_mode(0o000)).unwrap();
    println!("planted");
}
