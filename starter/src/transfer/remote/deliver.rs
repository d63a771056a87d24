//! Output: this side sends, the shadow puts it where it belongs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use classad::ClassAd;
use condor_cedar::file::{CHUNK, EmptyMark, Mode as FileMode, Size};
use rustix::fs::{Stat, fstat};

use super::ack::{self, Dialect, Problem, SENDER, Stats};
use super::channel::Channel;
use super::goahead::GoAhead;
use super::select::rename_core;
use super::source::Source;
use super::targets::{Way, way};
use super::walk::{Item, Walk, Why};
use super::{Delivered, Output, Peer, item};
use crate::failure::{Context, Failure, Step};
use crate::transfer::fault::{Act, Direction};
use crate::transfer::manifest::Manifest;
use crate::transfer::names;
use crate::transfer::plugins::{Caller, UrlStats};
use crate::transfer::{Catalogue, Loudness};

/// `HoldReasonCode`: more output than the shadow takes.
const TOO_MUCH: i32 = 33;
/// More names than these aren't remembered.
const MAX_NAMES: usize = 100_000;
/// How long a shadow that has closed the connection is listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Delivers the output of a job from its sandbox to its shadow.
///
/// What can't be read is left out, and the rest sent all the same.
///
/// # Errors
///
/// As for [`fetch`](super::fetch()). The first file that couldn't be sent makes the failure.
pub(crate) fn deliver(
    peer: &Peer,
    what: &Output,
    sandbox: BorrowedFd<'_>,
    before: &Catalogue,
    plugins: &mut Caller<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Delivered, Failure> {
    if let Some(contents) = &what.contents
        && let Err(error) = contents.after(sandbox)
    {
        plugins.told.say(Loudness::Always, format!("Manifest {}: {error}", contents.directory));
    }
    let core = rename_core(sandbox, what.core.as_ref(), before);
    // Twice through the directories, lest a list of a million files fill the memory.
    let mut total: u64 = 0;
    let mut uploads = Vec::new();
    let mut manifest = what.urls.checkpoint().map(Manifest::new);
    plugins.is_checkpoint = manifest.is_some();
    Walk::new(sandbox, what, before, core).run(&mut |item| {
        match (way(what, &item), &item) {
            (Way::Plugin(_), _) if uploads.len() >= MAX_NAMES => {
                return Err(Direction::Out.hold(libc::E2BIG, "too many files for URLs"));
            }
            (Way::Plugin(upload), item) => {
                if let Some(manifest) = &mut manifest {
                    list(manifest, item).map_err(|error| unlisted(&upload.local, &error))?;
                }
                uploads.push(upload);
            }
            (Way::Shadow, Item::File { size, .. }) => total = total.saturating_add(*size),
            _ => {}
        }
        Ok(())
    })?;
    let manifest = match manifest.map(Manifest::finish).transpose() {
        Ok(manifest) => manifest,
        Err(error) => return Err(unlisted(Path::new("its list"), &error)),
    };
    if let Some((_, file)) = &manifest {
        total = total.saturating_add(file.metadata().map_or(0, |found| found.len()));
    }
    let mut channel = Channel::open(peer, Direction::Out)?;
    let mut size = ClassAd::new();
    size.insert("SandboxSize", i64::try_from(total).unwrap_or(i64::MAX));
    channel.queue(|message| {
        message.i64(what.is_final).value(&size);
    })?;
    let mut sender = Sender {
        channel,
        what,
        progress,
        go_ahead: GoAhead::default(),
        problem: None,
        problems: 0,
        stats: Stats::default(),
        spooled: Vec::new(),
        unstored: None,
    };
    let mut walk = Walk::new(sandbox, what, before, core);
    let sent = sender
        .store(uploads, plugins)
        .and_then(|()| walk.run(&mut |item| sender.item(item)))
        .and_then(|()| manifest.map_or(Ok(()), |made| sender.manifest(sandbox, made)));
    if let Err(failure) = sent {
        return Err(sender.interrupted(failure));
    }
    let dialect = Dialect::of(peer.shadow_version.as_deref());
    let (stats, spooled) = sender.finish(dialect, &plugins.stats)?;
    let core = core.map(|core| core.to_string_lossy().into_owned());
    Ok(Delivered { stats, spooled, core, warnings: walk.warnings })
}

pub(super) struct Sender<'a> {
    pub(super) channel: Channel,
    pub(super) what: &'a Output,
    progress: &'a mut dyn FnMut(u64),
    go_ahead: GoAhead,
    /// The first thing that couldn't be sent.
    problem: Option<Problem>,
    /// How many couldn't.
    problems: u64,
    stats: Stats,
    spooled: Vec<String>,
    /// Why files of a checkpoint aren't where they belong, which the shadow was told.
    pub(super) unstored: Option<String>,
}

impl Sender<'_> {
    fn item(&mut self, item: Item<'_>) -> Result<(), Failure> {
        if !matches!(way(self.what, &item), Way::Shadow) {
            return Ok(());
        }
        match item {
            Item::Directory { dest, mode } => {
                self.head(item::DIRECTORY, dest)?;
                self.channel.queue_int(mode.into())?;
                self.stats.files += 1;
                self.sent(dest);
                Ok(())
            }
            Item::File { dest, source, .. } => {
                self.head(item::FILE, dest)?;
                match source.file() {
                    Ok((file, stat)) => self.file(dest, source, file, &stat),
                    Err(errno) => {
                        self.problem(source.path, Why::Errno(errno));
                        self.nothing()
                    }
                }
            }
            Item::Failing { dest, path, why } => {
                self.problem(path, why);
                self.head(item::FILE, dest)?;
                self.nothing()
            }
        }
    }

    /// The list of a checkpoint that plugins have stored.
    fn manifest(
        &mut self,
        top: BorrowedFd<'_>,
        (name, file): (String, File),
    ) -> Result<(), Failure> {
        let stat = fstat(&file).at(Step::Output, "list of a checkpoint")?;
        let dest = name.as_bytes();
        let source = Source { top, dir: None, name: dest, path: dest, link: false };
        self.head(item::FILE, dest)?;
        self.file(dest, source, file, &stat)
    }

    /// What precedes every body.
    pub(super) fn head(&mut self, command: i64, dest: &[u8]) -> Result<(), Failure> {
        self.channel.queue_int(command)?;
        self.channel.queue(|message| {
            message.string(dest);
        })?;
        self.go_ahead.exchange(&mut self.channel)
    }

    /// In place of a file that isn't there: the receiver makes none.
    fn nothing(&mut self) -> Result<(), Failure> {
        self.channel.queue(|message| {
            message.value(&FileMode::Missing);
        })?;
        self.channel.queue(|message| {
            message.value(&Size::NONE);
        })?;
        self.channel.queue(|message| {
            message.value(&EmptyMark);
        })
    }

    fn file(
        &mut self,
        dest: &[u8],
        source: Source<'_>,
        mut file: File,
        stat: &Stat,
    ) -> Result<(), Failure> {
        let whole = u64::try_from(stat.st_size).unwrap_or_default();
        let allowed = self.go_ahead.limit.map(|limit| limit.saturating_sub(self.stats.bytes));
        let bytes = whole.min(allowed.unwrap_or(u64::MAX));
        let bits = u16::try_from(stat.st_mode & 0o777).unwrap_or_default();
        self.channel.queue(|message| {
            message.value(&FileMode::Permissions(bits));
        })?;
        self.channel.queue(|message| {
            message.value(&Size::new(bytes));
        })?;
        if bytes == 0 {
            self.channel.queue(|message| {
                message.value(&EmptyMark);
            })?;
        } else if let Some(error) = self.body(&mut file, bytes)? {
            let path = item::shown(&self.what.sandbox, source.path);
            let problem = if error.kind() == io::ErrorKind::UnexpectedEof {
                let text =
                    format!("|Error: sending file {}: it became shorter meanwhile", path.display());
                Problem { again: true, code: SENDER, subcode: 0, text }
            } else {
                item::problem(Act::Reading, SENDER, &path, &error)
            };
            self.note(problem);
        }
        if bytes < whole {
            let path = item::shown(&self.what.sandbox, source.path);
            let limit = self.go_ahead.limit.unwrap_or_default();
            let text = format!(
                "|Error: sending file {}: max total download bytes exceeded (max={} MB, this \
                 file={} MB)",
                path.display(),
                limit >> 20,
                whole >> 20
            );
            self.note(Problem { again: false, code: TOO_MUCH, subcode: 0, text });
        }
        self.stats.files += 1;
        self.stats.bytes += bytes;
        self.sent(dest);
        Ok(())
    }

    /// Sends as many bytes as were announced: zeros, when the file has no more or can't be read any
    /// further, for only then can be said what is wrong with it.
    fn body(&mut self, file: &mut File, bytes: u64) -> Result<Option<io::Error>, Failure> {
        let mut trouble = None;
        let mut left = bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let queued = self.channel.queue_chunk(length, |space| {
                if trouble.is_none() {
                    trouble = fill(file, space).err();
                } else {
                    space.fill(0);
                }
                Ok::<_, std::convert::Infallible>(space.len())
            })?;
            let Ok(count) = queued;
            left -= count as u64;
            (self.progress)(count as u64);
        }
        Ok(trouble)
    }

    /// Remembers a name that came back.
    fn sent(&mut self, dest: &[u8]) {
        let top = !dest.contains(&b'/');
        let name = std::os::unix::ffi::OsStrExt::from_bytes(dest);
        if top && !names::is_standard(name) && self.spooled.len() < MAX_NAMES {
            self.spooled.push(String::from_utf8_lossy(dest).into_owned());
        }
    }

    fn problem(&mut self, path: &[u8], why: Why) {
        let path = item::shown(&self.what.sandbox, path);
        let held = |errno: i32, reason: &str| Problem {
            again: false,
            code: SENDER,
            subcode: errno,
            text: format!("|Error: reading from file {}: (errno {errno}) {reason}", path.display()),
        };
        let problem = match why {
            Why::Errno(errno) => item::problem(Act::Reading, SENDER, &path, &errno.into()),
            Why::LinkedDirectory => held(
                libc::EISDIR,
                "Is a directory- Transfer of symlinks to directories is not supported.",
            ),
            Why::Deep => held(libc::ELOOP, "directories are nested too deep: send an archive"),
            Why::Nameless => held(libc::EINVAL, "it names no file in the sandbox"),
        };
        self.note(problem);
    }

    pub(super) fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
        self.problems += 1;
    }

    /// The first problem, with the number of all.
    fn verdict(&mut self) -> Option<Problem> {
        let mut problem = self.problem.take()?;
        if self.problems > 1 {
            const MARK: &str = "|Error: ";
            let first = problem.text.strip_prefix(MARK).unwrap_or(&problem.text);
            problem.text =
                format!("{MARK}{} total failures: first failure: {first}", self.problems);
        }
        Some(problem)
    }

    /// The acks of both sides.
    fn finish(
        mut self,
        dialect: Dialect,
        urls: &UrlStats,
    ) -> Result<(Stats, Vec<String>), Failure> {
        self.channel.queue_int(item::END)?;
        let problem = self.verdict();
        let channel = &mut self.channel;
        let side =
            format!("STARTER at {} failed to send file(s) to {}", channel.own, channel.shadow);
        let Some(problem) = problem else {
            ack::send(channel, (self.stats, urls), dialect, Ok(()))?;
            return match ack::receive(channel)? {
                None => {
                    channel.farewell();
                    match self.unstored {
                        None => Ok((self.stats, self.spooled)),
                        Some(text) => Err(Direction::Out.host(text)),
                    }
                }
                Some(theirs) if theirs.again && self.unstored.is_some() => {
                    let text = format!("{side}: {}", self.unstored.unwrap_or_default());
                    Err(blamed(&text, &theirs))
                }
                Some(theirs) => Err(blamed(&side, &theirs)),
            };
        };
        let own = format!("{side}: {}", problem.text);
        let told = ack::send(channel, (self.stats, urls), dialect, Err((&problem, &own)));
        // The shadow has nothing to add but its name; whether it comes through doesn't matter.
        let theirs = told.and_then(|()| ack::receive(channel)).ok().flatten();
        let text = match theirs {
            Some(theirs) if !theirs.text.is_empty() => format!("{own}; {}", theirs.text),
            _ => own,
        };
        Err(problem.failure(Direction::Out, text))
    }

    /// The shadow may have said why it closed the connection.
    fn interrupted(mut self, failure: Failure) -> Failure {
        let channel = &mut self.channel;
        let side =
            format!("STARTER at {} failed to send file(s) to {}", channel.own, channel.shadow);
        match channel.wait(Some(LAST_WORDS)).and_then(|()| ack::receive(channel)) {
            Ok(Some(problem)) => blamed(&side, &problem),
            _ => failure,
        }
    }
}

/// Adds a file to the list of a checkpoint.
fn list(manifest: &mut Manifest, item: &Item<'_>) -> io::Result<()> {
    match item {
        Item::File { source, .. } => manifest.add(source.path, source.file()?.0),
        Item::Failing { why: Why::Errno(errno), .. } => Err((*errno).into()),
        Item::Failing { .. } | Item::Directory { .. } => Ok(()),
    }
}

/// HTCondor goes on without such a checkpoint, too.
fn unlisted(path: &Path, error: &io::Error) -> Failure {
    Direction::Out.host(format_args!(
        "Failed to compute file ({}) checksum when sending checkpoint, aborting: {error}",
        path.display()
    ))
}

/// The failure that the shadow's ack tells of.
fn blamed(side: &str, theirs: &Problem) -> Failure {
    theirs.failure(Direction::Out, format!("{side}; {}", theirs.text))
}

/// Fills all of the space, with zeros behind an early end.
fn fill(file: &mut File, space: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < space.len() {
        let rest = space.get_mut(filled..).unwrap_or_default();
        let result = match file.read(rest) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other,
        };
        match result {
            Ok(count) => filled += count,
            Err(error) => {
                rest.fill(0);
                return Err(error);
            }
        }
    }
    Ok(())
}
