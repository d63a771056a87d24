//! What goes wrong while files are copied: whose fault it is, and in which words HTCondor says so.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Step, hold};

/// Which way files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Input, into the sandbox.
    In,
    /// Output, out of it.
    Out,
}

impl Direction {
    /// The step in the life of the job.
    pub(super) fn step(self) -> Step {
        match self {
            Self::In => Step::Input,
            Self::Out => Step::Output,
        }
    }

    /// A fault of the job, with an errno or 0.
    pub(super) fn hold(self, errno: i32, details: impl fmt::Display) -> Failure {
        let (code, what) = match self {
            Self::In => (hold::DOWNLOAD_FILE, "input"),
            Self::Out => (hold::UPLOAD_FILE, "output"),
        };
        let message = format!("Transfer {what} files failure. Details: {details}");
        Failure::job(self.step(), code, errno, message)
    }

    /// A fault of this machine.
    pub(super) fn host(self, details: impl fmt::Display) -> Failure {
        Failure::host(self.step(), format!("transfer of {self}: {details}"))
    }

    /// A system call that failed on a file. In the sandbox a full or broken disk is this machine's
    /// fault, outside it is the submitter's; what this process lacks is never the job's fault.
    pub(super) fn errno(self, side: Side, act: Act, path: &Path, error: &io::Error) -> Failure {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let text = nix::errno::Errno::from_raw(errno).desc();
        let details = format!("{act} file {}: (errno {errno}) {text}", path.display());
        let ours = match errno {
            libc::EMFILE | libc::ENFILE | libc::ENOMEM => true,
            libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EROFS | libc::ESTALE => {
                side == Side::Sandbox
            }
            _ => false,
        };
        if ours { self.host(details) } else { self.hold(errno, details) }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "input files",
            Self::Out => "output files",
        })
    }
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// In the job's sandbox.
    Sandbox,
    /// Among the submitter's files.
    Outside,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Looked at, opened or read.
    Reading,
    /// Made, emptied or written.
    Writing,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading from",
            Self::Writing => "writing to",
        })
    }
}

/// Why one of the two processes stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Trouble {
    /// It failed.
    Failed(Failure),
    /// The other one is gone and knows why.
    PeerGone,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Failures of single files that don't stop the rest, as HTCondor counts them.
#[derive(Debug, Default)]
pub(super) struct Faults {
    first: Option<Failure>,
    count: u64,
}

impl Faults {
    /// Notes one. Input ends with the first: the job can't start without.
    pub(super) fn note(&mut self, direction: Direction, failure: Failure) -> Result<(), Trouble> {
        if direction == Direction::In {
            return Err(failure.into());
        }
        self.count += 1;
        self.first.get_or_insert(failure);
        Ok(())
    }

    /// The first of all, if there was one.
    pub(super) fn verdict(self) -> Result<(), Trouble> {
        match self.first {
            None => Ok(()),
            Some(mut failure) => {
                if self.count > 1 {
                    let text = format!("{} total failures: first failure: ", self.count);
                    failure.message.insert_str(0, &text);
                }
                Err(failure.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Disposition;

    #[test]
    fn a_full_disk_is_the_fault_of_the_side_it_is_on() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let path = Path::new("/x");
        let sandbox = Direction::In.errno(Side::Sandbox, Act::Writing, path, &full);
        assert_eq!(sandbox.disposition, Disposition::Elsewhere);
        assert_eq!(
            sandbox.message,
            "transfer of input files: writing to file /x: (errno 28) No space left on device"
        );
        let outside = Direction::Out.errno(Side::Outside, Act::Writing, path, &full);
        assert_eq!(outside.disposition, Disposition::Hold { code: 12, subcode: libc::ENOSPC });
        let exhausted = io::Error::from_raw_os_error(libc::EMFILE);
        let ours = Direction::In.errno(Side::Outside, Act::Reading, path, &exhausted);
        assert_eq!(ours.disposition, Disposition::Elsewhere);
    }
}
