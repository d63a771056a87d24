//! Input: the shadow sends, this side makes what is sent.

use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use classad::ClassAd;
use condor_cedar::file::{Body, Mode as FileMode, Size};
use rustix::fs::Mode;

use super::ack::{self, Dialect, Problem, RECEIVER, Stats};
use super::channel::{self, Channel};
use super::goahead::GoAhead;
use super::item;
use super::tree::{Name, Tree};
use super::{Fetched, Input, Peer};
use crate::failure::{Context, Failure, Step};
use crate::transfer::fault::{Act, Direction};
use crate::transfer::plugins::{Caller, Wanted};
use crate::transfer::{Catalogue, Loudness, Told, manifest};

/// Of a file whose permissions the shadow doesn't know.
const PRIVATE: u16 = 0o600;
/// Of the program.
const PROGRAM: u16 = 0o755;
/// Seconds that the shadow gets to look at what it has to send.
const PATIENCE: u32 = 300;
/// More URLs than these are too many.
const MAX_URLS: usize = 100_000;

/// Fetches the input of a job from its shadow into the sandbox.
///
/// This process has the account of the job, a umask of 0, and nothing to lose. Whatever can't be
/// written, the conversation is gone through to its end, so that both sides know why it failed.
///
/// # Errors
///
/// A connection that is lost, silent or broken is this machine's failure, and so is what the shadow
/// says may go well another time. What the shadow can't send, and what has no place in the sandbox,
/// holds the job with HTCondor's codes.
pub(crate) fn fetch(
    peer: &Peer,
    what: &Input,
    sandbox: BorrowedFd<'_>,
    plugins: &mut Caller<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Fetched, Failure> {
    let mut channel = Channel::open(peer, Direction::In)?;
    channel.flush()?;
    receive_head(&mut channel)?;
    let mut receiver = Receiver {
        channel,
        what,
        tree: Tree::new(sandbox),
        progress,
        go_ahead: GoAhead::default(),
        problem: None,
        stats: Stats::default(),
        urls: Vec::new(),
        told: Told::default(),
    };
    while receiver.item()? {}
    plugins.told = std::mem::take(&mut receiver.told);
    let stats = receiver.finish(Dialect::of(peer.shadow_version.as_deref()), plugins)?;
    let place = || what.sandbox.display();
    let invalid = match what.has_manifest {
        true => manifest::check(sandbox).at(Step::Input, place())?,
        false => None,
    };
    if let Some(contents) = &what.contents
        && let Err(error) = contents.before(sandbox)
    {
        plugins.told.say(Loudness::Always, format!("Manifest {}: {error}", contents.directory));
    }
    let catalogue = Catalogue::of(sandbox).at(Step::Input, place())?;
    Ok(Fetched { catalogue, stats, invalid })
}

/// Whether it is for good and how much will come: of no interest here.
fn receive_head(channel: &mut Channel) -> Result<(), Failure> {
    // The shadow looks at all it has to send first, and that may be much, on a slow disk.
    channel.wait(Some(Duration::from_secs(channel.timeout.max(PATIENCE).into())))?;
    let known = channel.receive(|mut message| {
        if channel::is_refusal(&message) {
            return Ok(false);
        }
        message.i64()?;
        message.only::<ClassAd>().map(|_| true)
    })?;
    if known { channel.wait(None) } else { Err(channel.refused()) }
}

struct Receiver<'a> {
    channel: Channel,
    what: &'a Input,
    tree: Tree<'a>,
    progress: &'a mut dyn FnMut(u64),
    go_ahead: GoAhead,
    /// The first thing that went wrong on this side.
    problem: Option<Problem>,
    stats: Stats,
    /// What plugins shall fetch when everything else is there.
    urls: Vec<Wanted>,
    /// Files of a job with URLs, for the machine's own record.
    told: Told,
}

impl Receiver<'_> {
    /// Receives one item; false: there are no more.
    fn item(&mut self) -> Result<bool, Failure> {
        let command = self.channel.receive_int()?;
        if command == item::END {
            return Ok(false);
        }
        let name = self.channel.receive(|mut message| {
            let name = message.string()?.to_vec();
            message.finish()?;
            Ok(name)
        })?;
        self.go_ahead.exchange(&mut self.channel)?;
        let shown = String::from_utf8_lossy(&name);
        match command {
            item::FILE | item::ENCRYPTED | item::PLAIN => self.file(&name)?,
            item::DIRECTORY => {
                let mode = self.channel.receive_int()?;
                self.directory(&name, mode);
            }
            item::URL => {
                let url = self.channel.receive(|mut message| {
                    let url = String::from_utf8_lossy(message.string()?).into_owned();
                    message.finish()?;
                    Ok(url)
                })?;
                self.url(&name, url);
            }
            item::EXTENSION => self.extension()?,
            item::DELEGATION => {
                // It would be so on every machine with this starter.
                let text = format!(
                    "the shadow at {} wants to delegate the proxy {shown}; that is not supported: \
                     set DELEGATE_JOB_GSI_CREDENTIALS = False where the job was submitted",
                    self.channel.shadow
                );
                return Err(Failure::job(Step::Input, RECEIVER, libc::EOPNOTSUPP, text));
            }
            other => {
                let text = format_args!("command {other} for {shown} is not known");
                return Err(self.channel.misbehaved(text));
            }
        }
        Ok(true)
    }

    fn file(&mut self, name: &[u8]) -> Result<(), Failure> {
        let mode: FileMode = self.channel.receive_value()?;
        let size: Size = self.channel.receive_value()?;
        let checked = Name::new(name);
        if checked.is_none() {
            self.illegal(name);
        }
        let program = checked.as_ref().is_some_and(|name| {
            name.is_top()
                && self.what.program.as_ref().is_some_and(|own| name.path() == own.as_bytes())
        });
        let bits = match mode {
            _ if program => PROGRAM,
            FileMode::Permissions(bits) => bits,
            FileMode::Unknown => PRIVATE,
            FileMode::Missing => 0,
        };
        let (mut file, began) = (None, SystemTime::now());
        if let Some(name) = checked.as_ref().filter(|_| mode != FileMode::Missing) {
            match self.tree.file(name, Mode::from_raw_mode(bits.into())) {
                Ok(made) => file = Some(made),
                Err(errno) => self.unwritable(name.path(), &errno.into()),
            }
        }
        self.body(name, size, file.as_mut())?;
        if mode != FileMode::Missing {
            self.stats.files += 1;
            self.stats.bytes += size.bytes;
            // Others aren't made to wait for it.
            if self.what.plugins.is_some() && self.problem.is_none() {
                self.told.plain(name, size.bytes, began);
            }
        }
        // See `catalogue`: only at the top this matters.
        if let (Some(file), Some(true)) = (&file, checked.as_ref().map(Name::is_top))
            && let Err(error) = file.set_modified(SystemTime::now())
        {
            self.unwritable(name, &error);
        }
        Ok(())
    }

    /// Receives the bytes of a file to the last one, wherever they go.
    fn body(
        &mut self,
        name: &[u8],
        size: Size,
        mut file: Option<&mut File>,
    ) -> Result<(), Failure> {
        let mut body = Body::new(size);
        while !body.is_done() {
            // As long as a chunk isn't complete, all that comes behind it isn't there.
            self.channel.expect(body.remaining().saturating_sub(size.chunk))?;
            let (count, trouble) = self.channel.receive(|message| {
                let bytes = body.chunk(message)?;
                let trouble = file.as_mut().and_then(|file| file.write_all(bytes).err());
                Ok((bytes.len() as u64, trouble))
            })?;
            (self.progress)(count);
            if let Some(error) = trouble {
                file = None;
                self.unwritable(name, &error);
            }
        }
        Ok(())
    }

    fn directory(&mut self, name: &[u8], mode: i64) {
        let Some(checked) = Name::new(name) else { return self.illegal(name) };
        // Bits of the type come along.
        let bits = u32::try_from(mode & 0o777).unwrap_or_default();
        if let Err(errno) = self.tree.directory(&checked, Mode::from_raw_mode(bits)) {
            self.unwritable(name, &errno.into());
        }
    }

    /// What a plugin shall fetch.
    fn url(&mut self, name: &[u8], url: String) {
        let Some(checked) = Name::new(name) else { return self.illegal(name) };
        let local = item::shown(&self.what.sandbox, checked.path());
        if self.urls.len() < MAX_URLS {
            self.urls.push(Wanted { local, url });
        } else {
            let text = format!("|Error: receiving file {}: too many URLs", local.display());
            self.note(Problem { again: false, code: RECEIVER, subcode: libc::E2BIG, text });
        }
    }

    /// Has plugins fetch what they shall, unless the job can't start anyway.
    fn fetch_urls(&mut self, plugins: &mut Caller<'_>) {
        if self.problem.is_none()
            && !self.urls.is_empty()
            && let Err(fault) = plugins.fetch(&self.urls)
        {
            self.note(Problem::of_plugin(fault, RECEIVER));
        }
    }

    fn extension(&mut self) -> Result<(), Failure> {
        let ad: ClassAd = self.channel.receive_value()?;
        match ad.eval_i64("SubCommand") {
            Some(item::REUSE) => {
                // Nothing is kept here that could be used again.
                let mut answer = ClassAd::new();
                answer.insert("Result", 1);
                self.channel.queue(|message| {
                    message.value(&answer);
                })?;
                self.channel.flush()
            }
            Some(other) => {
                let text = format_args!("extension {other} is not known");
                Err(self.channel.misbehaved(text))
            }
            None => Err(self.channel.misbehaved("an extension without SubCommand")),
        }
    }

    fn illegal(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        let text = format!("|Error: Attempt to write to illegal sandbox path: {name}");
        self.note(Problem { again: false, code: RECEIVER, subcode: libc::EPERM, text });
    }

    fn unwritable(&mut self, name: &[u8], error: &std::io::Error) {
        let path = item::shown(&self.what.sandbox, name);
        self.note(item::problem(Act::Writing, RECEIVER, &path, error));
    }

    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// The acks of both sides.
    fn finish(mut self, dialect: Dialect, plugins: &mut Caller<'_>) -> Result<Stats, Failure> {
        self.fetch_urls(plugins);
        if let Err((path, errno)) = self.tree.finish() {
            let path = item::shown(&self.what.sandbox, &path);
            self.problem
                .get_or_insert_with(|| item::problem(Act::Writing, RECEIVER, &path, &errno.into()));
        }
        let channel = &mut self.channel;
        let theirs = ack::receive(channel)?;
        let (problem, own, text) = match (theirs, self.problem) {
            (Some(problem), _) => {
                let own = format!("STARTER failed to receive file(s) from {}", channel.shadow);
                let text = format!("Failed to transfer files: {}; {own}", problem.text);
                (problem, own, text)
            }
            (None, Some(problem)) => {
                // What plugins say stands by itself.
                let own = match problem.text.starts_with("|Error: ") {
                    true => format!("STARTER at {} - {}", channel.own, problem.text),
                    false => problem.text.clone(),
                };
                let text = format!("Failed to transfer files: {own}");
                (problem, own, text)
            }
            (None, None) => {
                ack::send(channel, (self.stats, &plugins.stats), dialect, Ok(()))?;
                channel.farewell();
                return Ok(self.stats);
            }
        };
        // That the shadow doesn't hear of it any more doesn't change what happened.
        let stats = (self.stats, &plugins.stats);
        let _ = ack::send(channel, stats, dialect, Err((&problem, &own)));
        Err(problem.failure(Direction::In, text))
    }
}
