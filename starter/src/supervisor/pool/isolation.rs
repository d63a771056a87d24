//! What a job is told of its isolation once it runs: the revision of its root in its ad, and where it asks
//! for that (`WantIsolationReport`), an event in its log.

use classad::ClassAd;

use super::{Broken, Pool};
use crate::job::Job;
use crate::parent::shadow::Call;
use crate::plan::{Plan, Root};

/// `ULOG_GENERIC`.
const GENERIC: i64 = 8;
/// What a shadow keeps of the text of such an event, with the end of it.
const LONGEST: usize = 1023;

impl Pool<'_> {
    pub(super) fn tell_isolation(
        &mut self,
        job: &Job,
        plan: &Plan,
        revision: Option<String>,
    ) -> Result<(), Broken> {
        if job.ad.eval_bool("WantIsolationReport") == Some(true) {
            let event = event(&report(plan, revision.as_deref()));
            self.call(&Call::UserLog(&event), |_| Ok(()))?;
        }
        if let Some(figures) = &mut self.figures {
            figures.root_revision = revision;
        }
        Ok(())
    }
}

fn report(plan: &Plan, revision: Option<&str>) -> String {
    let root = match &plan.root {
        Root::Host => "the machine's".to_owned(),
        Root::Named(root) => match revision {
            Some(revision) => format!("{} (revision {revision})", root.name),
            None => root.name.clone(),
        },
    };
    let mut text = format!("Isolation: {}; root: {root}", plan.applied().join(" "));
    for item in &plan.not_applied {
        text.push_str("; not applied: ");
        text.push_str(item);
    }
    // One line, whatever an admin has written.
    let text = text.replace(|c: char| c.is_control(), " ");
    text.chars().take(LONGEST).collect()
}

fn event(text: &str) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("MyType", "GenericEvent");
    ad.insert_value("EventTypeNumber", GENERIC);
    ad.insert_value("Info", text);
    ad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_one_short_line() {
        let mut plan = crate::plan::tests::any();
        plan.not_applied = vec!["x: a\nb".into(), "y".repeat(3000)];
        let text = report(&plan, None);
        assert!(text.starts_with("Isolation: mnt pid "), "{text}");
        assert!(
            text.contains("root: the machine's; not applied: x: a b; not applied: yyy"),
            "{text}"
        );
        assert_eq!(text.len(), LONGEST);
    }
}
