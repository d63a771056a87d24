//! `PreCmd` and `PostCmd`: programs that run before and after the job's own.

use std::path::PathBuf;

use classad::ClassAd;

use super::{Variables, invalid, parse_env_v1, parse_env_v2, parse_v1, parse_v2, text};
use crate::failure::Failure;
use crate::launcher::message::Status;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Before.
    Pre,
    /// After.
    Post,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// The program: absolute, or in the sandbox.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its own variables; those of the job it doesn't get.
    pub(crate) environment: Variables,
}

impl Which {
    /// As attributes begin.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pre => "Pre",
            Self::Post => "Post",
        }
    }

    /// Whether it ended as the job wants it: any end will do unless it says so (`SuccessPreExitCode`,
    /// `SuccessPreExitBySignal` and `SuccessPreExitSignal`).
    pub(crate) fn is_success(self, ad: &ClassAd, status: Status) -> bool {
        let name = |end: &str| format!("Success{}{end}", self.name());
        let number = |end: &str| ad.eval_i64(name(end));
        let by_signal = ad.eval_bool(name("ExitBySignal")).unwrap_or(false);
        let wanted = if by_signal { number("ExitSignal") } else { number("ExitCode") };
        match (wanted, status) {
            (None, _) => true,
            (Some(wanted), Status::Exited(code)) => !by_signal && wanted == i64::from(code),
            (Some(wanted), Status::Signaled(signal, _)) => by_signal && wanted == i64::from(signal),
        }
    }
}

impl Script {
    /// `None` if the job has none.
    pub(crate) fn from_ad(ad: &ClassAd, which: Which) -> Result<Option<Self>, Failure> {
        let value = |end: &str| text(ad, &format!("{}{end}", which.name()));
        let wrong = |end: &str, error| invalid(format!("{}{end}: {error}", which.name()));
        let Some(path) = value("Cmd")? else { return Ok(None) };
        let arguments = match (value("Arguments")?, value("Args")?) {
            (Some(raw), _) => parse_v2(&raw).map_err(|error| wrong("Arguments", error))?,
            (None, Some(raw)) => parse_v1(&raw).map_err(|error| wrong("Args", error))?,
            (None, None) => Vec::new(),
        };
        let environment = match (value("Environment")?, value("Env")?) {
            (Some(raw), _) => parse_env_v2(&raw).map_err(|error| wrong("Environment", error))?,
            (None, Some(raw)) => parse_env_v1(&raw, ';').map_err(|error| wrong("Env", error))?,
            (None, None) => Variables::default(),
        };
        Ok(Some(Self { path: path.into(), arguments, environment }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad(text: &str) -> ClassAd {
        ClassAd::parse_old(text).unwrap()
    }

    #[test]
    fn each_has_its_own_attributes() {
        let ad = ad("PreCmd = \"a\"\nPreArguments = \"'x y' z\"\nPreEnvironment = \"A=1\"\n\
                     PostCmd = \"/b\"\nPostArgs = \"x y\"\nPostEnv = \"A=1;B=2\"\n");
        let pre = Script::from_ad(&ad, Which::Pre).unwrap().unwrap();
        assert_eq!((pre.path, pre.arguments), ("a".into(), vec!["x y".into(), "z".into()]));
        let post = Script::from_ad(&ad, Which::Post).unwrap().unwrap();
        assert_eq!(post.environment.iter().count(), 2);
        assert_eq!(Script::from_ad(&ClassAd::new(), Which::Pre).unwrap(), None);
        let bad = self::ad("PreCmd = \"a\"\nPreArguments = \"'x\"\n");
        assert!(Script::from_ad(&bad, Which::Pre).unwrap_err().message.starts_with("PreArguments"));
    }

    #[test]
    fn any_end_will_do_unless_the_job_says_so() {
        let exited = Status::Exited(3);
        let killed = Status::Signaled(9, false);
        assert!(Which::Pre.is_success(&ClassAd::new(), exited));
        let code = ad("SuccessPreExitCode = 3\n");
        assert!(Which::Pre.is_success(&code, exited) && !Which::Pre.is_success(&code, killed));
        assert!(!Which::Pre.is_success(&code, Status::Exited(0)));
        assert!(Which::Post.is_success(&code, killed));
        let signal = ad("SuccessPostExitBySignal = true\nSuccessPostExitSignal = 9\n");
        assert!(
            Which::Post.is_success(&signal, killed) && !Which::Post.is_success(&signal, exited)
        );
    }
}
