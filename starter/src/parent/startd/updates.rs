//! The stream of updates: what the startd says of its slot at the beginning, and what it is told of
//! the job from then on.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use classad::ClassAd;
use condor_cedar::Connection;
use condor_cedar::blocking::StreamError;
use condor_cedar::message::{Colors, MachineAds, Update};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;

use crate::parent::link::{Input, Link, wait};

/// Most bytes of updates that wait for a startd which doesn't read; more aren't sent.
const MAX_PENDING: usize = 1024 * 1024;
/// How long the last update may take on its way, and an answer.
const LAST: Duration = Duration::from_secs(2);

/// What the startd says of the slot.
pub(crate) struct Machine {
    /// The slot's ad.
    pub(crate) slot: ClassAd,
    /// Attributes that take the place of those in the job ad.
    pub(crate) overlay: ClassAd,
    /// `ClaimId` and `SplitClaimId`, from a startd since 24.1.
    pub(crate) secrets: Option<ClassAd>,
}

impl fmt::Debug for Machine {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("slot", &self.slot)
            .field("overlay", &self.overlay)
            .field("secrets", &self.secrets.is_some())
            .finish()
    }
}

/// The stream.
#[derive(Debug)]
pub(super) struct Updates {
    /// `None` once it failed.
    link: Option<Link>,
    /// Whether the last update was sent. The stream stays open until the end: a startd of 25 reads on
    /// behind the last update, and complains if it finds an end there.
    finished: bool,
    /// Whether the log has said that updates are left out.
    said: bool,
}

impl Updates {
    /// A stream that has begun elsewhere; without one there is nobody to be told.
    pub(super) fn new(stream: Option<(Connection, TcpStream)>) -> io::Result<Self> {
        let link = stream.map(|(connection, socket)| Link::with_connection(connection, socket));
        Ok(Self { link: link.transpose()?, finished: false, said: false })
    }

    /// What is the next message, if it comes in time.
    fn receive(&mut self, end: Instant) -> Result<Option<&mut Link>, StreamError> {
        let link = self.link.as_mut().ok_or(StreamError::Closed { partial: false })?;
        while !link.connection.receive()? {
            if link.fill()? == Input::None && !wait(link.as_fd(), PollFlags::POLLIN, end)? {
                return Ok(None);
            }
        }
        Ok(Some(link))
    }

    /// The ads of the slot, which a startd sends before it starts a starter.
    pub(super) fn machine(&mut self, time: Duration) -> Result<MachineAds, StreamError> {
        let message = self.receive(Instant::now() + time)?;
        let link = message.ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))?;
        Ok(link.connection.message().only()?)
    }

    /// The secrets, if they come in time.
    pub(super) fn secrets(&mut self, time: Duration) -> Result<Option<ClassAd>, StreamError> {
        match self.receive(Instant::now() + time)? {
            Some(link) => Ok(Some(link.connection.message().only()?)),
            None => Ok(None),
        }
    }

    /// Tells the startd something about the job.
    pub(super) fn send(&mut self, ad: &ClassAd) {
        let Some(link) = self.link.as_mut().filter(|_| !self.finished) else { return };
        if link.connection.pending().len() > MAX_PENDING {
            if !self.said {
                tracing::warn!("the startd doesn't read updates; leaving some out");
                self.said = true;
            }
            return;
        }
        if let Err(error) = queue(link, ad, false).and_then(|()| Ok(link.flush()?)) {
            self.lost(&error);
        }
    }

    /// Has the startd put something into the ads of its slots; its answer, which is waited for a little.
    pub(super) fn color(&mut self, ad: &ClassAd) -> Result<Option<ClassAd>, StreamError> {
        let end = Instant::now() + LAST;
        let link = self.link.as_mut().ok_or(StreamError::Closed { partial: false })?;
        let mut message = link.connection.writer();
        message.value(&Colors(ad.without_private()));
        link.connection.send(&message)?;
        link.flush_until(end)?;
        match self.receive(end)? {
            Some(link) => Ok(Some(link.connection.message().only()?)),
            None => Ok(None),
        }
    }

    /// Tells the startd the last of it, and waits a little until it is on its way.
    pub(super) fn finish(&mut self, ad: &ClassAd) {
        let Some(link) = self.link.as_mut().filter(|_| !self.finished) else { return };
        self.finished = true;
        // With something unread the end of the stream would take back what was sent.
        link.drain();
        match queue(link, ad, true).and_then(|()| Ok(link.flush_until(Instant::now() + LAST)?)) {
            Ok(()) => {}
            Err(StreamError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                tracing::warn!("the startd doesn't read the last update");
            }
            Err(error) => self.lost(&error),
        }
    }

    /// Goes on with what is pending.
    pub(super) fn step(&mut self) {
        if let Some(Err(error)) = self.link.as_mut().map(Link::flush) {
            self.lost(&error.into());
        }
    }

    /// What to wait for. The startd says nothing unasked, and its end is noticed otherwise.
    pub(super) fn source(&self) -> Option<PollFd<'_>> {
        let link = self.link.as_ref()?;
        let flags = link.flags(false);
        (!flags.is_empty()).then(|| PollFd::new(link.as_fd(), flags))
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.connection.pending().len())
    }

    /// No reason to end the job: stock goes on too.
    fn lost(&mut self, error: &StreamError) {
        tracing::warn!("no more updates to the startd: {error}");
        self.link = None;
    }
}

fn queue(link: &mut Link, ad: &ClassAd, last: bool) -> Result<(), StreamError> {
    let mut message = link.connection.writer();
    // The stream is in the clear.
    message.value(&Update { last, ad: ad.without_private() });
    Ok(link.connection.send(&message)?)
}
