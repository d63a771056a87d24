//! The supervisor: the process that the parent knows. It reads everything that comes from outside,
//! without any privilege, and has the launcher do what needs one.
//!
//! It waits in one poll loop. The sources of events are few (the launcher, signals, in a pool the
//! startd and the shadow), for which an async runtime would cost more than it gives.

mod alone;
mod alone_hooks;
mod desk;
mod memory;
pub(crate) mod pool;
mod signals;

pub(crate) use alone::{Supervisor, Watch};
pub(crate) use desk::Desk;
pub(crate) use signals::Signals;

use crate::failure::{Failure, Step};
use crate::launcher::message::{Ended, Report, Status};
use crate::plan::{Plan, Together};

/// Notes what isolation and limits a job gets.
fn log_plan(plan: &Plan) {
    tracing::info!("isolation: {}", plan.applied().join(" "));
    match &plan.together {
        Together::In(cgroup) => tracing::info!("limits: cgroup {}", cgroup.name),
        Together::No(why) => tracing::info!("no limits by cgroup: {why}"),
    }
    for item in &plan.not_applied {
        tracing::warn!("isolation not applied: {item}");
    }
}

fn unexpected(report: &Report) -> Failure {
    Failure::host(Step::Internal, format!("the launcher answered out of order: {report:?}"))
}

fn describe(ended: &Ended) -> String {
    match ended.status {
        Status::Exited(code) => format!("status={code}"),
        Status::Signaled(signal, _) => format!("signal={signal}"),
    }
}
