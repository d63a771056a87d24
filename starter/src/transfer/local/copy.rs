//! Copies the content of an open file, by the kernel alone where it can.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::copy_file_range;

use super::progress::Progress;

/// How much is copied between two looks at the clock.
const RANGE: usize = 16 << 20;
/// The buffer where the kernel can't copy between the two file systems.
const BUFFER: usize = 512 << 10;

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The file that is read.
    Reading(io::Error),
    /// The file that is written.
    Writing(io::Error),
}

/// Copies until the end of `from`; the number of bytes. `buffer` is made when first needed.
pub(super) fn copy(
    mut from: &File,
    mut to: &File,
    buffer: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<u64, Broken> {
    let mut copied = 0;
    loop {
        match copy_file_range(from, None, to, None, RANGE) {
            // Files of /proc and /sys have content that this call doesn't see.
            Ok(0) if copied == 0 => break,
            Ok(0) => return Ok(copied),
            Ok(count) => {
                copied += count as u64;
                progress.advance(count);
            }
            // Whatever it is, the other way shows it again with the side that it belongs to.
            Err(_) => break,
        }
    }
    buffer.resize(BUFFER, 0);
    loop {
        let count = match from.read(buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broken::Reading(error)),
        };
        to.write_all(buffer.get(..count).unwrap_or_default()).map_err(Broken::Writing)?;
        copied += count as u64;
        progress.advance(count);
    }
}
