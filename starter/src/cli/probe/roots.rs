//! Which named roots are fit for jobs, in bounded time.
//!
//! A look at a directory of a dead network file system can take for ever, and a startd waits for its
//! probe. So a child looks, and is left behind if it gets stuck. It holds nothing that the startd reads
//! from: the startd sees the end of the probe's output all the same.

use std::ffi::CStr;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::failure::Reason;
use crate::launcher::root;
use crate::plan::NamedRoot;
use crate::sys::clone::{self, Child, Side};
use crate::sys::{exec, process};

/// Why a root can't be used; `Ok` if it can.
pub(super) type Fitness = Result<(), String>;

/// Looks at all roots. One child does them in turn; if it has no answer after `patience`, the root it
/// was at is unfit, and those behind it are looked at by a child each, at the same time, for as long
/// again.
pub(super) fn examine(roots: &[NamedRoot], execute: &Path, patience: Duration) -> Vec<Fitness> {
    examine_with(roots.len(), patience, |index| fitness(&roots[index], execute))
        .into_iter()
        .zip(roots)
        .map(|(answer, root)| match answer {
            Some(fitness) => fitness,
            None => Err(format!(
                "{}: no answer within {} s: is its file system there?",
                root.path.display(),
                patience.as_secs_f32()
            )),
        })
        .collect()
}

fn examine_with(
    count: usize,
    patience: Duration,
    look: impl Fn(usize) -> Fitness,
) -> Vec<Option<Fitness>> {
    let mut answers = vec![None; count];
    if count > 0 {
        ask(std::slice::from_ref(&(0..count)), patience, &look, &mut answers);
    }
    let stuck = answers.iter().position(Option::is_none);
    let behind: Vec<Range<usize>> =
        stuck.map_or(count..count, |at| at + 1..count).map(|at| at..at + 1).collect();
    if !behind.is_empty() {
        ask(&behind, patience, &look, &mut answers);
    }
    answers
}

/// A child at work on some roots.
struct Asked {
    child: Child,
    pipe: fs::File,
    range: Range<usize>,
    text: Vec<u8>,
    ended: bool,
}

/// A child for each range. What isn't answered in time stays `None`.
fn ask(
    ranges: &[Range<usize>],
    patience: Duration,
    look: &impl Fn(usize) -> Fitness,
    answers: &mut [Option<Fitness>],
) {
    let deadline = Instant::now() + patience;
    let mut asked = Vec::new();
    for range in ranges {
        match start(range.clone(), look) {
            Ok(child) => asked.push(child),
            Err(error) => answers[range.clone()].fill(Some(Err(format!("no check: {error}")))),
        }
    }
    while asked.iter().any(|one| !one.ended) {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting: Vec<&mut Asked> = asked.iter_mut().filter(|one| !one.ended).collect();
        let mut fds: Vec<PollFd<'_>> =
            waiting.iter().map(|one| PollFd::new(one.pipe.as_fd(), PollFlags::POLLIN)).collect();
        // Rounded up, so that the last round doesn't spin.
        let milliseconds = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(0) | Err(_) if left.is_zero() => break,
            _ => {}
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        for (one, _) in waiting.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            one.read();
        }
    }
    for one in asked {
        let lines = String::from_utf8_lossy(&one.text);
        // Only whole lines: a child that was stopped half-way has not answered.
        let whole = lines.rfind('\n').map_or("", |end| &lines[..end]);
        for (index, line) in one.range.clone().zip(whole.lines()) {
            answers[index] = Some(if line == "ok" { Ok(()) } else { Err(line.to_owned()) });
        }
        if one.ended {
            for answer in answers[one.range].iter_mut().filter(|answer| answer.is_none()) {
                *answer = Some(Err("the check ended without an answer".to_owned()));
            }
        } else {
            // It dies when the file system lets it; nobody waits for that.
            let _ = kill(one.child.pid, Signal::SIGKILL);
        }
    }
}

impl Asked {
    fn read(&mut self) {
        let mut part = [0; 4096];
        match self.pipe.read(&mut part) {
            Ok(0) => self.ended = true,
            Ok(length) => self.text.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.ended = true,
        }
    }
}

fn start(range: Range<usize>, look: &impl Fn(usize) -> Fitness) -> io::Result<Asked> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    match clone::fork(CloneFlags::empty())? {
        Side::Parent(child) => {
            let pipe = fs::File::from(ours);
            Ok(Asked { child, pipe, range, text: Vec::new(), ended: false })
        }
        Side::Child => {
            let held = process::close_everything_but(&[theirs.as_fd()]).is_ok()
                && process::die_with_parent().is_ok();
            if held {
                answer(range, look, theirs);
            }
            exec::leave(0)
        }
    }
}

/// In the child: a line for each root.
fn answer(range: Range<usize>, look: &impl Fn(usize) -> Fitness, pipe: OwnedFd) {
    let mut pipe = fs::File::from(pipe);
    for index in range {
        let line = match look(index) {
            Ok(()) => "ok\n".to_owned(),
            Err(why) => format!("{}\n", why.replace('\n', " ")),
        };
        if pipe.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// What the launcher demands of a root, and that there is something in it: an empty directory is where
/// a file system should be mounted.
fn fitness(root: &NamedRoot, execute: &Path) -> Fitness {
    root.apart_from(execute)?;
    if let Ok(plain) = fs::canonicalize(execute) {
        root.apart_from(&plain)?;
    }
    let dir = root::open(root).map_err(|failure| {
        // The name stands in front of the reason already, in the log and in the attribute.
        let known = format!("named root {} can't be used: ", root.name);
        failure.message.strip_prefix(&known).unwrap_or(&failure.message).to_owned()
    })?;
    let refuse =
        |error: rustix::io::Errno| format!("{}: {}", root.path.display(), Reason(&error.into()));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = openat(&dir, c".", flags, Mode::empty()).and_then(Dir::new).map_err(refuse)?;
    for entry in entries {
        let entry = entry.map_err(refuse)?;
        if ![c".", c".."].contains(&(entry.file_name() as &CStr)) {
            return Ok(());
        }
    }
    Err(format!("{} is empty: is its file system mounted?", root.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn stuck() -> Fitness {
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    }

    #[test]
    fn all_answers_come_from_one_child() {
        let answers = examine_with(3, Duration::from_secs(20), |index| match index {
            1 => Err("two\nlines".to_owned()),
            _ => Ok(()),
        });
        assert_eq!(answers, [Some(Ok(())), Some(Err("two lines".into())), Some(Ok(()))]);
        assert_eq!(examine_with(0, PATIENCE, |_| Ok(())), []);
    }

    #[test]
    fn roots_that_hang_cost_two_waits_and_no_other_root() {
        let begun = Instant::now();
        let answers =
            examine_with(6, PATIENCE, |index| if index % 2 == 1 { stuck() } else { Ok(()) });
        let good = Some(Ok(()));
        assert_eq!(answers, [good.clone(), None, good.clone(), None, good, None]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_child_that_dies_is_no_answer() {
        let answers = examine_with(2, Duration::from_secs(20), |index| {
            if index == 1 { exec::leave(1) } else { Ok(()) }
        });
        assert_eq!(answers[0], Some(Ok(())));
        assert!(matches!(&answers[1], Some(Err(why)) if why.contains("without an answer")));
    }
}
