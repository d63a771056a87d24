//! condor_tail: what the owner of a job may see of its output while it runs, and from where.

use std::path::{Component, Path, PathBuf};

use classad::{ClassAd, Value};

use crate::job::Job;
use crate::plan::{Plan, Stdio};

/// Files of one request.
pub(crate) const MAX_FILES: usize = 16;
/// Bytes of one answer, which is kept until the tool has taken it; it asks again for more.
const MAX_BYTES: u64 = 16 << 20;

/// A file that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// How the answer names it: 0 and 1 for standard output and error.
    pub(crate) name: Value,
    /// Where it is, relative to the job's directory.
    pub(crate) path: PathBuf,
    /// Where to begin; negative: so that the end is seen.
    pub(crate) offset: i64,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The files in the order of the answer.
    pub(crate) files: Vec<Wanted>,
    /// Bytes of all of them at most.
    pub(crate) most: u64,
}

/// Why there is nothing to be seen, and whether to ask again makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For the user.
    pub(crate) text: String,
    /// Whether that may pass.
    pub(crate) retry: bool,
}

impl Refusal {
    /// For good.
    pub(crate) fn last(text: impl Into<String>) -> Self {
        Self { text: text.into(), retry: false }
    }

    /// For now.
    pub(crate) fn now(text: impl Into<String>) -> Self {
        Self { text: text.into(), retry: true }
    }

    /// The answer.
    pub(crate) fn ad(&self) -> ClassAd {
        let mut ad = ClassAd::new();
        ad.insert_value("Result", false);
        ad.insert_value("ErrorString", self.text.clone());
        if self.retry {
            ad.insert_value("Retry", true);
        }
        ad
    }
}

impl Request {
    /// Reads what the tool asks for: nothing but standard files and what the job lists as output.
    pub(crate) fn read(ad: &ClassAd, job: &Job, plan: &Plan) -> Result<Self, Refusal> {
        let names = ["Out", "Err"].map(|name| job.ad.eval_string(name));
        let mut files = Vec::new();
        let standard = [("Out", "OutOffset"), ("Err", "ErrOffset")];
        for (number, (flag, offset)) in standard.into_iter().enumerate() {
            if ad.eval_bool(flag).unwrap_or(false) && names.get(number).is_some_and(Option::is_some)
            {
                let name = Value::Int(if number == 0 { 0 } else { 1 });
                let offset = ad.eval_i64(offset).unwrap_or(-1);
                files.push(Wanted { name, path: standard_file(plan, number)?, offset });
            }
        }
        let offsets = list(ad, "TransferOffsets");
        for (number, name) in list(ad, "TransferFiles").into_iter().enumerate() {
            let Some(name) = text(&name) else {
                return Err(Refusal::last("Could not evaluate transfer list."));
            };
            let offset = match offsets.get(number) {
                Some(Value::Int(offset)) => *offset,
                _ => -1,
            };
            let path = if let Some(which) = names.iter().position(|own| own.as_ref() == Some(&name))
            {
                let number = if which == 0 { 0 } else { 1 };
                if files.iter().any(|file| file.name == Value::Int(number)) {
                    continue;
                }
                standard_file(plan, which)?
            } else {
                let listed = job.transfer.as_ref().and_then(|transfer| transfer.output.as_ref());
                if !listed.is_some_and(|listed| listed.iter().any(|path| path == Path::new(&name)))
                {
                    return Err(Refusal::last(format!(
                        "File {name} requested but not authorized to be sent.\n"
                    )));
                }
                within(Path::new(&name), &plan.program.directory)?
            };
            files.push(Wanted { name: name.into(), path, offset });
        }
        if files.len() > MAX_FILES {
            return Err(Refusal::last(format!(
                "No more than {MAX_FILES} files can be seen at once"
            )));
        }
        let most = ad.eval_i64("MaxTransferBytes").and_then(|most| u64::try_from(most).ok());
        Ok(Self { files, most: most.unwrap_or(MAX_BYTES).min(MAX_BYTES) })
    }

    /// Which part of each file is sent, given their sizes: first byte and length.
    pub(crate) fn parts(&self, sizes: &[u64]) -> Vec<(u64, u64)> {
        let mut remaining = self.most;
        let part = |(file, size): (&Wanted, &u64)| {
            let start = match u64::try_from(file.offset) {
                Ok(offset) => offset.min(*size),
                Err(_) => size.saturating_sub(remaining),
            };
            let length = (size - start).min(remaining);
            remaining -= length;
            (start, length)
        };
        self.files.iter().zip(sizes).map(part).collect()
    }

    /// The head of the answer.
    pub(crate) fn ad(&self, parts: &[(u64, u64)]) -> ClassAd {
        let mut ad = ClassAd::new();
        ad.insert_value("Result", true);
        let names: Vec<Value> = self.files.iter().map(|file| file.name.clone()).collect();
        let starts = parts.iter().map(|(start, _)| i64::try_from(*start).unwrap_or(i64::MAX));
        ad.insert_value("TransferFiles", names);
        ad.insert_value("TransferOffsets", starts.map(Value::Int).collect::<Vec<_>>());
        ad
    }
}

fn list(ad: &ClassAd, name: &str) -> Vec<Value> {
    match ad.eval(name) {
        Value::List(list) => list.values().take(MAX_FILES + 1).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Where a standard file is.
fn standard_file(plan: &Plan, number: usize) -> Result<PathBuf, Refusal> {
    let stdio = |number: usize| plan.program.stdio.get(number);
    let path = match stdio(number + 1) {
        Some(Stdio::SameAsOutput) => stdio(1),
        other => other,
    };
    match path {
        Some(Stdio::File(path)) => within(path, &plan.program.directory),
        _ => Err(Refusal::last("It is not kept where the job runs.")),
    }
}

/// A path relative to the job's directory, which it may not lead out of.
fn within(path: &Path, directory: &Path) -> Result<PathBuf, Refusal> {
    let relative = path.strip_prefix(directory).unwrap_or(path);
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if relative.is_relative() && relative.components().all(plain) {
        return Ok(relative.to_owned());
    }
    Err(Refusal::last(format!(
        "Invalid symlink or filename ({}) outside sandbox ({})",
        path.display(),
        directory.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(offsets: &[i64], most: u64) -> Request {
        let file = |offset: &i64| Wanted { name: Value::Int(0), path: "f".into(), offset: *offset };
        Request { files: offsets.iter().map(file).collect(), most }
    }

    #[test]
    fn the_end_of_a_file_or_what_is_new() {
        assert_eq!(request(&[-1], 10).parts(&[100]), [(90, 10)]);
        assert_eq!(request(&[-1], 10).parts(&[4]), [(0, 4)]);
        assert_eq!(request(&[40], 10).parts(&[100]), [(40, 10)]);
        assert_eq!(request(&[95], 10).parts(&[100]), [(95, 5)]);
        assert_eq!(request(&[200], 10).parts(&[100]), [(100, 0)]);
        assert_eq!(request(&[-1, -1, 0], 10).parts(&[4, 100, 5]), [(0, 4), (94, 6), (0, 0)]);
    }

    #[test]
    fn no_path_leads_out() {
        let dir = Path::new("/s/scratch");
        assert_eq!(within(Path::new("/s/scratch/a/b"), dir), Ok("a/b".into()));
        for bad in ["/etc/passwd", "../x", "a/../../x", "/s/scratch/../x"] {
            assert!(within(Path::new(bad), dir).is_err(), "{bad}");
        }
    }
}
