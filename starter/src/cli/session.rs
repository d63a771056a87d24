//! One job without a pool, from the command line to the outcome: reads the configuration, opens what
//! the caller named, forks the launcher, gives up its rights and supervises.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use super::inherited::INHERIT;
use super::invocation::Common;
use super::run::Tree;
use crate::failure::{Context, Failure, Step};
use crate::host;
use crate::knobs::Knobs;
use crate::launcher::message::Channel;
use crate::launcher::{Launcher, sandbox};
use crate::log::{self, Settings, Start};
use crate::parent::file::{FileParent, Source};
use crate::plan::{Host, Stdio};
use crate::report::ad::Outcome;
use crate::supervisor::{Desk, Signals, Supervisor};
use crate::sys::clone::{self, Child, Side};
use crate::sys::privilege::{self, Ids};
use crate::sys::{environment, exec, process};

/// What the command line said about the job.
pub(super) struct Session {
    pub(super) common: Common,
    pub(super) input: Described,
    /// A path, or `-`.
    pub(super) output: Option<String>,
    pub(super) stdio: [Option<Stdio>; 3],
    pub(super) ids: (Option<i64>, Option<i64>),
    /// `starter run`: progress and reasons on the terminal, no log unless asked for.
    pub(super) for_people: bool,
    pub(super) verbose: bool,
}

/// Where a job is described.
pub(super) enum Described {
    /// In a file.
    File {
        /// A path, or `-`.
        name: String,
        reader: fn(&str, &[u8]) -> Result<classad::ClassAd, Failure>,
    },
    /// In the configuration, by knobs that begin with this.
    Keyword(String),
}

/// What is read and opened before anything else: the admin's, not a peer's.
pub(super) struct Ground {
    pub(super) knobs: Knobs,
    pub(super) host: Host,
    /// The account of the daemons and of the supervisor.
    pub(super) daemon: Ids,
    /// The slot's name, where there is one.
    pub(super) slot: Option<String>,
}

impl Ground {
    /// Reads the configuration, looks at the machine, and opens the log.
    pub(super) fn prepare(common: &Common, for_people: bool) -> Result<Self, Failure> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let names = (common.local_name.as_deref(), common.slot_name.as_deref());
        let config = crate::knobs::load_for_slot(names.0, names.1, !for_people)?;
        let mut knobs = Knobs::read(&config)?;
        let host = host::look(&knobs)?;
        let daemon = host::daemon_account(&knobs, &host)?;
        host::accounts::read_ahead();
        host::prepare_execute(&mut knobs, &host, &daemon, for_people)?;
        open_log(common, &knobs, &daemon, config.files(), for_people)?;
        crate::knobs::log_warnings(&config);
        knobs.config = Some(config.into());
        Ok(Self { knobs, host, daemon, slot: None })
    }

    /// Forks the launcher, before a byte of the job is read, and goes on as the supervisor, who has
    /// no rights of root any more. What is `own` to the supervisor the launcher doesn't have.
    pub(super) fn fork<T>(
        &self,
        signals: Signals,
        own: T,
        for_people: bool,
    ) -> Result<(T, Forked), Failure> {
        let supervisor = std::process::id();
        let (ours, theirs) = Channel::pair().at(Step::Internal, "socketpair")?;
        match clone::fork(nix::sched::CloneFlags::empty()).at(Step::Internal, "fork")? {
            Side::Child => {
                drop((ours, signals, own));
                environment::wipe(&[INHERIT]);
                self.serve(&theirs, supervisor, for_people)
            }
            Side::Parent(launcher) => {
                drop(theirs);
                self.give_up_root()?;
                Ok((own, Forked { desk: Desk::new(ours, signals), launcher }))
            }
        }
    }

    /// The life of the launcher, whose supervisor has this number.
    fn serve(&self, channel: &Channel, supervisor: u32, for_people: bool) -> ! {
        log::adopt();
        let launcher = Launcher {
            knobs: &self.knobs,
            daemon: self.daemon.clone(),
            privileged: self.host.privileged,
            cgroups: &self.host.cgroups,
            slot: self.slot.as_deref(),
            supervisor,
            caller_is_submitter: for_people,
            show_progress: for_people && io::stderr().is_terminal(),
        };
        launcher.serve(channel);
        exec::leave(0)
    }

    /// Gives up the rights of root for good.
    fn give_up_root(&self) -> Result<(), Failure> {
        if self.host.privileged {
            privilege::become_for_good(&self.daemon).at(Step::Identity, "giving up root")?;
            privilege::no_new_privileges().at(Step::Identity, "no_new_privs")?;
        }
        Ok(())
    }
}

/// The supervisor's side of the fork.
pub(super) struct Forked {
    /// To give orders from.
    pub(super) desk: Desk,
    launcher: Child,
}

impl Forked {
    /// Has the supervisor do its work; the launcher leaves by itself once its channel is closed.
    pub(super) fn work<T>(self, work: impl FnOnce(Desk) -> T) -> T {
        let result = work(self.desk);
        let _ = process::wait_with_usage(self.launcher.pid);
        result
    }
}

/// Runs the job.
pub(super) fn run(session: Session) -> Result<Outcome, Failure> {
    let ground = Ground::prepare(&session.common, session.for_people)?;
    let parent = FileParent {
        input: match (&session.input, &ground.knobs.config) {
            (Described::File { name, reader }, _) => open_input(name, *reader)?,
            (Described::Keyword(keyword), Some(config)) => {
                Source::Configuration(super::keyword::ad(config, keyword)?)
            }
            (Described::Keyword(_), None) => {
                return Err(Failure::host(Step::Internal, "no configuration"));
            }
        },
        output: session.output.as_deref().map(open_output).transpose()?,
        ids: session.ids,
    };
    let here = std::env::current_dir().at(Step::Configuration, "the working directory")?;
    for (path, result) in sandbox::remove_stale(&ground.knobs.execute) {
        match result {
            Ok(()) => tracing::info!("removed {}, which a dead starter left", path.display()),
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
    }

    let (mut parent, forked) = ground.fork(Signals::new()?, parent, session.for_people)?;
    let mut tree = Tree { verbose: session.for_people && session.verbose };
    forked.work(|desk| {
        let supervisor = Supervisor {
            desk,
            knobs: &ground.knobs,
            host: ground.host.clone(),
            stdio: session.stdio,
            unnamed_output: if session.for_people { Stdio::Inherit } else { Stdio::Null },
            here,
            caller_is_submitter: session.for_people,
            watch: &mut tree,
        };
        supervisor.run(&mut parent)
    })
}

pub(super) fn open_input(
    name: &str,
    reader: fn(&str, &[u8]) -> Result<classad::ClassAd, Failure>,
) -> Result<Source, Failure> {
    if name == "-" {
        let stdin = io::stdin().as_fd().try_clone_to_owned().at(Step::JobAd, "standard input")?;
        let file = Box::new(File::from(stdin));
        return Ok(Source::File { name: "standard input".into(), file, reader });
    }
    let file = File::open(name).at(Step::JobAd, format!("opening {name}"))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(Failure::host(Step::JobAd, format!("{name} is a directory, not a job")));
    }
    Ok(Source::File { name: name.to_owned(), file: Box::new(file), reader })
}

/// Appended to, as the stock starter does.
fn open_output(name: &str) -> Result<(String, File), Failure> {
    if name == "-" {
        let out = io::stdout().as_fd().try_clone_to_owned().at(Step::Output, "standard output")?;
        return Ok(("standard output".into(), File::from(out)));
    }
    let file = OpenOptions::new().append(true).create(true).open(name);
    Ok((name.to_owned(), file.at(Step::Output, format!("opening {name}"))?))
}

/// The log, with the lines at its start.
fn open_log(
    common: &Common,
    knobs: &Knobs,
    daemon: &privilege::Ids,
    files: &[String],
    for_people: bool,
) -> Result<(), Failure> {
    let settings = match Settings::new(knobs, common.header.as_deref()) {
        Err(_) if for_people => return Ok(()),
        settings => settings?,
    };
    if common.log_to_terminal {
        let stderr = io::stderr().as_fd().try_clone_to_owned().at(Step::Log, "stderr")?;
        log::to_terminal(&settings, File::from(stderr));
    } else {
        let name = (common.local_name.as_deref(), common.log_suffix.as_deref());
        let Some(path) = log::log_file(knobs, name.0, name.1) else { return Ok(()) };
        let show = path.display().to_string();
        match log::to_file(&settings, path, daemon) {
            Ok(()) => {}
            // For people a log is a convenience; a pool's starter without one is not to be trusted.
            Err(_) if for_people => return Ok(()),
            Err(error) => return Err(error).at(Step::Log, format!("opening {show}")),
        }
    }
    if let Some(second) = &common.second_log {
        log::begin_second(second).at(Step::Log, "a copy of the log for the job's user")?;
    }
    if !for_people {
        let program = std::env::args_os().next();
        let program = program.as_deref().map(|path| path.to_string_lossy());
        let local_name = common.local_name.as_deref();
        log::starting_up(&Start { program: program.as_deref(), local_name, files });
    }
    Ok(())
}
