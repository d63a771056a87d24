//! Which output goes to a URL instead of to the shadow.

use serde::{Deserialize, Serialize};

use super::Output;
use super::item;
use super::walk::{Item, Why};
use crate::transfer::names::STANDARD;
use crate::transfer::plugins::Upload;
use crate::transfer::plugins::url::is_url;

/// URLs that the job names for its output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Targets {
    /// `OutputDestination`: everything goes below it.
    destination: Option<String>,
    /// Single files, by their path in the sandbox as it is listed.
    remaps: Vec<(String, String)>,
    /// Standard output and error.
    standard: [Option<String>; 2],
    /// A checkpoint with a place of its own: all of it goes there, and nothing elsewhere.
    checkpoint: Option<Checkpoint>,
}

/// A checkpoint and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    /// What names are appended to.
    base: String,
    number: i64,
}

/// What is to be done with an item.
#[derive(Debug)]
pub(super) enum Way {
    /// It goes to the shadow.
    Shadow,
    /// A plugin stores it.
    Plugin(Upload),
    /// Nothing: plugins make the directories they need.
    Nowhere,
}

impl Targets {
    /// From attributes of the job ad; what is no URL is the shadow's affair.
    pub(crate) fn new<'a>(
        destination: Option<String>,
        remaps: impl IntoIterator<Item = (&'a str, &'a str)>,
        standard: [Option<&str>; 2],
    ) -> Self {
        let remaps = remaps.into_iter().filter(|(_, url)| is_url(url));
        Self {
            destination: destination.filter(|url| is_url(url)),
            remaps: remaps.map(|(name, url)| (plain(name), url.to_owned())).collect(),
            standard: standard.map(|url| url.filter(|url| is_url(url)).map(str::to_owned)),
            checkpoint: None,
        }
    }

    /// Those of a checkpoint with a `CheckpointDestination`; `job` is its `GlobalJobId`.
    pub(crate) fn of_checkpoint(destination: &str, job: &str, number: i64) -> Self {
        let destination = destination.strip_suffix('/').unwrap_or(destination);
        let base = format!("{destination}/{}/{number:04}/", job.replace('#', "_"));
        Self { checkpoint: Some(Checkpoint { base, number }), ..Self::default() }
    }

    /// The number of the checkpoint that goes to a place of its own.
    pub(super) fn checkpoint(&self) -> Option<i64> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.number)
    }

    /// The URL of what is at a path of the sandbox.
    fn url_of(&self, path: &str) -> Option<String> {
        if let Some(Checkpoint { base, .. }) = &self.checkpoint {
            return Some(format!("{base}{path}"));
        }
        let named = |(name, _): &&(String, String)| name == path;
        let remap = || self.remaps.iter().find(named).map(|(_, url)| url.clone());
        if let Some(index) = STANDARD.iter().position(|name| *name == path) {
            return self.standard[index].clone().or_else(remap);
        }
        match &self.destination {
            Some(url) => Some(format!("{}/{path}", url.strip_suffix('/').unwrap_or(url))),
            None => remap(),
        }
    }
}

/// A path as a walk has it.
fn plain(name: &str) -> String {
    let parts: Vec<&str> =
        name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let root = if name.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// Which way an item goes. What isn't there is a plugin's affair, too: it says so in its own words.
pub(super) fn way(what: &Output, item: &Item<'_>) -> Way {
    let path = match item {
        Item::File { source, .. } => source.path,
        Item::Failing { path, why: Why::Errno(_), .. } => *path,
        Item::Failing { .. } => return Way::Shadow,
        Item::Directory { dest, .. } => *dest,
    };
    // Other output that isn't final goes to the spool.
    let stays = !what.is_final && what.urls.checkpoint().is_none();
    if stays || what.plugins.is_none() {
        return Way::Shadow;
    }
    let text = String::from_utf8_lossy(path);
    match (what.urls.url_of(&text), item) {
        (None, _) => Way::Shadow,
        (Some(_), Item::Directory { .. }) => Way::Nowhere,
        (Some(url), _) => {
            let name = text.rsplit('/').next().unwrap_or_default().to_owned();
            Way::Plugin(Upload { local: item::shown(&what.sandbox, path), name, url })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_takes_all_but_standard_files() {
        let targets =
            Targets::new(Some("x://h/d/".into()), [("a", "y://b")], [None, Some("z://e")]);
        assert_eq!(targets.url_of("a").as_deref(), Some("x://h/d/a"));
        assert_eq!(targets.url_of("d/e").as_deref(), Some("x://h/d/d/e"));
        assert_eq!(targets.url_of("_condor_stdout"), None);
        assert_eq!(targets.url_of("_condor_stderr").as_deref(), Some("z://e"));
    }

    #[test]
    fn all_of_a_checkpoint_goes_to_its_place() {
        let targets = Targets::of_checkpoint("x://h/d/", "a#7.0#1", 3);
        assert_eq!(targets.url_of("d/e").as_deref(), Some("x://h/d/a_7.0_1/0003/d/e"));
        let out = targets.url_of("_condor_stdout");
        assert_eq!(out.as_deref(), Some("x://h/d/a_7.0_1/0003/_condor_stdout"));
        let large = Targets::of_checkpoint("x://h", "a", 12345);
        assert_eq!(large.url_of("b").as_deref(), Some("x://h/a/12345/b"));
    }

    #[test]
    fn remaps_are_for_single_files() {
        let remaps = [("a", "y://b"), ("./d//e", "y://c"), ("/x/y", "y://d"), ("f", "/g")];
        let targets = Targets::new(Some("/no/url".into()), remaps, [Some("/dev/null"), None]);
        for (path, url) in [
            ("a", Some("y://b")),
            ("d/e", Some("y://c")),
            ("/x/y", Some("y://d")),
            ("f", None),
            ("_condor_stdout", None),
            ("b", None),
        ] {
            assert_eq!(targets.url_of(path).as_deref(), url, "{path}");
        }
    }
}
