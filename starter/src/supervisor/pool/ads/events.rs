//! Events: for the job's log at the submit side, and for the shadow's own account.

use base64ct::{Base64, Encoding};
use classad::ClassAd;

use crate::failure::{Failure, Step};
use crate::hooks::{End, Ran};

/// An event for the user's log.
fn event(name: &str, number: i64) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("MyType", name);
    ad.insert_value("EventTypeNumber", number);
    ad.insert_value(
        "EventTime",
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    );
    ad
}

/// `GenericEvent`: a line that the job wants to see there.
pub(in crate::supervisor::pool) fn generic(text: &str) -> ClassAd {
    let mut ad = event("GenericEvent", 8);
    ad.insert_value("Info", text);
    ad
}

/// `RemoteErrorEvent`: something went wrong here, and what is to become of the job.
pub(in crate::supervisor::pool) fn error(failure: &Failure, code: i32, subcode: i32) -> ClassAd {
    let mut ad = event("RemoteErrorEvent", 21);
    ad.insert_value("Daemon", "starter");
    ad.insert_value("ErrorMsg", failure.message.clone());
    ad.insert_value("HoldReasonCode", i64::from(code));
    ad.insert_value("HoldReasonSubCode", i64::from(subcode));
    ad
}

/// The same event where the job goes on: a message for the user.
pub(in crate::supervisor::pool) fn notice(message: String) -> ClassAd {
    let mut ad = error(&Failure::host(Step::Hook, message), 0, 0);
    ad.insert_value("CriticalError", 0);
    ad
}

/// `DiagnosticResult`: what a diagnostic has found.
pub(in crate::supervisor::pool) fn diagnostic(name: &str, ran: &Ran) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", "DiagnosticResult");
    ad.insert_value("Diagnostic", name.to_owned());
    let result = match ran.end {
        End::Ended(status) => {
            ad.insert_value("Contents", Base64::encode_string(&ran.output));
            ad.insert_value("ExitStatus", i64::from(status.wait()));
            "Completed"
        }
        End::Unregistered => "Error - Unregistered",
        End::Missing => "Error - specified path does not exist",
        End::TimedOut => "Error - Timed Out",
        End::TooMuch => "Error - wrote too much",
        End::NotExecuted(_) => "Error - could not be executed",
    };
    ad.insert_value("Result", result);
    ad
}

/// `ActivationExecutionExit`: the job's processes are gone, output comes next.
pub(in crate::supervisor::pool) fn execution_exit() -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", "ActivationExecutionExit");
    ad
}

/// `SuccessfulCheckpoint` or `FailedCheckpoint`.
pub(in crate::supervisor::pool) fn checkpoint(event: &str, number: i64) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("EventType", event);
    ad.insert_value("CheckpointNumber", number);
    ad
}
