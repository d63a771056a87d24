//! The copy of the log that a job asks for (`starter_debug`, `starter_log`): kept in memory, because its
//! place in the sandbox is the job's, and put there by the launcher before output is taken out.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// Most bytes that are kept: nobody reads on after that.
const MOST: usize = 4 << 20;

/// The copy. Processes forked after it was made write to the same one.
#[derive(Debug)]
pub(super) struct Second {
    file: File,
    /// What this process may still write.
    left: usize,
    /// Lines for debugging too.
    pub(super) verbose: bool,
}

impl Second {
    /// An empty one.
    pub(super) fn new(verbose: bool) -> io::Result<Self> {
        let file = memfd_create("starter.log", MemfdFlags::CLOEXEC)?.into();
        Ok(Self { file, left: MOST, verbose })
    }

    /// Adds lines, as long as there is room.
    pub(super) fn append(&mut self, text: &str) {
        if text.len() <= self.left && self.file.write_all(text.as_bytes()).is_ok() {
            self.left -= text.len();
        } else {
            self.left = 0;
        }
    }

    /// All that was written so far.
    pub(super) fn content(&self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }
}

/// The levels of `-a2 [LEVEL,...]PATH`: what stands before the path.
pub(super) fn levels(spec: &str) -> &str {
    spec.rsplit_once(',').map_or("", |(levels, _)| levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_up_to_a_limit() {
        let mut second = Second::new(false).unwrap();
        second.append("one\n");
        second.append("two\n");
        assert_eq!(second.content().unwrap(), b"one\ntwo\n");
        second.append(&"x".repeat(MOST));
        second.append("three\n");
        assert_eq!(second.content().unwrap(), b"one\ntwo\n");
        assert_eq!(levels("D_FULLDEBUG,D_CAT,/e/dir_1/.starter.log"), "D_FULLDEBUG,D_CAT");
        assert_eq!(levels("$(EXECUTE)/dir_$(PID)/.starter.log"), "");
    }
}
