//! Serving the clients of the job's chirp proxy with what the shadow has.

use std::net::TcpListener;

use classad::ClassAd;
use zeroize::Zeroizing;

use super::{Broken, Pool};
use crate::failure::{Context, Step};
use crate::job::Job;
use crate::knobs::Knobs;
use crate::parent::shadow::{Argument, Call, Remote};
use crate::reach::chirp::{
    self, Answer, Client, Delayed, Fault, Heard, Proxy, Request, Rights, Work,
};

/// Bytes of a file on their way at a time.
const CHUNK: i64 = 64 * 1024;
/// Most bytes of a write in strides, which can't be cut.
const MOST_STRIDED: u64 = 1 << 20;
/// Version of the protocol.
const VERSION: i64 = 2;

/// The job's chirp proxy, and what its clients have set.
#[derive(Debug)]
pub(super) struct Service {
    /// What the clients will show.
    pub(super) cookie: Option<Zeroizing<String>>,
    /// `None` while no job runs.
    pub(super) proxy: Option<Proxy>,
    /// Attributes that the job has set for the next report.
    pub(super) delayed: Delayed,
}

impl Service {
    pub(super) fn new(knobs: &Knobs) -> Self {
        Self { cookie: None, proxy: None, delayed: Delayed::new(knobs) }
    }
}

type Asked<T> = Result<Result<T, Fault>, Broken>;

impl Pool<'_> {
    /// Takes over the socket that listens in the job's network.
    pub(super) fn begin_chirp(&mut self, job: &Job) -> Result<(), Broken> {
        let Some(cookie) = self.chirp.cookie.take() else { return Ok(()) };
        if let Some(listener) = self.desk.files().pop() {
            let rights = Rights::new(&job.ad, self.knobs);
            let proxy = Proxy::new(TcpListener::from(listener), cookie, rights)
                .at(Step::Internal, "the chirp proxy")?;
            self.chirp.proxy = Some(proxy);
        }
        Ok(())
    }

    /// Gives each client that wants something its turn.
    pub(super) fn serve_chirp(&mut self, job: &Job) -> Result<(), Broken> {
        let Some(mut proxy) = self.chirp.proxy.take() else { return Ok(()) };
        let served = self.serve_clients(&mut proxy, job);
        self.chirp.proxy = Some(proxy);
        served
    }

    fn serve_clients(&mut self, proxy: &mut Proxy, job: &Job) -> Result<(), Broken> {
        proxy.step();
        for index in 0..proxy.clients() {
            let Some((heard, client)) = proxy.next(index) else { continue };
            let new = matches!(heard, Heard::Request(_));
            let served = match heard {
                Heard::Request(Ok(request)) => self.serve_client(client, request, &job.ad),
                Heard::Request(Err(fault)) => {
                    client.answer(fault.number());
                    Ok(())
                }
                Heard::Bytes(bytes) => self.go_on(client, bytes),
                Heard::More => self.send_more(client),
            };
            // A client doesn't wait for a shadow that may never come back.
            if let Err(Broken::Lost(_)) = served {
                client.lost(new);
            }
            served?;
        }
        for fd in proxy.orphans() {
            let _ = self.number(&Remote::new(10, "close", vec![Argument::Number(fd)]))?;
        }
        proxy.step();
        Ok(())
    }

    fn serve_client(
        &mut self,
        client: &mut Client,
        request: Request,
        job: &ClassAd,
    ) -> Result<(), Broken> {
        match request {
            Request::Remote(remote, answer) => {
                tracing::debug!("chirp: {}", remote.name);
                match self.remote(&remote, answer)? {
                    Ok((number, bytes)) => {
                        client.answer(number);
                        client.send(&bytes);
                    }
                    Err(fault) => client.answer(fault.number()),
                }
            }
            Request::Close(fd) => {
                client.closed(fd);
                let closed = self.close_remote(fd)?;
                client.answer(closed.unwrap_or_else(Fault::number));
            }
            Request::Open(path, flags, mode) if client.may_open() => {
                match self.open_mapped(path, flags, mode)? {
                    Ok((fd, stat)) => {
                        client.opened(fd);
                        client.answer(fd);
                        client.send(if stat.is_empty() { b"\n" } else { &stat });
                    }
                    Err(fault) => client.answer(fault.number()),
                }
            }
            Request::Open(..) => client.answer(Fault::TooManyOpen.number()),
            Request::Get(path) => self.get(client, path)?,
            Request::Put(path, mode, left) => match self.open_file(path, WRITE_NEW, mode)? {
                Ok(fd) if left == 0 => {
                    let closed = self.close_remote(fd)?;
                    client.answer(closed.map_or_else(Fault::number, |_| 0));
                }
                Ok(fd) => {
                    client.answer(0);
                    let (offset, fault) = (None, None);
                    client.work = Some(Work::Write { fd, left, done: 0, offset, own: true, fault });
                }
                Err(fault) => client.answer(fault.number()),
            },
            Request::Write(fd, left, offset) => {
                let fault = (!client.owns(fd)).then_some(Fault::BadFd);
                client.work = Some(Work::Write { fd, left, done: 0, offset, own: false, fault });
            }
            Request::Strided(fd, length, places) if length <= MOST_STRIDED && client.owns(fd) => {
                client.work = Some(Work::Strided { fd, places, length, bytes: Vec::new() });
                if length == 0 {
                    self.go_on(client, Vec::new())?;
                }
            }
            Request::Strided(fd, length, _) => {
                let fault = if length > MOST_STRIDED { Fault::TooBig } else { Fault::BadFd };
                let (offset, fault) = (None, Some(fault));
                client.work =
                    Some(Work::Write { fd, left: length, done: 0, offset, own: false, fault });
            }
            Request::Event(text) => {
                self.call(&Call::UserLog(&super::ads::generic(&text)), |_| Ok(()))?;
                client.answer(0);
            }
            Request::SetDelayed(name, text) => client.answer(self.chirp.delayed.set(&name, &text)),
            Request::GetDelayed(name) => {
                match self.chirp.delayed.get(&name, &job.without_private()) {
                    Some(text) => {
                        client.answer(i64::try_from(text.len()).unwrap_or(i64::MAX));
                        client.send(text.as_bytes());
                    }
                    None => client.answer(Fault::DoesntExist.number()),
                }
            }
            Request::Version => client.answer(VERSION),
        }
        Ok(())
    }

    /// Bytes of a client for the work it is in the middle of.
    fn go_on(&mut self, client: &mut Client, new: Vec<u8>) -> Result<(), Broken> {
        match client.work.take() {
            Some(Work::Write { fd, left, mut done, mut offset, own, mut fault }) => {
                let left = left.saturating_sub(new.len() as u64);
                if fault.is_none() && !new.is_empty() {
                    match self.write_all(fd, &new, &mut offset)? {
                        Ok(count) => done += count,
                        Err(why) => fault = Some(why),
                    }
                }
                if left > 0 {
                    client.work = Some(Work::Write { fd, left, done, offset, own, fault });
                    return Ok(());
                }
                if own && let Err(why) = self.close_remote(fd)? {
                    fault = fault.or(Some(why));
                }
                client.answer(fault.map_or(done, Fault::number));
            }
            Some(Work::Strided { fd, places, length, mut bytes }) => {
                bytes.extend(new);
                if (bytes.len() as u64) < length {
                    client.work = Some(Work::Strided { fd, places, length, bytes });
                    return Ok(());
                }
                let [offset, stride, skip] = places;
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                let numbers = [fd, length, offset, stride, skip].map(Argument::Number);
                let mut arguments = numbers.to_vec();
                arguments.push(Argument::Bytes(bytes));
                let written = self.number(&Remote::new(291, "swrite", arguments))?;
                client.answer(written.unwrap_or_else(Fault::number));
            }
            other => client.work = other,
        }
        Ok(())
    }

    fn write_all(&mut self, fd: i64, bytes: &[u8], offset: &mut Option<i64>) -> Asked<i64> {
        let mut rest = bytes;
        let mut done = 0;
        while !rest.is_empty() {
            let length = i64::try_from(rest.len()).unwrap_or(i64::MAX);
            let mut arguments = vec![Argument::Number(fd), Argument::Number(length)];
            arguments.extend(offset.map(Argument::Number));
            arguments.push(Argument::Bytes(rest.to_vec()));
            let remote = match offset {
                Some(_) => Remote::new(290, "pwrite", arguments),
                None => Remote::new(120, "write", arguments),
            };
            let count = match self.number(&remote)? {
                Ok(count) => count,
                Err(fault) => return Ok(Err(fault)),
            };
            match rest.get(usize::try_from(count).unwrap_or(0)..) {
                Some(left) if count > 0 => rest = left,
                _ => return Ok(Err(Fault::Unknown)),
            }
            done += count;
            if let Some(offset) = offset {
                *offset = offset.saturating_add(count);
            }
        }
        Ok(Ok(done))
    }

    /// Begins to send a file, whose first bytes are read before its size is told: then it is known
    /// whether it can be read.
    fn get(&mut self, client: &mut Client, path: Vec<u8>) -> Result<(), Broken> {
        let fd = match self.open_file(path, 0, 0)? {
            Ok(fd) => fd,
            Err(fault) => {
                client.answer(fault.number());
                return Ok(());
            }
        };
        let stat = self.remote(&stat_of(fd), Answer::Line)?.map(|(_, text)| size_of(&text));
        let first = self.read_remote_file(fd, CHUNK)?;
        match (stat, first) {
            (Ok(Some(size)), Ok(bytes)) => {
                client.answer(i64::try_from(size).unwrap_or(i64::MAX));
                self.pass_on(client, fd, size, bytes)
            }
            (stat, first) => {
                let _ = self.close_remote(fd)?;
                let fault = first.err().or_else(|| stat.err()).unwrap_or(Fault::Unknown);
                client.answer(fault.number());
                Ok(())
            }
        }
    }

    fn send_more(&mut self, client: &mut Client) -> Result<(), Broken> {
        let Some(Work::Get(fd, left)) = client.work.take() else { return Ok(()) };
        let bytes = self.read_remote_file(fd, CHUNK)?.unwrap_or_default();
        self.pass_on(client, fd, left, bytes)
    }

    fn pass_on(
        &mut self,
        client: &mut Client,
        fd: i64,
        left: u64,
        mut bytes: Vec<u8>,
    ) -> Result<(), Broken> {
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let rest = left - bytes.len() as u64;
        client.send(&bytes);
        if rest > 0 && !bytes.is_empty() {
            client.work = Some(Work::Get(fd, rest));
            return Ok(());
        }
        if rest > 0 {
            // The file has become shorter than was announced: only the end of the stream says so.
            client.close();
        }
        let _ = self.close_remote(fd)?;
        Ok(())
    }

    /// Opens a file where the shadow says that it is; with what `fstat` says of it.
    fn open_mapped(&mut self, path: Vec<u8>, flags: i64, mode: i64) -> Asked<(i64, Vec<u8>)> {
        let map = Remote::new(-74, "get_file_info_new", vec![Argument::Text(path)]);
        let url = match self.remote(&map, Answer::Text)? {
            Ok((_, url)) => url,
            Err(fault) => return Ok(Err(fault)),
        };
        let path = url.strip_prefix(b"buffer:").unwrap_or(&url);
        let path = path.strip_prefix(b"remote:").unwrap_or(path);
        let fd = match self.open_file(path.to_vec(), flags, mode)? {
            Ok(fd) => fd,
            Err(fault) => return Ok(Err(fault)),
        };
        let stat = self.remote(&stat_of(fd), Answer::Line)?;
        Ok(Ok((fd, stat.map(|(_, text)| text).unwrap_or_default())))
    }

    fn open_file(&mut self, path: Vec<u8>, flags: i64, mode: i64) -> Asked<i64> {
        let arguments = vec![Argument::Number(flags), Argument::Number(mode), Argument::Text(path)];
        self.number(&Remote::new(66, "open", arguments))
    }

    fn close_remote(&mut self, fd: i64) -> Asked<i64> {
        self.number(&Remote::new(10, "close", vec![Argument::Number(fd)]))
    }

    fn read_remote_file(&mut self, fd: i64, length: i64) -> Asked<Vec<u8>> {
        let arguments = vec![Argument::Number(fd), Argument::Number(length)];
        Ok(self.remote(&Remote::new(71, "read", arguments), Answer::Bytes)?.map(|(_, b)| b))
    }

    fn number(&mut self, remote: &Remote) -> Asked<i64> {
        Ok(self.remote(remote, Answer::Number)?.map(|(number, _)| number))
    }

    /// Has the shadow do it: its number, and the bytes that go along.
    fn remote(&mut self, remote: &Remote, answer: Answer) -> Asked<(i64, Vec<u8>)> {
        let asked = self.ask(&Call::Remote(remote), |rest| match answer {
            Answer::Number => Ok(Vec::new()),
            Answer::Text => rest.string().map(<[u8]>::to_vec),
            Answer::Bytes | Answer::Line => Ok(rest.rest().to_vec()),
        })?;
        Ok(match asked {
            Err(errno) => Err(chirp::of_errno(errno)),
            Ok((number, mut bytes)) => {
                let mut number = number;
                match answer {
                    Answer::Number => {}
                    Answer::Text => number = i64::try_from(bytes.len()).unwrap_or(i64::MAX),
                    Answer::Line => {
                        let end = bytes.iter().position(|byte| *byte == 0);
                        bytes.truncate(end.unwrap_or(bytes.len()));
                    }
                    // The client reads as many as it is told.
                    Answer::Bytes if usize::try_from(number) != Ok(bytes.len()) => {
                        return Ok(Err(Fault::Unknown));
                    }
                    Answer::Bytes => {}
                }
                Ok((number, bytes))
            }
        })
    }
}

/// Flags on the wire: for writing, made anew.
const WRITE_NEW: i64 = 0x301;

fn stat_of(fd: i64) -> Remote {
    Remote::new(24, "fstat", vec![Argument::Number(fd)])
}

/// The eighth field of what a shadow says of a file.
fn size_of(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.split_ascii_whitespace().nth(7)?.parse().ok()
}
