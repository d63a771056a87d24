//! What the machine's plugins can do, asked before there is any job: by a process with the daemons'
//! account, in bounded time.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use super::ads;
use super::call::{self, Pair};
use super::capability::{Capability, Protocol};
use super::outcome::Called;
use super::run::{Call, run_all};
use super::settings::Settings;
use super::table::{self, Plugin};
use crate::failure::{Context, Failure, Step};
use crate::knobs::PluginKnobs;
use crate::sys::privilege::Ids;
use crate::sys::seccomp::Profile;
use crate::transfer::fault::Direction;
use crate::transfer::process::{Entrance, Keeps, Role, Running};

/// For the work itself, on top of what plugins may take.
const SLACK: Duration = Duration::from_secs(3);

/// A plugin, as it was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Schemes that it is for, as it writes them.
    pub(crate) schemes: Vec<String>,
    /// Those among them whose test failed.
    pub(crate) failed: Vec<String>,
    /// All that it says of itself, in the old syntax.
    pub(crate) ad: String,
    /// What is wrong with it.
    pub(crate) complaints: Vec<String>,
}

/// What is to be looked at.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    /// The configuration.
    pub(crate) knobs: &'a PluginKnobs,
    /// Where files are fetched to on trial.
    pub(crate) execute: &'a Path,
    /// Whose account plugins get.
    pub(crate) daemon: &'a Ids,
    /// Whether this is root.
    pub(crate) privileged: bool,
    /// `<scheme>_TEST_URL` for each scheme that has one, in small letters.
    pub(crate) tests: BTreeMap<String, String>,
}

impl Probe<'_> {
    /// Asks all plugins at the same time.
    pub(crate) fn look(&self) -> Result<Vec<Found>, Failure> {
        let settings = Settings::of_machine(self.knobs);
        if !settings.is_enabled() || settings.system.is_empty() {
            return Ok(Vec::new());
        }
        let patience = Duration::from_secs(settings.patience);
        // Asked at the same time, tested one after the other.
        let tests = u32::try_from(self.tests.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + patience.saturating_mul(tests.saturating_add(1)) + SLACK;
        let namespaces =
            if self.privileged { CloneFlags::CLONE_NEWPID } else { CloneFlags::empty() };
        let entrance = Entrance { namespaces, calls: Profile::Default, enter: &|| Ok(()) };
        let role = Role {
            name: "plugin",
            ids: Some(self.daemon),
            keep: Vec::new(),
            keeps: Keeps::Nothing,
        };
        let work = || self.ask(&settings, patience);
        let mut running = Running::start(Direction::In, &role, Some(&entrance), work, Err)?;
        while !running.step()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                running.kill();
                // One that the kernel can't end isn't waited for, lest the startd wait, too.
                std::mem::forget(running);
                return Err(Failure::host(
                    Step::Internal,
                    "transfer plugins gave no answer in time",
                ));
            }
            let mut fds = running.sources().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        }
        running.report::<Result<Vec<Found>, Failure>>()?
    }

    fn ask(&self, settings: &Settings, patience: Duration) -> Result<Vec<Found>, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root: OwnedFd = openat(CWD, "/", flags, Mode::empty()).at(Step::Internal, "/")?;
        let questions = table::questions(settings).into_iter();
        let questions: Vec<Call> =
            questions.map(|start| Call { start, input: None, output: None }).collect();
        let answers = run_all(&questions, root.as_fd(), patience, None);
        let mut all = Vec::new();
        for (path, ran) in settings.system.iter().zip(&answers) {
            let mut found = Found::default();
            match table::answer(ran) {
                Some(own) if own.protocol == Protocol::Single || settings.multiple => {
                    found.ad = own.ad.to_old_string();
                    self.test(settings, path, &own, patience, &mut found);
                    found.schemes = own.schemes;
                }
                Some(_) => {}
                None => found.complaints.push(table::silence(path, ran)),
            }
            all.push(found);
        }
        Ok(all)
    }

    /// Has a plugin fetch what the admin has named to try it.
    fn test(
        &self,
        settings: &Settings,
        path: &Path,
        own: &Capability,
        patience: Duration,
        found: &mut Found,
    ) {
        for scheme in &own.schemes {
            let Some(url) = self.tests.get(&scheme.to_ascii_lowercase()) else { continue };
            let plugin = Plugin::new(path.to_owned(), own.protocol, &own.schemes);
            let tried = self
                .execute
                .join(format!("test_file_transfer.{}", rustix::process::getpid().as_raw_nonzero()));
            let outcome = fetched(settings, &plugin, &tried, url, patience);
            let _ = std::fs::remove_dir_all(&tried);
            if let Err(why) = outcome {
                found.failed.push(scheme.clone());
                found.complaints.push(format!(
                    "FILETRANSFER: protocol \"{scheme}\" not handled by \"{}\" due to failed test: {why}",
                    path.display()
                ));
            }
        }
    }
}

fn fetched(
    settings: &Settings,
    plugin: &Plugin,
    dir: &PathBuf,
    url: &str,
    patience: Duration,
) -> Result<(), String> {
    let open = || -> std::io::Result<OwnedFd> {
        std::fs::create_dir(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(CWD, dir.as_path(), flags, Mode::empty())?)
    };
    let handle = open().map_err(|error| format!("{}: {error}", dir.display()))?;
    let local = dir.join("test_file").to_string_lossy().into_owned();
    let pair = Pair { local, url: url.to_owned() };
    let call = call::call(settings, plugin, dir, Direction::In, std::slice::from_ref(&pair));
    let label = plugin.path.to_string_lossy();
    let called = Called { label: &label, modern: true, lifetime: patience.as_secs() };
    let ran = run_all(std::slice::from_ref(&call), handle.as_fd(), patience, None);
    let Some(ran) = ran.first() else { return Err("it was not run".to_owned()) };
    let outcome = match plugin.protocol {
        Protocol::Single => called.judge_single(ran, &Capability::attributes(&ran.said), url),
        Protocol::Multiple(_) => {
            let ads = ads::sequence(ran.results.as_deref().unwrap_or_default());
            called.judge(ran, &ads, Path::new(call.output.as_deref().unwrap_or_default()))
        }
    };
    outcome.map_err(|fault| fault.text)
}
