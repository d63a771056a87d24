//! One line on the terminal while a copy takes long.

use std::ffi::OsStr;
use std::io::Write;
use std::time::{Duration, Instant};

/// What is done sooner is not worth a line.
const PATIENCE: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(200);
/// Of a name, so that the line fits a terminal of 80 columns.
const MAX_NAME: usize = 30;

/// A progress line, or nothing.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    started: Instant,
    drawn: Option<Instant>,
    /// Of all files.
    done: u64,
    name: String,
    /// Of the file that is being copied.
    part: (u64, u64),
}

impl Progress {
    /// Draws on standard error if `shown`, which must be a terminal then.
    pub(super) fn new(shown: bool) -> Self {
        Self {
            shown,
            started: Instant::now(),
            drawn: None,
            done: 0,
            name: String::new(),
            part: (0, 0),
        }
    }

    /// A file of this size comes next.
    pub(super) fn next(&mut self, name: &OsStr, size: u64) {
        if self.shown {
            // Names are data; a terminal obeys control characters.
            let clean = |c: char| if c.is_control() { '?' } else { c };
            self.name = name.to_string_lossy().chars().map(clean).take(MAX_NAME).collect();
            self.part = (0, size);
            self.draw();
        }
    }

    /// So many bytes of it were copied.
    pub(super) fn advance(&mut self, count: usize) {
        if self.shown {
            self.done += count as u64;
            self.part.0 += count as u64;
            self.draw();
        }
    }

    fn draw(&mut self) {
        let now = Instant::now();
        let elapsed = now - self.started;
        let early = elapsed < PATIENCE || self.drawn.is_some_and(|last| now - last < BETWEEN);
        if early {
            return;
        }
        self.drawn = Some(now);
        let line = self.line(elapsed);
        // A terminal that is gone is no reason to stop copying.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
    }

    fn line(&self, elapsed: Duration) -> String {
        let milliseconds = elapsed.as_millis().max(1);
        let rate = u128::from(self.done) * 1000 / milliseconds;
        let (part, size) = self.part;
        let name = &self.name;
        let rate = Size(u64::try_from(rate).unwrap_or(u64::MAX));
        let done = Size(self.done);
        format!("{name}: {} of {} - {done} copied, {rate}/s", Size(part), Size(size.max(part)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        clear(self.drawn.is_some());
    }
}

/// Takes the line away; also for a process that could not do so any more.
pub(super) fn clear(shown: bool) {
    if shown {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}

/// Bytes for people.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut unit = "B";
        let mut tenths = self.0.saturating_mul(10);
        for larger in ["kB", "MB", "GB", "TB"] {
            if tenths < 10_000 {
                break;
            }
            tenths /= 1000;
            unit = larger;
        }
        if unit == "B" {
            write!(f, "{} B", self.0)
        } else {
            write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_250_000, "1.2 MB")];
        for (bytes, text) in sizes {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(Size(5_000_000_000_000).to_string(), "5.0 TB");
    }

    #[test]
    fn a_name_can_not_command_the_terminal() {
        let mut progress = Progress::new(true);
        progress.next(OsStr::new("a\x1b[2Jb\n"), 10);
        progress.advance(5);
        let line = progress.line(Duration::from_secs(1));
        assert_eq!(line, "a?[2Jb?: 5 B of 10 B - 5 B copied, 5 B/s");
    }
}
