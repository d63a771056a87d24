//! The admin's programs as the configuration has them, and which of them a job gets.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use classad::ClassAd;
use condor_config::{Config, Error};

use super::Kind;
use crate::failure::{Context, Failure, Step};

/// Between a keyword and a kind in the name of a knob.
const MIDDLE: &str = "_HOOK_";
/// Before the name of a diagnostic.
const DIAGNOSTIC: &str = "STARTER_DIAGNOSTIC_";
/// Kinds that other daemons run: a keyword with nothing but these is known all the same.
const OF_OTHERS: [&str; 9] = [
    "FETCH_WORK",
    "REPLY_FETCH",
    "REPLY_CLAIM",
    "EVICT_CLAIM",
    "TRANSLATE_JOB",
    "JOB_CLEANUP",
    "JOB_FINALIZE",
    "SHADOW_PREPARE_JOB",
    "TRANSLATE",
];
/// Seconds that an exit hook may take where nobody says otherwise.
const EXIT_SECONDS: u64 = 30;

/// All hooks and diagnostics that the configuration has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    /// By the keyword in capitals.
    by_keyword: BTreeMap<String, Hook>,
    /// By the name in capitals.
    diagnostics: BTreeMap<String, PathBuf>,
}

/// The hooks of one keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hook {
    /// By kind, in the order of `Kind::ALL`.
    paths: [Option<PathBuf>; 4],
    /// Arguments of the hooks before a job, unparsed.
    pub(super) arguments: Option<String>,
    /// What an exit hook may take, in seconds.
    pub(super) exit_seconds: Option<u64>,
}

impl Hook {
    /// Where the program of a kind is.
    pub(super) fn path(&self, kind: Kind) -> Option<&Path> {
        of_kind(&self.paths, kind)
    }

    /// What an exit hook may take, in seconds.
    pub(super) fn exit_seconds(&self) -> u64 {
        self.exit_seconds.unwrap_or(EXIT_SECONDS)
    }
}

/// The hooks that a job gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Their keyword.
    pub(crate) keyword: String,
    paths: [Option<PathBuf>; 4],
}

impl Chosen {
    /// The program of a kind, if there is one.
    pub(crate) fn path(&self, kind: Kind) -> Option<&Path> {
        of_kind(&self.paths, kind)
    }
}

impl Hooks {
    /// From the names of the knobs. Costs a look at each name where nobody has hooks.
    pub(crate) fn read(config: &Config) -> Result<Self, Error> {
        let text = |name: &str| config.string(name).map(|text| text.filter(|t| !t.is_empty()));
        let mut hooks = Self::default();
        for name in config.names() {
            if let Some(diagnostic) = strip(name, DIAGNOSTIC) {
                let path = text(name)?.map(PathBuf::from);
                hooks.diagnostics.extend(path.map(|path| (diagnostic.to_ascii_uppercase(), path)));
                continue;
            }
            let Some(at) = find(name) else { continue };
            let (before, kind) = (&name[..at], name[at + MIDDLE.len()..].to_ascii_uppercase());
            // STARTER.X_HOOK_... is a way to say X_HOOK_... to starters alone.
            let keyword = before.rsplit('.').next().unwrap_or(before).to_ascii_uppercase();
            let name = format!("{keyword}{MIDDLE}{kind}");
            let Some(value) = text(&name)? else { continue };
            if keyword.is_empty() {
                continue;
            }
            if OF_OTHERS.contains(&kind.as_str()) {
                hooks.by_keyword.entry(keyword).or_default();
            } else if kind == "PREPARE_JOB_ARGS" {
                hooks.by_keyword.entry(keyword).or_default().arguments = Some(value);
            } else if kind == "JOB_EXIT_TIMEOUT" {
                let seconds = value.trim().parse().ok();
                hooks.by_keyword.entry(keyword).or_default().exit_seconds = seconds;
            } else if let Some(place) = Kind::ALL.iter().position(|one| one.name() == kind) {
                let hook = hooks.by_keyword.entry(keyword).or_default();
                if let Some(path) = hook.paths.get_mut(place) {
                    *path = Some(value.into());
                }
            }
        }
        Ok(hooks)
    }

    /// Whether no job of this machine has hooks.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_keyword.is_empty()
    }

    /// Those of a job: the admin's word goes before the job's, and that before the admin's default.
    pub(crate) fn choose(
        &self,
        job: &ClassAd,
        forced: Option<&str>,
        usual: Option<&str>,
    ) -> Option<Chosen> {
        if self.is_empty() {
            return None;
        }
        let asked = || {
            let keyword = job.eval_string("HookKeyword")?;
            if self.of(&keyword).is_some() {
                tracing::info!("Using HookKeyword value from job ClassAd: \"{keyword}\"");
                return Some(keyword);
            }
            tracing::info!(
                "Ignoring HookKeyword value of \"{keyword}\" from job ClassAd because hook not \
                 defined in config file"
            );
            None
        };
        let configured = |knob: &str, keyword: Option<&str>| {
            let keyword = keyword?.trim();
            tracing::info!("Using {knob} value from config file: \"{keyword}\"");
            Some(keyword.to_owned())
        };
        let keyword = configured("STARTER_JOB_HOOK_KEYWORD", forced)
            .or_else(asked)
            .or_else(|| configured("STARTER_DEFAULT_JOB_HOOK_KEYWORD", usual))?;
        let hook = self.of(&keyword)?;
        Some(Chosen { paths: hook.paths.clone(), keyword })
    }

    /// The hooks of a keyword, in whatever letters.
    pub(super) fn of(&self, keyword: &str) -> Option<&Hook> {
        self.by_keyword.get(&keyword.to_ascii_uppercase())
    }

    /// The program of a diagnostic, in whatever letters.
    pub(super) fn diagnostic(&self, name: &str) -> Option<&Path> {
        self.diagnostics.get(&name.to_ascii_uppercase()).map(PathBuf::as_path)
    }
}

fn of_kind(paths: &[Option<PathBuf>; 4], kind: Kind) -> Option<&Path> {
    let mut all = Kind::ALL.iter().zip(paths);
    all.find_map(|(one, path)| path.as_deref().filter(|_| *one == kind))
}

fn strip<'a>(name: &'a str, start: &str) -> Option<&'a str> {
    let (head, tail) = name.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(tail)
}

/// Where the last `_HOOK_` of a name begins.
fn find(name: &str) -> Option<usize> {
    let mut windows = name.as_bytes().windows(MIDDLE.len());
    windows.rposition(|window| window.eq_ignore_ascii_case(MIDDLE.as_bytes()))
}

/// Whether a program is fit to be run: a file with the right to be executed, which not everybody can
/// change or put another in place of, as HTCondor has it. The error says what to do.
pub(super) fn check(what: &str, path: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| {
        let path = path.display();
        Err(Failure::host(Step::Hook, format!("{what} ({path}) is not used: {why}")))
    };
    if !path.is_absolute() {
        return refuse("its path isn't absolute");
    }
    let mode_of = |path: &Path| {
        let meta = std::fs::metadata(path).at(Step::Hook, format!("{what} ({})", path.display()));
        meta.map(|meta| (meta.is_file(), meta.permissions().mode()))
    };
    let (is_file, mode) = mode_of(path)?;
    if !is_file {
        return refuse("it is no file");
    }
    if mode & 0o002 != 0 {
        return refuse("everybody can change it (chmod o-w)");
    }
    if mode & 0o100 == 0 {
        return refuse("it is not executable (chmod +x)");
    }
    let (_, mode) = mode_of(path.parent().unwrap_or_else(|| Path::new("/")))?;
    if mode & 0o002 != 0 {
        return refuse("everybody can change its directory (chmod o-w)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use condor_config::Options;

    use super::*;

    fn hooks(text: &str) -> Hooks {
        Hooks::read(&Config::parse_str("test.conf", text, &Options::default()).unwrap()).unwrap()
    }

    fn job(keyword: &str) -> ClassAd {
        ClassAd::parse_old(&format!("HookKeyword = \"{keyword}\"\n")).unwrap()
    }

    const TWO: &str = "a_hook_prepare_job = /a\nB_HOOK_JOB_EXIT = /b\nB_HOOK_JOB_EXIT_TIMEOUT = 7\n\
                       C_HOOK_FETCH_WORK = /c\nD_HOOK_NONSENSE = /d\nE_HOOK_PREPARE_JOB =\n";

    #[test]
    fn keywords_are_found_in_the_names_of_knobs() {
        let two = hooks(TWO);
        assert_eq!(two.by_keyword.keys().collect::<Vec<_>>(), ["A", "B", "C"]);
        assert_eq!(two.of("a").unwrap().path(Kind::Prepare), Some(Path::new("/a")));
        assert_eq!(two.of("a").unwrap().path(Kind::BeforeTransfer), None);
        assert_eq!(two.of("A").unwrap().exit_seconds(), 30);
        assert_eq!(two.of("B").unwrap().exit_seconds(), 7);
        assert!(hooks("STARTD_JOB_HOOK_KEYWORD = A\n").is_empty());
        let diagnostics = hooks("STARTER_DIAGNOSTIC_logs = /l\n");
        assert_eq!(diagnostics.diagnostic("LOGS"), Some(Path::new("/l")));
        assert_eq!(diagnostics.diagnostic("others"), None);
    }

    #[test]
    fn the_admin_goes_before_the_job_and_the_job_before_the_default() {
        let two = hooks(TWO);
        let keyword =
            |job: &ClassAd, forced, usual| two.choose(job, forced, usual).map(|one| one.keyword);
        assert_eq!(keyword(&job("b"), None, None).as_deref(), Some("b"));
        assert_eq!(keyword(&job("D"), None, None), None);
        assert_eq!(keyword(&ClassAd::new(), None, None), None);
        assert_eq!(keyword(&job("D"), None, Some("A")).as_deref(), Some("A"));
        assert_eq!(keyword(&job("B"), None, Some("A")).as_deref(), Some("B"));
        let chosen = two.choose(&job("B"), Some("C"), Some("A")).unwrap();
        assert_eq!((chosen.keyword.as_str(), chosen.paths), ("C", Default::default()));
        assert!(two.choose(&job("B"), None, None).unwrap().path(Kind::Exit).is_some());
        assert_eq!(hooks("").choose(&job("B"), Some("B"), Some("B")), None);
    }

    #[test]
    fn what_everybody_can_change_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (file, directory, why) in [
            (0o755, 0o755, ""),
            (0o775, 0o775, ""),
            (0o644, 0o755, "not executable"),
            (0o757, 0o755, "everybody can change it"),
            (0o755, 0o1777, "everybody can change its directory"),
        ] {
            mode(&path, file);
            mode(dir.path(), directory);
            let message = check("hook", &path).err().map(|failure| failure.message);
            assert_eq!(message.is_none(), why.is_empty(), "{message:?}");
            assert!(message.unwrap_or_default().contains(why), "{why}");
        }
        mode(dir.path(), 0o755);
        assert!(check("hook", dir.path()).unwrap_err().message.contains("no file"));
        assert!(check("hook", &dir.path().join("none")).unwrap_err().message.contains("errno=2"));
        assert!(check("hook", Path::new("hook")).unwrap_err().message.contains("absolute"));
    }
}
