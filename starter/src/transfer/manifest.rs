//! The list that goes with a checkpoint in a place of its own (`CheckpointDestination`): a line for each
//! file, `<sha256> *<name>`, and a last one for the list itself. Plugins move the files and may lose or
//! change some; the list goes through the shadow, and tells (23.9.6 and 25.14.1).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, MemfdFlags, Mode, OFlags, ResolveFlags, fchmod, memfd_create, unlinkat,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sys::open::openat2;

const PREFIX: &str = "_condor_checkpoint_MANIFEST.";
/// The largest list that is read, in bytes: some 300 000 files.
const LIMIT: u64 = 64 << 20;

/// A checkpoint that isn't as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invalid {
    /// Its number; -1 where there are several.
    pub(crate) number: i64,
    /// What is wrong, in one line.
    pub(crate) text: String,
}

/// The name of the list of a checkpoint.
fn name(number: i64) -> String {
    format!("{PREFIX}{number:04}")
}

/// A list in the making.
#[derive(Debug)]
pub(super) struct Manifest {
    number: i64,
    lines: Vec<u8>,
}

impl Manifest {
    /// That of a checkpoint, without files.
    pub(super) fn new(number: i64) -> Self {
        Self { number, lines: Vec::new() }
    }

    /// Adds a file, by its path in the sandbox.
    pub(super) fn add(&mut self, path: &[u8], file: File) -> io::Result<()> {
        let sum = sum(file)?;
        if path.contains(&b'\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its name has several lines"));
        }
        if (self.lines.len() + sum.len() + path.len()) as u64 > LIMIT - 1024 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there are too many files"));
        }
        self.lines.extend_from_slice(sum.as_bytes());
        self.lines.extend_from_slice(b" *");
        self.lines.extend_from_slice(path);
        self.lines.push(b'\n');
        Ok(())
    }

    /// Its name, and a file with it, which isn't in the sandbox: the job's next run doesn't see it.
    pub(super) fn finish(self) -> io::Result<(String, File)> {
        let name = name(self.number);
        let own = hex(&Sha256::digest(&self.lines));
        let mut file = File::from(memfd_create("manifest", MemfdFlags::CLOEXEC)?);
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        file.write_all(&self.lines)?;
        file.write_all(format!("{own} *{name}\n").as_bytes())?;
        file.rewind()?;
        Ok((name, file))
    }
}

/// The number of the checkpoint that a name is the list of.
fn number_of(name: &[u8]) -> Option<i64> {
    let digits = name.strip_prefix(PREFIX.as_bytes())?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Checks the checkpoint that is in a sandbox, if there is one with a list, which is removed then.
pub(super) fn check(sandbox: BorrowedFd<'_>) -> io::Result<Option<Invalid>> {
    let mut lists = Vec::new();
    for entry in Dir::read_from(sandbox)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        lists.extend(number_of(name).map(|number| (number, name.to_vec())));
    }
    let (number, list) = match lists.as_slice() {
        [] => return Ok(None),
        [(number, list)] => (*number, OsStr::from_bytes(list)),
        _ => {
            let text = "Found more than one MANIFEST file, aborting.".to_owned();
            return Ok(Some(Invalid { number: -1, text }));
        }
    };
    match check_list(sandbox, list) {
        Ok(()) => {
            unlinkat(sandbox, list, AtFlags::empty())?;
            Ok(None)
        }
        Err(text) => Ok(Some(Invalid { number, text })),
    }
}

fn check_list(sandbox: BorrowedFd<'_>, list: &OsStr) -> Result<(), String> {
    const BAD: &str = "Invalid MANIFEST file, aborting.";
    let mut bytes = Vec::new();
    let file = open(sandbox, Path::new(list)).map_err(|_| BAD)?;
    file.take(LIMIT).read_to_end(&mut bytes).map_err(|_| BAD)?;
    let body = bytes.strip_suffix(b"\n").ok_or(BAD)?;
    let last = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (files, own) = body.split_at(last);
    match line(own) {
        Some((sum, of)) if of == list.as_bytes() && sum == hex(&Sha256::digest(files)) => {}
        _ => return Err(BAD.to_owned()),
    }
    if files.is_empty() {
        return Err(BAD.to_owned());
    }
    for entry in files.split(|byte| *byte == b'\n').filter(|entry| !entry.is_empty()) {
        let (listed, name) = line(entry).ok_or(BAD)?;
        let path = Path::new(OsStr::from_bytes(name));
        let shown = path.display();
        let found = open(sandbox, path).and_then(sum).map_err(|error| {
            format!(
                "Failed to open checkpoint file ('{shown}') to compute checksum: {error}, aborting."
            )
        })?;
        if found != listed {
            return Err(format!(
                "Checkpoint file '{shown}' did not have expected checksum ({found} vs {listed}), \
                 aborting."
            ));
        }
    }
    Ok(())
}

/// Sum and name of a line.
fn line(line: &[u8]) -> Option<(&str, &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (sum, rest) = line.split_at(space);
    let name = rest.get(1..)?;
    Some((std::str::from_utf8(sum).ok()?, name.strip_prefix(b"*").unwrap_or(name)))
}

/// A file of the sandbox, and no other.
fn open(sandbox: BorrowedFd<'_>, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(sandbox.as_fd(), path, flags, Mode::empty(), how)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn sum(mut file: File) -> io::Result<String> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&sum.finalize())),
            Ok(length) => sum.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STATE: &str = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0";

    /// A sandbox with two files and the list of checkpoint 7.
    fn sandbox() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("state"), "aaa").unwrap();
        fs::write(dir.path().join("d/e"), "aaa").unwrap();
        write(dir.path(), &format!("{STATE} *state\n{STATE} *d/e\n"));
        dir
    }

    fn write(dir: &Path, files: &str) {
        let own = hex(&Sha256::digest(files));
        let name = name(7);
        fs::write(dir.join(&name), format!("{files}{own} *{name}\n")).unwrap();
    }

    fn checked(dir: &Path) -> Option<Invalid> {
        check(File::open(dir).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn names_have_numbers() {
        assert_eq!(name(7), "_condor_checkpoint_MANIFEST.0007");
        assert_eq!(number_of(b"_condor_checkpoint_MANIFEST.12345"), Some(12345));
        for other in ["", ".", ".-1", ".1x", ".+1", "", ".99999999999999999999"] {
            let name = format!("_condor_checkpoint_MANIFEST{other}");
            assert_eq!(number_of(name.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_checkpoint_as_it_was() {
        let dir = sandbox();
        assert_eq!(checked(dir.path()), None);
        assert!(!dir.path().join(name(7)).exists(), "the job doesn't see the list");
        assert_eq!(checked(dir.path()), None, "there may be none");
    }

    #[test]
    fn what_is_made_passes() {
        let dir = sandbox();
        let mut manifest = Manifest::new(7);
        for path in ["state", "d/e"] {
            manifest.add(path.as_bytes(), File::open(dir.path().join(path)).unwrap()).unwrap();
        }
        let state = File::open(dir.path().join("state")).unwrap();
        assert!(manifest.add(b"a\nb", state).is_err());
        let (made, mut file) = manifest.finish().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(made, name(7));
        assert_eq!(text, fs::read_to_string(dir.path().join(made)).unwrap());
        assert_eq!(checked(dir.path()), None);
    }

    #[test]
    fn files_that_were_lost_or_changed() {
        let dir = sandbox();
        fs::write(dir.path().join("d/e"), "aab").unwrap();
        let invalid = checked(dir.path()).unwrap();
        assert_eq!(invalid.number, 7);
        assert!(invalid.text.starts_with("Checkpoint file 'd/e' did not have"), "{invalid:?}");
        fs::remove_file(dir.path().join("d/e")).unwrap();
        let invalid = checked(dir.path()).unwrap();
        assert!(invalid.text.starts_with("Failed to open checkpoint file ('d/e')"), "{invalid:?}");
    }

    #[test]
    fn lists_that_are_none() {
        let dir = sandbox();
        let list = dir.path().join(name(7));
        let good = fs::read_to_string(&list).unwrap();
        for text in [String::new(), good.replace("state", "stats"), good[..good.len() - 1].into()] {
            fs::write(&list, text).unwrap();
            assert_eq!(checked(dir.path()).unwrap().text, "Invalid MANIFEST file, aborting.");
        }
        write(dir.path(), "");
        assert!(checked(dir.path()).is_some(), "one of nothing");
        fs::write(dir.path().join(name(8)), good).unwrap();
        assert_eq!(checked(dir.path()).unwrap().number, -1);
    }

    #[test]
    fn nothing_outside_is_looked_at() {
        let dir = sandbox();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for name in ["/etc/passwd", "../../etc/passwd", "link", "d", ""] {
            write(dir.path(), &format!("{STATE} *{name}\n"));
            let invalid = checked(dir.path()).unwrap();
            assert!(invalid.text.starts_with("Failed to open"), "{name}: {invalid:?}");
        }
    }
}
