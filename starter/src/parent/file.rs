//! A job ad from a file, a result ad to a file: no pool.

use std::fs::File;
use std::io::{Read, Write};

use classad::ClassAd;

use crate::failure::{Context, Failure, Step, hold};
use crate::job::MAX_AD;

/// Input and output, opened with the rights of whoever called the starter, before they are given up.
#[derive(Debug)]
pub(crate) struct FileParent {
    /// Where the ad comes from.
    pub(crate) input: Source,
    /// Where the result goes, if anywhere.
    pub(crate) output: Option<(String, File)>,
    /// ClusterId and ProcId from the command line, which win over those in the ad.
    pub(crate) ids: (Option<i64>, Option<i64>),
}

/// Where a job's ad comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file of the caller's.
    File {
        /// For messages.
        name: String,
        /// Open.
        file: Box<File>,
        /// Turns the text into an ad: an ad in any form, or a submit description.
        reader: fn(&str, &[u8]) -> Result<ClassAd, Failure>,
    },
    /// The admin's configuration.
    Configuration(ClassAd),
}

impl Source {
    /// The ad.
    fn read(&mut self) -> Result<ClassAd, Failure> {
        let (name, file, reader) = match self {
            Self::File { name, file, reader } => (name, file, reader),
            Self::Configuration(ad) => return Ok(std::mem::take(ad)),
        };
        // Room for most, so that it is read at once.
        let mut text = Vec::with_capacity(16 << 10);
        file.take(MAX_AD + 1).read_to_end(&mut text).at(Step::JobAd, format!("reading {name}"))?;
        if text.len() as u64 > MAX_AD {
            return Err(invalid(format!(
                "{name}: the job ad is larger than {} MiB, which no real one is",
                MAX_AD >> 20
            )));
        }
        reader(name, &text)
    }
}

/// An ad in old, new or JSON form.
pub(crate) fn read_ad(name: &str, text: &[u8]) -> Result<ClassAd, Failure> {
    ClassAd::parse_auto(text).map_err(|error| {
        let (line, column) = error.line_column(text);
        invalid(format!("{name}:{line}:{column}: job ad: {}", error.message()))
    })
}

fn invalid(message: String) -> Failure {
    Failure::job(Step::JobAd, hold::JOB_NOT_VALID, 0, message)
}

impl FileParent {
    /// The job ad. Called once.
    pub(crate) fn job_ad(&mut self) -> Result<ClassAd, Failure> {
        let mut ad = self.input.read()?;
        for (name, id) in [("ClusterId", self.ids.0), ("ProcId", self.ids.1)] {
            if let Some(id) = id {
                ad.insert_value(name, id);
            }
        }
        Ok(ad)
    }

    /// Writes the result ad.
    pub(crate) fn finished(&mut self, ad: &ClassAd) -> Result<(), Failure> {
        let Some((name, file)) = &mut self.output else { return Ok(()) };
        let mut text = ad.to_old_bytes();
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        file.write_all(&text).at(Step::Output, format!("writing {name}"))
    }
}
