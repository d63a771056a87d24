//! `starter plan`: what would be done for a job, without doing it and without root.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use classad::ClassAd;

use super::run;
use crate::failure::{Context, Failure, Step};
use crate::host::{self, run_as};
use crate::job::{Job, MAX_AD};
use crate::knobs::{self, Knobs};
use crate::plan::{self, Account, Inputs, Plan};

/// Prints the plan as it would be for a starter of root.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let [job] = arguments else {
        return Err("plan needs one job: a job ad or a submit description".into());
    };
    Ok(match make(Path::new(job)) {
        Ok(plan) => {
            say_part!("{plan}");
            0
        }
        Err(failure) => {
            complain!("cloister: {}: {failure}", failure.step);
            1
        }
    })
}

fn make(path: &Path) -> Result<Plan, Failure> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_AD + 1).read_to_end(&mut text))
        .at(Step::JobAd, path.display())?;
    let ad = run::read_job(&path.to_string_lossy(), &text)?;
    let here = std::env::current_dir().at(Step::Configuration, "the working directory")?;
    let job = Job::from_ad(ad, &here, None)?;
    let mut knobs = Knobs::read(&knobs::load(None, false)?)?;
    if knobs.execute.as_os_str().is_empty() {
        knobs.execute = "/var/lib/cloister/execute".into();
    }
    let mut machine = host::look(&knobs)?;
    machine.privileged = true;
    machine.cgroups = host::cgroups::find(&knobs, true);
    let choice = plan::choose_account(&job, &knobs, "", &|| true)?;
    // The plan is worth showing also where the account doesn't exist, as on a submit machine.
    let account = run_as::account(&choice, true).or_else(|failure| {
        complain!("cloister: {}: {failure}", failure.step);
        run_as::own().map(|own| Account { name: choice.name.clone(), ..own })
    })?;
    plan::make(Inputs::new(&job, &knobs, &machine, account, &ClassAd::new()))
}
