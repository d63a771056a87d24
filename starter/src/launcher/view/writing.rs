//! Which of the machine's directories a job can't write to.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::View;
use crate::failure::{Context, Failure, Step};
use crate::plan::{Plan, What};
use crate::sys::mount::{attach, copy_tree, freeze};

impl View {
    /// Makes directories read-only with all that is mounted in them, apart from the exceptions below
    /// them. The copies are taken first, so that an exception is as it was.
    pub(super) fn restrict_writing(&self, plan: &Plan) -> Result<(), Failure> {
        let mut copies = Vec::new();
        for mount in &plan.mounts {
            let frozen = match mount.what {
                What::ReadOnly => true,
                What::AsItIs => false,
                _ => continue,
            };
            let target = mount.target.as_path();
            let copy = || -> io::Result<_> {
                let Some(place) = self.existing(target)? else { return Ok(None) };
                // The whole tree is ours to change as it is.
                let whole = target == Path::new("/");
                Ok(Some(if whole { place } else { copy_tree(place.as_fd(), true)? }))
            };
            let show = || format!("{} ({})", target.display(), mount.why);
            copies.extend(copy().at(Step::View, show())?.map(|copy| (target, frozen, copy)));
        }
        for (target, frozen, copy) in copies {
            let put = || -> io::Result<()> {
                if frozen {
                    freeze(copy.as_fd())?;
                }
                match self.existing(target)? {
                    Some(place) if target != Path::new("/") => attach(copy.as_fd(), place.as_fd()),
                    _ => Ok(()),
                }
            };
            put().at(Step::View, format!("making {} read-only", target.display()))?;
        }
        Ok(())
    }
}
