//! Lines that other programs look for in a starter's log, word by word.
//!
//! condor_who of 23.9.6 and 25.14.1 reads these logs from their end; the job's own lines ("Starting a",
//! "Create_Process succeeded", "Process exited") are written where they happen.

use std::time::SystemTime;

use jiff::Timestamp;

use super::line::Form;
use crate::version::{CONDOR_PLATFORM, CONDOR_VERSION};

/// What the lines at the start of a log say.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The path of this program, if it was started by one.
    pub(crate) program: Option<&'a str>,
    /// `-local-name`.
    pub(crate) local_name: Option<&'a str>,
    /// The files of the configuration, the root file first.
    pub(crate) files: &'a [String],
}

/// The lines at the start.
pub(super) fn banner(
    start: &Start<'_>,
    form: &Form,
    pid: u32,
    touched: Option<SystemTime>,
) -> Vec<String> {
    let stars = "*".repeat(54);
    let mut lines = vec![stars.clone(), "** condor_starter (CONDOR_STARTER) STARTING UP".into()];
    lines.extend(start.program.map(|path| format!("** {path}")));
    lines.push("** SubsystemInfo: name=STARTER type=STARTER(7) class=DAEMON(1)".into());
    lines.push(format!(
        "** Configuration: subsystem:STARTER local:{} class:DAEMON",
        start.local_name.unwrap_or("<NONE>")
    ));
    lines.push(format!("** {CONDOR_VERSION}"));
    lines.push(format!("** {CONDOR_PLATFORM}"));
    let uid = rustix::process::getuid().as_raw();
    lines.push(format!("** PID = {pid} RealUID = {uid}"));
    let touched = touched.and_then(|time| Timestamp::try_from(time).ok());
    lines.push(match touched {
        Some(time) => format!("** Log last touched {}", form.local("%-m/%-d %H:%M:%S", time)),
        None => "** Log last touched time unavailable (No such file or directory)".into(),
    });
    lines.push(stars);
    if let Some((root, others)) = start.files.split_first() {
        lines.push(format!("Using config source: {root}"));
        if !others.is_empty() {
            lines.push("Using local config sources: ".into());
        }
        lines.extend(others.iter().map(|file| format!("   {file}")));
    }
    lines
}

/// The last line; condor_who stops reading a starter's log at it.
pub(super) fn exiting(pid: u32, status: u8) -> String {
    format!("**** condor_starter (condor_STARTER) pid {pid} EXITING WITH STATUS {status}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::flags::Flags;

    /// The texts that condor_who searches for, with the blank that it wants in front.
    #[test]
    fn condor_who_finds_what_it_looks_for() {
        let form = Form::new(Flags::default(), None, None);
        let files = ["/etc/condor/condor_config".to_owned(), "/etc/condor/config.d/x".to_owned()];
        let start = Start { program: Some("/usr/x/starter"), local_name: None, files: &files };
        let lines = banner(&start, &form, 22, None);
        let text: String = lines.iter().map(|line| format!("11/25/26 08:31:36 {line}\n")).collect();
        for part in [
            " (CONDOR_STARTER) STARTING UP\n",
            " ** PID = 22 RealUID = ",
            "** Log last touched time unavailable (",
            "** Configuration: subsystem:STARTER local:<NONE> class:DAEMON\n",
            " Using config source: /etc/condor/condor_config\n",
            "    /etc/condor/config.d/x\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        let end = exiting(22, 0);
        assert!(end.contains(" (condor_STARTER) pid 22 EXITING WITH STATUS 0"));
    }
}
