//! The receiving process: makes what is sent, on its own side and with its own rights.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::Mode;

use super::copy::{Broken, copy};
use super::link::{Entry, Link, refused};
use super::place::{Level, Place};
use super::progress::Progress;
use super::{MAX_DEPTH, Totals};
use crate::transfer::fault::{Act, Faults, Side, Trouble};

/// The state of the walk that the sender leads.
#[derive(Debug)]
pub(super) struct Receiver<'a> {
    link: &'a Link,
    place: Place<'a>,
    /// The directories entered.
    levels: Vec<Level>,
    /// Their names.
    path: PathBuf,
    /// How many directories deep the walk is in one that could not be made.
    lost: usize,
    totals: Totals,
    faults: Faults,
    buffer: Vec<u8>,
    progress: Progress,
}

impl<'a> Receiver<'a> {
    /// Nothing is received yet.
    pub(super) fn new(link: &'a Link, place: Place<'a>, progress: Progress) -> Self {
        Self {
            link,
            place,
            levels: Vec::new(),
            path: PathBuf::new(),
            lost: 0,
            totals: Totals::default(),
            faults: Faults::default(),
            buffer: Vec::new(),
            progress,
        }
    }

    /// Receives until the sender has said everything. Output that can't be written doesn't keep
    /// the rest from being delivered.
    pub(super) fn run(mut self) -> Result<Totals, Trouble> {
        loop {
            match self.link.receive()? {
                Entry::Enter { name, mode } => self.enter(&name, mode)?,
                Entry::File { name, mode, content } => self.file(&name, mode, &content)?,
                Entry::Leave => self.leave()?,
                Entry::End if self.levels.is_empty() && self.lost == 0 => break,
                Entry::End => return Err(refused("it ends inside a directory")),
            }
        }
        self.faults.verdict().map(|()| self.totals)
    }

    fn enter(&mut self, name: &OsStr, mode: Mode) -> Result<(), Trouble> {
        if self.levels.len() + self.lost >= MAX_DEPTH {
            return Err(refused("directories are nested too deep"));
        }
        if self.lost > 0 {
            self.lost += 1;
            return Ok(());
        }
        self.expect(name, true)?;
        self.path.push(name);
        let parent = self.levels.last().map(|level| level.dir.as_fd());
        // What nobody may use would be no use.
        let mode = if mode.is_empty() { Mode::RWXU } else { mode };
        match self.place.directory(parent, &self.path, mode) {
            Ok(level) => self.levels.push(level),
            Err(errno) => {
                self.fault(Act::Writing, self.place.side(), &errno.into())?;
                self.path.pop();
                self.lost = 1;
            }
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Trouble> {
        if self.lost > 0 {
            self.lost -= 1;
            return Ok(());
        }
        let level = self.levels.pop().ok_or_else(|| refused("it leaves the top"))?;
        if let Err(errno) = level.close() {
            self.fault(Act::Writing, self.place.side(), &errno.into())?;
        }
        self.path.pop();
        Ok(())
    }

    fn file(&mut self, name: &OsStr, mode: Mode, content: &File) -> Result<(), Trouble> {
        if self.lost > 0 {
            return Ok(());
        }
        self.expect(name, false)?;
        self.path.push(name);
        self.progress.next(name, content.metadata().map_or(0, |meta| meta.len()));
        let parent = self.levels.last().map(|level| level.dir.as_fd());
        match self.place.file(parent, &self.path, mode) {
            Ok(file) => self.fill(&file, content)?,
            Err(errno) => self.fault(Act::Writing, self.place.side(), &errno.into())?,
        }
        self.path.pop();
        Ok(())
    }

    fn fill(&mut self, file: &File, content: &File) -> Result<(), Trouble> {
        let (side, from) = match self.place {
            Place::Sandbox { .. } => (Side::Sandbox, Side::Outside),
            Place::Outside(_) => (Side::Outside, Side::Sandbox),
        };
        match copy(content, file, &mut self.buffer, &mut self.progress) {
            Ok(bytes) => {
                self.totals.files += 1;
                self.totals.bytes += bytes;
            }
            Err(Broken::Reading(error)) => self.fault(Act::Reading, from, &error)?,
            Err(Broken::Writing(error)) => self.fault(Act::Writing, side, &error)?,
        }
        // See `catalogue`: only there this matters.
        if side == Side::Sandbox
            && self.levels.is_empty()
            && let Err(error) = file.set_modified(SystemTime::now())
        {
            self.fault(Act::Writing, side, &error)?;
        }
        Ok(())
    }

    fn expect(&self, name: &OsStr, directory: bool) -> Result<(), Trouble> {
        if !self.levels.is_empty() || self.place.expects(name, directory) {
            Ok(())
        } else {
            Err(refused("it is not among the job's output"))
        }
    }

    fn fault(&mut self, act: Act, side: Side, error: &std::io::Error) -> Result<(), Trouble> {
        let direction = self.place.direction();
        let path = match act {
            // Where that is only the sender knows.
            Act::Reading => self.path.clone(),
            Act::Writing => self.place.shown(&self.path),
        };
        let failure = direction.errno(side, act, &path, error);
        self.faults.note(direction, failure)
    }
}
