//! From (job, knobs, host, account) to the plan. Pure: nothing is opened, asked or changed here.

use std::path::{Path, PathBuf};

use classad::ClassAd;

use super::environment::{Surroundings, environment};
use super::mounts::{cgroup_mount, mounts};
use super::outside::{self, Outside};
use super::{
    Account, Files, Host, InputFile, Limits, Namespaces, PidOne, Plan, Program, Root, Sandbox,
    Stdio, Together, What, cgroup, roots,
};
use crate::failure::{Failure, Step};
use crate::job::{Job, Transfer};
use crate::knobs::Knobs;
use crate::reach::chirp::Rights;
use crate::sys::privilege::Ids;

/// Everything that a plan is made of.
pub(crate) struct Inputs<'a> {
    /// The job.
    pub(crate) job: &'a Job,
    /// The admin's configuration.
    pub(crate) knobs: &'a Knobs,
    /// The machine.
    pub(crate) host: &'a Host,
    /// The account, looked up.
    pub(crate) account: Account,
    /// The machine ad; empty without a pool.
    pub(crate) machine: &'a ClassAd,
    /// The slot's name without the host.
    pub(crate) slot: &'a str,
    /// The starter's own environment.
    pub(crate) environment: &'a [(String, String)],
    /// Standard files that the command line named in place of the job's own.
    pub(crate) stdio: [Option<Stdio>; 3],
    /// Where output goes that the job named no file for.
    pub(crate) unnamed_output: Stdio,
    /// Whether the job comes from a pool, whose daemons and tools use the sandbox too.
    pub(crate) pool: bool,
    /// Whose rights open the job's files outside the sandbox; `None`: the caller's.
    pub(crate) submitter: Option<Ids>,
}

impl<'a> Inputs<'a> {
    /// Those of a job whose files are its account's, without a pool and without anything named on the
    /// command line.
    pub(crate) fn new(
        job: &'a Job,
        knobs: &'a Knobs,
        host: &'a Host,
        account: Account,
        machine: &'a ClassAd,
    ) -> Self {
        Self {
            job,
            knobs,
            host,
            submitter: Some(account.ids.clone()),
            account,
            machine,
            slot: "slot1",
            environment: &[],
            stdio: [None, None, None],
            unnamed_output: Stdio::Null,
            pool: false,
        }
    }

    /// With the machine's name.
    fn full_slot_name(&self) -> String {
        self.machine.eval_string("Name").unwrap_or_else(|| self.slot.to_owned())
    }
}

/// Whether there is somebody behind a chirp proxy: not for the local universe.
fn has_shadow(job: &Job) -> bool {
    job.ad.eval_i64("JobUniverse") != Some(12)
}

/// Makes the plan, or says why there can't be one.
pub(crate) fn make(inputs: Inputs<'_>) -> Result<Plan, Failure> {
    let Inputs { job, knobs, host, account, .. } = &inputs;
    let root = roots::choose(job, knobs, inputs.machine, &host.name)?;
    let (namespaces, mut not_applied) = namespaces(knobs, host, &root)?;
    let slot = match inputs.pool {
        true => inputs.full_slot_name(),
        false => host.pid.to_string(),
    };
    let counted = host.privileged && host.numbers_by_namespace && namespaces.pid != PidOne::Shared;
    let mut limits = Limits::new(job, knobs, inputs.machine, inputs.slot, host);
    let cpus = &limits.cpus;
    let together =
        cgroup::together(job, knobs, inputs.machine, &host.cgroups, &slot, cpus, counted)?;
    let processes = match &together {
        Together::In(_) => None,
        Together::No(_) => cgroup::most_processes(job, knobs, inputs.machine),
    };
    if processes.is_some() && !counted {
        not_applied.push(
            "processes: no cgroup, and no PID namespace with a limit of its own (root, Linux 6.14)"
                .to_owned(),
        );
    }
    let (mut mounts, directories) = if namespaces.mount {
        mounts(job, knobs, inputs.machine, &root, &namespaces)?
    } else {
        (Vec::new(), Vec::new())
    };
    if namespaces.mount && namespaces.cgroup && together.cgroup().is_some() {
        mounts.push(cgroup_mount());
    }

    let mut sandbox = Sandbox {
        pool: inputs.pool,
        chirp: inputs.pool && has_shadow(job) && Rights::new(&job.ad, knobs).any(),
        directories,
        files: vec![
            (".job.ad".to_owned(), public(&job.ad)),
            (".machine.ad".to_owned(), public(inputs.machine)),
        ],
        ..Sandbox::of(knobs, host)
    };
    let home = if job.transfer.is_some() { sandbox.path() } else { job.iwd.clone() };
    let directory = match &job.remote_iwd {
        Some(remote) => home.join(remote),
        None => home,
    };
    let private_tmp = mounts
        .iter()
        .any(|mount| mount.target == Path::new("/tmp") && matches!(mount.what, What::Private(_)));
    let surroundings = Surroundings {
        account,
        sandbox: &sandbox,
        machine: inputs.machine,
        slot: inputs.slot,
        directory: &directory.to_string_lossy(),
        pid: host.pid,
        pool: inputs.pool,
        private_tmp,
        together: namespaces.pid != PidOne::Shared || together.cgroup().is_some(),
        own: inputs.environment,
    };
    let environment = environment(job, knobs, &surroundings)?;
    let mut program = Program {
        path: program_path(job, &sandbox, &directory),
        arguments: job.arguments.iter().map(|argument| argument.clone().into_bytes()).collect(),
        environment: environment
            .iter()
            .map(|(name, value)| format!("{name}={value}").into_bytes())
            .collect(),
        stdio: stdio(&inputs, &sandbox),
        append: job.append,
        again: inputs.pool && job.checkpoint.is_some(),
        directory,
    };
    if let Some(wrapper) = &knobs.user_job_wrapper {
        let wrapped = std::mem::replace(&mut program.path, wrapper.clone());
        program.arguments.insert(0, wrapped.into_os_string().into_encoded_bytes());
    }
    for bytes in program.arguments.iter().chain(&program.environment) {
        if bytes.contains(&0) {
            return Err(Failure::job(
                Step::Plan,
                crate::failure::hold::JOB_NOT_VALID,
                0,
                "an argument or environment variable has a NUL character, which no program can get",
            ));
        }
    }
    let files = files(job, inputs.submitter.clone());
    if namespaces.mount {
        let (root, program) = (&root, &program);
        let execute = sandbox.clone();
        let outside = Outside {
            knobs,
            account,
            root,
            sandbox: &execute,
            program,
            files: &files,
            privileged: host.privileged,
        };
        not_applied.extend(outside.add(&mut mounts, &mut sandbox.directories));
        mounts.extend(outside::layer(root, &sandbox));
    }
    let layout = sandbox.clone();
    let settle = |path: &mut PathBuf| *path = layout.settled(path, host.privileged);
    mounts.iter_mut().filter_map(|mount| mount.what.private()).for_each(settle);
    sandbox.directories.iter_mut().for_each(settle);
    limits.processes = processes.filter(|_| counted);
    let calls = knobs.job_system_calls;
    let machine_name = host.name.clone();
    let demands = job.demands.clone();
    let plan = Plan {
        job: job.id(),
        account: inputs.account,
        sandbox,
        root,
        namespaces,
        mounts,
        files,
        limits,
        together,
        calls,
        program,
        root_revision: None,
        not_applied,
    };
    demanded(&plan, &demands, &machine_name)?;
    Ok(plan)
}

/// What the job doesn't run without.
fn demanded(plan: &Plan, demands: &[String], machine: &str) -> Result<(), Failure> {
    let applied = plan.applied();
    let missing: Vec<&str> =
        demands.iter().map(String::as_str).filter(|word| !applied.contains(word)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = match plan.not_applied.join("; ") {
        why if why.is_empty() => why,
        why => format!("; {why}"),
    };
    Err(Failure::job(
        Step::Plan,
        crate::failure::hold::FAILED_TO_CREATE_PROCESS,
        libc::ENOTSUP,
        format!(
            "MinIsolation demands {}, which {machine} doesn't give this job (it gives: {}{why})",
            missing.join(" "),
            applied.join(" ")
        ),
    ))
}

/// An ad as the job may see it: claim ids and other secrets are left out.
fn public(ad: &ClassAd) -> Vec<u8> {
    ad.without_private().to_old_bytes()
}

/// As much as can be had; an error where what can't be had was demanded.
fn namespaces(
    knobs: &Knobs,
    host: &Host,
    root: &Root,
) -> Result<(Namespaces, Vec<String>), Failure> {
    let user = !host.privileged && host.user_namespaces;
    let possible = knobs.per_job_namespaces && (host.privileged || user);
    let private = knobs.mount_under_scratch.is_some() && knobs.is_set("MOUNT_UNDER_SCRATCH");
    let mut not_applied = Vec::new();
    if !possible {
        let why = if knobs.per_job_namespaces {
            "the starter isn't root and user namespaces are off (sysctl user.max_user_namespaces, \
             kernel.apparmor_restrict_unprivileged_userns)"
        } else {
            "PER_JOB_NAMESPACES is False"
        };
        let demanded = [
            (matches!(root, Root::Named(_)), "a named root"),
            (knobs.use_pid_namespaces && knobs.is_set("USE_PID_NAMESPACES"), "USE_PID_NAMESPACES"),
            (private, "MOUNT_UNDER_SCRATCH"),
            (knobs.no_job_networking, "NO_JOB_NETWORKING"),
            (!knobs.read_only.is_empty(), "JOB_READ_ONLY_DIRECTORIES"),
        ];
        if let Some((_, what)) = demanded.iter().find(|(wanted, _)| *wanted) {
            return Err(Failure::host(Step::Plan, format!("{what} can't be had here: {why}")));
        }
        for what in ["mnt", "pid", "ipc", "uts", "cgroup"] {
            not_applied.push(format!("{what}: {why}"));
        }
    }
    if !host.scopes {
        not_applied.push("scope: the kernel has no Landlock scopes (Linux 6.12)".to_owned());
    }
    let pid = match (possible && knobs.use_pid_namespaces, knobs.use_pid_namespace_init) {
        (false, _) => PidOne::Shared,
        (true, true) => PidOne::Init,
        (true, false) => PidOne::Job,
    };
    let namespaces = Namespaces {
        mount: possible,
        pid,
        ipc: possible,
        uts: possible,
        cgroup: possible,
        net: possible && knobs.no_job_networking,
        user: possible && user,
    };
    Ok((namespaces, not_applied))
}

/// The path of the program as the job sees it, which starts in this directory.
fn program_path(job: &Job, sandbox: &Sandbox, directory: &Path) -> PathBuf {
    match &job.transfer {
        Some(Transfer { executable: true, .. }) => match job.cmd.file_name() {
            Some(name) => sandbox.path().join(name),
            None => job.cmd.clone(),
        },
        _ => directory.join(&job.cmd),
    }
}

/// With transfer, standard files live in the sandbox under fixed names and are renamed on the way
/// out; without, the job's own paths are opened.
fn stdio(inputs: &Inputs<'_>, sandbox: &Sandbox) -> [Stdio; 3] {
    let Inputs { job, stdio: given, unnamed_output: unnamed, pool, .. } = inputs;
    let default = |number: usize, name: &str| -> Stdio {
        let Some(path) = &job.stdio[number] else {
            return if number == 0 { Stdio::Null } else { (*unnamed).clone() };
        };
        // Without a shadow there is nobody to stream to, and the files are at hand.
        if *pool && job.streams[number] {
            return Stdio::Stream;
        }
        match (&job.transfer, number) {
            (None, _) => Stdio::File(job.iwd.join(path)),
            (Some(_), 0) => match path.file_name() {
                Some(file) => Stdio::File(sandbox.path().join(file)),
                None => Stdio::File(sandbox.path().join(path)),
            },
            (Some(_), _) => Stdio::File(sandbox.path().join(name)),
        }
    };
    let names = ["", "_condor_stdout", "_condor_stderr"];
    let choose =
        |number: usize| given[number].clone().unwrap_or_else(|| default(number, names[number]));
    let mut stdio = [choose(0), choose(1), choose(2)];
    if stdio[2] == stdio[1] && matches!(stdio[1], Stdio::File(_)) || same_output(job, given) {
        stdio[2] = Stdio::SameAsOutput;
    }
    stdio
}

fn same_output(job: &Job, given: &[Option<Stdio>; 3]) -> bool {
    given[1].is_none()
        && given[2].is_none()
        && job.stdio[1].is_some()
        && job.stdio[1] == job.stdio[2]
}

fn files(job: &Job, submitter: Option<Ids>) -> Files {
    let Some(transfer) = &job.transfer else {
        return Files { home: job.iwd.clone(), submitter, ..Files::default() };
    };
    let mut input = Vec::new();
    if transfer.executable {
        input.push(input_file(job, &job.cmd.to_string_lossy(), true));
    }
    if let Some(path) = &job.stdio[0] {
        input.push(input_file(job, &path.to_string_lossy(), false));
    }
    for path in &transfer.input {
        input.push(input_file(job, path, false));
    }
    let mut remaps = transfer.remaps.clone();
    for (number, name) in [(1, "_condor_stdout"), (2, "_condor_stderr")] {
        if let Some(path) = &job.stdio[number] {
            remaps.push((name.into(), path.clone()));
        }
    }
    Files {
        input,
        output: transfer.output.clone(),
        remaps,
        home: job.iwd.clone(),
        submitter,
        transfer: true,
    }
}

fn input_file(job: &Job, path: &str, executable: bool) -> InputFile {
    let source = job.iwd.join(path);
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned());
    InputFile {
        name: name.unwrap_or_default(),
        content_only: path.ends_with('/'),
        source,
        executable,
    }
}
