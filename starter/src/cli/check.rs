//! `starter check`: can this machine isolate jobs, and are its named roots fit for use?

mod trial;

use std::ffi::OsString;
use std::time::Duration;

use classad::{ClassAd, Value};

use super::examine::{self, Examined, Finding, Grade, machine};
use super::probe;
use super::probe::ad::Ad;
use crate::failure::Failure;
use crate::knobs::{self, Knobs};

/// How long a root may take for a look, and for one at all its files.
const PATIENCE: Duration = Duration::from_secs(10);
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// What the command line says.
#[derive(Debug, Default)]
struct Wanted {
    /// Names of roots; empty: the machine, and all roots.
    roots: Vec<String>,
    form: Form,
    /// Look at every file of the roots.
    deep: bool,
    /// Run this in each root.
    exec: Option<String>,
    /// As this account.
    account: Option<String>,
}

/// How findings are printed.
#[derive(Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Text,
    Json,
    /// As attributes of a slot, for STARTD_CRON.
    ClassAd,
}

/// Prints what was found. Exit code 0: all well, 1: warnings, 2: failures; with `--classad` always 0, because the
/// output says it.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let wanted = read(arguments)?;
    let knobs = knobs::load(None, false).and_then(|config| Knobs::read(&config));
    let knobs = match knobs {
        Ok(knobs) => knobs,
        Err(failure) => return Ok(unreadable(&wanted, &failure)),
    };
    if wanted.form == Form::ClassAd {
        slot_ad(&wanted, &knobs);
        return Ok(0);
    }
    let findings = findings(&wanted, &knobs)
        .unwrap_or_else(|failure| vec![Finding::fail("configuration", failure.message)]);
    print(&wanted, &findings);
    Ok(code(&findings))
}

fn read(arguments: &[OsString]) -> Result<Wanted, String> {
    use lexopt::Arg::{Long, Value};
    let mut wanted = Wanted::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    let text = |word: OsString| word.into_string().map_err(|_| "a word is not UTF-8".to_owned());
    let value = |parser: &mut lexopt::Parser| {
        parser.value().map_err(|error| error.to_string()).and_then(text)
    };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Long("json") => wanted.form = Form::Json,
            Long("classad") => wanted.form = Form::ClassAd,
            Long("deep") => wanted.deep = true,
            Long("exec") => wanted.exec = Some(value(&mut parser)?),
            Long("as") => wanted.account = Some(value(&mut parser)?),
            Value(name) => wanted.roots.push(text(name)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if wanted.account.is_some() && wanted.exec.is_none() {
        return Err("--as USER says who runs --exec COMMAND, which is missing".to_owned());
    }
    if wanted.form == Form::ClassAd && !wanted.roots.is_empty() {
        return Err("--classad is about all roots: name none".to_owned());
    }
    Ok(wanted)
}

fn unreadable(wanted: &Wanted, failure: &Failure) -> u8 {
    if wanted.form == Form::ClassAd {
        // The slot keeps what it has; the starter says the same when a job comes.
        complain!("cloister: {failure}");
        return 1;
    }
    let findings = [Finding::fail("configuration", failure.message.clone())];
    print(wanted, &findings);
    code(&findings)
}

fn findings(wanted: &Wanted, knobs: &Knobs) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let named = |name: &str| wanted.roots.iter().any(|root| root.eq_ignore_ascii_case(name));
    let all = wanted.roots.is_empty();
    if all {
        findings.extend(machine::examine(knobs)?);
        findings.extend(default_root(knobs));
        let nameless = knobs.roots.iter().filter_map(|root| root.as_ref().err());
        let nameless = nameless.filter(|root| root.name.is_none());
        findings.extend(nameless.map(|root| Finding::fail("named-root", root.why.clone())));
        if knobs.roots.is_empty() {
            findings.push(Finding::ok("named-roots", "none offered (NAMED_CHROOT is empty)"));
        }
    }
    let patience = if wanted.deep { LONG_PATIENCE } else { PATIENCE };
    let roots = examine::roots(knobs, patience, wanted.deep, |name| all || named(name));
    for name in &wanted.roots {
        if !roots.iter().any(|root| root.name.eq_ignore_ascii_case(name)) {
            findings.push(Finding::fail("named-root", format!("{name} is not in NAMED_CHROOT")));
        }
    }
    findings.extend(roots.iter().flat_map(|root| root.looked.findings.clone()));
    if let Some(command) = &wanted.exec {
        let fit = roots.iter().filter(|root| root.looked.unfit().is_none()).map(|root| root.name);
        let host = all.then_some("root");
        for root in host.into_iter().chain(fit) {
            findings.push(trial::run(command, wanted.account.as_deref(), root));
        }
    }
    Ok(findings)
}

fn default_root(knobs: &Knobs) -> Option<Finding> {
    let name = knobs.named_chroot_default.as_deref()?.trim();
    let known = knobs.roots.iter().flatten().any(|root| root.is_named(name));
    Some(match known {
        true => Finding::ok("default-root", format!("{name}, for jobs that ask for none")),
        false => Finding::fail(
            "default-root",
            format!("NAMED_CHROOT_DEFAULT: {name} is not one of NAMED_CHROOT, so no job can run"),
        ),
    })
}

fn code(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.grade).max() {
        None | Some(Grade::Ok) => 0,
        Some(Grade::Warn) => 1,
        Some(Grade::Fail) => 2,
    }
}

fn print(wanted: &Wanted, findings: &[Finding]) {
    if wanted.form == Form::Json {
        let all = findings.iter().map(json).collect::<Vec<_>>().join(",\n  ");
        say!("[\n  {all}\n]");
        return;
    }
    for Finding { grade, id, found, .. } in findings {
        let grade = match grade {
            Grade::Ok => "ok  ",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        say!("{grade}  {id:<18} {found}");
    }
}

/// An object with `id`, `grade`, `found`, and `root` where it is about one.
fn json(finding: &Finding) -> String {
    let text = |text: &str| classad::Expr::from(Value::from(text)).to_json();
    let root = finding.root.as_ref();
    let root = root.map(|root| format!(", \"root\": {}", text(root))).unwrap_or_default();
    format!(
        "{{\"id\": {}, \"grade\": {}{root}, \"found\": {}}}",
        text(&finding.id),
        text(finding.grade.word()),
        text(&finding.found)
    )
}

/// The roots as a startd's monitor gives them. What isn't so any more is undefined: the startd keeps what
/// it was told when it started.
fn slot_ad(wanted: &Wanted, knobs: &Knobs) {
    let has_mounts = crate::host::look(knobs).is_ok_and(|host| {
        // A startd of root runs its monitors as the daemons' account, but starters as root.
        let can = host.privileged || host.user_namespaces || parent_is_root();
        knobs.per_job_namespaces && can
    });
    let mut roots = probe::examined(knobs, has_mounts);
    if let Some(command) = &wanted.exec {
        for Examined { name, looked, .. } in &mut roots {
            if looked.unfit().is_none() {
                looked.findings.push(trial::run(command, wanted.account.as_deref(), name));
            }
        }
    }
    let mut ad = Ad::default();
    for (name, value) in examine::offered(&roots) {
        match value {
            Some(value) => ad.words(&name, &value),
            None => ad.nothing(&name),
        }
    }
    say_part!("{}", ad.text_form());
}

/// Whether the parent process is root, or can be again.
fn parent_is_root() -> bool {
    let parent = std::os::unix::process::parent_id();
    let status = std::fs::read_to_string(format!("/proc/{parent}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    ids.split_ascii_whitespace().any(|id| id == "0")
}

/// The ad of a job that is made up.
fn job(command: &str, account: Option<&str>, root: &str) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("Cmd", "/bin/sh");
    ad.insert_value("Arguments", format!("-c '{}'", command.replace('\'', "''")));
    ad.insert_value("Iwd", "/");
    ad.insert_value("RequestedChroot", root);
    ad.insert_value("Owner", account.unwrap_or("nobody"));
    ad
}
