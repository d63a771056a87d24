//! Persistent settings, which `condor_config_val -set` leaves behind.

use crate::error::{Error, ErrorKind};
use crate::io;
use crate::load::Loader;
use crate::text::list;

impl Loader {
    /// Reads the settings of this subsystem. They come last, so even the environment yields to them.
    pub(crate) fn read_persistent(&mut self, can_switch_ids: bool) -> Result<(), Error> {
        if !self.macros.is_set("ENABLE_PERSISTENT_CONFIG")
            || !self.boolean("ENABLE_PERSISTENT_CONFIG", false)?
        {
            return Ok(());
        }
        let subsystem = self.macros.subsystem.clone();
        let top = match self.param(&format!("{subsystem}_CONFIG"))? {
            Some(file) => file,
            None => match self.param("PERSISTENT_CONFIG_DIR")? {
                Some(directory) => format!("{directory}/.config.{subsystem}"),
                None if is_tool(&subsystem) => return Ok(()),
                None => {
                    let what = format!(
                        "ENABLE_PERSISTENT_CONFIG is TRUE, but neither {subsystem}_CONFIG nor \
                         PERSISTENT_CONFIG_DIR is specified in the configuration file"
                    );
                    let told = vec![format!("Condor error: {what}")];
                    let remedy = "Set PERSISTENT_CONFIG_DIR";
                    return Err(Error::new(ErrorKind::Value, what, remedy).told(told));
                }
            },
        };
        if !io::is_readable(&top) {
            return Ok(());
        }
        let owner = if can_switch_ids { 0 } else { io::own_uid() };
        self.read_persistent_file(&top, owner)?;
        let admins = self.param("RUNTIME_CONFIG_ADMIN")?.unwrap_or_default();
        for admin in list(&admins) {
            self.read_persistent_file(&format!("{top}.{admin}"), owner)?;
        }
        Ok(())
    }

    fn read_persistent_file(&mut self, file: &str, owner: u32) -> Result<(), Error> {
        let wrong = |what: String| {
            let remedy = "Remove it, or set ENABLE_PERSISTENT_CONFIG to false";
            Error::new(ErrorKind::Source, what, remedy).at(file, 0)
        };
        if file.contains('|') {
            return Err(wrong(format!("persistent settings can't come from a command: {file}")));
        }
        let opened = io::read(file)
            .map_err(|error| wrong(format!("{file} can't be opened: {}", io::words(&error))))?;
        if opened.owner != owner {
            return Err(wrong(format!(
                "{file} belongs to user {}, not to user {owner}",
                opened.owner
            )));
        }
        // HTCondor ends without a word here, so its words are none.
        self.run_source(file, &opened.text, 0, "persistent config source")
            .map_err(|error| error.told(Vec::new()))
    }
}

/// Programs that go on where a daemon would not.
fn is_tool(subsystem: &str) -> bool {
    ["TOOL", "SUBMIT", "DAGMAN"].iter().any(|tool| subsystem.eq_ignore_ascii_case(tool))
}
