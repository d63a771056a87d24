//! `starter -classad`: what this machine can do for jobs, as a startd asks at its start and at each
//! reconfig.
//!
//! Whatever is printed is in every slot's ad, so only what is true is printed. The startd does nothing
//! else while it waits: no network, no address of a name, no look at a root and no word with a plugin
//! without a limit of time.

pub(super) mod ad;
mod plugins;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use classad::ClassAd;
use condor_config::Config;

use super::examine::{self, Examined, Finding};
use crate::abilities::ABILITIES;
use crate::failure::{Failure, Step};
use crate::host;
use crate::job::Job;
use crate::knobs::roots::NamedRoot;
use crate::knobs::{self, Knobs};
use crate::log;
use crate::plan::{self, Account, Host, Inputs};
use crate::sys::privilege::Ids;
use crate::version;
use ad::Ad;

/// How long roots may keep a startd waiting; twice that if one of several hangs. An automounter needs
/// a moment, and a startd can do without its probe for some seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints the ad. Nobody looks at the exit code; the log (`STARTER_LOG.testing`) says what is wrong.
pub(super) fn main() -> u8 {
    let mut ad = Ad::default();
    ad.text("CondorVersion", version::CONDOR_VERSION);
    ad.flag("IsDaemonCore", true);
    ad.text("CloisterVersion", version::CLOISTER);
    let mut complaints = Vec::new();
    let config = knobs::load(None, true);
    let machine = config.and_then(|config| Machine::look(config, &mut complaints));
    match &machine {
        Ok(machine) => abilities(&mut ad, machine, &mut complaints),
        // Every job would fail here: without HasFileTransfer few come, and the reason can be seen.
        Err(failure) => {
            ad.text("CloisterOfflineReason", &failure.message);
            complaints.push(format!("no jobs can run here: {failure}"));
        }
    }
    let mut out = io::stdout().lock();
    let sent = out.write_all(ad.text_form().as_bytes()).and_then(|()| out.flush());
    if let Err(error) = sent {
        complaints.push(format!("the output: {error}"));
    }
    complaints.append(&mut ad.left_out);
    if let Ok(machine) = &machine {
        write_log(machine, &complaints);
    }
    u8::from(machine.is_err())
}

/// What the answers depend on.
struct Machine {
    config: Config,
    knobs: Knobs,
    host: Host,
    daemon: Ids,
    /// Words for the isolation of every job.
    isolation: Vec<&'static str>,
}

impl Machine {
    /// What can be read; the first thing that makes every job fail is an error.
    fn look(config: Config, complaints: &mut Vec<String>) -> Result<Self, Failure> {
        let knobs = Knobs::read(&config)?;
        let host = host::look(&knobs)?;
        host::kernel().map_err(|why| Failure::host(Step::Configuration, why))?;
        let daemon = host::daemon_account(&knobs, &host)?;
        if knobs.execute.as_os_str().is_empty() {
            return Err(Failure::host(Step::Configuration, "EXECUTE is not set"));
        }
        let isolation = isolation(&knobs, &host, &daemon)?;
        complaints.extend(config.warnings().iter().map(ToString::to_string));
        Ok(Self { config, knobs, host, daemon, isolation })
    }
}

fn abilities(ad: &mut Ad, machine: &Machine, complaints: &mut Vec<String>) {
    ad.flag("HasCloister", true);
    for (name, _) in ABILITIES.iter().filter(|(_, has)| *has) {
        ad.flag(name, true);
    }
    if is_executable(&machine.knobs.ssh_to_job_sshd) {
        // condor_ssh_to_job.
        ad.flag("HasSshd", true);
    }
    ad.flag("HasJobNetworking", !machine.knobs.no_job_networking);
    ad.list("CloisterIsolation", machine.isolation.iter().copied());
    offers(ad, machine, complaints);
    plugins::advertise(ad, machine, complaints);
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Named roots: those that can be used under the names that submit files, condor_submit (edChroot) and
/// old pools (NamedChroot) know; the others with the reason why not.
fn offers(ad: &mut Ad, machine: &Machine, complaints: &mut Vec<String>) {
    let nameless = machine.knobs.roots.iter().filter_map(|root| root.as_ref().err());
    complaints.extend(nameless.filter(|root| root.name.is_none()).map(|root| root.why.clone()));
    let roots = examined(&machine.knobs, machine.isolation.contains(&"mnt"));
    if roots.is_empty() {
        return;
    }
    for (name, value) in examine::offered(&roots) {
        if let Some(value) = value {
            ad.words(&name, &value);
        }
    }
    for root in &roots {
        if let Some(why) = root.looked.unfit() {
            complaints.push(format!("named root {} is not offered: {why}", root.name));
        }
        if let Some(NamedRoot { allow: Some(text), .. }) = root.root {
            ad.expression(&format!("{}_ChrootAllow", root.name), text);
        }
    }
}

/// All roots, with what jobs can have of them.
pub(super) fn examined(knobs: &Knobs, has_mounts: bool) -> Vec<Examined<'_>> {
    let mut roots = examine::roots(knobs, PATIENCE, false, |_| true);
    if !has_mounts {
        for root in &mut roots {
            let why = "there are no mount namespaces for jobs here";
            root.looked.findings.insert(0, Finding::fail("namespaces", why));
        }
    }
    roots
}

/// The isolation of a job that asks for nothing, by the plan that would be made for it: the words of
/// the job's AssignedIsolation. An error where no plan can be made, because what the admin demands can't
/// be had.
fn isolation(knobs: &Knobs, host: &Host, daemon: &Ids) -> Result<Vec<&'static str>, Failure> {
    let mut ad = ClassAd::new();
    ad.insert_value("Cmd", "/bin/true");
    let job = Job::from_ad(ad, Path::new("/"), None)?;
    let account = Account { name: "nobody".to_owned(), ids: daemon.clone(), home: "/".into() };
    let machine = ClassAd::new();
    let plan = plan::make(Inputs {
        submitter: None,
        ..Inputs::new(&job, knobs, host, account, &machine)
    })?;
    Ok(plan.applied())
}

/// A log of its own, so that those of slots stay clean. No file is made if there is nothing to say.
fn write_log(machine: &Machine, complaints: &[String]) {
    if complaints.is_empty() {
        return;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let Some(path) = log::log_file(&machine.knobs, None, Some("testing")) else { return };
    let Ok(settings) = log::Settings::new(&machine.knobs, None) else { return };
    if log::to_file(&settings, path, &machine.daemon).is_err() {
        return;
    }
    tracing::info!(
        "-classad: {} for {}",
        version::CONDOR_VERSION,
        machine.config.files().first().map_or("no configuration", String::as_str)
    );
    if !machine.host.privileged {
        tracing::info!("not root: jobs run as this account");
    }
    for complaint in complaints {
        tracing::warn!("{complaint}");
    }
}
