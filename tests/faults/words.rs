//! Words of a job that would be more than words: line ends, escapes, names that look like options.

use std::fs;

use crate::pool::shadow::JOB_EXIT;
use crate::pool::{Ended, NEW, OLD, Setup, machine};

/// The end of a line, and what a reader of logs would take for the next one; colours and a bell besides.
const FORGED: &str = "x\n11/11/26 11:11:11 (pid:1) forged\r\u{1b}[31m\u{7}\u{7f}";

/// Every line of the log is the starter's own, or belongs to the one above it.
fn log_is_whole(ended: &Ended) {
    for line in ended.log.lines() {
        let own = line.starts_with('\t') || line.as_bytes().get(2) == Some(&b'/');
        assert!(own, "{line:?}\n{ended}");
        assert!(!line.contains(['\u{1b}', '\u{7}', '\r', '\u{7f}']), "{line:?}");
    }
    assert!(!ended.log.contains("\n11/11/26"), "{ended}");
}

/// What holds a job is one line, whatever the job calls its files.
#[test]
fn reasons_and_logs_are_lines() {
    for release in [OLD, NEW] {
        for (attribute, value) in [
            ("Cmd", format!("/no/such/{FORGED}")),
            ("JobInput", format!("/no/such/{FORGED}")),
            ("Arguments", format!("'{FORGED}' \"")),
            ("Environment", format!("A='{FORGED}")),
            ("RequestedChroot", FORGED.to_owned()),
            ("MinIsolation", FORGED.to_owned()),
            ("Iwd", format!("/{FORGED}")),
            ("JobNotification", FORGED.to_owned()),
        ] {
            let Some(machine) = machine() else { return };
            let mut setup = Setup::new("true");
            setup.release = release;
            setup.job = vec![(attribute, value.into())];
            if attribute == "Cmd" {
                setup.job.push(("TransferExecutable", false.into()));
            }
            let ended = setup.start(&machine).end(&machine);
            log_is_whole(&ended);
            if let Some((_, text)) = ended.error() {
                assert!(!text.contains(char::is_control), "{attribute}: {text:?}");
            }
        }
    }
}

/// Names are bytes: they arrive as they are, mean nothing to anybody on the way, and break no list.
#[test]
fn names_of_output_are_bytes() {
    let names = [
        "-rf",
        "a b",
        "$(reboot)",
        "`id`",
        "a\nb",
        "\u{1b}[31m",
        "ä",
        "%s%n",
        "\\",
        "\"",
        "a=b",
        "x,y",
    ];
    let Some(machine) = machine() else { return };
    let script = machine.path("names.sh");
    let quoted = |name: &&str| format!("'{}'", name.replace('\'', "'\\''"));
    let list: Vec<String> = names.iter().map(quoted).collect();
    fs::write(
        &script,
        format!("for name in {}; do printf x > ./\"$name\"; done\n", list.join(" ")),
    )
    .unwrap();
    let job = format!("sh {}", script.display());
    let mut claim = Setup::new(&job).start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    log_is_whole(&ended);
    for name in names {
        assert_eq!(ended.output(name).as_deref(), Some(&b"x"[..]), "{name:?}\n{ended}");
    }
}
