//! A look at named roots in bounded time.
//!
//! A look at a directory of a dead network file system can take for ever, and a startd waits for its
//! probe. So a child looks, and is left behind if it gets stuck. It holds nothing that the startd reads
//! from: the startd sees the end of the probe's output all the same.

use std::fs;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{Finding, Looked};
use crate::knobs::roots::NamedRoot;
use crate::sys::clone::{self, Child, Side};
use crate::sys::{exec, process};

/// Looks at all roots. One child does them in turn; if it has no answer after `patience`, the root it
/// was at is unfit, and those behind it are looked at by a child each, at the same time, for as long
/// again.
pub(super) fn examine(
    roots: &[&NamedRoot],
    patience: Duration,
    look: impl Fn(&NamedRoot) -> Looked,
) -> Vec<Looked> {
    examine_with(roots.len(), patience, |index| look(roots[index]))
        .into_iter()
        .zip(roots)
        .map(|(answer, root)| {
            answer.unwrap_or_else(|| {
                let path = root.path.display();
                let seconds = patience.as_secs_f32();
                let why = match root.binds.is_empty() {
                    true => format!("{path}: no answer within {seconds} s: is its file system there?"),
                    false => format!(
                        "{path}, or what is bound into it, gave no answer within {seconds} s: are the file \
                         systems there?"
                    ),
                };
                Looked::failed(Finding::fail("root-answer", why))
            })
        })
        .collect()
}

fn examine_with(
    count: usize,
    patience: Duration,
    look: impl Fn(usize) -> Looked,
) -> Vec<Option<Looked>> {
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
    look: &impl Fn(usize) -> Looked,
    answers: &mut [Option<Looked>],
) {
    let deadline = Instant::now() + patience;
    let mut asked = Vec::new();
    for range in ranges {
        match start(range.clone(), look) {
            Ok(child) => asked.push(child),
            Err(error) => answers[range.clone()].fill(Some(unseen(&error))),
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
            answers[index] = Some(read(line).unwrap_or_else(|| unseen(&"no sense in the answer")));
        }
        if one.ended {
            for answer in answers[one.range].iter_mut().filter(|answer| answer.is_none()) {
                *answer = Some(unseen(&"it ended without an answer"));
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

fn start(range: Range<usize>, look: &impl Fn(usize) -> Looked) -> io::Result<Asked> {
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
fn answer(range: Range<usize>, look: &impl Fn(usize) -> Looked, pipe: OwnedFd) {
    let mut pipe = fs::File::from(pipe);
    for index in range {
        // Plain types, which can always be written.
        let bytes = postcard::to_stdvec(&look(index)).unwrap_or_default();
        let line = format!("{}\n", Base64::encode_string(&bytes));
        if pipe.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(line: &str) -> Option<Looked> {
    postcard::from_bytes(&Base64::decode_vec(line).ok()?).ok()
}

fn unseen(why: &dyn std::fmt::Display) -> Looked {
    Looked::failed(Finding::fail("root-answer", format!("the look at it failed: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn good() -> Looked {
        let findings = vec![Finding::ok("root-path", "two\nlines")];
        Looked { findings, revision: Some("7".into()), system: None }
    }

    fn stuck() -> Looked {
        std::thread::sleep(Duration::from_secs(60));
        good()
    }

    #[test]
    fn all_answers_come_from_one_child() {
        let bad = Looked::failed(Finding::fail("x", "y"));
        let answers = examine_with(3, Duration::from_secs(20), |index| match index {
            1 => bad.clone(),
            _ => good(),
        });
        assert_eq!(answers, [Some(good()), Some(bad), Some(good())]);
        assert_eq!(examine_with(0, PATIENCE, |_| good()), []);
    }

    #[test]
    fn roots_that_hang_cost_two_waits_and_no_other_root() {
        let begun = Instant::now();
        let answers =
            examine_with(6, PATIENCE, |index| if index % 2 == 1 { stuck() } else { good() });
        let good = Some(good());
        assert_eq!(answers, [good.clone(), None, good.clone(), None, good, None]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_child_that_dies_is_no_answer() {
        let answers = examine_with(2, Duration::from_secs(20), |index| {
            if index == 1 { exec::leave(1) } else { good() }
        });
        assert_eq!(answers[0], Some(good()));
        let why = answers[1].as_ref().and_then(Looked::unfit);
        assert!(why.is_some_and(|why| why.contains("without an answer")));
    }
}
