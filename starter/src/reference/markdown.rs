//! The lists as pages of the documentation.

use std::fmt::Write as _;

use super::{ATTRIBUTES, Place, default, kind};
use crate::knobs;

const NOTE: &str =
    "<!-- Written from the tables in starter/src: see starter/src/reference/mod.rs. -->\n";

/// docs/knobs.md
pub(super) fn knobs() -> String {
    let mut text = format!(
        "{NOTE}# Knobs\n\nEvery knob that the starter reads. `cloister config` prints them with the values of a machine, and the file \
         and line of each.\n*Whose* is HTCondor, with the version that brought it if that is after 23.9, or Cloister. Cloister knows all \
         of them in every\npool. A knob without a default is unset, or has HTCondor's default.\n\n\
         | knob | type | default | whose | meaning |\n|---|---|---|---|---|\n"
    );
    for knob in knobs::all() {
        let default = default(knob).map(|text| format!("`{}`", cell(text))).unwrap_or_default();
        let row = (knob.name, kind(knob), default, knob.since, cell(knob.text.trim()));
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "| `{}` | {} | {} | {} | {} |", row.0, row.1, row.2, row.3, row.4);
    }
    text.push_str(FAMILIES);
    text
}

/// Knobs whose names are made of something.
const FAMILIES: &str = "\n| knobs by name | meaning |\n|---|---|\n\
    | `NAMED_CHROOT_<name>_ROOT`, `_BIND`, `_ETC`, `_DEV`, `_ALLOW`, `_REVISION` | how a named root is put together and who may have it |\n\
    | `SLOTn_USER`, `SLOTn_m_USER` | the account of jobs in that slot which don't run as their owner |\n\
    | `SLOTn_CPU_AFFINITY` | the CPUs of jobs in that slot |\n\
    | `ENVIRONMENT_FOR_Assigned<resource>`, `ENVIRONMENT_VALUE_FOR_UnAssigned<resource>` | variables that tell a job its GPUs and the like |\n\
    | `<keyword>_HOOK_PREPARE_JOB_BEFORE_TRANSFER`, `..._PREPARE_JOB`, `..._UPDATE_JOB_INFO`, `..._JOB_EXIT`, and their `_TIMEOUT` and `_ARGS` | programs of the admin's around jobs |\n\
    | `STARTER_DIAGNOSTIC_<name>` | what a shadow of 25 may have run after input could not be fetched |\n";

/// docs/attributes.md
pub(super) fn attributes() -> String {
    let mut text = format!(
        "{NOTE}# Attributes\n\nAttributes of jobs that change what the starter does, those that it reports, and those of slots. In submit \
         files, attributes\nwithout a command of their own are written with a plus: `+RequestedChroot = \"EL9\"`.\n"
    );
    for place in Place::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n| attribute | type | whose | meaning |\n|---|---|---|---|\n",
            place.title(),
            place.about()
        );
        for row in ATTRIBUTES.iter().filter(|row| row.place == place) {
            let cells = (row.name, row.kind, row.whose, cell(row.text));
            let _ = writeln!(text, "| `{}` | {} | {} | {} |", cells.0, cells.1, cells.2, cells.3);
        }
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
