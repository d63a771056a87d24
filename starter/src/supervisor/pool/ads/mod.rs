//! What the shadow and the startd are told, as ads (23.9.6 and 25.14.1).

mod events;
mod figures;

use std::path::Path;

use classad::ClassAd;

pub(super) use self::events::{checkpoint, diagnostic, error, execution_exit, generic, notice};
pub(super) use self::figures::Figures;
use super::ending::Ending;
use crate::knobs::Knobs;
use crate::parent::startd::Release;
use crate::plan::Plan;
use crate::report::ad::isolation;
use crate::{abilities, version};

/// Longest time between two updates that is promised, as a multiple of the usual one: updates may
/// take a tenth of the time.
const SLACK: i64 = 10;
/// The promise of no further update.
const NO_PROMISE: i64 = -1;

/// First release whose shadow wants the whole ad of the slot.
const SLOT_AD: Release = Release(24, 1);
/// Attributes of the slot that describe what the job gets of a resource.
fn resources(slot: &ClassAd) -> Vec<String> {
    let list = slot.eval_string("MachineResources").unwrap_or_default();
    list.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Who this starter is (`register_starter_info`).
pub(super) fn starter(
    slot: &ClassAd,
    address: &str,
    scratch: &Path,
    knobs: &Knobs,
    shadow: Option<Release>,
) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("StarterIpAddr", address.to_owned());
    ad.insert_value("MyAddress", address.to_owned());
    ad.insert_value("CondorVersion", version::CONDOR_VERSION);
    ad.insert_value("CondorPlatform", version::CONDOR_PLATFORM);
    ad.insert_value("HasReconnect", abilities::RECONNECT);
    ad.insert_value("UidDomain", knobs.uid_domain.clone());
    ad.insert_value("FileSystemDomain", knobs.filesystem_domain.clone());
    ad.insert_value("CondorScratchDir", scratch.to_string_lossy().into_owned());
    let mut names: Vec<String> =
        ["Name", "Machine", "MachineResources"].map(str::to_owned).to_vec();
    for resource in resources(slot) {
        names.push(format!("Assigned{resource}"));
        names.push(format!("Available{resource}"));
        names.push(resource);
    }
    copy(&mut ad, slot, &names);
    if shadow.is_some_and(|release| release >= SLOT_AD) {
        ad.insert("SlotAd", slot.without_private());
    }
    ad
}

/// The first update: what the slot has set aside for the job.
pub(super) fn provisioned(slot: &ClassAd, plan: &Plan) -> ClassAd {
    let mut ad = ClassAd::new();
    let resources = resources(slot);
    for resource in resources.iter().filter(|name| !name.eq_ignore_ascii_case("swap")) {
        if let Some(amount) = slot.get(resource) {
            ad.insert(format!("{resource}Provisioned").as_str(), amount.clone());
        }
        copy(&mut ad, slot, &[format!("Assigned{resource}")]);
    }
    if !resources.is_empty() {
        ad.insert_value("ProvisionedResources", resources.join(" "));
    }
    isolation(&mut ad, plan);
    promise(&mut ad, NO_PROMISE);
    ad
}

fn copy(to: &mut ClassAd, from: &ClassAd, names: &[String]) {
    for name in names {
        if let Some((name, value)) = from.get_entry(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

fn promise(ad: &mut ClassAd, seconds: i64) {
    ad.insert_value("_condor_JOBINFO_MAXINTERVAL", seconds);
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Why the job was made to end, where it was.
pub(super) fn vacated(ad: &mut ClassAd, ending: &Ending) {
    if let Some(why) = &ending.why {
        ad.insert_value("VacateReason", why.text.clone());
        ad.insert_value("VacateReasonCode", i64::from(why.code));
        ad.insert_value("VacateReasonSubCode", i64::from(why.subcode));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shadow_learns_what_the_slot_has() {
        let slot = ClassAd::parse_old(
            "Name = \"slot1_1@here\"\nCpus = 2\nMemory = 64\nTokens = 3\nSecret = 1\n\
             AssignedTokens = \"a,b,c\"\nAvailableTokens = { Tokens_d }\n\
             MachineResources = \"Cpus Memory Tokens\"\nClaimId = \"x#1#y\"\n",
        )
        .unwrap();
        let knobs = Knobs::from_text("UID_DOMAIN = here\n");
        for (release, nested) in [(Release(23, 9), false), (Release(25, 14), true)] {
            let scratch = Path::new("/execute/dir_1");
            let ad = starter(&slot, "<127.0.0.1:1>", scratch, &knobs, Some(release));
            for (name, value) in
                [("Cpus", "2"), ("Memory", "64"), ("Tokens", "3"), ("AssignedTokens", "\"a,b,c\"")]
            {
                assert_eq!(ad.get(name).unwrap().to_string(), value, "{name}");
            }
            assert!(ad.contains("AvailableTokens") && !ad.contains("Secret"));
            assert_eq!(ad.eval_string("Name").as_deref(), Some("slot1_1@here"));
            assert_eq!(ad.contains("SlotAd"), nested);
            assert!(!ad.to_old_string().contains("x#1#y"), "the claim's secret is told");
        }
    }
}
