//! Showing the job's owner what it has written so far.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use condor_cedar::file::{CHUNK, EmptyMark, Size};

use super::{Pool, Stage};
use crate::failure::Failure;
use crate::job::Job;
use crate::launcher::message::Order;
use crate::parent::startd::Peek;
use crate::plan::Plan;
use crate::reach::peek::{Refusal, Request};

/// Requests that are being looked at.
const MOST: usize = 4;

/// Requests for which the launcher opens files, oldest first.
#[derive(Debug, Default)]
pub(super) struct Peeking {
    /// The job and its plan, while it runs.
    pub(super) of: Option<(Job, Plan)>,
    /// Whether it has been running.
    pub(super) over: bool,
    waiting: std::collections::VecDeque<(u64, Request)>,
}

impl Pool<'_> {
    /// Takes a request on.
    pub(super) fn peek(&mut self, peek: &Peek) -> Result<(), Failure> {
        match self.wanted(peek) {
            Ok(request) => {
                let paths = request.files.iter().map(|file| file.path.clone()).collect();
                self.peeking.waiting.push_back((peek.call, request));
                self.desk.order(&Order::Peek(paths))
            }
            Err(refusal) => {
                self.refuse(peek.call, &refusal);
                Ok(())
            }
        }
    }

    fn wanted(&self, peek: &Peek) -> Result<Request, Refusal> {
        let Some((job, plan)) = &self.peeking.of else {
            return Err(match self.peeking.over {
                true => Refusal::last("Rejecting request, because the job is finished."),
                false => Refusal::now(
                    "Retrying request, because the job execution environment is not yet ready.",
                ),
            });
        };
        if !self.knobs.enable_peek_job.allows(&job.ad) {
            return Err(Refusal::last("Rejecting request, because ENABLE_PEEK_JOB=false"));
        }
        if !matches!(self.stage, Stage::Running(_)) {
            return Err(Refusal::last("Rejecting request, because the job is finished."));
        }
        if self.peeking.waiting.len() >= MOST {
            return Err(Refusal::now("Retrying request, because there are too many of them."));
        }
        Request::read(&peek.ad, job, plan)
    }

    pub(super) fn refuse(&mut self, call: u64, refusal: &Refusal) {
        tracing::info!("{}", refusal.text);
        self.startd.answer(call, |connection| {
            let mut message = connection.writer();
            message.value(&refusal.ad());
            connection.send(&message)
        });
    }

    /// Answers requests whose files are open.
    pub(super) fn show(&mut self) {
        while let Some(files) = self.desk.peeked() {
            let Some((call, request)) = self.peeking.waiting.pop_front() else { continue };
            match contents(&request, files) {
                Err(refusal) => self.refuse(call, &refusal),
                Ok((parts, bodies)) => self.startd.answer(call, |connection| {
                    let mut message = connection.writer();
                    message.value(&request.ad(&parts));
                    connection.send(&message)?;
                    let mut message = connection.writer();
                    for body in &bodies {
                        message.value(&Size::new(body.len() as u64));
                        connection.send(&message)?;
                        message.clear();
                        for chunk in body.chunks(CHUNK) {
                            connection.send_bytes(chunk)?;
                        }
                        if body.is_empty() {
                            // What follows is in the same message.
                            message.value(&EmptyMark);
                        }
                    }
                    message.size(bodies.len());
                    connection.send(&message)
                }),
            }
        }
    }
}

type Parts = Vec<(u64, u64)>;

fn contents(
    request: &Request,
    files: Vec<Result<OwnedFd, i32>>,
) -> Result<(Parts, Vec<Vec<u8>>), Refusal> {
    let mut opened = Vec::new();
    let mut sizes = Vec::new();
    for (wanted, file) in request.files.iter().zip(files) {
        let name = wanted.path.display();
        let file = File::from(file.map_err(|errno| cant_be_opened(&name.to_string(), errno))?);
        let size = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        opened.push(file);
        sizes.push(size);
    }
    let mut parts = request.parts(&sizes);
    let mut bodies = Vec::new();
    for (file, (start, length)) in opened.iter().zip(&mut parts) {
        let mut body = vec![0; usize::try_from(*length).unwrap_or_default()];
        // A file that has become shorter meanwhile is shown as far as it goes.
        let mut done = 0;
        while let Some(rest) = body.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, *start + done as u64) {
                Ok(count) if count > 0 => done += count,
                _ => break,
            }
        }
        body.truncate(done);
        bodies.push(body);
    }
    Ok((parts, bodies))
}

fn cant_be_opened(name: &str, errno: i32) -> Refusal {
    let why = nix::errno::Errno::from_raw(errno).desc();
    match errno {
        libc::EXDEV | libc::ELOOP | libc::EINVAL => {
            Refusal::last(format!("Invalid symlink or filename ({name}) outside sandbox"))
        }
        _ => Refusal::now(format!("Unable to open file {name}. (errno={errno}, {why})")),
    }
}
