//! The transfer process's side: files with URLs in, what became of them out.

use std::path::{Path, PathBuf};

use classad::ClassAd;

use super::ads;
use super::call::{self, Pair};
use super::capability::{Capability, Protocol};
use super::helper::Lines;
use super::outcome::{self, Called, Fault};
use super::run::{Call, End, Ran};
use super::settings::Settings;
use super::table::{self, Plugin, Table};
use super::told::{Loudness, Told, UrlStats};
use super::url;
use crate::failure::Failure;
use crate::transfer::fault::Direction;

/// Seconds after which a call of a plugin is worth a line in the log.
const SLOW: u64 = 10;

/// A file that is to come from a URL.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its path in the sandbox.
    pub(crate) local: PathBuf,
    /// Where it is.
    pub(crate) url: String,
}

/// A file that is to go to a URL.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// Its path in the sandbox.
    pub(crate) local: PathBuf,
    /// The last part of that, for the shadow.
    pub(crate) name: String,
    /// Where it belongs.
    pub(crate) url: String,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    /// Of which file.
    pub(crate) upload: Upload,
    /// Why it isn't there.
    pub(crate) error: Option<String>,
}

/// Calls plugins for one transfer.
#[derive(Debug, Default)]
pub(crate) struct Caller<'a> {
    settings: Option<&'a Settings>,
    sandbox: PathBuf,
    lines: Option<&'a Lines>,
    table: Option<Table>,
    /// Whether it is a checkpoint that is stored.
    pub(crate) is_checkpoint: bool,
    /// What shadow and log shall hear.
    pub(crate) told: Told,
    /// What was moved.
    pub(crate) stats: UrlStats,
}

impl<'a> Caller<'a> {
    /// `settings`: `None` for a job that names no URLs, of which none should come.
    pub(crate) fn new(
        settings: Option<&'a Settings>,
        sandbox: &Path,
        lines: Option<&'a Lines>,
    ) -> Self {
        Self { settings, sandbox: sandbox.to_owned(), lines, ..Self::default() }
    }

    /// Whether URLs for object stores are to be signed by the shadow.
    pub(crate) fn signs(&self) -> bool {
        self.settings.is_some_and(|settings| settings.signs)
    }

    /// Fetches files. Every plugin is called, also after one has failed, so that the user hears of
    /// everything at once.
    pub(crate) fn fetch(&mut self, wanted: &[Wanted]) -> Result<(), Fault> {
        let mut groups: Vec<(usize, Vec<Pair>)> = Vec::new();
        for one in wanted {
            let pair = pair(&one.local, &one.url);
            let index = self.plugin_for(Direction::In, &pair)?;
            match groups.iter_mut().find(|(own, _)| *own == index) {
                Some((_, pairs)) => pairs.push(pair),
                None => groups.push((index, vec![pair])),
            }
        }
        groups.sort_by_key(|(index, _)| *index);
        let faults = groups
            .iter()
            .filter_map(|(index, pairs)| self.invoke(Direction::In, *index, pairs).1.err());
        faults.reduce(Fault::and).map_or(Ok(()), Err)
    }

    /// The first files that one call of a plugin can store: how many.
    pub(crate) fn group(&mut self, uploads: &[Upload]) -> usize {
        let plugin = |caller: &mut Self, upload: &Upload| {
            caller.plugin_for(Direction::Out, &pair(&upload.local, &upload.url)).ok()
        };
        let Some(first) = uploads.first() else { return 0 };
        let index = plugin(self, first);
        let multiple = index
            .and_then(|index| self.table.as_ref()?.get(index))
            .is_some_and(|plugin| plugin.protocol != Protocol::Single);
        if !multiple {
            return 1;
        }
        uploads.iter().take_while(|upload| plugin(self, upload) == index).count()
    }

    /// Stores files that `group` has put together.
    pub(crate) fn store(&mut self, uploads: &[Upload]) -> (Vec<Uploaded>, Result<(), Fault>) {
        let pairs: Vec<Pair> = uploads.iter().map(|one| pair(&one.local, &one.url)).collect();
        let index = match pairs.first().map(|pair| self.plugin_for(Direction::Out, pair)) {
            None => return (Vec::new(), Ok(())),
            Some(Ok(index)) => index,
            Some(Err(fault)) => {
                let error = Some(fault.text.clone());
                let failed =
                    |upload: &Upload| Uploaded { upload: upload.clone(), error: error.clone() };
                return (uploads.iter().map(failed).collect(), Err(fault));
            }
        };
        let (ads, outcome) = self.invoke(Direction::Out, index, &pairs);
        let one = |upload: &Upload| {
            let says = |ad: &&ClassAd| ad.eval_string("TransferUrl").as_ref() == Some(&upload.url);
            let error = match (ads.iter().find(says), &outcome) {
                (_, Ok(())) => None,
                (Some(ad), _) if ad.eval_bool("TransferSuccess") == Some(true) => None,
                (Some(ad), Err(fault)) => {
                    Some(ad.eval_string("TransferError").unwrap_or_else(|| fault.text.clone()))
                }
                (None, Err(fault)) => Some(fault.text.clone()),
            };
            Uploaded { upload: upload.clone(), error }
        };
        (uploads.iter().map(one).collect(), outcome)
    }

    /// The plugin for a URL, by its number in the table, which is made when it is needed first.
    fn plugin_for(&mut self, direction: Direction, pair: &Pair) -> Result<usize, Fault> {
        let shown = url::shown(&pair.url);
        let act = match direction {
            Direction::In => "receiving",
            Direction::Out => "sending",
        };
        let fault = |subcode, error: String| Fault {
            again: false,
            subcode,
            text: format!("|Error: {act} file {}: {}", pair.local, outcome::stacked(&[error])),
        };
        if let Some(settings) = self.settings
            && !settings.enabled
        {
            return Err(fault(
                outcome::NOT_FOUND,
                format!(
                    "URL transfers are disabled by configuration.  Cannot transfer URL file = {shown} ."
                ),
            ));
        }
        let scheme = url::scheme(&pair.url).unwrap_or_default();
        let table = self.table(direction).map_err(machine)?;
        let found = table.find(&scheme);
        match found.and_then(|index| Some((index, table.get(index)?))) {
            None => Err(fault(
                outcome::NOT_FOUND,
                format!("FILETRANSFER: plugin for type {scheme} not found!"),
            )),
            Some((_, Plugin { refused: true, path, .. })) => Err(fault(
                outcome::NOT_OPERATIONAL,
                format!("user-supplied plugin {} not allowed", path.display()),
            )),
            Some((index, _)) => Ok(index),
        }
    }

    fn table(&mut self, direction: Direction) -> Result<&Table, Failure> {
        let table = match (self.table.take(), self.settings) {
            (Some(table), _) => table,
            (None, None) => Table::default(),
            (None, Some(settings)) => {
                let answers = match self.lines.and_then(|lines| lines.site.as_ref()) {
                    Some(line) if !settings.system.is_empty() => {
                        let calls = table::questions(settings).into_iter();
                        let calls = calls.map(|start| Call { start, input: None, output: None });
                        line.run(direction, calls.collect(), settings.patience)?
                    }
                    _ => Vec::new(),
                };
                let (table, complaints) = Table::new(settings, &answers, &self.sandbox);
                for complaint in complaints {
                    self.told.say(Loudness::Always, complaint);
                }
                table
            }
        };
        Ok(self.table.insert(table))
    }

    /// Calls a plugin for some files, in its protocol; the ads it left, and whether all went well.
    fn invoke(
        &mut self,
        direction: Direction,
        index: usize,
        pairs: &[Pair],
    ) -> (Vec<ClassAd>, Result<(), Fault>) {
        let plugin = self.table.as_ref().and_then(|table| table.get(index)).cloned();
        let (Some(plugin), Some(settings)) = (plugin, self.settings) else {
            return (Vec::new(), Ok(()));
        };
        if plugin.protocol != Protocol::Single {
            return self.invoke_multiple(direction, &plugin, settings, pairs);
        }
        let mut ads = Vec::new();
        for pair in pairs {
            let (ad, outcome) = self.invoke_single(direction, &plugin, settings, pair);
            ads.extend(ad);
            if outcome.is_err() {
                return (ads, outcome);
            }
        }
        (ads, Ok(()))
    }

    fn invoke_multiple(
        &mut self,
        direction: Direction,
        plugin: &Plugin,
        settings: &Settings,
        pairs: &[Pair],
    ) -> (Vec<ClassAd>, Result<(), Fault>) {
        let label = plugin.path.to_string_lossy();
        let call = call::call(settings, plugin, &self.sandbox, direction, pairs);
        let output = self.sandbox.join(call.output.as_deref().unwrap_or_default());
        let ran = match self.run(direction, plugin, settings, call) {
            Ok(ran) => ran,
            Err(failure) => return (Vec::new(), Err(machine(failure))),
        };
        if ran.seconds >= SLOW {
            // Begins as HTCondor's line about a slow plugin, which tools look for.
            let took = format!("{label} took {} s", ran.seconds);
            self.told.say(Loudness::Always, format!("wait_for_output() callback (multi): {took}"));
        }
        let ads = ads::sequence(ran.results.as_deref().unwrap_or_default());
        if settings.modern {
            let class = match direction {
                Direction::In => 1,
                Direction::Out if self.is_checkpoint => 3,
                Direction::Out => 2,
            };
            self.told.call(&call_ad(class, plugin, pairs, &ran));
        }
        for ad in &ads {
            self.stats.count(ad);
            self.told.file(ad);
        }
        let called = Called { label: &label, modern: settings.modern, lifetime: settings.lifetime };
        let outcome = called.judge(&ran, &ads, &output);
        self.log(settings, &label, &ran, outcome.is_ok());
        (ads, outcome)
    }

    fn invoke_single(
        &mut self,
        direction: Direction,
        plugin: &Plugin,
        settings: &Settings,
        pair: &Pair,
    ) -> (Option<ClassAd>, Result<(), Fault>) {
        let label = plugin.path.to_string_lossy();
        let call =
            call::call(settings, plugin, &self.sandbox, direction, std::slice::from_ref(pair));
        let ran = match self.run(direction, plugin, settings, call) {
            Ok(ran) => ran,
            Err(failure) => return (None, Err(machine(failure))),
        };
        let ad = Capability::attributes(&ran.said);
        self.stats.count(&ad);
        self.told.file(&ad);
        let called = Called { label: &label, modern: settings.modern, lifetime: settings.lifetime };
        let mut outcome = called.judge_single(&ran, &ad, &pair.url);
        if let Err(fault) = &mut outcome {
            let act = if direction == Direction::In { "receiving" } else { "sending" };
            fault.text.insert_str(0, &format!("|Error: {act} file {}: ", pair.local));
        }
        self.log(settings, &label, &ran, outcome.is_ok());
        (Some(ad), outcome)
    }

    fn run(
        &mut self,
        direction: Direction,
        plugin: &Plugin,
        settings: &Settings,
        call: Call,
    ) -> Result<Ran, Failure> {
        let shown: Vec<String> = call.start.arguments.iter().map(|word| url::shown(word)).collect();
        self.told.say(
            Loudness::Debug,
            format!("FILETRANSFER: invoking: {} {}", plugin.path.display(), shown.join(" ")),
        );
        if let Some((_, input)) = &call.input {
            let input = url::shown_in(&String::from_utf8_lossy(input));
            self.told.say(Loudness::Debug, format!("FILETRANSFER: with plugin input: {input}"));
        }
        let line = self
            .lines
            .and_then(|lines| if plugin.own { lines.own.as_ref() } else { lines.site.as_ref() });
        let line = line.ok_or_else(|| direction.host("nobody runs plugins here"))?;
        let ran = line.run(direction, vec![call], settings.lifetime)?;
        ran.into_iter().next().ok_or_else(|| direction.host("a plugin was not run"))
    }

    fn log(&mut self, settings: &Settings, label: &str, ran: &Ran, well: bool) {
        let code = outcome::code(ran.end);
        let line = match ran.end {
            End::TimedOut => format!(
                "FILETRANSFER: plugin {label} was killed after running for {} seconds.",
                ran.seconds
            ),
            End::NotExecuted(errno) => {
                let reason = nix::errno::Errno::from_raw(errno).desc();
                format!("FILETRANSFER: Failed to execute {label}: {reason}")
            }
            end => {
                let signal = if let End::Signaled(signal) = end { signal } else { 0 };
                let by_signal = i32::from(signal != 0);
                format!(
                    "FILETRANSFER: plugin {label}: exit_code {code} exit_by_signal: {by_signal} \
                     exit_signal: {signal}"
                )
            }
        };
        self.told.say(Loudness::Always, line);
        let [on_success, on_failure] = settings.logs;
        if (if well { on_success } else { on_failure }) && ran.bytes > 0 {
            self.told.say_output(label, code, ran);
        }
    }
}

fn pair(local: &Path, url: &str) -> Pair {
    Pair { local: local.to_string_lossy().into_owned(), url: url.to_owned() }
}

/// What keeps plugins from running at all is this machine's fault.
fn machine(failure: Failure) -> Fault {
    Fault { again: true, subcode: 0, text: format!("|Error: {}", failure.message) }
}

/// `class`: what was moved, 1 for input, 2 for output, 3 for a checkpoint.
fn call_ad(class: i64, plugin: &Plugin, pairs: &[Pair], ran: &Ran) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert("TransferClass", class);
    ad.insert_value("PluginBasename", plugin.base_name());
    let schemes: Vec<String> = call::schemes(pairs).into_iter().collect();
    ad.insert_value("Schemes", schemes.join(","));
    ad.insert("Result", outcome::number(ran.end));
    ad.insert("DurationInSeconds", i64::try_from(ran.seconds).unwrap_or(i64::MAX));
    match ran.end {
        End::Signaled(signal) => {
            ad.insert("ExitBySignal", true);
            ad.insert("ExitSignal", signal);
        }
        end => {
            ad.insert("ExitBySignal", false);
            ad.insert("ExitCode", outcome::code(end));
        }
    }
    ad
}
