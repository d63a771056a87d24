//! What transfer plugins add to a slot: schemes of URLs, and attributes of their own.

use std::collections::{BTreeMap, BTreeSet};

use classad::ClassAd;

use super::Machine;
use super::ad::Ad;
use crate::knobs::PluginKnobs;
use crate::transfer::{PluginFound, PluginProbe};

/// Adds what the plugins of this machine can do, if any.
pub(super) fn advertise(ad: &mut Ad, machine: &Machine, complaints: &mut Vec<String>) {
    let knobs = match PluginKnobs::read(&machine.config) {
        Ok(knobs) if knobs.enable_url_transfers => knobs,
        Ok(_) => return,
        Err(failure) => return complaints.push(failure.message),
    };
    // Plugins that jobs bring need none of the machine's.
    ad.flag("HasJobTransferPlugins", true);
    if let Some(text) = &knobs.starter_disable_user_supplied_transfer_plugins {
        ad.expression("HasDisableUserTransferPlugins", text);
    }
    let probe = PluginProbe {
        knobs: &knobs,
        execute: &machine.knobs.execute,
        daemon: &machine.daemon,
        privileged: machine.host.privileged,
        tests: tests(machine),
    };
    let found = probe.look().unwrap_or_else(|failure| {
        complaints.push(failure.message);
        Vec::new()
    });
    // Not all that HTCondor names is installed everywhere.
    if machine.config.is_assigned("FILETRANSFER_PLUGINS") {
        complaints.extend(found.iter().flat_map(|found| found.complaints.iter().cloned()));
    }
    methods(ad, &found);
    for found in &found {
        attributes(ad, found);
    }
}

/// `<scheme>_TEST_URL`.
fn tests(machine: &Machine) -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    for name in machine.config.names() {
        let lower = name.to_ascii_lowercase();
        if let Some(scheme) = lower.strip_suffix("_test_url")
            && let Ok(Some(url)) = machine.config.string(name)
        {
            tests.insert(scheme.to_owned(), url);
        }
    }
    tests
}

fn methods(ad: &mut Ad, found: &[PluginFound]) {
    let mut methods = BTreeSet::new();
    let mut failed = BTreeSet::new();
    for found in found {
        for scheme in &found.schemes {
            if found.failed.contains(scheme) {
                failed.insert(scheme.as_str());
            } else {
                methods.insert(scheme.as_str());
            }
        }
    }
    // The shadow makes URLs of web servers out of these, with a signature.
    let signed: &[&str] = if methods.contains("https") { &["s3", "gs"] } else { &[] };
    let signed = signed.iter().filter(|scheme| !methods.contains(*scheme));
    if !methods.is_empty() {
        ad.list("HasFileTransferPluginMethods", methods.iter().chain(signed).copied());
    }
    if !failed.is_empty() {
        ad.list("OfflineFileTransferPluginMethods", failed);
    }
}

/// What a plugin wants in the ad of the slot (`StartdAttrs`), and the proxies that it uses.
fn attributes(ad: &mut Ad, found: &PluginFound) {
    let Ok(own) = ClassAd::parse_old(&found.ad) else { return };
    let wanted = own.eval_string("StartdAttrs").unwrap_or_default();
    for name in wanted.split([',', ' ', '\t']).filter(|name| !name.is_empty()) {
        if let Some(literal) = own.get(name).and_then(classad::Expr::as_literal)
            && !ad.has(name)
        {
            ad.value(name, literal);
        }
    }
    for scheme in found.schemes.iter().filter(|scheme| !found.failed.contains(scheme)) {
        let name = format!("{scheme}_proxy");
        if let Some(proxy) = own.eval_string(&name)
            && !ad.has(&name)
        {
            ad.text(&name, &proxy);
        }
    }
}
