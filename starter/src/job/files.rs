//! Which files a job wants moved.

use std::path::{Component, Path, PathBuf};

use classad::ClassAd;

use super::{invalid, text};
use crate::failure::Failure;

/// The job's wishes about its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// Whether the program is brought along (`TransferExecutable`, default true).
    pub(crate) executable: bool,
    /// `TransferInput`: paths as written.
    pub(crate) input: Vec<String>,
    /// `TransferOutput`: names in the sandbox; `None` means new and changed files.
    pub(crate) output: Option<Vec<PathBuf>>,
    /// `TransferOutputRemaps`: name in the sandbox, path at the submit side.
    pub(crate) remaps: Vec<(PathBuf, PathBuf)>,
    /// `WhenToTransferOutput`.
    pub(crate) when: When,
    /// `PreserveRelativePaths`: what is listed as `d/e` keeps its directory.
    pub(crate) preserve_paths: bool,
}

/// When output is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    /// Once the job has ended by itself.
    #[default]
    Exit,
    /// Then, and when it is evicted with time to end.
    ExitOrEvict,
    /// Once it has ended successfully.
    Success,
}

impl When {
    fn from_ad(ad: &ClassAd) -> Result<Self, Failure> {
        let Some(word) = text(ad, "WhenToTransferOutput")? else { return Ok(Self::Exit) };
        match word.to_ascii_uppercase().as_str() {
            "ON_EXIT" => Ok(Self::Exit),
            "ON_EXIT_OR_EVICT" => Ok(Self::ExitOrEvict),
            "ON_SUCCESS" => Ok(Self::Success),
            _ => Err(invalid(format!(
                "WhenToTransferOutput is {word}: ON_EXIT, ON_EXIT_OR_EVICT or ON_SUCCESS is needed"
            ))),
        }
    }
}

impl Transfer {
    /// `None` if the job does not want its files moved.
    pub(super) fn from_ad(
        ad: &ClassAd,
        file_system: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let wanted = match text(ad, "ShouldTransferFiles")?.map(|word| word.to_ascii_uppercase()) {
            None => false,
            Some(word) => match word.as_str() {
                "YES" | "ALWAYS" | "TRUE" => true,
                "NO" | "NEVER" | "FALSE" => false,
                "IF_NEEDED" => {
                    let theirs = ad.eval_string("FileSystemDomain").unwrap_or_default();
                    file_system.is_some_and(|ours| !ours.eq_ignore_ascii_case(&theirs))
                }
                _ => {
                    return Err(invalid(format!(
                        "ShouldTransferFiles is {word}: YES, NO or IF_NEEDED is needed"
                    )));
                }
            },
        };
        if !wanted {
            return Ok(None);
        }
        let output = match ad.eval_string("TransferOutput") {
            None => None,
            Some(list) => Some(output_names("TransferOutput", &list, file_system)?),
        };
        Ok(Some(Self {
            executable: ad.eval_bool("TransferExecutable").unwrap_or(true),
            input: words(&text(ad, "TransferInput")?.unwrap_or_default())
                .map(str::to_owned)
                .collect(),
            output,
            remaps: remaps(
                &text(ad, "TransferOutputRemaps")?.unwrap_or_default(),
                file_system.is_some(),
            )?,
            when: When::from_ad(ad)?,
            preserve_paths: ad.eval_bool("PreserveRelativePaths").unwrap_or(false),
        }))
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A list of output: names in the sandbox, in a pool also absolute ones.
pub(super) fn output_names(
    attribute: &str,
    list: &str,
    file_system: Option<&str>,
) -> Result<Vec<PathBuf>, Failure> {
    let output = |word| match file_system {
        // As in stock, with the rights of the job and as it sees them.
        Some(_) if Path::new(word).is_absolute() => without_parents(attribute, word),
        _ => inside_sandbox(attribute, word),
    };
    words(list).map(output).collect()
}

/// An output name must stay in the sandbox.
fn inside_sandbox(attribute: &str, word: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(word);
    let plain =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain {
        Ok(path)
    } else {
        Err(invalid(format!(
            "{attribute} names {word}, which is outside the sandbox: use a path relative to it"
        )))
    }
}

fn without_parents(attribute: &str, word: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(word);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(invalid(format!("{attribute} names {word}: a path without .. is needed")));
    }
    Ok(path)
}

/// `name = path; name2 = path2`, with `\` before a `;` or `=` that belongs to a name.
fn remaps(list: &str, pool: bool) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let mut result = Vec::new();
    for entry in split_escaped(list, ';') {
        if entry.trim().is_empty() {
            continue;
        }
        let mut halves = split_escaped(&entry, '=').into_iter();
        let (Some(name), Some(path), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err(invalid(format!(
                "TransferOutputRemaps: {entry:?} is not of the form name = path"
            )));
        };
        let name = unescape(&name);
        let name = name.trim();
        // Where a shadow renames what it gets, a name that it never gets does no harm.
        let name = if pool { name.into() } else { inside_sandbox("TransferOutputRemaps", name)? };
        result.push((name, unescape(&path).trim().into()));
    }
    Ok(result)
}

/// Splits at separators that have no backslash in front; the backslashes stay.
fn split_escaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn unescape(text: &str) -> String {
    text.replace("\\;", ";").replace("\\=", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad(text: &str) -> ClassAd {
        ClassAd::parse_old(text).unwrap()
    }

    #[test]
    fn nothing_is_moved_unless_the_job_says_so() {
        assert_eq!(Transfer::from_ad(&ad("Cmd = \"x\"\n"), None).unwrap(), None);
    }

    #[test]
    fn lists_and_remaps_are_read() {
        let transfer = Transfer::from_ad(
            &ad("ShouldTransferFiles = \"YES\"\nTransferInput = \"a, b/ ,/c\"\n\
             TransferOutput = \"out,d/e\"\nTransferOutputRemaps = \"out = res/o; d/e=/x/y\"\n"),
            None,
        )
        .unwrap()
        .unwrap();
        assert_eq!(transfer.input, ["a", "b/", "/c"]);
        assert_eq!(transfer.output, Some(vec!["out".into(), "d/e".into()]));
        assert_eq!(
            transfer.remaps,
            [("out".into(), "res/o".into()), ("d/e".into(), "/x/y".into())]
        );
        assert!(transfer.executable);
    }

    #[test]
    fn output_stays_in_the_sandbox() {
        for name in ["../x", "/etc/passwd", "a/../../b"] {
            let text = format!("ShouldTransferFiles = \"YES\"\nTransferOutput = \"{name}\"\n");
            assert!(Transfer::from_ad(&ad(&text), None).is_err(), "{name}");
        }
    }
}
