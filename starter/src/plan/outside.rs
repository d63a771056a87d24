//! What of the machine's own directories is private to a job or out of its sight: the account's home,
//! the daemons' directories, devices.
//!
//! Nothing that is the job's own is hidden by that: what it starts from, works in or writes to wins,
//! and the plan says so.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use classad::ClassAd;

use super::{Account, Files, LAYER, Mount, Plan, Program, Root, Sandbox, Stdio, What};
use crate::knobs::Knobs;
use crate::knobs::roots::Writing;
use crate::knobs::types::Home;

/// The home's directory in the sandbox. Never output.
pub(super) const HOME: &str = "_condor_home";

/// What jobs with GPUs get of /dev besides JOB_DEVICES.
pub(crate) const GPUS: [&str; 3] = ["nvidia*", "dri", "kfd"];

/// Directories of the system, which some system accounts have for a home.
const OF_THE_SYSTEM: [&str; 10] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/sbin", "/sys", "/usr"];

/// The job's /dev.
pub(super) fn devices(knobs: &Knobs, machine: &ClassAd, root: &Root) -> What {
    let mut granted = match root {
        Root::Named(named) => named.devices.as_ref().unwrap_or(&knobs.job_devices).clone(),
        Root::Host => knobs.job_devices.clone(),
    };
    let gpus = machine.eval_string("AssignedGPUs");
    if gpus.is_some_and(|ids| !ids.trim().is_empty()) {
        granted.extend(GPUS.map(str::to_owned));
    }
    let machines_memory = !knobs.mount_private_dev_shm && *root == Root::Host;
    What::Devices { granted, machines_memory }
}

/// The layer that takes what a job writes to its root is its own only by way of that root.
pub(super) fn layer(root: &Root, sandbox: &Sandbox) -> Option<Mount> {
    let Root::Named(named) = root else { return None };
    let why = named.knob("ROOT");
    let target = sandbox.path().join(LAYER);
    let inside = named.writing == Writing::InScratch;
    inside.then_some(Mount { target, what: What::Hidden, why })
}

/// The mounts for the home and for what is hidden that a plan must have.
pub(crate) fn expected(plan: &Plan, knobs: &Knobs, privileged: bool) -> Vec<Mount> {
    let outside = Outside {
        knobs,
        account: &plan.account,
        root: &plan.root,
        sandbox: &plan.sandbox,
        program: &plan.program,
        files: &plan.files,
        privileged,
    };
    let mut home = outside.home(&mut Vec::new()).ok().flatten();
    if let Some(path) = home.as_mut().and_then(|home| home.what.private()) {
        *path = plan.sandbox.settled(path, privileged);
    }
    home.into_iter().chain(outside.hidden().0).chain(layer(&plan.root, &plan.sandbox)).collect()
}

/// What of the plan decides.
pub(super) struct Outside<'a> {
    pub(super) knobs: &'a Knobs,
    pub(super) account: &'a Account,
    pub(super) root: &'a Root,
    pub(super) sandbox: &'a Sandbox,
    pub(super) program: &'a Program,
    pub(super) files: &'a Files,
    /// Whether daemons and job are of different accounts.
    pub(super) privileged: bool,
}

impl Outside<'_> {
    /// Puts the mounts into the list where they belong, and what they need into the sandbox; gives the
    /// reasons where the machine's own directory stays in sight.
    pub(super) fn add(
        &self,
        mounts: &mut Vec<Mount>,
        directories: &mut Vec<PathBuf>,
    ) -> Vec<String> {
        let mut told = Vec::new();
        // Directories of MOUNT_UNDER_SCRATCH may lie in the home, so it comes before them.
        match self.home(directories) {
            Ok(home) => mounts.splice(0..0, home).for_each(drop),
            Err(why) => told.push(why),
        }
        let execute = mounts.iter().position(|mount| mount.what == What::OwnSandboxOnly);
        let place = execute.unwrap_or(mounts.len());
        let (hidden, why) = self.hidden();
        told.extend(why);
        mounts.splice(place..place, hidden);
        told
    }

    fn home(&self, directories: &mut Vec<PathBuf>) -> Result<Option<Mount>, String> {
        let home: PathBuf = self.account.home.components().collect();
        let what = match self.knobs.job_home {
            Home::Machine => return Ok(None),
            Home::ReadOnly => What::HomeReadOnly,
            Home::Private => What::Home(HOME.into()),
        };
        let system = OF_THE_SYSTEM.iter().any(|dir| home.starts_with(dir));
        if !home.is_absolute() || home == Path::new("/") || system {
            return Ok(None);
        }
        if let Some((path, which)) = self.own().find(|(path, _)| path.starts_with(&home)) {
            return Err(format!(
                "home: {} stays the machine's, because {which} is in it ({})",
                home.display(),
                path.display()
            ));
        }
        if !self.files.transfer {
            let home = home.display();
            return Err(format!("home: {home} stays the machine's, because no files are moved"));
        }
        if let What::Home(inside) = &what {
            directories.push(inside.clone());
            let below = self.sandbox.execute.strip_prefix(&home).ok();
            let private = directories.iter().filter_map(|dir| {
                Path::new("/").join(dir).strip_prefix(&home).ok().map(Path::to_path_buf)
            });
            let below: Vec<PathBuf> =
                below.map(Path::to_path_buf).into_iter().chain(private).collect();
            directories.extend(below.iter().map(|dir| inside.join(dir)));
        }
        Ok(Some(Mount { target: home, what, why: "JOB_HOME".to_owned() }))
    }

    fn hidden(&self) -> (Vec<Mount>, Vec<String>) {
        let (mut mounts, mut told) = (Vec::new(), Vec::new());
        if *self.root != Root::Host {
            return (mounts, told);
        }
        for dir in &self.knobs.private_in_memory {
            let why = "JOB_MEMORY_DIRECTORIES".to_owned();
            mounts.push(Mount { target: dir.clone(), what: What::MemoryIfThere, why });
        }
        // In the pool of an ordinary user the daemons' directories are the job's own account's, and tools
        // in jobs find their schedd there.
        let wanted = self.privileged || self.knobs.is_set("JOB_HIDDEN_DIRECTORIES");
        for dir in self.knobs.hidden.iter().filter(|_| wanted) {
            let execute = (&*self.sandbox.execute, "EXECUTE");
            let own = self.own().chain([execute]).find(|(path, _)| path.starts_with(dir));
            if let Some((path, which)) = own {
                told.push(format!(
                    "hidden: {} stays in sight, because {which} is in it ({})",
                    dir.display(),
                    path.display()
                ));
                continue;
            }
            let why = "JOB_HIDDEN_DIRECTORIES".to_owned();
            mounts.push(Mount { target: dir.clone(), what: What::Hidden, why });
        }
        (mounts, told)
    }

    /// Paths that the job can't do without, apart from its sandbox.
    fn own(&self) -> impl Iterator<Item = (&Path, &'static str)> {
        let Self { knobs, sandbox, program, files: moved, .. } = self;
        let slot = sandbox.slot_path();
        let files = program.stdio.iter().filter_map(|stdio| match stdio {
            Stdio::File(path) => Some((path.as_path(), "a standard file of the job's")),
            _ => None,
        });
        let iwd = (!moved.transfer).then_some((moved.home.as_path(), "the job's Iwd"));
        let wrapper = knobs.user_job_wrapper.is_some();
        let first = program.arguments.first().filter(|_| wrapper);
        let wrapped = first.map(|path| Path::new(OsStr::from_bytes(path)));
        [
            (program.path.as_path(), "the job's program"),
            (program.directory.as_path(), "the job's working directory"),
        ]
        .into_iter()
        .chain(wrapped.map(|cmd| (cmd, "the job's program")))
        .chain(iwd)
        .chain(files)
        .chain(knobs.bin.as_deref().map(|bin| (Path::new(bin), "BIN")))
        .filter(move |(path, _)| !path.starts_with(&slot))
    }
}
