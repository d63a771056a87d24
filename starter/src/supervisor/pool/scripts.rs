//! `PreCmd` and `PostCmd`: programs of the user's that run before and after the job's own, in its cell,
//! where an admin allows them (STARTER_ALLOW_JOB_PRE_AND_POST_CMD).

use classad::{ClassAd, Expr, Value};

use super::super::{describe, unexpected};
use super::{Broken, Pool, Stage};
use crate::failure::{Failure, Step, hold};
use crate::job::{Job, Script, Which};
use crate::launcher::message::{Order, Report, Status};
use crate::parent::startd::Machine;
use crate::plan::{Program, Stdio};

/// What runs before and after the job.
#[derive(Clone, Debug, Default)]
pub(super) struct Scripts {
    before: Option<Program>,
    after: Option<Program>,
}

impl Pool<'_> {
    /// The job's scripts, if it has any and may have them.
    pub(super) fn scripts(&mut self, job: &Job, machine: &Machine) -> Result<Scripts, Failure> {
        let [before, after] =
            [Which::Pre, Which::Post].map(|which| Script::from_ad(&job.ad, which));
        let (before, after) = (before?, after?);
        if before.is_none() && after.is_none() {
            return Ok(Scripts::default());
        }
        let allowed = self.knobs.starter_allow_job_pre_and_post_cmd.as_deref();
        if !allowed.is_some_and(|text| holds(text, &machine.slot, &job.ad)) {
            tracing::warn!(
                "PreCmd and PostCmd are ignored: STARTER_ALLOW_JOB_PRE_AND_POST_CMD isn't True"
            );
            return Ok(Scripts::default());
        }
        let mut program = |script: Option<Script>| -> Result<Option<Program>, Failure> {
            let Some(script) = script else { return Ok(None) };
            // Everything but the program and its variables is as for the job.
            let mut own = job.clone();
            own.environment = script.environment;
            own.stdio = [None, None, None];
            let plan = self.plan(&own, machine)?;
            let path = plan.sandbox.path().join(&script.path);
            let arguments = script.arguments.into_iter().map(String::into_bytes).collect();
            let stdio = [Stdio::Null, Stdio::Null, Stdio::Null];
            Ok(Some(Program { path, arguments, stdio, ..plan.program }))
        };
        Ok(Scripts { before: program(before)?, after: program(after)? })
    }

    /// Runs what comes before the job.
    pub(super) fn before(&mut self, job: &Job, scripts: &Scripts) -> Result<(), Broken> {
        let Some(program) = &scripts.before else { return Ok(()) };
        let status = self.script(job, Which::Pre, program.clone())?;
        self.stop_if_asked()?;
        self.judge(job, Which::Pre, status)
    }

    /// Runs what comes after it, unless the job is made to end.
    pub(super) fn after(
        &mut self,
        job: &Job,
        scripts: &Scripts,
        end: Status,
    ) -> Result<(), Broken> {
        let Some(program) = &scripts.after else { return Ok(()) };
        if self.ending.is_under_way() {
            return Ok(());
        }
        let mut program = program.clone();
        program.environment.push(match end {
            Status::Exited(code) => format!("_CONDOR_MAINJOB_EXIT_CODE={code}").into_bytes(),
            Status::Signaled(signal, _) => {
                format!("_CONDOR_MAINJOB_EXIT_SIGNAL={signal}").into_bytes()
            }
        });
        let status = self.script(job, Which::Post, program)?;
        self.judge(job, Which::Post, status)
    }

    fn script(&mut self, job: &Job, which: Which, program: Program) -> Result<Status, Broken> {
        tracing::info!("About to exec {} script: {}", which.name(), program.path.display());
        self.desk.order(&Order::Script(Box::new(program)))?;
        self.stage = Stage::Running(job.kill_signal);
        match self.report()? {
            Report::Started { pid, .. } => tracing::info!("Create_Process succeeded, pid={pid}"),
            other => return Err(unexpected(&other).into()),
        }
        loop {
            match self.report()? {
                Report::Ended { ended, .. } => {
                    self.stage = Stage::Quiet;
                    tracing::info!("{} script exited, {}", which.name(), describe(&ended));
                    return Ok(ended.status);
                }
                Report::Measured { .. } => {}
                other => return Err(unexpected(&other).into()),
            }
        }
    }

    /// What the end of a script says to the shadow, and whether the job goes on.
    fn judge(&mut self, job: &Job, which: Which, status: Status) -> Result<(), Broken> {
        let name = which.name();
        let mut ad = ClassAd::new();
        match status {
            Status::Exited(code) => {
                ad.insert_value(format!("{name}ExitBySignal"), false);
                ad.insert_value(format!("{name}ExitCode"), i64::from(code));
            }
            Status::Signaled(signal, _) => {
                ad.insert_value(format!("{name}ExitBySignal"), true);
                ad.insert_value(format!("{name}ExitSignal"), i64::from(signal));
            }
        }
        let success = which.is_success(&job.ad, status);
        // Of the first one nothing is kept unless it failed.
        if which == Which::Post || !success {
            self.update(ad)?;
        }
        if success {
            return Ok(());
        }
        let code = match which {
            Which::Pre => hold::PRE_SCRIPT_FAILED,
            Which::Post => hold::POST_SCRIPT_FAILED,
        };
        let end = match status {
            Status::Exited(code) => format!("exit code {code}"),
            Status::Signaled(signal, _) => format!("signal {signal}"),
        };
        let message = format!(
            "{name} script failed: {name}Cmd ended with {end} on {}, and Success{name}ExitCode or \
             Success{name}ExitSignal of the job wants another end",
            self.host.name
        );
        Err(Failure::job(Step::Script, code, 0, message).into())
    }
}

/// An expression over the slot and the job.
fn holds(text: &str, slot: &ClassAd, job: &ClassAd) -> bool {
    match Expr::parse_old(text).map(|expr| expr.eval_in_match(slot, job)) {
        Ok(Value::Bool(yes)) => yes,
        Ok(Value::Int(number)) => number != 0,
        _ => false,
    }
}
