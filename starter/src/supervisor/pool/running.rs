//! The job's program: started, looked after while it runs, and ended.

use std::time::{Duration, Instant};

use super::super::{describe, unexpected};
use super::ads::Figures;
use super::assignment::Assignment;
use super::{Broken, Pool, Stage, complain, disk};
use crate::job::Job;
use crate::launcher::message::{Order, Report, Status};
use crate::parent::shadow::Call;
use crate::reach;

impl Pool<'_> {
    /// Runs the program until it ends: its process number, and how.
    pub(super) fn execution(&mut self, assignment: &Assignment) -> Result<(i32, Status), Broken> {
        let Assignment { job, plan, starter, .. } = assignment;
        // A job whose files can't be opened has not begun.
        self.desk.order(&Order::Open)?;
        match self.report()? {
            Report::Opened { .. } => {}
            other => return Err(unexpected(&other).into()),
        }
        self.open_streams(job, plan)?;
        // A job that goes on after a checkpoint has begun already.
        if self.figures.is_none() {
            self.begin_log(job, plan)?;
        }
        // The cell is made while the shadow takes note.
        self.desk.order(&Order::Ready)?;
        if plan.sandbox.chirp {
            let cookie = self.chirp.cookie.insert(reach::chirp::cookie()?);
            self.desk.order(&Order::Listen(cookie.to_string()))?;
        }
        self.not_too_soon(job)?;
        self.tie(job, starter);
        self.call(&Call::BeginExecution, |_| Ok(()))?;
        self.desk.order(&Order::Launch)?;
        self.stage = Stage::Running(job.kill_signal);
        if plan.sandbox.chirp {
            match self.report()? {
                Report::Listening => self.begin_chirp(job)?,
                other => return Err(unexpected(&other).into()),
            }
        }
        let (pid, revision) = match self.report()? {
            Report::Started { pid, revision, .. } => (pid, revision),
            other => return Err(unexpected(&other).into()),
        };
        tracing::info!("Create_Process succeeded, pid={pid}");
        match &mut self.figures {
            Some(figures) => figures.again(pid),
            None => self.figures = Some(Figures::new(pid, self.submit.release)),
        }
        self.tell_isolation(job, plan, revision)?;
        self.suspend()?;
        self.peeking.of = Some((job.clone(), plan.clone()));
        self.peeking.over = false;
        let ended = self.running(job, disk::Watch::new(plan.limits.disk_kib))?;
        self.stage = Stage::Quiet;
        self.chirp.proxy = None;
        self.peeking.of = None;
        self.peeking.over = true;
        self.close_streams()?;
        Ok((pid, ended))
    }

    /// Waits for the end of the job, and reports on it meanwhile.
    fn running(&mut self, job: &Job, mut space: disk::Watch) -> Result<Status, Broken> {
        let interval =
            |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1));
        let mut due = Instant::now() + interval(self.knobs.starter_initial_update_interval);
        loop {
            self.keep()?;
            match self.desk.report() {
                Some(Report::Ended { ended, disk, snapshot }) => {
                    if let Some(figures) = &mut self.figures {
                        figures.monitor(&snapshot, &self.knobs.monitored_resources);
                        tracing::info!(
                            "Process exited, pid={}, {}",
                            figures.pid(),
                            describe(&ended)
                        );
                        figures.end(ended.clone(), disk);
                    }
                    return Ok(ended.status);
                }
                Some(Report::Measured { sample, disk, snapshot }) => {
                    if let Some(figures) = &mut self.figures {
                        figures.monitor(&snapshot, &self.knobs.monitored_resources);
                        figures.look(sample, disk);
                        let failure = space.failure(disk);
                        if failure.is_some() || !std::mem::take(&mut space.quiet) {
                            let ad = figures.running(self.knobs);
                            self.update_hook(job, &ad)?;
                            match self.update(ad) {
                                Err(Broken::Lost(lost)) => self.lose(lost)?,
                                result => result?,
                            }
                        }
                        if let Some(failure) = failure.filter(|_| !self.ending.is_under_way()) {
                            return Err(failure.into());
                        }
                    }
                    continue;
                }
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(Report::Placed(end)) if self.credentials.placing > 0 => {
                    self.proxy_is_placed(end);
                    continue;
                }
                Some(Report::Appended(end)) => {
                    complain(end);
                    continue;
                }
                Some(other) => return Err(unexpected(&other).into()),
                None => {}
            }
            if due <= Instant::now() {
                self.desk.order(&Order::Measure)?;
                let usual = interval(self.knobs.starter_update_interval);
                due = Instant::now() + self.tie.update_interval(usual);
            } else if space.is_due() {
                self.desk.order(&Order::Measure)?;
                space.quiet = true;
            }
            match self.serve(job) {
                Err(Broken::Lost(lost)) => self.lose(lost)?,
                result => result?,
            }
            // One may have come while the shadow was waited for.
            if !self.desk.has_report() && !self.has_newcomer() {
                let tokens = self.credentials.due.unwrap_or(due);
                let next = space.due().map_or(due, |look| look.min(due)).min(tokens);
                self.wait_also(Some(next), !self.is_away())?;
            }
        }
    }

    /// What the shadow is needed for while the job runs, if there is one.
    fn serve(&mut self, job: &Job) -> Result<(), Broken> {
        self.welcome()?;
        if self.is_away() {
            return Ok(());
        }
        self.tell_hold()?;
        self.renew_tokens(job)?;
        self.stream()?;
        self.serve_chirp(job)
    }
}
