//! What the shadow and the startd hand over: the job, the slot, sessions, and from those the plan. The
//! sandbox is made and filled while the last of it is said.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use classad::ClassAd;
use condor_cedar::session::{ClaimId, Session};
use zeroize::Zeroizing;

use super::super::{log_plan, unexpected};
use super::contents::contents;
use super::guidance::Advice;
use super::plugins::Plugins;
use super::scripts::Scripts;
use super::{Broken, Pool, Stage, ads};
use crate::failure::{Failure, Step};
use crate::hooks::Kind;
use crate::host::{self, run_as};
use crate::job::Job;
use crate::launcher::message::{Order, Report};
use crate::parent::shadow::{Call, SessionTexts};
use crate::parent::startd::{Machine, Owner, Release};
use crate::plan::{self, Inputs, Plan, Sandbox};
use crate::transfer::{Input, Peer, Source};
use crate::version;

/// What the shadow has said that later steps need.
pub(super) struct Assignment {
    pub(super) job: Job,
    /// The slot.
    pub(super) machine: Machine,
    pub(super) plan: Plan,
    pub(super) scripts: Scripts,
    /// What the shadow was told of this starter.
    pub(super) starter: ClassAd,
}

/// How often input is fetched again because a shadow says so, which it may do at once and without end; and
/// with which pause after the first time, longer each time: eleven seconds in all.
const MOST_TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);

impl Pool<'_> {
    /// From the first request to the update that says what is set aside for the job. The sandbox is
    /// made meanwhile.
    pub(super) fn assignment(&mut self) -> Result<Assignment, Broken> {
        let mut ad = self.call(&Call::JobInfo, |reply| reply.value::<ClassAd>())?;
        let machine = self.startd.machine()?;
        ad.update(&machine.overlay);
        let text = |name: &str| ad.eval_string(name);
        let shadow_version = text("ShadowVersion");
        self.submit.release = shadow_version.as_deref().and_then(Release::parse);
        if let Some(address) = text("ShadowIpAddr") {
            tracing::info!("Communicating with shadow {address}");
        }
        let address = self.startd.address().to_string();
        let sandbox = Sandbox::of(self.knobs, &self.host);
        let starter =
            ads::starter(&machine.slot, &address, &sandbox.path(), self.knobs, self.submit.release);
        self.call(&Call::StarterInfo(&starter), |_| Ok(()))?;
        let transfer = self.sessions()?;
        self.submit.peer = match (text("TransferSocket"), text("TransferKey"), transfer) {
            (Some(socket), Some(key), Some(session)) => Some(Box::new(Peer {
                address: socket,
                session: Zeroizing::new(session.reveal().to_owned()),
                key: Zeroizing::new(key),
                version: version::CONDOR_VERSION.to_owned(),
                shadow_version,
                own_address: Some(address),
                client: format!("starter of {}", slot_name(&machine.slot)),
                timeout: u32::try_from(self.knobs.starter_upload_timeout).unwrap_or(300),
            })),
            _ => None,
        };
        if let (Some(user), Some(claim)) = (text("User"), text("ClaimId")) {
            self.startd.set_owner(Owner { user, claim: Zeroizing::new(claim) });
        }
        let domain = Some(self.knobs.filesystem_domain.as_str());
        let job = Job::from_ad(ad, Path::new("/"), domain)?;
        tracing::info!("Starting a VANILLA universe job with ID: {}", job.id());
        self.breaks_slot = self.knobs.test_job_can_break_slot
            && job.ad.eval("StarterShouldExitBroken").as_bool() == Some(true);
        let plan = self.plan(&job, &machine)?;
        let scripts = self.scripts(&job, &machine)?;
        self.desk.order(&Order::Prepare(Box::new(plan.clone())))?;
        self.expect_proxies(&job);
        self.tokens(&job)?;
        self.plugins = Plugins::of(self, &job, &plan, &machine.slot, self.submit.release)?;
        self.hooks = self.knobs.choose_hooks(&job.ad);
        let mut assignment = Assignment { job, machine, plan, scripts, starter };
        self.prepare_hook(Kind::BeforeTransfer, &mut assignment)?;
        let Assignment { job, machine, plan, .. } = &assignment;
        self.fetch(job, plan)?;
        let mut first = ads::provisioned(&machine.slot, plan);
        self.tell(&Call::JobUpdate(&first))?;
        first.insert_value("StarterIpAddr", self.startd.address().to_string());
        first.insert_value("CondorScratchDir", plan.sandbox.path().to_string_lossy().into_owned());
        self.startd.update(&first);
        Ok(assignment)
    }

    /// Takes the sessions that the shadow has for this starter; gives that for file transfers. A
    /// shadow without such sessions has none (SEC_ENABLE_MATCH_PASSWORD_AUTHENTICATION).
    pub(super) fn sessions(&mut self) -> Result<Option<ClaimId>, Broken> {
        let sessions = self.try_call(&Call::Sessions, SessionTexts::read)?;
        let Ok([reconnect, transfer]) = sessions else {
            tracing::warn!("the shadow has no sessions for this starter");
            return Ok(None);
        };
        let claim = reconnect.claim_id().map_err(unusable)?;
        self.tie.session = Some(claim.session_id().to_owned());
        self.startd.add_session(Session::of_claim(&claim).map_err(unusable)?);
        Ok(Some(transfer.claim_id().map_err(unusable)?))
    }

    pub(super) fn plan(&mut self, job: &Job, machine: &Machine) -> Result<Plan, Failure> {
        let name = slot_name(&machine.slot);
        let slot = name.split('@').next().unwrap_or_default();
        let choice = plan::choose_account(job, self.knobs, slot, &|| self.trusts_shadow())?;
        let account = run_as::account(&choice, self.host.privileged)?;
        if self.host.privileged {
            tracing::info!("running as {} ({})", choice.name, choice.why);
        }
        let plan = plan::make(Inputs {
            slot,
            environment: &self.environment,
            pool: true,
            ..Inputs::new(job, self.knobs, &self.host, account, &machine.slot)
        })?;
        log_plan(&plan);
        Ok(plan)
    }

    /// Whether the shadow may name accounts of this machine, where TRUST_UID_DOMAIN doesn't say so of
    /// all: one on this machine, or one whose host's name is in UID_DOMAIN.
    pub(super) fn trusts_shadow(&self) -> bool {
        let Some(host) = self.submit.host else { return false };
        if host.is_local && self.knobs.trust_local_uid_domain {
            return true;
        }
        let domain = &self.knobs.uid_domain;
        let name = host::names::name_of(host.address);
        let inside = name.as_deref().is_some_and(|name| host::names::is_in_domain(name, domain));
        if !inside {
            tracing::warn!(
                "the shadow's host {} ({}) isn't in UID_DOMAIN ({domain}), and TRUST_UID_DOMAIN is \
                 False: the job doesn't run as its owner",
                host.address,
                name.unwrap_or_else(|| "without a name".to_owned()),
            );
        }
        inside
    }

    /// Has the input fetched, as soon as there is a sandbox for it.
    pub(super) fn fetch(&mut self, job: &Job, plan: &Plan) -> Result<(), Broken> {
        let Some(transfer) = &job.transfer else { return Ok(()) };
        let peer = self.submit.peer.clone().ok_or_else(|| {
            Failure::host(
                Step::Input,
                "the shadow offers no transfer of files: is SEC_ENABLE_MATCH_PASSWORD_AUTHENTICATION \
                 False there?",
            )
        })?;
        self.stop_if_asked()?;
        let name = job.cmd.file_name().map(|name| name.to_string_lossy().into_owned());
        let input = Input {
            sandbox: plan.sandbox.path(),
            program: name.filter(|_| transfer.executable),
            has_manifest: job.checkpoint.as_ref().is_some_and(|own| own.destination.is_some()),
            plugins: self.plugins.settings.clone(),
            contents: contents(job, plan),
        };
        self.stage = Stage::Fetching;
        Ok(self.desk.order(&Order::Fetch(Source::Shadow(peer, input)))?)
    }

    /// Waits for the input.
    pub(super) fn fetched(&mut self, assignment: &Assignment) -> Result<(), Broken> {
        let Assignment { job, plan, .. } = assignment;
        if job.transfer.is_none() {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            let report = self.report();
            self.stage = Stage::Quiet;
            self.tell_results("Input")?;
            // What was ended on purpose is no failure.
            self.stop_if_asked()?;
            match report {
                Ok(Report::Fetched(stats)) => {
                    tracing::info!("input: {} files, {} bytes", stats.files, stats.bytes);
                    return Ok(());
                }
                Ok(Report::InvalidCheckpoint(invalid)) => {
                    // The shadow has the next run begin with an earlier one.
                    if invalid.number >= 0 {
                        let event = ads::checkpoint("InvalidCheckpointDownload", invalid.number);
                        self.tell(&Call::Event(&event))?;
                    }
                    return Err(Failure::host(Step::Input, invalid.text).into());
                }
                Ok(other) => return Err(unexpected(&other).into()),
                Err(Broken::Failed(failure)) if failure.step == Step::Input => {
                    match self.guidance(failure.clone(), self.submit.release)? {
                        Advice::Start => return Ok(()),
                        Advice::Fetch if tries >= MOST_TRIES => return Err(failure.into()),
                        Advice::Fetch => {
                            self.pause(PAUSE * tries * tries)?;
                            self.stop_if_asked()?;
                            tries += 1;
                            self.fetch(job, plan)?;
                        }
                    }
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    /// Shadows of 23 and 24 keep AllowedExecuteDuration only if the job begins in a later second than
    /// they themselves did; this starter is quick enough for the same.
    pub(super) fn not_too_soon(&mut self, job: &Job) -> Result<(), Broken> {
        let birth = job.ad.eval_i64("ShadowBday").and_then(|at| u64::try_from(at).ok());
        let (Some(birth), true) = (birth, job.ad.contains("AllowedExecuteDuration")) else {
            return Ok(());
        };
        // The clock that seconds are read from is some milliseconds behind.
        let second = Duration::from_millis(1050);
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(birth).saturating_add(second);
        let wait = later.duration_since(SystemTime::now()).unwrap_or_default();
        // A clock that is far from the shadow's doesn't stop a job.
        let end = Instant::now() + wait.min(Duration::from_secs(2));
        while Instant::now() < end {
            self.wait(Some(end))?;
            self.stop_if_asked()?;
        }
        Ok(())
    }
}

pub(super) fn unusable(error: condor_cedar::Error) -> Failure {
    Failure::host(Step::Internal, format!("a session of the shadow can't be used: {error}"))
}

fn slot_name(slot: &ClassAd) -> String {
    slot.eval_string("Name").unwrap_or_else(|| "slot1".to_owned())
}
