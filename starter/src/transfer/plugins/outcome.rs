//! What a call of a plugin has come to, in HTCondor's words and codes.
//!
//! A plugin has succeeded only if it ended with 0 and says so of every file it speaks of. HTCondor goes
//! by the exit code alone, and starts jobs whose input isn't there.

use std::path::Path;

use classad::ClassAd;

use super::run::{End, Ran};
use super::url;

/// `HoldReasonSubCode` of 25: there is no plugin for the scheme. Its schedds have jobs with these run
/// elsewhere instead of holding them.
pub(super) const NOT_FOUND: i32 = -1001;
/// A plugin may not be used.
pub(super) const NOT_OPERATIONAL: i32 = -1002;
/// A plugin's program could not be executed.
const NOT_EXECUTED: i32 = -1003;
/// A plugin ended without results.
const NO_RESULTS: i32 = -1004;

/// More errors than these aren't told of; the last ones are.
const MAX_ERRORS: usize = 20;
/// Longest text of all of them.
const MAX_TEXT: usize = 16 << 10;

/// Files that could not be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Whether another machine may do better.
    pub(crate) again: bool,
    /// `HoldReasonSubCode`.
    pub(crate) subcode: i32,
    /// In the words that a shadow looks for.
    pub(crate) text: String,
}

impl Fault {
    /// With what went wrong after it, which decides, as in HTCondor.
    pub(super) fn and(self, later: Self) -> Self {
        Self { text: bounded(format!("{}|{}", later.text, self.text)), ..later }
    }

    /// Whether the plugin ended well and told of files that it could not move.
    pub(crate) fn is_told(&self) -> bool {
        !self.again && self.subcode == 0
    }
}

/// Who is called, and by which rules its end is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    /// The plugin's path.
    pub(super) label: &'a str,
    /// Whether the shadow is of 25.
    pub(super) modern: bool,
    /// Seconds that it had.
    pub(super) lifetime: u64,
}

/// `Result` in the ad of a call.
pub(super) fn number(end: End) -> i64 {
    match end {
        End::Exited(0) => 0,
        End::Exited(_) | End::Signaled(_) => 1,
        End::TimedOut => 3,
        End::NotExecuted(_) => 4,
    }
}

/// The exit code, as it is shown.
pub(super) fn code(end: End) -> i32 {
    match end {
        End::Exited(code) => code,
        End::Signaled(_) => 0,
        End::TimedOut | End::NotExecuted(_) => -1,
    }
}

impl Called<'_> {
    /// Of a call that leaves its results in a file.
    pub(super) fn judge(&self, ran: &Ran, ads: &[ClassAd], output: &Path) -> Result<(), Fault> {
        let label = self.label;
        let mut errors: Vec<String> =
            ads.iter().filter_map(|ad| self.complaint(ran.end, ad)).collect();
        match ran.end {
            End::NotExecuted(errno) => return Err(self.not_executed(errno)),
            End::TimedOut => errors.push(self.timed_out()),
            _ if ads.is_empty() => {
                let (kind, number) = match ran.end {
                    End::Signaled(signal) => ("signal", signal),
                    end => ("exit code", code(end)),
                };
                errors.push(format!(
                    "|Error: file transfer plugin {label} exited ({kind} {number}), no valid classads \
                     in output file {}",
                    output.display()
                ));
            }
            End::Exited(0) if errors.is_empty() => return Ok(()),
            end if errors.is_empty() => errors.push(format!(
                "File transfer plugin {label} failed unexpectedly with exit code {}, did not report a \
                 TransferError message.",
                code(end)
            )),
            _ => {}
        }
        let subcode = self.subcode(ran.end, !ads.is_empty());
        Err(Fault { again: false, subcode, text: stacked(&errors) })
    }

    /// Of a call that prints its result.
    pub(super) fn judge_single(&self, ran: &Ran, ad: &ClassAd, url: &str) -> Result<(), Fault> {
        let label = self.label;
        let error = match ran.end {
            End::NotExecuted(errno) => return Err(self.not_executed(errno)),
            End::TimedOut => self.timed_out(),
            End::Exited(0) if ad.eval_bool("TransferSuccess") != Some(false) => return Ok(()),
            end => {
                let how = match end {
                    End::Signaled(signal) => format!("exit by signal {signal}"),
                    end => format!("non-zero exit ({})", code(end)),
                };
                let shown =
                    url::shown(&ad.eval_string("TransferUrl").unwrap_or_else(|| url.to_owned()));
                format!("{how} from {label}. |Error: {} ( URL file = {shown} )|", self.reason(ad))
            }
        };
        Err(Fault { again: false, subcode: self.subcode(ran.end, true), text: stacked(&[error]) })
    }

    /// What is wrong with a file, if it is.
    fn complaint(&self, end: End, ad: &ClassAd) -> Option<String> {
        let (label, code) = (self.label, code(end));
        let shown = url::shown(&ad.eval_string("TransferUrl").unwrap_or_default());
        match ad.eval_bool("TransferSuccess") {
            Some(true) => None,
            Some(false) => Some(format!(
                "non-zero exit ({code}) from {label}. |Error: {} ( URL file = {shown} )|",
                self.reason(ad)
            )),
            None => Some(format!(
                "non-zero exit ({code}) from {label}. |Error: File transfer plugin {label} exited \
                 without producing a TransferSuccess result  ({shown})|"
            )),
        }
    }

    fn reason(&self, ad: &ClassAd) -> String {
        ad.eval_string("TransferError").unwrap_or_else(|| {
            format!(
                "File transfer plugin {} exited unexpectedly without producing an error message ",
                self.label
            )
        })
    }

    fn timed_out(&self) -> String {
        format!(
            "|Error: File transfer plugin {} timed out after {} seconds.",
            self.label, self.lifetime
        )
    }

    /// It isn't the job's fault; a schedd of 25 knows that by the subcode.
    fn not_executed(&self, errno: i32) -> Fault {
        let reason = nix::errno::Errno::from_raw(errno).desc();
        let error = format!("FILETRANSFER: Failed to execute {}: {reason}", self.label);
        let subcode = if self.modern { NOT_EXECUTED } else { errno << 8 };
        Fault { again: !self.modern, subcode, text: stacked(&[error]) }
    }

    fn subcode(&self, end: End, has_results: bool) -> i32 {
        match end {
            End::TimedOut => libc::ETIME,
            End::Signaled(signal) if self.modern => signal,
            _ if !has_results && self.modern => NO_RESULTS,
            End::Exited(code) => code << 8,
            End::Signaled(_) | End::NotExecuted(_) => 0,
        }
    }
}

/// Errors as HTCondor stacks them, the last one first.
pub(super) fn stacked(errors: &[String]) -> String {
    let last = errors.iter().rev().take(MAX_ERRORS);
    bounded(last.map(|error| format!("FILETRANSFER:1:{error}")).collect::<Vec<_>>().join("|"))
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(end: End) -> Ran {
        Ran { end, said: Vec::new(), bytes: 0, seconds: 0, results: None }
    }

    fn judge(modern: bool, end: End, ads: &[&str]) -> Result<(), Fault> {
        let ads: Vec<_> = ads.iter().map(|ad| ClassAd::parse(ad).unwrap()).collect();
        let called = Called { label: "/x/p", modern, lifetime: 7 };
        called.judge(&ran(end), &ads, Path::new("/s/.p.out"))
    }

    const GOOD: &str = "[ TransferSuccess = true; TransferUrl = \"x://a\" ]";
    const BAD: &str =
        "[ TransferSuccess = false; TransferError = \"no\"; TransferUrl = \"x://b?s\" ]";

    #[test]
    fn success_is_exit_code_and_word() {
        assert_eq!(judge(true, End::Exited(0), &[GOOD, GOOD]), Ok(()));
        let fault = judge(true, End::Exited(0), &[GOOD, BAD]).unwrap_err();
        assert_eq!((fault.again, fault.subcode), (false, 0));
        assert_eq!(
            fault.text,
            "FILETRANSFER:1:non-zero exit (0) from /x/p. |Error: no ( URL file = x://b?... )|"
        );
        assert!(judge(true, End::Exited(0), &["[ a = 1 ]"]).is_err());
        assert!(judge(true, End::Exited(1), &[GOOD]).is_err());
    }

    #[test]
    fn codes_are_those_of_the_release() {
        for (end, ads, new, old) in [
            (End::Exited(32), &[BAD][..], 32 << 8, 32 << 8),
            (End::Exited(1), &[], -1004, 1 << 8),
            (End::Exited(0), &[], -1004, 0),
            (End::Signaled(9), &[], 9, 0),
            (End::Signaled(11), &[BAD], 11, 0),
            (End::TimedOut, &[], libc::ETIME, libc::ETIME),
            (End::NotExecuted(2), &[], -1003, 2 << 8),
        ] {
            let fault = |modern| judge(modern, end, ads).unwrap_err();
            assert_eq!((fault(true).subcode, fault(false).subcode), (new, old), "{end:?}");
            let again = matches!(end, End::NotExecuted(_));
            assert_eq!((fault(true).again, fault(false).again), (false, again), "{end:?}");
        }
        let text = judge(true, End::TimedOut, &[]).unwrap_err().text;
        assert_eq!(
            text,
            "FILETRANSFER:1:|Error: File transfer plugin /x/p timed out after 7 seconds."
        );
    }

    #[test]
    fn there_is_an_end_to_a_reason() {
        let bad = BAD.replace("no", &"no".repeat(3000));
        let many: Vec<&str> = std::iter::repeat_n(bad.as_str(), 100).collect();
        let text = judge(true, End::Exited(1), &many).unwrap_err().text;
        assert!(text.len() <= MAX_TEXT + 3, "{}", text.len());
    }
}
