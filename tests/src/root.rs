//! A named root, made on the spot from the real machine's own programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Machine, programs};

/// The programs that jobs of these tests use.
const PROGRAMS: [&str; 12] =
    ["sh", "ls", "cat", "id", "stat", "readlink", "sleep", "touch", "env", "grep", "mkdir", "true"];

/// A directory tree with a shell and a few tools in it, and no directory that the starter mounts on.
#[derive(Debug)]
pub struct NamedRoot {
    /// Where it is.
    pub path: PathBuf,
}

impl NamedRoot {
    /// Makes the tree in the machine's directory and offers it under the given name.
    pub fn offer(machine: &mut Machine, name: &str) -> Self {
        let root = Self::make(machine.path(&format!("roots/{name}")));
        machine.set_knob("NAMED_CHROOT", &format!("{name}={}", root.path.display()));
        root
    }

    /// Makes the tree.
    pub fn make(path: PathBuf) -> Self {
        let root = Self { path };
        for dir in ["bin", "etc"] {
            fs::create_dir_all(root.path.join(dir)).unwrap();
        }
        for name in PROGRAMS {
            root.add_program(&find(name), &format!("bin/{name}"));
        }
        root.add_program(&programs::hostile(), "bin/hostile");
        fs::write(root.path.join("etc/marker"), "of the named root\n").unwrap();
        root
    }

    /// Adds a program under a name, with the libraries it needs.
    pub fn add_program(&self, program: &Path, name: &str) {
        copy(program, &self.path.join(name));
        let needs = Command::new("ldd").arg(program).output().unwrap();
        let needs = String::from_utf8_lossy(&needs.stdout).into_owned();
        for word in needs.split_ascii_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(word), &self.path.join(word.trim_start_matches('/')));
        }
    }

    /// Every path in the tree with its kind and mode, to see whether something changed.
    pub fn listing(&self) -> Vec<String> {
        let mut list = Vec::new();
        let mut queue = vec![self.path.clone()];
        while let Some(dir) = queue.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                list.push(format!(
                    "{} {:o} {}",
                    path.display(),
                    meta.permissions().mode(),
                    meta.len()
                ));
                if meta.is_dir() {
                    queue.push(path);
                }
            }
        }
        list.sort();
        list
    }
}

fn copy(from: &Path, to: &Path) {
    if !to.exists() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
    }
}

fn find(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(name));
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {name} here"))
}
