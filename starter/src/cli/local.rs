//! A job of the local universe, for the schedd that started this process.

use condor_cedar::Sinful;

use super::inherited::Inherited;
use super::invocation::{Common, Ids};
use super::session::{self, Ground};
use crate::failure::{Failure, Step};
use crate::knobs::types::Condition;
use crate::log;
use crate::parent::file::{self, FileParent};
use crate::parent::startd::Startd;
use crate::supervisor::Signals;
use crate::supervisor::pool::local::{Course, Local};
use crate::supervisor::pool::reason;
use crate::version::CONDOR_VERSION;

/// Runs the job; the exit code, which a schedd reads as it does that of a shadow.
pub(super) fn main(schedd: &str, input: &str, ids: Ids, common: &Common) -> u8 {
    let code = run(schedd, input, ids, common).unwrap_or_else(|failure| {
        tracing::error!("{}: {failure}", failure.step);
        complain!("cloister: {}: {failure}", failure.step);
        // The schedd starts the job anew.
        reason::EXCEPTION
    });
    log::exiting(code);
    code
}

fn run(schedd: &str, input: &str, ids: Ids, common: &Common) -> Result<u8, Failure> {
    let inherited = Inherited::take();
    let mut ground = Ground::prepare(common, false)?;
    let Some(sockets) = inherited.sockets() else {
        let why = "no CONDOR_INHERIT in the environment: a schedd has to start this";
        return Err(Failure::host(Step::Internal, why));
    };
    let address: Sinful = schedd.parse().map_err(|error| {
        Failure::host(Step::Internal, format!("-schedd-addr {schedd}: {error}"))
    })?;
    tracing::info!("Starter running a job under a schedd listening at {schedd}");
    let signals = Signals::new()?;
    let (parent, _) = Startd::take_over(sockets, inherited.keys(), &ground.knobs, CONDOR_VERSION)?;
    if !parent.is_new() {
        ground.knobs.be_old();
    }
    be_local(&mut ground);
    let file = FileParent {
        input: session::open_input(input, file::read_ad)?,
        output: None,
        ids: (ids.cluster, ids.proc),
    };
    let ((schedd, mut file), forked) = ground.fork(signals, (parent, file), false)?;
    let code = forked.work(|desk| {
        let local = Local {
            desk,
            schedd,
            address,
            knobs: &ground.knobs,
            host: ground.host.clone(),
            environment: inherited.for_jobs(),
            course: Course::default(),
        };
        local.run(&mut file)
    });
    Ok(code)
}

/// A job of the local universe always runs as its owner. It works at the access point for its owner,
/// with condor_submit and the like, which prove who they are by files in /tmp: no private one.
fn be_local(ground: &mut Ground) {
    ground.knobs.starter_allow_runas_owner = Condition("True".to_owned());
    ground.knobs.mount_under_scratch = None;
    // No slot has CPUs for it.
    ground.knobs.starter_num_threads_env_vars.clear();
}
