//! A job of a pool: what the startd hands down is taken over, then the starter is as in every other
//! case one launcher and one supervisor.

use super::inherited::Inherited;
use super::invocation::Common;
use super::session::Ground;
use crate::failure::{Failure, Step};
use crate::log;
use crate::parent::startd::Startd;
use crate::supervisor::Signals;
use crate::supervisor::pool::Pool;
use crate::version::CONDOR_VERSION;

/// Exit code of a starter that could not do its work.
const EXIT_FAILED: u8 = 1;
/// Exit code of a starter that can't open its log, as in 23.9.6 and 25.14.1.
const EXIT_NO_LOG: u8 = 4;

/// Runs the job of a claim; the exit code.
pub(super) fn main(common: &Common) -> u8 {
    let code = run(common).unwrap_or_else(|failure| {
        tracing::error!("{}: {failure}", failure.step);
        complain!("cloister: {}: {failure}", failure.step);
        if failure.step == Step::Log { EXIT_NO_LOG } else { EXIT_FAILED }
    });
    log::exiting(code);
    code
}

fn run(common: &Common) -> Result<u8, Failure> {
    let inherited = Inherited::take();
    let mut ground = Ground::prepare(common, false)?;
    let Some(sockets) = inherited.sockets() else {
        return Err(Failure::host(
            Step::Internal,
            "no CONDOR_INHERIT in the environment: a startd has to start this; to run a job from a \
             file use -job-input-ad, or `starter run`",
        ));
    };
    let signals = Signals::new()?;
    let (startd, shadow) =
        Startd::take_over(sockets, inherited.keys(), &ground.knobs, CONDOR_VERSION)?;
    let Some(shadow) = shadow else {
        return Err(Failure::host(
            Step::Internal,
            "the startd hands down no connection with a shadow: jobs from hooks, from COD and from \
             the configuration are not supported",
        ));
    };
    if !startd.is_new() {
        ground.knobs.be_old();
    }
    // The startd names the slot for the name of the log.
    ground.slot = common.log_suffix.clone();
    let ((startd, shadow), forked) = ground.fork(signals, (startd, shadow), false)?;
    let (host, for_jobs) = (ground.host.clone(), inherited.for_jobs());
    let slot = ground.slot.as_deref().unwrap_or("slot");
    forked
        .work(|desk| Ok(Pool::new(desk, startd, shadow, &ground.knobs, host, for_jobs)?.run(slot)))
}
