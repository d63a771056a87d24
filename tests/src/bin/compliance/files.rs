//! The submit directory before and after: which files came or changed, and what is in them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::normal::Normal;

/// A text up to this length is compared by its lines; a longer one, or other bytes, by length and hash.
const TEXT: usize = 64 << 10;

/// Every entry below a directory by its path from there, with what a change would change.
pub(crate) type Snapshot = BTreeMap<PathBuf, (u64, i64, i64, u64, u32)>;

/// Takes one. What can't be read is left out.
pub(crate) fn snapshot(directory: &Path) -> Snapshot {
    let mut entries = Snapshot::new();
    walk(directory, Path::new(""), &mut |path, m| {
        entries.insert(path, (m.ino(), m.mtime(), m.mtime_nsec(), m.size(), m.mode()));
    });
    entries
}

fn walk(directory: &Path, below: &Path, each: &mut impl FnMut(PathBuf, &Metadata)) {
    let Ok(entries) = fs::read_dir(directory.join(below)) else { return };
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            walk(directory, &path, each);
        }
        each(path, &metadata);
    }
}

/// A section per entry that is new or another one than before: its name, and lines that say what it is.
/// Directories count only when new; `skipped` are not looked at.
pub(crate) fn changed(
    directory: &Path,
    before: &Snapshot,
    skipped: &[&str],
    normal: &Normal,
) -> Vec<(String, Vec<String>)> {
    let mut sections = Vec::new();
    for (path, now) in snapshot(directory) {
        let name = path.to_string_lossy().into_owned();
        let whole = directory.join(&path);
        let Ok(metadata) = fs::symlink_metadata(&whole) else { continue };
        let same = match before.get(&path) {
            Some(_) if metadata.is_dir() => true,
            Some(then) => *then == now,
            None => false,
        };
        if !same && !skipped.contains(&name.as_str()) {
            sections.push((
                format!("file {}", normal.line(&name)),
                describe(&whole, &metadata, normal),
            ));
        }
    }
    for gone in before.keys().filter(|path| fs::symlink_metadata(directory.join(path)).is_err()) {
        sections.push((format!("file {}", gone.display()), vec!["removed".into()]));
    }
    sections
}

fn describe(path: &Path, metadata: &Metadata, normal: &Normal) -> Vec<String> {
    let owner = User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten();
    let owner = owner.map_or_else(|| metadata.uid().to_string(), |user| user.name);
    let mut lines = vec![format!("{} {:04o} {owner}", kind(metadata), metadata.mode() & 0o7777)];
    if metadata.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        lines.push(format!("to {}", normal.line(&target.to_string_lossy())));
    } else if metadata.is_file() {
        let bytes = fs::read(path).unwrap_or_default();
        match str::from_utf8(&bytes) {
            Ok(text) if text.len() <= TEXT && !text.contains('\0') => {
                lines.extend(text.lines().map(|line| normal.line(line)));
                if !text.is_empty() && !text.ends_with('\n') {
                    lines.push("(no line end)".into());
                }
            }
            _ => {
                let mut hash = DefaultHasher::new();
                hash.write(&bytes);
                lines.push(format!("{} bytes, hash {:016x}", bytes.len(), hash.finish()));
            }
        }
    }
    lines
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "link",
        () if kind.is_fifo() => "fifo",
        () if kind.is_socket() => "socket",
        () if kind.is_file() => "file",
        () => "device",
    }
}
