//! Values of knobs that are more than a number or a text.

use classad::{ClassAd, Expr, Value};
use serde::Deserialize;

/// Who may look into a sandbox (JOB_EXECDIR_PERMISSIONS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Permissions {
    /// The job's account.
    #[default]
    User,
    /// And its group.
    Group,
    /// And everybody.
    World,
}

impl TryFrom<String> for Permissions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "user" => Ok(Self::User),
            "group" => Ok(Self::Group),
            "world" => Ok(Self::World),
            _ => Err(format!("{text:?}: user, group or world is needed")),
        }
    }
}

impl Permissions {
    /// Permission bits.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::User => 0o700,
            Self::Group => 0o750,
            Self::World => 0o755,
        }
    }
}

/// What a job sees of its account's home (JOB_HOME).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Home {
    /// An empty directory of its own.
    #[default]
    Private,
    /// The machine's, but it can't write there.
    ReadOnly,
    /// The machine's.
    Machine,
}

impl TryFrom<String> for Home {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "private" => Ok(Self::Private),
            "read-only" => Ok(Self::ReadOnly),
            "machine" => Ok(Self::Machine),
            _ => Err(format!("{text:?}: private, read-only or machine is needed")),
        }
    }
}

/// What a line of the log is (STARTER_LOG_FORMAT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Lines {
    /// As HTCondor's daemons write it.
    #[default]
    Text,
    /// An object.
    Json,
}

impl TryFrom<String> for Lines {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?}: text or json is needed")),
        }
    }
}

/// An expression over the job ad that says yes or no; text that is no expression says no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Condition(pub(crate) String);

impl Condition {
    /// Whether it holds for a job.
    pub(crate) fn allows(&self, job: &ClassAd) -> bool {
        let value = Expr::parse_old(&self.0).map(|expr| expr.eval_in(job));
        match value {
            Ok(Value::Bool(yes)) => yes,
            Ok(Value::Int(number)) => number != 0,
            _ => false,
        }
    }

    /// Whether it is false for every job.
    pub(crate) fn never(&self) -> bool {
        !self.allows(&ClassAd::new())
            && Expr::parse_old(&self.0).is_ok_and(|e| e.as_literal().is_some())
    }
}
