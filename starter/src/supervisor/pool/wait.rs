//! Waiting in a pool: for the shadow's answer, for the launcher's report, or for time to pass; with an
//! open ear for whoever wants the job to end.

use std::time::{Duration, Instant};

use condor_cedar::{Error, Reader};
use nix::sys::signal::Signal;

use super::ending::How;
use super::line::unasked;
use super::streams::Streamed;
use super::{Broken, Pool, Stage, complain};
use crate::failure::{Failure, Step};
use crate::launcher::message::{Order, Report};
use crate::parent::shadow::{Answer, Call, Lost};
use crate::parent::startd::Asked;
use crate::reach::chirp::Proxy;
use crate::report::events::Event;

/// How long a shadow may take for an answer once the job is to end at once: a startd kills a starter
/// ten seconds (25.14.1) or thirty (23.9.6) after it has said so.
pub(super) const HURRY: Duration = Duration::from_secs(5);

impl Pool<'_> {
    /// Has the shadow do something that it must be able to do.
    pub(super) fn call<T>(
        &mut self,
        call: &Call<'_>,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Broken>
    where
        T: Default,
    {
        if !call.has_answer() {
            // Somebody has to see to a job that runs.
            if !self.runs() {
                self.present()?;
            }
            if let Some(lost) = self.line.lost.take() {
                return Err(lost.into());
            }
            self.line.shadow.as_mut().ok_or_else(nobody)?.send(call)?;
            return Ok(T::default());
        }
        self.try_call(call, read)?.map_err(|errno| {
            let message = format!("the shadow refused {} ({})", call.name(), describe(errno));
            Broken::Failed(Failure::host(Step::Internal, message))
        })
    }

    /// Has the shadow do something; the errno if it can't.
    pub(super) fn try_call<T>(
        &mut self,
        call: &Call<'_>,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Result<T, i64>, Broken> {
        Ok(self.ask(call, read)?.map(|(_, value)| value))
    }

    /// The same, with the number that the shadow gave. Asks the next shadow if there is another before
    /// the answer has come: but not while the job runs, to which somebody has to see.
    pub(super) fn ask<T>(
        &mut self,
        call: &Call<'_>,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Result<(i64, T), i64>, Broken> {
        loop {
            if !self.runs() {
                self.present()?;
            }
            match self.once(call, &read) {
                Err(Broken::Lost(lost)) if !self.runs() => self.lose(lost)?,
                result => return result,
            }
        }
    }

    /// The same, of the shadow that is there.
    pub(super) fn once<T>(
        &mut self,
        call: &Call<'_>,
        read: &impl Fn(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Result<(i64, T), i64>, Broken> {
        if let Some(lost) = self.line.lost.take() {
            return Err(lost.into());
        }
        let shadow = self.line.shadow.as_mut().ok_or_else(nobody)?;
        if shadow.step()? {
            return Err(unasked().into());
        }
        shadow.send(call)?;
        tracing::debug!("asked the shadow for {}", call.name());
        self.line.asked = true;
        let answered = self.answer(call);
        self.line.asked = false;
        answered?;
        let message = self.line.shadow.as_ref().ok_or_else(nobody)?.message();
        let answer = Answer::read(message, call, read);
        self.tie.hear();
        match answer {
            Ok(Answer::Done(number, value)) => Ok(Ok((number, value))),
            Ok(Answer::Failed(errno)) => Ok(Err(errno)),
            Err(error) => Err(Lost(format!("its answer to {}: {error}", call.name())).into()),
        }
    }

    /// Tells the shadow something, which it may decline: no reason to do anything else with the job.
    pub(super) fn tell(&mut self, call: &Call<'_>) -> Result<(), Broken> {
        if let Err(errno) = self.try_call(call, |_| Ok(()))? {
            let text = describe(errno);
            tracing::warn!("the shadow refused {} ({text})", call.name());
        }
        Ok(())
    }

    /// Waits for the answer: as long as an admin lets it take, or until the job has to end at once.
    fn answer(&mut self, call: &Call<'_>) -> Result<(), Broken> {
        let asked = Instant::now();
        let usual = u64::try_from(self.knobs.starter_upload_timeout).unwrap_or(0);
        let mut patience = Duration::from_secs(usual.max(1));
        let mut hurry = false;
        while !std::mem::take(&mut self.line.answered) {
            if let Some(lost) = self.line.lost.take() {
                return Err(lost.into());
            }
            if !hurry && self.ending.how == Some(How::Hard) {
                hurry = true;
                patience = patience.min(asked.elapsed() + HURRY);
            }
            let end = asked + patience;
            if Instant::now() >= end {
                let (name, time) = (call.name(), asked.elapsed().as_secs());
                return Err(Lost(format!("no answer to {name} in {time} s")).into());
            }
            self.wait(Some(end))?;
        }
        Ok(())
    }

    /// The launcher's next report.
    pub(super) fn report(&mut self) -> Result<Report, Broken> {
        loop {
            match self.desk.report() {
                Some(Report::Failed(failure)) => return Err(failure.into()),
                // Of the first event the caller wants to know.
                Some(Report::Placed(end)) if self.credentials.placing > 0 => {
                    self.proxy_is_placed(end)
                }
                Some(Report::Appended(end)) if self.figures.is_some() => complain(end),
                Some(Report::Plugins(told)) => self.plugins_told(&told),
                Some(report) => return Ok(report),
                None => self.wait(None)?,
            }
            self.keep()?;
        }
    }

    /// Waits until something has happened, or until the time has come, and does what somebody asked
    /// for.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        self.wait_also(until, false)
    }

    /// The same, and if it is asked for until one of the job's streams or of its chirp clients has
    /// something to be done.
    pub(super) fn wait_also(
        &mut self,
        until: Option<Instant>,
        streams: bool,
    ) -> Result<(), Failure> {
        // A job that is gone needs no killing.
        let kill = self.ending.kill_at.filter(|_| matches!(self.stage, Stage::Running(_)));
        let chirp = self.chirp.proxy.as_ref().filter(|_| streams);
        let chirp_due = chirp.and_then(Proxy::due);
        let until = [until, self.startd.due(), kill, self.tie.end(), chirp_due, self.visits.due()];
        let until = until.into_iter().flatten().min();
        let mut sources = self.startd.sources();
        sources.extend(self.line.source());
        if streams {
            sources.extend(self.streams.iter().map(Streamed::source));
            sources.extend(chirp.into_iter().flat_map(Proxy::sources));
        }
        sources.extend(self.visits.sources());
        self.desk.wait(until, &sources)?;
        drop(sources);
        self.show();
        self.admit()?;
        for asked in self.startd.step() {
            self.take(asked)?;
        }
        if let Some(newcomer) = self.startd.newcomer() {
            self.meet(newcomer)?;
        }
        while let Some(signal) = self.desk.signal() {
            self.take(match signal {
                Signal::SIGQUIT => Asked::Hard(None),
                Signal::SIGHUP => Asked::Reconfig,
                Signal::SIGUSR1 => Asked::Remove,
                _ => Asked::Soft(None),
            })?;
        }
        self.line.step();
        self.act()
    }

    fn take(&mut self, asked: Asked) -> Result<(), Failure> {
        if let Asked::Peek(peek) = &asked {
            return self.peek(peek);
        }
        if let Asked::Ssh(wish) = &asked {
            return self.ssh(wish);
        }
        tracing::info!("asked to: {asked:?}");
        match &asked {
            Asked::Suspend | Asked::Continue => {
                self.suspended = asked == Asked::Suspend;
                self.suspend()?;
            }
            Asked::Proxy(proxy) => self.place_proxy(proxy)?,
            Asked::Reconfig => tracing::info!("a new configuration counts from the next job on"),
            Asked::Checkpoint => self.ask_for_checkpoint()?,
            _ => self.ending.take(asked),
        }
        Ok(())
    }

    /// Stops the job or lets it go on, as was asked for last: perhaps before there was one.
    pub(super) fn suspend(&mut self) -> Result<(), Failure> {
        if matches!(self.stage, Stage::Running(_))
            && let Some(figures) = &mut self.figures
            && figures.suspended != self.suspended
        {
            figures.suspended = self.suspended;
            let count = figures.running(self.knobs).eval_i64("NumPids").unwrap_or(1);
            self.desk.order(&Order::Suspend(self.suspended))?;
            self.log(&if self.suspended { Event::Suspended(count) } else { Event::Unsuspended });
            // The report that follows has the new state.
            self.desk.order(&Order::Measure)?;
        }
        Ok(())
    }

    /// Carries on with ending the job, if that was asked for.
    fn act(&mut self) -> Result<(), Failure> {
        let signal = match self.stage {
            Stage::Quiet => return Ok(()),
            Stage::Fetching => None,
            Stage::Running(signal) => Some(signal),
            Stage::Delivering if self.ending.how == Some(How::Hard) => None,
            Stage::Delivering => return Ok(()),
        };
        let patience = u64::try_from(self.knobs.shutdown_graceful_timeout).unwrap_or(0);
        match (self.ending.next(Duration::from_secs(patience)), signal) {
            (Some(How::Soft), Some(signal)) => {
                tracing::info!("sending signal {signal} to the job");
                if self.figures.as_ref().is_some_and(|figures| figures.suspended) {
                    self.desk.order(&Order::Suspend(false))?;
                }
                self.desk.order(&Order::Signal(signal))
            }
            (Some(_), _) => self.desk.order(&Order::Kill),
            (None, _) => Ok(()),
        }
    }
}

/// There is no shadow just now.
fn nobody() -> Lost {
    Lost("it is away".to_owned())
}

/// An errno of the shadow.
fn describe(errno: i64) -> String {
    let number = i32::try_from(errno).unwrap_or(0);
    format!("errno {errno}: {}", nix::errno::Errno::from_raw(number).desc())
}
