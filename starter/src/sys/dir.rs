//! Reading a directory by the descriptor itself. The standard library and rustix open it once more, for
//! callers that share it.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir, SeekFrom, seek};

/// Names and kinds of all entries but `.` and `..`. Nobody else reads by this descriptor meanwhile.
pub(crate) fn entries(dir: BorrowedFd<'_>) -> io::Result<Vec<(CString, FileType)>> {
    seek(dir, SeekFrom::Start(0))?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut list = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            list.push((name.to_owned(), entry.file_type()));
        }
    }
    Ok(list)
}
