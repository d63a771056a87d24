//! Moving files in and out of the sandbox, by processes that have the job's rights.

use std::os::fd::AsFd;

use super::begin::places;
use super::room::{self, Whose};
use super::sandbox::Made;
use super::state::State;
use super::{Launcher, cell, out_of_order};
use crate::failure::{Context, Failure, Step};
use crate::plan::Plan;
use crate::transfer::{self, Destination, Entrance, Moving, Rooms, Source};

impl Launcher<'_> {
    pub(super) fn fetch(&self, source: &Source, state: &mut State) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no sandbox to copy to"));
        };
        let moving = self.with_rooms(plan, sandbox, source.runs_plugins(), |rooms| {
            transfer::fetch(plan, source, sandbox.dir.as_fd(), rooms, self.show_progress)
        })?;
        state.moving = Some(moving);
        Ok(())
    }

    pub(super) fn deliver(
        &self,
        destination: &Destination,
        state: &mut State,
    ) -> Result<(), Failure> {
        let (Some(plan), Some(sandbox), None, None) =
            (&state.plan, &state.sandbox, &state.ready, &state.cell)
        else {
            return Err(out_of_order("there is no ended job to deliver"));
        };
        let Some(before) = &state.catalogue else {
            return Err(out_of_order("this job's files are not moved"));
        };
        sandbox.open_again().at(Step::Output, sandbox.path.display())?;
        let places = places(plan, sandbox)?;
        let calls = plan.calls;
        let enter = || cell::enter_view(plan, places);
        let entrance = Entrance { namespaces: cell::view_namespaces(plan), calls, enter: &enter };
        let entrance = plan.namespaces.mount.then_some(&entrance);
        let dir = sandbox.dir.as_fd();
        let progress = self.show_progress;
        let moving = self.with_rooms(plan, sandbox, destination.runs_plugins(), |rooms| {
            transfer::deliver(plan, destination, before, dir, entrance, rooms, progress)
        })?;
        state.moving = Some(moving);
        Ok(())
    }

    /// Has the rooms for plugins planned, if they are wanted.
    fn with_rooms(
        &self,
        plan: &Plan,
        sandbox: &Made,
        wanted: bool,
        begin: impl FnOnce(Option<&Rooms<'_>>) -> Result<Moving, Failure>,
    ) -> Result<Moving, Failure> {
        if !wanted {
            return begin(None);
        }
        let places = places(plan, sandbox)?;
        let (site, site_namespaces) = room::plan_of(plan, Whose::Site, self.privileged);
        let (own, own_namespaces) = room::plan_of(plan, Whose::Own, self.privileged);
        let calls = plan.calls;
        let enter_site = || room::enter(&site, places);
        let enter_own = || room::enter(&own, places);
        begin(Some(&Rooms {
            site: Entrance { namespaces: site_namespaces, calls, enter: &enter_site },
            own: Entrance { namespaces: own_namespaces, calls, enter: &enter_own },
        }))
    }
}
