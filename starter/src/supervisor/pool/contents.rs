//! Whether a job wants to know what was in its sandbox (`manifest`, `manifest_dir`).

use crate::job::Job;
use crate::plan::Plan;
use crate::transfer::Contents;

/// What is recorded, and in which directory.
pub(super) fn contents(job: &Job, plan: &Plan) -> Option<Contents> {
    let named = job.ad.eval_string("ManifestDir").filter(|name| !name.is_empty());
    if named.is_none() && job.ad.eval_bool("ManifestDesired") != Some(true) {
        return None;
    }
    let directory = named.unwrap_or_else(|| format!("{}_{}_manifest", job.cluster, job.proc));
    let mut words: Vec<String> = plan.program.environment.iter().map(|text| word(text)).collect();
    words.sort_unstable();
    Some(Contents { directory, environment: words.join(" ") })
}

/// A word of HTCondor's second syntax for environments.
fn word(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.contains(|c: char| c.is_ascii_whitespace() || c == '\'') {
        true => format!("'{}'", text.replace('\'', "''")),
        false => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{job, knobs, plan};

    #[test]
    fn the_directory_is_named_or_follows_from_the_job() {
        let of = |lines: &str| {
            let job = job(lines);
            contents(&job, &plan(&job, &knobs())).map(|contents| contents.directory)
        };
        assert_eq!(of(""), None);
        assert_eq!(of("ManifestDesired = false\n"), None);
        assert_eq!(of("ManifestDir = \"x\"\n").as_deref(), Some("x"));
        let own = of("ManifestDesired = true\n").unwrap();
        assert!(own.ends_with("_manifest"), "{own}");
    }

    #[test]
    fn words_can_be_read_again() {
        assert_eq!(word(b"A=1"), "A=1");
        assert_eq!(word(b"A=it's so"), "'A=it''s so'");
    }
}
