//! A job of a pool: what the startd hands down is taken over, then the starter is as in every other
//! case one launcher and one supervisor.

use super::inherited::{INHERIT, Inherited};
use super::invocation::Common;
use super::session::{Ground, Split};
use crate::failure::{Failure, Step};
use crate::log;
use crate::parent::startd::Startd;
use crate::supervisor::{Desk, Signals, pool::Pool};
use crate::sys::{environment, process};
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
    let pid = std::process::id();
    let (channel, launcher) = match ground.split()? {
        Split::Launcher(channel) => {
            drop((startd, shadow, signals));
            environment::wipe(&[INHERIT]);
            ground.serve(&channel, pid, false)
        }
        Split::Supervisor(channel, launcher) => (channel, launcher),
    };
    ground.give_up_root()?;
    let desk = Desk::new(channel, signals);
    let for_jobs = inherited.for_jobs();
    let pool = Pool::new(desk, startd, shadow, &ground.knobs, ground.host.clone(), for_jobs)?;
    let code = pool.run();
    // The launcher leaves by itself once its channel is closed.
    let _ = process::wait_with_usage(launcher.pid);
    Ok(code)
}
