//! Which files of the sandbox are output.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, statat};

use super::send::{Sender, Wanted};
use crate::failure::{Context, Step};
use crate::plan::Files;
use crate::transfer::Catalogue;
use crate::transfer::fault::{Direction, Trouble};
use crate::transfer::names::{self, STANDARD};

/// Sends standard output and error, then what the job listed, or else what it has made or changed.
pub(super) fn send(
    sender: &mut Sender<'_>,
    sandbox: BorrowedFd<'_>,
    files: &Files,
    before: &Catalogue,
) -> Result<(), Trouble> {
    for name in STANDARD.map(Path::new) {
        let wanted = files.remaps.iter().any(|(from, _)| from == name);
        // A job that has removed its own is not to blame for it.
        if wanted && statat(sandbox, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            sender.item(name, listed(name.file_name()))?;
        }
    }
    match &files.output {
        Some(list) => list.iter().try_for_each(|path| send_listed(sender, path)),
        None => send_changed(sender, sandbox, files, before),
    }
}

fn listed(name: Option<&OsStr>) -> Wanted<'_> {
    Wanted { name, listed: true, executable: false }
}

/// `d/e` travels as `e`, and of `d/` only the content.
fn send_listed(sender: &mut Sender<'_>, path: &Path) -> Result<(), Trouble> {
    let top = path.strip_prefix(".").unwrap_or(path);
    let Some(name) = top.file_name() else {
        let text = format!("{} names no file in the sandbox", path.display());
        return sender.failed(Direction::Out.hold(libc::EINVAL, text));
    };
    let at_top = top.parent() == Some(Path::new(""));
    if at_top && names::is_standard(name) {
        return Ok(());
    }
    if at_top && names::is_reserved(name) {
        sender.warn_of(path, "belongs to the starter: left out");
        return Ok(());
    }
    sender.item(path, listed((!names::content_only(path)).then_some(name)))
}

/// Only the sandbox's top is looked at, and of that only files; the program never comes back.
fn send_changed(
    sender: &mut Sender<'_>,
    sandbox: BorrowedFd<'_>,
    files: &Files,
    before: &Catalogue,
) -> Result<(), Trouble> {
    for entry in Dir::read_from(sandbox).at(Step::Output, "sandbox")? {
        let entry = entry.at(Step::Output, "sandbox")?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_program = files.input.iter().any(|file| file.executable && name == &*file.name);
        let skip = is_program || names::is_standard(name) || names::is_reserved(name);
        if skip || name == "." || name == ".." {
            continue;
        }
        let unchanged = statat(sandbox, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| before.has(entry.file_name(), &stat));
        if !unchanged {
            let wanted = Wanted { name: Some(name), listed: false, executable: false };
            sender.item(Path::new(name), wanted)?;
        }
    }
    Ok(())
}
