//! Who gave the job and gets the result.

pub(crate) mod file;
pub(crate) mod startd;

use classad::ClassAd;

use crate::failure::Failure;
use crate::report::ad::Outcome;

/// The house that a job comes from.
pub(crate) trait Parent {
    /// The job ad. Called once.
    fn job_ad(&mut self) -> Result<ClassAd, Failure>;
    /// The job's program runs, with this process number on the machine.
    fn started(&mut self, pid: i32);
    /// The end, whatever it was. `ad` is the result ad.
    fn finished(&mut self, outcome: &Outcome, ad: &ClassAd) -> Result<(), Failure>;
}
