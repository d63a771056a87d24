//! Guidance of 25.x: what the shadow wants done after input could not be fetched.
//!
//! Nothing is asked where all went well, nor of a shadow that doesn't know the request. An answer that
//! means nothing here is no reason to start a job: the failure stays a failure.

use std::time::Duration;

use classad::ClassAd;

use super::{Broken, Pool, Stage, ads};
use crate::failure::{Disposition, Failure};
use crate::hooks::Errand;
use crate::launcher::message::Order;
use crate::parent::shadow::Call;
use crate::parent::startd::Release;

/// First release whose shadow has guidance.
const GUIDANCE: Release = Release(24, 5);
/// The shadow learns of the failure from a process of its own: one that is asked before that says to
/// ask again in five seconds.
const BREATH: Duration = Duration::from_millis(300);
/// Seconds until it is asked again, where it doesn't say.
const AGAIN: i64 = 20;
/// The longest time that it can have this starter wait in one go.
const MOST_AGAIN: i64 = 3600;
/// Questions, after which a shadow is taken to have nothing to say.
const MOST_QUESTIONS: usize = 100;

/// What to do in place of giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Start the job with what is there.
    Start,
    /// Fetch its input once more.
    Fetch,
}

/// An answer, as far as it means something here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Start,
    Fetch,
    /// Give up, which is also what carrying on comes to.
    GiveUp,
    AskAgain(Duration),
    Diagnose(String),
}

impl Pool<'_> {
    /// Asks the shadow until it has said what is to become of a job whose input could not be fetched.
    pub(super) fn guidance(
        &mut self,
        failure: Failure,
        shadow: Option<Release>,
    ) -> Result<Advice, Broken> {
        if shadow.is_none_or(|release| release < GUIDANCE) || self.knobs.guidance_mums_the_word {
            return Err(failure.into());
        }
        // What this starter can't do, it can't do the next time.
        if matches!(failure.disposition, Disposition::Hold { subcode: libc::EOPNOTSUPP, .. }) {
            return Err(failure.into());
        }
        tracing::warn!("{}: {failure}", failure.step);
        self.pause(BREATH)?;
        self.stop_if_asked()?;
        let mut request = ClassAd::new();
        request.insert_value("RequestType", "JobEnvironment");
        for _ in 0..MOST_QUESTIONS {
            tracing::info!("Requesting guidance from the shadow about JobEnvironment...");
            let answer = self.ask(&Call::Guidance(&request), |reply| reply.value::<ClassAd>())?;
            match command(answer) {
                Command::Start => return Ok(Advice::Start),
                Command::Fetch => return Ok(Advice::Fetch),
                Command::GiveUp => break,
                Command::AskAgain(time) => {
                    self.pause(time)?;
                    self.stop_if_asked()?;
                }
                Command::Diagnose(name) => self.diagnose(&name)?,
            }
        }
        Err(failure.into())
    }

    fn diagnose(&mut self, name: &str) -> Result<(), Broken> {
        tracing::info!("Running diagnostic '{name}' as guided...");
        self.desk.order(&Order::Run(Errand::Diagnostic(name.to_owned())))?;
        self.stage = Stage::Fetching;
        let ran = self.ran();
        self.stage = Stage::Quiet;
        self.stop_if_asked()?;
        let ran = ran?;
        if ran.end == crate::hooks::End::Unregistered {
            tracing::warn!(
                "... diagnostic '{name}' not registered in param table (STARTER_DIAGNOSTIC_{name})."
            );
        }
        self.tell(&Call::Event(&ads::diagnostic(name, &ran)))
    }
}

/// What an answer means.
fn command(answer: Result<(i64, ClassAd), i64>) -> Command {
    let (number, ad) = match answer {
        Ok(answer) => answer,
        Err(errno) => (errno, ClassAd::new()),
    };
    if number != 0 {
        tracing::warn!("Problem requesting guidance from AP ({number}); carrying on.");
        return Command::GiveUp;
    }
    let Some(word) = ad.eval_string("Command") else {
        tracing::warn!("Received guidance but didn't understand it; carrying on.");
        return Command::GiveUp;
    };
    tracing::info!("Received the following guidance: '{word}'");
    match word.as_str() {
        "StartJob" => {
            tracing::info!("Starting job as guided...");
            Command::Start
        }
        "RetryTransfer" => {
            tracing::info!("Retrying transfer as guided...");
            Command::Fetch
        }
        "Abort" => {
            tracing::info!("Aborting job as guided...");
            Command::GiveUp
        }
        "CarryOn" => {
            tracing::info!("Carrying on according to guidance...");
            Command::GiveUp
        }
        // So spelled in HTCondor.
        "RetryReqest" => {
            let seconds = ad.eval_i64("RetryDelay").unwrap_or(AGAIN).clamp(0, MOST_AGAIN);
            Command::AskAgain(Duration::from_secs(seconds.unsigned_abs()))
        }
        "RunDiagnostic" => match ad.eval_string("Diagnostic") {
            Some(name) => Command::Diagnose(name),
            None => {
                tracing::warn!(
                    "Received guidance 'RunDiagnostic', but could not find a diagnostic to run; \
                     carrying on, instead."
                );
                Command::GiveUp
            }
        },
        other => {
            tracing::warn!("Guidance '{other}' unknown, carrying on.");
            Command::GiveUp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_means_nothing_starts_nothing() {
        let of = |text: &str| command(Ok((0, ClassAd::parse(text).unwrap())));
        let seconds = |seconds| Command::AskAgain(Duration::from_secs(seconds));
        for (text, expected) in [
            ("[Command=\"StartJob\";Extraneous=true]", Command::Start),
            ("[Command=\"RetryTransfer\"]", Command::Fetch),
            ("[Command=\"Abort\"]", Command::GiveUp),
            ("[Command=\"CarryOn\"]", Command::GiveUp),
            ("[Command=\"startjob\"]", Command::GiveUp),
            ("[Command=7]", Command::GiveUp),
            ("[]", Command::GiveUp),
            ("[Command=\"RetryReqest\"]", seconds(20)),
            ("[Command=\"RetryReqest\";RetryDelay=2]", seconds(2)),
            ("[Command=\"RetryReqest\";RetryDelay=-2]", seconds(0)),
            ("[Command=\"RetryReqest\";RetryDelay=9999999]", seconds(3600)),
            ("[Command=\"RunDiagnostic\"]", Command::GiveUp),
            ("[Command=\"RunDiagnostic\";Diagnostic=\"x\"]", Command::Diagnose("x".into())),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        let start = ClassAd::parse("[Command=\"StartJob\"]").unwrap();
        assert_eq!(command(Ok((-1, start))), Command::GiveUp);
        assert_eq!(command(Err(22)), Command::GiveUp);
    }
}
