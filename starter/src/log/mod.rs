//! The log, in the form and under the names of HTCondor's daemons, as a subscriber of `tracing`.

mod file;
mod flags;
mod line;
mod names;
mod second;
mod size;
mod words;

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::failure::{Failure, Step};
use crate::knobs::Knobs;
use crate::knobs::types::Lines;
use crate::sys::privilege::Ids;
use file::{Keeping, LogFile};
use flags::Flags;
use line::Form;
use second::Second;
use size::Limit;

pub(crate) use names::log_file;
pub(crate) use words::Start;

/// The time in the machine's zone, as strftime has it.
pub(crate) fn local_time(format: &str) -> String {
    Form::new(Flags::default(), None, None).local(format, jiff::Timestamp::now())
}

/// The same of a time in seconds since 1970.
pub(crate) fn local_time_of(format: &str, seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    Form::new(Flags::default(), None, None).local(format, time)
}

/// What the configuration and the command line say about the log.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    flags: Flags,
    time: Option<String>,
    keeping: Keeping,
    header: Option<String>,
    json: bool,
}

impl Settings {
    /// From the knobs, and the text of `-header`.
    pub(crate) fn new(knobs: &Knobs, header: Option<&str>) -> Result<Self, Failure> {
        let mut flags = Flags::default();
        let own = Some(knobs.starter_debug.as_str()).filter(|text| !text.is_empty());
        for knob in [knobs.all_debug.as_deref(), own.or(knobs.default_debug.as_deref())] {
            flags.add(knob.unwrap_or_default());
        }
        flags.timestamp |= knobs.logs_use_timestamp;
        let limit = |name: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Limit::parse).transpose();
            parsed.map_err(|why| Failure::host(Step::Log, format!("{name}: {why}")))
        };
        let limit = match limit("MAX_STARTER_LOG", &knobs.max_starter_log)? {
            Some(limit) => limit,
            None => limit("MAX_DEFAULT_LOG", &knobs.max_default_log)?.unwrap_or(size::DEFAULT),
        };
        let keeping = Keeping {
            limit,
            old: knobs.max_num_starter_log,
            truncate: knobs.trunc_starter_log_on_open,
        };
        let time = knobs.debug_time_format.clone();
        let json = knobs.starter_log_format == Lines::Json;
        Ok(Self { flags, time, keeping, header: header.map(str::to_owned), json })
    }

    fn form(&self) -> Form {
        let mut form = Form::new(self.flags, self.time.as_deref(), self.header.clone());
        form.json = self.json;
        form
    }
}

/// The log of this program: where lines go, and which.
#[derive(Debug)]
struct Log {
    verbose: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    form: Form,
    out: Out,
    /// The copy for the job's user.
    second: Option<Second>,
    /// The process that may rotate. A child in a cell has inherited the log but not its directory.
    keeper: u32,
}

#[derive(Debug)]
enum Out {
    Terminal(File),
    File(LogFile),
}

static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Logs to a descriptor, such as a terminal's.
pub(crate) fn to_terminal(settings: &Settings, out: File) {
    install(settings, Out::Terminal(out));
}

/// Logs to a file, which is opened with the daemons' rights.
pub(crate) fn to_file(settings: &Settings, path: PathBuf, daemon: &Ids) -> io::Result<()> {
    let file = LogFile::open(path, settings.keeping.clone(), daemon)?;
    install(settings, Out::File(file));
    Ok(())
}

fn install(settings: &Settings, out: Out) {
    let state = State { form: settings.form(), out, second: None, keeper: std::process::id() };
    let verbose = AtomicBool::new(settings.flags.verbose);
    let log = Arc::new(Log { verbose, state: Mutex::new(state) });
    // A second log in one process can't happen; if it did, the first would go on.
    if LOG.set(log.clone()).is_ok() {
        let _ = tracing::subscriber::set_global_default(Shared(log));
    }
}

/// Takes over what can change while a starter runs: levels, the form of lines, the limits. To be
/// called when the configuration was read again (SIGHUP); the file stays the same.
#[allow(dead_code, reason = "for the pool's side, which gets SIGHUP from a startd")]
pub(crate) fn reconfigure(settings: &Settings) {
    let Some(log) = LOG.get() else { return };
    let mut state = log.state();
    let second = state.second.as_ref().is_some_and(|second| second.verbose);
    log.verbose.store(settings.flags.verbose || second, Ordering::Relaxed);
    state.form = settings.form();
    if let Out::File(file) = &mut state.out {
        file.keeping = settings.keeping.clone();
    }
    drop(state);
    tracing::callsite::rebuild_interest_cache();
}

/// Begins a copy of the log for the job's user, as `-a2` says it.
pub(crate) fn begin_second(spec: &str) -> io::Result<()> {
    let Some(log) = LOG.get() else { return Ok(()) };
    let mut state = log.state();
    let mut flags = state.form.flags;
    flags.add(second::levels(spec));
    state.second = Some(Second::new(flags.verbose)?);
    if flags.verbose {
        log.verbose.store(true, Ordering::Relaxed);
    }
    drop(state);
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

/// Whether there is such a copy.
pub(crate) fn has_second() -> bool {
    LOG.get().is_some_and(|log| log.state().second.is_some())
}

/// What is in the copy, if there is one.
pub(crate) fn second() -> Option<io::Result<Vec<u8>>> {
    LOG.get()?.state().second.as_ref().map(Second::content)
}

/// Makes this process, a fork of the one that opened the log, one that rotates it too.
pub(crate) fn adopt() {
    if let Some(log) = LOG.get() {
        log.state().keeper = std::process::id();
    }
}

/// Writes the lines that a log of HTCondor starts with.
pub(crate) fn starting_up(start: &Start<'_>) {
    let Some(log) = LOG.get() else { return };
    let mut state = log.state();
    let touched = match &state.out {
        Out::File(file) => file.touched,
        Out::Terminal(_) => None,
    };
    let lines = words::banner(start, &state.form, std::process::id(), touched);
    state.write(Level::INFO, &lines);
}

/// Writes the line that a log of HTCondor ends with.
pub(crate) fn exiting(status: u8) {
    if let Some(log) = LOG.get() {
        log.state().write(Level::INFO, &[words::exiting(std::process::id(), status)]);
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lines go out in one write, so that those of several processes don't mix.
    fn write(&mut self, level: Level, lines: &[String]) {
        let (now, pid) = (file::now(), std::process::id());
        let form = &self.form;
        let text: String = lines.iter().map(|line| form.line(now, pid, level, line)).collect();
        if let Some(second) = &mut self.second
            && (level <= Level::INFO || second.verbose)
        {
            second.append(&text);
        }
        if level > Level::INFO && !self.form.flags.verbose {
            return;
        }
        match &mut self.out {
            // Nobody is left to tell that nobody listens.
            Out::Terminal(out) => drop(out.write_all(text.as_bytes())),
            Out::File(file) => {
                if pid == self.keeper
                    && let Some(length) = file.due()
                {
                    rotate(form, file, now, length);
                }
                file.append(&text);
            }
        }
    }
}

/// With the lines that stock writes about it.
fn rotate(form: &Form, file: &mut LogFile, now: jiff::Timestamp, length: u64) {
    let pid = std::process::id();
    let line = |text: String| form.line(now, pid, Level::INFO, &text);
    let old = file.old_name(&form.local(file::STAMP, now));
    let most = match file.keeping.limit {
        Limit::None => return,
        Limit::Bytes(most) => format!("{most} bytes"),
        Limit::Seconds(most) => format!("{most} sec"),
    };
    let farewell = line(format!("MaxLog = {most}, length = {length}"))
        + &line(format!("Saving log file to \"{}\"", old.display()));
    let greeting = line(format!("Now in new log file {}", file.path().display()));
    file.rotate(&old, &farewell, &greeting);
}

/// Only events: this program has no use for spans.
struct Shared(Arc<Log>);

impl Subscriber for Shared {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most = if self.0.verbose.load(Ordering::Relaxed) { Level::DEBUG } else { Level::INFO };
        metadata.is_event() && *metadata.level() <= most
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.state().write(*event.metadata().level(), &[text.0]);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string doesn't fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::new(&Knobs::from_text(text), Some("(1.0) ")).unwrap()
    }

    #[test]
    fn knobs_go_before_each_other_as_in_stock() {
        let usual = settings("LOG = /l\n");
        assert_eq!(usual.flags, Flags { pid: true, ..Flags::default() }, "STARTER_DEBUG is D_PID");
        assert_eq!(usual.keeping, Keeping { limit: size::DEFAULT, old: 1, truncate: false });
        let text = "ALL_DEBUG = D_FULLDEBUG D_CAT\nSTARTER_DEBUG = -D_CAT\nDEFAULT_DEBUG = D_PID\n\
                    MAX_DEFAULT_LOG = 1 Mb\nMAX_NUM_STARTER_LOG = 3\nLOGS_USE_TIMESTAMP = True\n\
                    TRUNC_STARTER_LOG_ON_OPEN = True\n";
        let own = settings(text);
        let flags = Flags { verbose: true, timestamp: true, ..Flags::default() };
        assert_eq!(own.flags, flags);
        let keeping = Keeping { limit: Limit::Bytes(1 << 20), old: 3, truncate: true };
        assert_eq!(own.keeping, keeping);
        let own = settings("MAX_DEFAULT_LOG = 1 Mb\nMAX_STARTER_LOG = 1 d\n");
        assert_eq!(own.keeping.limit, Limit::Seconds(86_400));
        let wrong = Settings::new(&Knobs::from_text("MAX_STARTER_LOG = much\n"), None).unwrap_err();
        assert_eq!(wrong.step, Step::Log);
        assert!(wrong.message.contains("MAX_STARTER_LOG"), "{wrong}");
    }

    /// One process, so one log: what is switched on while it runs is logged from then on.
    #[test]
    fn levels_and_form_change_while_the_log_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("L");
        let quiet = settings("STARTER_DEBUG = D_CAT\n");
        to_file(&quiet, path.clone(), &Ids::own().unwrap()).unwrap();
        let say = |text: &str| tracing::debug!("{text}");
        say("first");
        reconfigure(&settings("STARTER_DEBUG = D_FULLDEBUG\nLOGS_USE_TIMESTAMP = True\n"));
        say("second");
        reconfigure(&quiet);
        say("third");
        exiting(3);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].ends_with(" (1.0) second")
                && lines[0].starts_with(|c: char| c.is_ascii_digit())
        );
        assert!(!lines[0].contains('/'), "{text}");
        assert!(lines[1].contains(" (D_ALWAYS) (1.0) **** condor_starter ("), "{text}");
    }
}
