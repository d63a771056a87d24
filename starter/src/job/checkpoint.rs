//! How a job that checkpoints itself says so, and what it wants saved.

use std::path::PathBuf;

use classad::ClassAd;

use super::files::output_names;
use super::{signal_number, text};
use crate::failure::Failure;
use crate::launcher::message::Status;

/// A job that can be started again in its sandbox, with what it has saved there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// `WantFTOnCheckpoint`: it ends with the status below whenever it has saved something.
    pub(crate) on_exit: bool,
    /// `WantCheckpointSignal`: it does so when it is sent this signal (`CheckpointSig`, else that of a
    /// soft kill).
    pub(crate) signal: Option<i32>,
    /// The status of such an end, as wait(2) has it.
    pub(crate) status: i32,
    /// `TransferCheckpoint`; `None`: what output would be.
    pub(crate) files: Option<Vec<PathBuf>>,
    /// `CheckpointNumber`: that of the last one, -1 if there was none.
    pub(crate) number: i64,
    /// `CheckpointDestination`, a URL: where checkpoints are kept in place of the spool.
    pub(crate) destination: Option<String>,
}

impl Checkpoint {
    /// `None` for a job that doesn't.
    pub(super) fn from_ad(
        ad: &ClassAd,
        kill_signal: i32,
        file_system: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let on_exit = ad.eval_bool("WantFTOnCheckpoint") == Some(true);
        let by_order = ad.eval_bool("WantCheckpointSignal") == Some(true);
        if !on_exit && !by_order {
            return Ok(None);
        }
        let files = text(ad, "TransferCheckpoint")?
            .map(|list| output_names("TransferCheckpoint", &list, file_system))
            .transpose()?;
        Ok(Some(Self {
            on_exit,
            signal: by_order.then(|| signal_number(ad, "CheckpointSig").unwrap_or(kill_signal)),
            status: status(ad),
            files,
            number: ad.eval_i64("CheckpointNumber").unwrap_or(-1),
            destination: text(ad, "CheckpointDestination")?,
        }))
    }

    /// Whether an end is that of a checkpoint.
    pub(crate) fn is(&self, status: Status) -> bool {
        status.wait() == self.status
    }

    /// What the job had promised and what it did, when it was sent its signal: HTCondor's words.
    pub(crate) fn broken_promise(&self, status: Status) -> String {
        let told = |status: i32| match status & 0x7f {
            0 => format!("with exit code {}", status >> 8 & 0xff),
            signal => format!("on signal {signal}"),
        };
        format!(
            "Job did not exit as promised when sent its checkpoint signal.  Promised exit was {}, \
             actual exit status was {}.",
            told(self.status),
            told(status.wait())
        )
    }
}

/// Codes that no process can exit with are compared as they are, and never met.
fn status(ad: &ClassAd) -> i32 {
    let number = |name: &str| {
        ad.eval_i64(name).and_then(|value| i32::try_from(value).ok()).unwrap_or_default()
    };
    if ad.eval_bool("SuccessCheckpointExitBySignal") == Some(true) {
        number("SuccessCheckpointExitSignal")
    } else {
        number("SuccessCheckpointExitCode").saturating_mul(256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(text: &str) -> Option<Checkpoint> {
        let ad = ClassAd::parse_old(text).unwrap();
        Checkpoint::from_ad(&ad, 15, Some("here")).unwrap()
    }

    #[test]
    fn only_jobs_that_say_so_have_checkpoints() {
        assert_eq!(checkpoint("SuccessCheckpointExitCode = 85\nCheckpointSig = 12\n"), None);
        let plain = checkpoint("WantFTOnCheckpoint = true\n").unwrap();
        assert_eq!((plain.signal, plain.files.clone(), plain.number), (None, None, -1));
        assert!(plain.is(Status::Exited(0)), "without a code it is 0");
    }

    #[test]
    fn ends_are_compared_as_stock_does() {
        let by_code =
            checkpoint("WantFTOnCheckpoint = true\nSuccessCheckpointExitCode = 85\n").unwrap();
        assert!(by_code.is(Status::Exited(85)));
        for other in [Status::Exited(0), Status::Signaled(85, false), Status::Signaled(12, false)] {
            assert!(!by_code.is(other), "{other:?}");
        }
        let by_signal = checkpoint(
            "WantFTOnCheckpoint = true\nSuccessCheckpointExitCode = 85\n\
             SuccessCheckpointExitBySignal = true\nSuccessCheckpointExitSignal = 12\n",
        )
        .unwrap();
        assert!(by_signal.is(Status::Signaled(12, false)));
        assert!(!by_signal.is(Status::Exited(85)) && !by_signal.is(Status::Signaled(12, true)));
        for code in [256, i64::from(i32::MAX), i64::MAX, -1] {
            let never = checkpoint(&format!(
                "WantFTOnCheckpoint = true\nSuccessCheckpointExitCode = {code}\n"
            ));
            let never = never.unwrap();
            assert!(!(1..256).any(|code| never.is(Status::Exited(code))), "{code}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, signal) in [("12", 12), ("\"SIGUSR2\"", 12), ("\"nothing\"", 15)] {
            let job = format!("WantCheckpointSignal = true\nCheckpointSig = {text}\n");
            assert_eq!(checkpoint(&job).unwrap().signal, Some(signal), "{text}");
        }
        let broken = checkpoint("WantCheckpointSignal = true\nSuccessCheckpointExitCode = 77\n");
        let text = broken.unwrap().broken_promise(Status::Signaled(9, false));
        assert!(text.ends_with("was with exit code 77, actual exit status was on signal 9."));
    }

    #[test]
    fn lists_stay_in_the_sandbox() {
        let list = checkpoint("WantFTOnCheckpoint = true\nTransferCheckpoint = \"a, d/e\"\n");
        assert_eq!(list.unwrap().files, Some(vec!["a".into(), "d/e".into()]));
        let ad = "WantFTOnCheckpoint = true\nTransferCheckpoint = \"../x\"\n";
        let ad = ClassAd::parse_old(ad).unwrap();
        assert!(Checkpoint::from_ad(&ad, 15, Some("here")).is_err());
    }
}
