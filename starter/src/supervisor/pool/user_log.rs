//! The logs that a starter writes for the user: those of a job of the local universe, and `StarterUserLog`
//! of any other (23.9.6 and 25.14.1).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use classad::ClassAd;

use super::super::unexpected;
use super::{Broken, Pool};
use crate::job::Job;
use crate::knobs::Knobs;
use crate::launcher::message::{Report, Status};
use crate::log;
use crate::plan::Plan;
use crate::report::events::{Event, Times};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserLog {
    /// Absolute.
    pub(super) path: PathBuf,
    /// Cluster and process.
    id: (i64, i64),
    /// Whether events are written as ads in XML.
    xml: bool,
    /// The only events that are wanted, if not all are.
    only: Option<Vec<i64>>,
}

impl UserLog {
    /// Those of a job of the local universe: its user's, and that of a DAG.
    pub(super) fn of(job: &Job) -> Vec<Self> {
        let id = (job.cluster, job.proc);
        let path = |name: &str| {
            let path = job.ad.eval_string(name).filter(|path| !path.is_empty())?;
            Some(job.iwd.join(path))
        };
        let xml = is_xml(job, "UserLogUseXML");
        let user = path("UserLog").map(|path| Self { path, id, xml, only: None });
        // DAGMan reads text.
        let dag = path("DAGManNodesLog").map(|path| {
            let mask = job.ad.eval_string("DAGManNodesMask").filter(|mask| !mask.is_empty());
            let numbers =
                |mask: String| mask.split(',').filter_map(|n| n.trim().parse().ok()).collect();
            Self { path, id, xml: false, only: mask.map(numbers) }
        });
        user.into_iter().chain(dag).collect()
    }

    /// That of a job with a shadow: next to its files.
    fn of_starter(job: &Job, plan: &Plan) -> Option<Self> {
        let path = job.ad.eval_string("StarterUserLog").filter(|path| !path.is_empty())?;
        let path = PathBuf::from(path);
        let path = match (&job.transfer, path.file_name()) {
            (Some(_), Some(name)) if path.is_absolute() => plan.program.directory.join(name),
            _ => plan.program.directory.join(path),
        };
        let xml = is_xml(job, "StarterUserLogUseXML");
        Some(Self { path, id: (job.cluster, job.proc), xml, only: None })
    }

    /// The daemons' own, of all jobs.
    pub(super) fn of_all(knobs: &Knobs, id: (i64, i64)) -> Option<Self> {
        let path = knobs.event_log.clone().filter(|path| path.is_absolute())?;
        Some(Self { path, id, xml: knobs.event_log_use_xml, only: None })
    }

    /// Adds an event with this process's rights. The file is there, begun and turned over by the schedd
    /// with events of its own.
    pub(super) fn add(&self, event: &Event) -> io::Result<()> {
        OpenOptions::new().append(true).open(&self.path)?.write_all(self.line(event).as_bytes())
    }

    /// Whether this event belongs there.
    pub(super) fn wants(&self, event: &Event) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&event.number().0))
    }

    /// What is written of an event.
    pub(super) fn line(&self, event: &Event) -> String {
        let now = log::local_time("%Y-%m-%d %H:%M:%S.%3f");
        if self.xml { event.xml(self.id, &now) } else { event.text(self.id, &now) }
    }
}

fn is_xml(job: &Job, name: &str) -> bool {
    job.ad.eval_bool(name).unwrap_or(false) || job.ad.eval_i64(name) == Some(1)
}

/// The CPU time in an update.
pub(super) fn times(ad: &ClassAd) -> Times {
    let time = |name: &str| {
        Duration::try_from_secs_f64(ad.eval(name).as_f64().unwrap_or_default()).unwrap_or_default()
    };
    Times { user: time("RemoteUserCpu"), system: time("RemoteSysCpu") }
}

impl Pool<'_> {
    /// Begins `StarterUserLog`. A job that wants one and can't have it is held (code 22).
    pub(super) fn begin_log(&mut self, job: &Job, plan: &Plan) -> Result<(), Broken> {
        self.log = UserLog::of_starter(job, plan);
        if self.log.is_none() {
            return Ok(());
        }
        self.log(&Event::Execute(self.startd.address().to_string()));
        match self.report()? {
            Report::Appended(None) => Ok(()),
            Report::Appended(Some(failure)) => Err(failure.into()),
            other => Err(unexpected(&other).into()),
        }
    }

    /// Has an event written, if the job wants that. It is answered by `Appended`.
    pub(super) fn log(&mut self, event: &Event) {
        let Some(log) = &self.log else { return };
        if let Err(failure) = self.desk.append(&log.path, log.line(event)) {
            tracing::error!("{}: {failure}", log.path.display());
        }
    }

    /// The end of the job.
    pub(super) fn log_end(&mut self, status: Status, by_itself: bool) {
        if self.log.is_none() {
            return;
        }
        let figures = self.figures.as_ref().map(|figures| figures.exited(self.knobs));
        let times = times(&figures.unwrap_or_default());
        self.log(&if by_itself { Event::Terminated(status, times) } else { Event::Evicted(times) });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_dag_gets_what_it_asks_for() {
        let text = "Cmd = \"x\"\nIwd = \"/home\"\nUserLog = \"log\"\nUserLogUseXML = true\n\
                    DAGManNodesLog = \"/dag/log\"\nDAGManNodesMask = \"0, 5\"\n";
        let job = Job::from_ad(ClassAd::parse_old(text).unwrap(), Path::new("/"), None).unwrap();
        let [user, dag] = UserLog::of(&job).try_into().unwrap();
        assert_eq!((user.path.to_str(), user.xml), (Some("/home/log"), true));
        assert_eq!((dag.path.to_str(), dag.xml), (Some("/dag/log"), false));
        let execute = Event::Execute("<a>".into());
        assert!(user.wants(&execute) && !dag.wants(&execute));
        assert!(user.line(&execute).contains("<a n=\"MyType\"><s>ExecuteEvent</s></a>\n"));
    }
}
