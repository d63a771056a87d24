//! Which names may travel, which never come back, and which need a pool.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::fault::Direction;
use super::plugins::url;
use crate::failure::Failure;
use crate::plan::Files;

/// Longest name of a file that Linux has.
pub(super) const MAX: usize = 255;

/// The job's standard output and error in the sandbox; they come back by way of a remap only.
pub(super) const STANDARD: [&str; 2] = ["_condor_stdout", "_condor_stderr"];

/// Files that the starter puts into the sandbox for the job or keeps there for itself. HTCondor
/// never sends them back, not even if the job lists them.
const RESERVED: [&str; 12] = [
    "_condor_home",
    "_condor_root",
    ".job.ad",
    ".machine.ad",
    ".update.ad",
    ".update.ad.tmp",
    ".execution_overlay.ad",
    ".chirp.config",
    ".job_wrapper_failure",
    ".docker_sock",
    ".docker_stdout",
    ".docker_stderror",
];
const RESERVED_PREFIXES: [&str; 2] = [".condor_", "_condor_creds"];

/// Whether a name is a single component of a path.
pub(super) fn is_plain(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let special = bytes == b"." || bytes == b".." || bytes.contains(&b'/') || bytes.contains(&0);
    !bytes.is_empty() && bytes.len() <= MAX && !special
}

/// Whether a name at the sandbox's top is the starter's.
pub(super) fn is_reserved(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    RESERVED.iter().any(|reserved| bytes == reserved.as_bytes())
        || RESERVED_PREFIXES.iter().any(|prefix| bytes.starts_with(prefix.as_bytes()))
}

/// Whether a name at the sandbox's top is that of standard output or error.
pub(super) fn is_standard(name: &OsStr) -> bool {
    STANDARD.iter().any(|standard| name == *standard)
}

/// Whether only the content of a directory is meant.
pub(super) fn content_only(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// Says before any work what can't be done.
pub(super) fn check(files: &Files) -> Result<(), Failure> {
    for file in &files.input {
        // The plan has made the path absolute by putting the home in front.
        let found = shown_url(&file.source);
        if let Some(url) = found.or_else(|| shown_url(below(&file.source, &files.home))) {
            return Err(Direction::In.hold(0, needs_pool(&url)));
        }
        if !file.content_only && !is_plain(OsStr::new(&file.name)) {
            let path = file.source.display();
            return Err(Direction::In.hold(
                libc::EINVAL,
                format!("{path} has no name that it could get in the sandbox: write {path}/"),
            ));
        }
    }
    for (_, target) in &files.remaps {
        if let Some(url) = shown_url(target) {
            return Err(Direction::Out.hold(0, needs_pool(&url)));
        }
    }
    Ok(())
}

fn needs_pool(url: &str) -> String {
    format!("URL transfers need a pool, whose plugins do them: {url}")
}

fn below<'a>(path: &'a Path, home: &Path) -> &'a Path {
    let (path_bytes, home) = (path.as_os_str().as_bytes(), home.as_os_str().as_bytes());
    let rest = path_bytes.strip_prefix(home).unwrap_or(path_bytes);
    Path::new(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest)))
}

/// The path as a URL that may be shown, if it is one.
fn shown_url(path: &Path) -> Option<String> {
    let text = path.to_string_lossy();
    url::is_url(&text).then(|| url::shown(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::InputFile;

    #[test]
    fn plain_names() {
        for name in ["a", ".a", "..a", "a b", "ä"] {
            assert!(is_plain(OsStr::new(name)), "{name}");
        }
        let long = "x".repeat(256);
        for name in ["", ".", "..", "/", "a/b", "../a", "a\0", &long] {
            assert!(!is_plain(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn reserved_names() {
        for name in [".job.ad", ".condor_creds", ".condor_ssh_to_job_1", "_condor_creds.x"] {
            assert!(is_reserved(OsStr::new(name)), "{name}");
        }
        for name in ["job.ad", ".job.ad2", "condor", "_condor_stdout"] {
            assert!(!is_reserved(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn urls_are_refused_without_their_secrets() {
        let file = |source: &str| InputFile {
            source: Path::new("/home/a").join(source),
            name: "y".into(),
            executable: false,
            content_only: false,
        };
        let files = |source: &str| Files {
            input: vec![file(source)],
            home: "/home/a".into(),
            ..Files::default()
        };
        let failure = check(&files("https://u:p@host/x/y?token=1")).unwrap_err();
        assert!(failure.message.ends_with(": https://host/x/y?..."), "{failure}");
        assert!(check(&files("a:b/c")).is_ok());
        assert!(check(&files("/x/y")).is_ok());
        let remaps = vec![("out".into(), "s3://bucket/out".into())];
        assert!(check(&Files { remaps, ..Files::default() }).is_err());
    }
}
