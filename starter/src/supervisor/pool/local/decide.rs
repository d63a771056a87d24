//! What the end of a job means, by its own word: `on_exit_hold` and `on_exit_remove`. Expressions for
//! the time while it runs are evaluated by the schedd.

use classad::{ClassAd, Value};

/// Hold codes: by the job's own policy, and where that says nothing.
const JOB_POLICY: i32 = 3;
const JOB_POLICY_UNDEFINED: i32 = 5;

/// What becomes of an ended job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is done.
    Leave,
    /// It runs again.
    Requeue(String),
    /// It is held.
    Hold {
        /// `HoldReason`.
        why: String,
        /// `HoldReasonCode`.
        code: i32,
        /// `HoldReasonSubCode`.
        subcode: i32,
    },
}

/// Decides by the ad of the job, with its end.
pub(super) fn decide(ad: &ClassAd) -> Decision {
    match said(ad, "OnExitHold") {
        Some(Some(true)) => {
            let why = ad.eval_string("OnExitHoldReason").filter(|text| !text.is_empty());
            let subcode = ad.eval_i64("OnExitHoldSubCode").unwrap_or(0);
            return Decision::Hold {
                why: why.unwrap_or_else(|| firing(ad, "OnExitHold", "TRUE")),
                code: JOB_POLICY,
                subcode: i32::try_from(subcode).unwrap_or(0),
            };
        }
        Some(None) => return undefined(ad, "OnExitHold"),
        _ => {}
    }
    match said(ad, "OnExitRemove") {
        Some(Some(false)) => Decision::Requeue(firing(ad, "OnExitRemove", "FALSE")),
        Some(None) => undefined(ad, "OnExitRemove"),
        _ => Decision::Leave,
    }
}

/// `None`: nothing is said. `Some(None)`: neither yes nor no.
fn said(ad: &ClassAd, name: &str) -> Option<Option<bool>> {
    ad.get(name)?;
    Some(match ad.eval(name) {
        Value::Bool(yes) => Some(yes),
        Value::Int(number) => Some(number != 0),
        Value::Real(number) => Some(number != 0.0),
        _ => None,
    })
}

fn undefined(ad: &ClassAd, name: &str) -> Decision {
    let why = firing(ad, name, "UNDEFINED");
    Decision::Hold { why, code: JOB_POLICY_UNDEFINED, subcode: 0 }
}

fn firing(ad: &ClassAd, name: &str, value: &str) -> String {
    let expression = ad.get(name).map(ToString::to_string).unwrap_or_default();
    format!("The job attribute {name} expression '{expression}' evaluated to {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(text: &str) -> Decision {
        decide(&ClassAd::parse_old(&format!("ExitCode = 7\nExitBySignal = false\n{text}")).unwrap())
    }

    #[test]
    fn a_job_that_says_nothing_is_done() {
        assert_eq!(decided(""), Decision::Leave);
        assert_eq!(decided("OnExitHold = false\nOnExitRemove = true\n"), Decision::Leave);
    }

    #[test]
    fn texts_are_those_of_stock() {
        let why = "The job attribute OnExitHold expression 'ExitCode == 7' evaluated to TRUE";
        let hold = Decision::Hold { why: why.into(), code: 3, subcode: 0 };
        assert_eq!(decided("OnExitHold = ExitCode == 7\nOnExitRemove = false\n"), hold);
        let own = "OnExitHold = true\nOnExitHoldReason = \"mine\"\nOnExitHoldSubCode = 9\n";
        assert_eq!(decided(own), Decision::Hold { why: "mine".into(), code: 3, subcode: 9 });
        let why = "The job attribute OnExitRemove expression 'ExitCode == 0' evaluated to FALSE";
        assert_eq!(decided("OnExitRemove = ExitCode == 0\n"), Decision::Requeue(why.into()));
    }

    #[test]
    fn neither_yes_nor_no_holds() {
        for name in ["OnExitHold", "OnExitRemove"] {
            let decision = decided(&format!("{name} = Nowhere\n"));
            assert!(matches!(decision, Decision::Hold { code: 5, .. }), "{decision:?}");
        }
    }
}
