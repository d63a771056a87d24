//! The fence around a sandbox: a project quota, where EXECUTE's file system has those. What is written beyond it fails at
//! once; elsewhere the sandbox is only measured.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::quota;

/// Numbers of projects from here on are sandboxes', one for each number of a process. Admins count from 1.
const FIRST: u32 = 0x4000_0000;
/// The fence is a little behind the limit, so that a job that goes beyond that is found out, and held with its reason:
/// this part of it, and at least so many KiB.
const MARGIN: u64 = 50;
const LEAST_MARGIN: u64 = 1024;

/// A quota that is in force until this is dropped.
#[derive(Debug)]
pub(crate) struct Fence {
    /// EXECUTE.
    execute: OwnedFd,
    project: u32,
}

impl Fence {
    /// Fences a directory that is still empty; `number` is that of the starter. An error where there can be none.
    pub(crate) fn around(
        execute: BorrowedFd<'_>,
        dir: BorrowedFd<'_>,
        number: u32,
        limit_kib: u64,
    ) -> io::Result<Self> {
        let project = FIRST.checked_add(number).ok_or(io::ErrorKind::InvalidInput)?;
        let fence = limit_kib.saturating_add((limit_kib / MARGIN).max(LEAST_MARGIN));
        quota::limit(execute, project, fence)?;
        let made = Self { execute: execute.try_clone_to_owned()?, project };
        quota::assign(dir, project).map(|()| made)
    }

    /// What is taken inside of it, in KiB, by the file system's own count.
    pub(crate) fn used(&self) -> Option<u64> {
        Some(quota::used(self.execute.as_fd(), self.project).ok()?.div_ceil(1024))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if let Err(error) = quota::limit(self.execute.as_fd(), self.project, 0) {
            tracing::warn!("the disk quota of project {} stays: {error}", self.project);
        }
    }
}

/// Whether a file system can have fences: an error says why not.
pub(crate) fn possible(dir: BorrowedFd<'_>) -> io::Result<()> {
    match quota::used(dir, FIRST) {
        // xfs has none for a project that it doesn't know.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map(drop),
    }
}
