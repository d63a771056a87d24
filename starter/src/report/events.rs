//! Events of a job for its user's log (`UserLog`, `StarterUserLog`), as HTCondor 23.9.6 and 25.14.1
//! write them: as text, or as ads in XML.

use std::time::Duration;

use classad::ClassAd;

use crate::launcher::message::Status;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The program is about to be started, by the starter with this address.
    Execute(String),
    /// The job ended, for good.
    Terminated(Status, Times),
    /// It ended and is to run again, for this reason, if there is one.
    Requeued(Status, Times, String),
    /// It was made to end, or could not be started.
    Evicted(Times),
    /// So many processes were stopped.
    Suspended(i64),
    /// They go on.
    Unsuspended,
    /// Something went wrong in the starter with this address.
    Error(String, String),
}

/// CPU time in user mode and in the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// User.
    pub(crate) user: Duration,
    /// System.
    pub(crate) system: Duration,
}

impl Times {
    fn text(self) -> String {
        let clock = |time: Duration| {
            let all = time.as_secs();
            let (days, rest) = (all / 86_400, all % 86_400);
            format!("{days} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
        };
        format!("Usr {}, Sys {}", clock(self.user), clock(self.system))
    }
}

const NO_TIMES: Times = Times { user: Duration::ZERO, system: Duration::ZERO };

impl Event {
    /// Its number and its name.
    pub(crate) fn number(&self) -> (i64, &'static str) {
        match self {
            Self::Execute(_) => (1, "ExecuteEvent"),
            Self::Terminated(..) => (5, "JobTerminatedEvent"),
            Self::Requeued(..) | Self::Evicted(_) => (4, "JobEvictedEvent"),
            Self::Suspended(_) => (10, "JobSuspendedEvent"),
            Self::Unsuspended => (11, "JobUnsuspendedEvent"),
            Self::Error(..) => (21, "RemoteErrorEvent"),
        }
    }

    /// As text. `at` is the time as `2026-11-25 11:37:09.500`.
    pub(crate) fn text(&self, id: (i64, i64), at: &str) -> String {
        let (cluster, proc) = id;
        let number = self.number().0;
        let time = at.split('.').next().unwrap_or_default();
        format!("{number:03} ({cluster:03}.{proc:03}.000) {time} {}...\n", self.body())
    }

    fn body(&self) -> String {
        match self {
            Self::Execute(host) => format!("Job executing on host: {host}\n"),
            Self::Terminated(status, times) => {
                let (times, none) = (times.text(), NO_TIMES.text());
                format!(
                    "Job terminated.\n{}\t\t{none}  -  Run Remote Usage\n\t\t{times}  -  Run Local \
                     Usage\n\t\t{none}  -  Total Remote Usage\n\t\t{none}  -  Total Local Usage\n{}{}",
                    end(*status),
                    bytes("Run"),
                    bytes("Total"),
                )
            }
            Self::Requeued(status, times, why) => format!(
                "Job was evicted.\n\t(0) Job terminated and was requeued\n{}{}{}",
                usage(*times),
                end(*status),
                if why.is_empty() { String::new() } else { format!("\t{why}\n") },
            ),
            Self::Evicted(times) => {
                format!("Job was evicted.\n\t(0) CPU times\n{}", usage(*times))
            }
            Self::Suspended(count) => {
                format!("Job was suspended.\n\tNumber of processes actually suspended: {count}\n")
            }
            Self::Unsuspended => "Job was unsuspended.\n".to_owned(),
            Self::Error(host, message) => format!("Error from starter on {host}:\n\t{message}\n"),
        }
    }

    /// As an ad in XML.
    pub(crate) fn xml(&self, id: (i64, i64), at: &str) -> String {
        let mut ad = ClassAd::new();
        let (number, name) = self.number();
        ad.insert_value("MyType", name);
        ad.insert_value("EventTypeNumber", number);
        ad.insert_value("EventTime", at.replace(' ', "T"));
        ad.insert_value("Cluster", id.0);
        ad.insert_value("Proc", id.1);
        ad.insert_value("Subproc", 0);
        match self {
            Self::Execute(host) => {
                ad.insert_value("ExecuteHost", host.clone());
            }
            Self::Terminated(status, times) => {
                status_ad(&mut ad, *status);
                ad.insert_value("RunLocalUsage", times.text());
                for name in ["RunRemoteUsage", "TotalRemoteUsage", "TotalLocalUsage"] {
                    ad.insert_value(name, NO_TIMES.text());
                }
                for name in ["SentBytes", "ReceivedBytes", "TotalSentBytes", "TotalReceivedBytes"] {
                    ad.insert_value(name, 0.0);
                }
            }
            Self::Requeued(_, times, _) | Self::Evicted(times) => {
                ad.insert_value("Checkpointed", false);
                ad.insert_value("RunLocalUsage", times.text());
                ad.insert_value("RunRemoteUsage", NO_TIMES.text());
                ad.insert_value("SentBytes", 0.0);
                ad.insert_value("ReceivedBytes", 0.0);
                let requeued = matches!(self, Self::Requeued(..));
                ad.insert_value("TerminatedAndRequeued", requeued);
                if let Self::Requeued(status, _, why) = self {
                    status_ad(&mut ad, *status);
                    ad.insert_value("Reason", why.clone());
                } else {
                    ad.insert_value("TerminatedNormally", false);
                }
            }
            Self::Suspended(count) => {
                ad.insert_value("NumberOfPIDs", *count);
            }
            Self::Unsuspended => {}
            Self::Error(host, message) => {
                ad.insert_value("Daemon", "starter");
                ad.insert_value("ExecuteHost", host.clone());
                ad.insert_value("ErrorMsg", message.clone());
            }
        }
        // Line by line, as readers of such logs are used to.
        let mut text = ad.to_xml().replace("<a n=", "\n    <a n=").replace("</c>", "\n</c>\n");
        text.shrink_to_fit();
        text
    }
}

fn status_ad(ad: &mut ClassAd, status: Status) {
    match status {
        Status::Exited(code) => {
            ad.insert_value("TerminatedNormally", true);
            ad.insert_value("ReturnValue", i64::from(code));
        }
        Status::Signaled(signal, _) => {
            ad.insert_value("TerminatedNormally", false);
            ad.insert_value("TerminatedBySignal", i64::from(signal));
        }
    }
}

fn end(status: Status) -> String {
    match status {
        Status::Exited(code) => format!("\t(1) Normal termination (return value {code})\n"),
        Status::Signaled(signal, _) => {
            format!("\t(0) Abnormal termination (signal {signal})\n\t(0) No core file\n")
        }
    }
}

fn usage(times: Times) -> String {
    let (times, none) = (times.text(), NO_TIMES.text());
    let bytes = bytes("Run");
    format!("\t\t{none}  -  Run Remote Usage\n\t\t{times}  -  Run Local Usage\n{bytes}")
}

/// Nothing is transferred.
fn bytes(what: &str) -> String {
    format!("\t0  -  {what} Bytes Sent By Job\n\t0  -  {what} Bytes Received By Job\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: &Event) -> String {
        event.text((9, 0), "2026-11-25 11:37:09.500")
    }

    #[test]
    fn texts_are_as_recorded() {
        let times = Times { user: Duration::from_secs(90_061), system: Duration::from_millis(900) };
        assert_eq!(
            text(&Event::Execute("<127.0.0.1:9618>".into())),
            "001 (009.000.000) 2026-11-25 11:37:09 Job executing on host: <127.0.0.1:9618>\n...\n"
        );
        assert_eq!(
            text(&Event::Terminated(Status::Signaled(10, false), times)),
            "005 (009.000.000) 2026-11-25 11:37:09 Job terminated.\n\
             \t(0) Abnormal termination (signal 10)\n\
             \t(0) No core file\n\
             \t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage\n\
             \t\tUsr 1 01:01:01, Sys 0 00:00:00  -  Run Local Usage\n\
             \t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Remote Usage\n\
             \t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Local Usage\n\
             \t0  -  Run Bytes Sent By Job\n\
             \t0  -  Run Bytes Received By Job\n\
             \t0  -  Total Bytes Sent By Job\n\
             \t0  -  Total Bytes Received By Job\n...\n"
        );
        assert_eq!(
            text(&Event::Requeued(Status::Exited(1), NO_TIMES, "because".into())),
            "004 (009.000.000) 2026-11-25 11:37:09 Job was evicted.\n\
             \t(0) Job terminated and was requeued\n\
             \t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage\n\
             \t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Local Usage\n\
             \t0  -  Run Bytes Sent By Job\n\
             \t0  -  Run Bytes Received By Job\n\
             \t(1) Normal termination (return value 1)\n\
             \tbecause\n...\n"
        );
        assert!(text(&Event::Error("<a>".into(), "why".into())).contains("starter on <a>:\n\twhy"));
    }
}
