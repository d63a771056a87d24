//! What a job is told, in its environment, of the resources that its slot has by name: GPUs and what
//! an admin has made up (MACHINE_RESOURCE_NAMES).

use classad::ClassAd;
use regex_lite::Regex;

use crate::failure::{Failure, Step};
use crate::job::Variables;
use crate::knobs::Knobs;

/// Sets `_CONDOR_Assigned<resource>` and the variables of
/// `ENVIRONMENT_FOR_Assigned<resource>`.
pub(super) fn publish(
    all: &mut Variables,
    machine: &ClassAd,
    knobs: &Knobs,
) -> Result<(), Failure> {
    let list = machine.eval_string("MachineResources").unwrap_or_default();
    for resource in list.split([' ', ',']).filter(|word| !word.is_empty()) {
        let assigned = machine.eval_string(format!("Assigned{resource}"));
        let assigned = assigned.filter(|ids| !ids.trim().is_empty());
        if resource.eq_ignore_ascii_case("GPUs") && knobs.auto_set_nvidia_visible_devices {
            all.set("NVIDIA_VISIBLE_DEVICES", nvidia(assigned.as_deref()));
        }
        let rules = knobs.resource_environment.get(&resource.to_ascii_lowercase());
        let value = match (&assigned, rules) {
            (Some(ids), _) => ids.clone(),
            (None, Some(rules)) => rules.unassigned.clone(),
            (None, None) => continue,
        };
        all.set(format!("_CONDOR_Assigned{resource}"), &value);
        let Some(rules) = rules else { continue };
        for rule in parse(resource, &rules.variables)? {
            let value = match &assigned {
                Some(ids) => rule.apply(ids),
                None => value.clone(),
            };
            all.set(rule.name, value);
        }
    }
    Ok(())
}

/// The ids of GPUs as the driver of NVIDIA takes them, where they are such.
fn nvidia(assigned: Option<&str>) -> String {
    let Some(ids) = assigned else { return "none".to_owned() };
    let ids = ids.split(',').map(str::trim);
    ids.map(|id| id.strip_prefix("GPU-").filter(|rest| rest.starts_with("MIG-")).unwrap_or(id))
        .collect::<Vec<_>>()
        .join(",")
}

/// One variable, and what is done to each id before it goes there.
struct Rule {
    name: String,
    substitution: Option<(Regex, String)>,
}

impl Rule {
    fn apply(&self, ids: &str) -> String {
        let ids = ids.split(',').map(str::trim).map(|id| match &self.substitution {
            Some((pattern, by)) => pattern.replacen(id, 1, by.as_str()).into_owned(),
            None => id.to_owned(),
        });
        ids.collect::<Vec<_>>().join(",")
    }
}

/// `NAME`, or `NAME=/pattern/replacement/` (with any character in place of the slash), several between
/// blanks.
fn parse(resource: &str, text: &str) -> Result<Vec<Rule>, Failure> {
    let bad = |why: &str| {
        Failure::host(
            Step::Plan,
            format!(
                "ENVIRONMENT_FOR_Assigned{resource}: {why}: NAME or NAME=/pattern/replacement/ is \
                 needed"
            ),
        )
    };
    let mut rules = Vec::new();
    for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        let Some((name, rest)) = word.split_once('=') else {
            rules.push(Rule { name: word.to_owned(), substitution: None });
            continue;
        };
        let mut letters = rest.chars();
        let separator = letters.next().ok_or_else(|| bad("nothing after ="))?;
        let mut parts = letters.as_str().split(separator);
        let (pattern, by) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let pattern = Regex::new(pattern).map_err(|error| bad(&error.to_string()))?;
        rules.push(Rule { name: name.to_owned(), substitution: Some((pattern, by.to_owned())) });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(machine: &str, knobs: &str) -> Result<Vec<(String, String)>, Failure> {
        let mut all = Variables::default();
        let machine = ClassAd::parse_old(machine).unwrap();
        publish(&mut all, &machine, &Knobs::from_text(knobs))?;
        Ok(all.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn gpus_by_default() {
        let machine = "MachineResources = \"Cpus GPUs\"\n";
        let mut none = environment(machine, "").unwrap();
        none.sort();
        assert_eq!(
            none,
            pairs(&[
                ("CUDA_VISIBLE_DEVICES", "10000"),
                ("GPU_DEVICE_ORDINAL", "10000"),
                ("NVIDIA_VISIBLE_DEVICES", "none"),
                ("_CONDOR_AssignedGPUs", "10000"),
            ])
        );
        let mut two =
            environment(&format!("{machine}AssignedGPUs = \"CUDA0, CUDA1\"\n"), "").unwrap();
        two.sort();
        assert_eq!(two[0], ("CUDA_VISIBLE_DEVICES".to_owned(), "0,1".to_owned()));
        assert_eq!(two[3].1, "CUDA0, CUDA1");
    }

    #[test]
    fn resources_of_an_admins_own() {
        let machine = "MachineResources = \"Cpus Widgets\"\nAssignedWidgets = \"w1,w2\"\n";
        assert_eq!(
            environment(machine, "").unwrap(),
            pairs(&[("_CONDOR_AssignedWidgets", "w1,w2")])
        );
        let knobs = "ENVIRONMENT_FOR_AssignedWidgets = W=/w/x/ PLAIN\n";
        assert_eq!(
            environment(machine, knobs).unwrap(),
            pairs(&[("_CONDOR_AssignedWidgets", "w1,w2"), ("W", "x1,x2"), ("PLAIN", "w1,w2")])
        );
        let bad = environment(machine, "ENVIRONMENT_FOR_AssignedWidgets = W=/(/x/\n").unwrap_err();
        assert!(bad.message.contains("ENVIRONMENT_FOR_AssignedWidgets"), "{bad}");
    }
}
