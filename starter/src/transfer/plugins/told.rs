//! What shadow and log are told of the calls of plugins: their results as ads, and lines.
//!
//! The ads are a plugin's word, and go into the history of the job: only attributes that HTCondor knows
//! pass, with the type that they have.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use classad::{ClassAd, Expr, Value};
use serde::{Deserialize, Serialize};

use super::run::Ran;

/// All ads together may take so many bytes, and so may all lines.
const MAX_BYTES: usize = 4 << 20;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Loudness {
    /// D_ALWAYS.
    Always,
    /// D_FULLDEBUG.
    Debug,
}

/// A result, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Result {
    /// The ad in the new syntax.
    pub(crate) ad: String,
    /// Whether it describes a call; else a file.
    pub(crate) is_call: bool,
}

/// All of it, for the way from the transfer process to the supervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Calls and the files of each, in their order.
    pub(crate) results: Vec<Result>,
    /// Ads of files that came without plugins, for the machine's own record.
    pub(crate) plain: Vec<String>,
    /// For the log.
    pub(crate) lines: Vec<(Loudness, String)>,
    bytes: usize,
}

impl Told {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.results.is_empty() && self.plain.is_empty() && self.lines.is_empty()
    }

    /// Adds a line.
    pub(crate) fn say(&mut self, loudness: Loudness, line: String) {
        if self.room(line.len()) {
            self.lines.push((loudness, line));
        }
    }

    /// Adds what a plugin printed, the end of it if it was much.
    pub(super) fn say_output(&mut self, plugin: &str, exit: i32, ran: &Ran) {
        const SHOWN: usize = 16 << 10;
        let said = ran.said.get(ran.said.len().saturating_sub(SHOWN)..).unwrap_or_default();
        let mut line = format!("FILETRANSFER: plugin {plugin} exit={exit} ");
        if ran.bytes > SHOWN as u64 {
            line.push_str(&format!("had {} bytes of stdout. last 16KB :", ran.bytes));
        } else {
            line.push_str("stdout:");
        }
        for part in String::from_utf8_lossy(said).lines() {
            line.push_str("\n\t");
            line.push_str(part);
        }
        self.say(Loudness::Always, line);
    }

    /// Adds the ad of a call.
    pub(super) fn call(&mut self, ad: &ClassAd) {
        self.result(ad, true);
    }

    /// Adds the ad of a file.
    pub(super) fn file(&mut self, ad: &ClassAd) {
        self.result(&filtered(ad), false);
    }

    /// Adds a file that came through the connection itself.
    pub(crate) fn plain(&mut self, name: &[u8], bytes: u64, began: SystemTime) {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (began, ended) = (seconds(began), seconds(SystemTime::now()));
        let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut ad = ClassAd::new();
        ad.insert("ConnectionTimeSeconds", ended.saturating_sub(began).as_secs_f64());
        ad.insert("TransferEndTime", whole(ended));
        ad.insert("TransferFileBytes", bytes);
        ad.insert_value("TransferFileName", String::from_utf8_lossy(name).into_owned());
        ad.insert("TransferProtocol", "cedar");
        ad.insert("TransferStartTime", whole(began));
        ad.insert("TransferSuccess", true);
        ad.insert("TransferTotalBytes", bytes);
        ad.insert("TransferType", "download");
        let ad = ad.to_new_string();
        // What plugins do has room left.
        if self.bytes <= MAX_BYTES / 2 && self.room(ad.len()) {
            self.plain.push(ad);
        }
    }

    fn result(&mut self, ad: &ClassAd, is_call: bool) {
        let ad = ad.to_new_string();
        if self.room(ad.len()) {
            self.results.push(Result { ad, is_call });
        }
    }

    fn room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes + 16);
        self.bytes <= MAX_BYTES
    }
}

/// Files and bytes by protocol, its name in capitals; bytes only where a plugin counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UrlStats(pub(crate) BTreeMap<String, (u64, Option<i64>)>);

impl UrlStats {
    /// Takes the ad of a file into account.
    pub(super) fn count(&mut self, ad: &ClassAd) {
        let Some(protocol) = ad.eval_string("TransferProtocol") else { return };
        let named = protocol.starts_with(|c: char| c.is_ascii_alphabetic())
            && protocol.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // A name that makes no attribute would spoil the ad.
        if !named || protocol.len() > 64 || protocol.eq_ignore_ascii_case("cedar") {
            return;
        }
        let (files, bytes) = self.0.entry(protocol.to_ascii_uppercase()).or_default();
        *files += 1;
        if let Some(more) = ad.eval_i64("TransferTotalBytes") {
            *bytes = Some(bytes.unwrap_or_default().saturating_add(more.max(0)));
        }
    }
}

/// The types that attributes have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Real,
    String,
    Ad,
    List,
}

const OF_FILE: [(&str, Kind); 14] = [
    ("TransferSuccess", Kind::Boolean),
    ("TransferError", Kind::String),
    ("TransferProtocol", Kind::String),
    ("TransferType", Kind::String),
    ("TransferFileName", Kind::String),
    ("TransferFileBytes", Kind::Integer),
    ("TransferTotalBytes", Kind::Integer),
    ("TransferStartTime", Kind::Integer),
    ("TransferEndTime", Kind::Integer),
    ("ConnectionTimeSeconds", Kind::Real),
    ("TransferURL", Kind::String),
    // A list of ads, one for each attempt.
    ("TransferErrorData", Kind::List),
    ("DeveloperData", Kind::Ad),
    ("TransferData", Kind::List),
];

const OF_ATTEMPT: [(&str, Kind); 13] = [
    ("IntermediateServerErrorType", Kind::String),
    ("IntermediateServer", Kind::String),
    ("ErrorType", Kind::String),
    ("PluginVersion", Kind::String),
    ("PluginLaunched", Kind::Boolean),
    ("FailedName", Kind::String),
    ("FailureType", Kind::String),
    ("FailedServer", Kind::String),
    ("ShouldRefresh", Kind::Boolean),
    ("ErrorCode", Kind::Integer),
    ("ErrorString", Kind::String),
    ("Retryable", Kind::Integer),
    ("DeveloperData", Kind::Ad),
];

fn filtered(ad: &ClassAd) -> ClassAd {
    let mut passed = known(ad, &OF_FILE);
    let attempts = passed.get("TransferErrorData").and_then(Expr::as_list).map(<[Expr]>::to_vec);
    if let Some(attempts) = attempts {
        let attempts = attempts.iter().filter_map(Expr::as_ad);
        let attempts = attempts.map(|ad| Expr::from(known(ad, &OF_ATTEMPT)));
        passed.insert("TransferErrorData", Expr::list(attempts));
    }
    passed
}

fn known(ad: &ClassAd, attributes: &[(&str, Kind)]) -> ClassAd {
    let mut passed = ClassAd::new();
    for (name, kind) in attributes {
        if let Some((own, expr)) = ad.get_entry(name)
            && kind_of(expr) == Some(*kind)
        {
            passed.insert(own.clone(), expr.clone());
        }
    }
    passed
}

fn kind_of(expr: &Expr) -> Option<Kind> {
    if expr.as_ad().is_some() {
        return Some(Kind::Ad);
    }
    if expr.as_list().is_some() {
        return Some(Kind::List);
    }
    match expr.as_literal()? {
        Value::Bool(_) => Some(Kind::Boolean),
        Value::Int(_) => Some(Kind::Integer),
        Value::Real(_) => Some(Kind::Real),
        Value::String(_) => Some(Kind::String),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_passes() {
        let ad = ClassAd::parse(
            "[ TransferSuccess = true; TransferError = 3; TransferUrl = \"x://y\"; Evil = 1; \
             TransferFileBytes = 1 + 1; ConnectionTimeSeconds = 0.5; TransferErrorData = { \
             [ ErrorCode = 7; Evil = 2; DeveloperData = [ a = 1 ] ], 3 }; HoldReason = \"x\" ]",
        )
        .unwrap();
        let mut told = Told::default();
        told.file(&ad);
        let passed = ClassAd::parse(&told.results[0].ad).unwrap();
        let mut names: Vec<_> = passed.iter().map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["ConnectionTimeSeconds", "TransferErrorData", "TransferSuccess", "TransferUrl"]
        );
        let attempts = passed.get("TransferErrorData").unwrap().as_list().unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].as_ad().unwrap().len(), 2);
    }

    #[test]
    fn there_is_an_end_to_what_is_told() {
        let mut told = Told::default();
        for _ in 0..100 {
            told.say(Loudness::Always, "x".repeat(1 << 20));
        }
        assert_eq!(told.lines.len(), 3);
    }

    #[test]
    fn plain_files_leave_room_for_plugins() {
        let mut told = Told::default();
        told.plain(b"./a", 7, SystemTime::now());
        let ad = ClassAd::parse(&told.plain[0]).unwrap();
        assert_eq!(ad.eval_string("TransferFileName").as_deref(), Some("./a"));
        assert_eq!(ad.eval_i64("TransferTotalBytes"), Some(7));
        assert!(ad.eval_i64("TransferStartTime") <= ad.eval_i64("TransferEndTime"));
        for _ in 0..20_000 {
            told.plain(&[b'x'; 200], 7, SystemTime::now());
        }
        assert!(told.plain.len() < 10_000);
        told.file(&ad);
        assert_eq!(told.results.len(), 1);
    }

    #[test]
    fn bytes_are_counted_by_protocol() {
        let mut stats = UrlStats::default();
        for text in [
            "[ TransferProtocol = \"http\"; TransferTotalBytes = 5 ]",
            "[ TransferProtocol = \"HTTP\"; TransferTotalBytes = 6 ]",
            "[ TransferProtocol = \"debug\" ]",
            "[ TransferProtocol = \"cedar\"; TransferTotalBytes = 6 ]",
            "[ TransferProtocol = \"a = 1\\nb\"; TransferTotalBytes = 6 ]",
            "[ TransferTotalBytes = 6 ]",
        ] {
            stats.count(&ClassAd::parse(text).unwrap());
        }
        assert_eq!(
            stats.0.into_iter().collect::<Vec<_>>(),
            [("DEBUG".to_owned(), (1, None)), ("HTTP".to_owned(), (2, Some(11)))]
        );
    }
}
