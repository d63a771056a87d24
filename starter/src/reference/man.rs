//! The lists as manual pages, in mdoc.

use std::fmt::Write as _;

use super::{ATTRIBUTES, Place, default, kind};
use crate::knobs::{self, Since};

/// The longest line that mandoc has no word about.
const WIDTH: usize = 78;

fn head(title: &str, name: &str, about: &str) -> String {
    format!(
        ".\\\" Written from the tables in starter/src: see starter/src/reference/mod.rs.\n.Dd November 25, 2026\n.Dt {title} 5\n.Os\n\
         .Sh NAME\n.Nm {name}\n.Nd {about}\n.Sh DESCRIPTION\n"
    )
}

/// cloister.conf(5)
pub(super) fn knobs() -> String {
    let mut text = head("CLOISTER.CONF", "cloister.conf", "knobs of the Cloister starter");
    text.push_str(
        "Cloister has no configuration file of its own: it reads HTCondor's, which\n.Ev CONDOR_CONFIG\nor\n\
         .Pa /etc/condor/condor_config\nnames, with what that includes.\n.Dq cloister config\n\
         prints every knob with its value, its default, and the file and line that it\ncomes from.\n.Pp\n\
         Knobs are HTCondor's own, unless it says otherwise below.\nA knob without a default is unset, or has HTCondor's default.\n\
         .Bl -tag -width Ds\n",
    );
    for knob in knobs::all() {
        // Writing to a string doesn't fail.
        let _ = write!(
            text,
            ".It Ic {} Pq {}\n{}\n",
            knob.name,
            kind(knob),
            sentence(knob.text.trim())
        );
        if knob.since != Since::Always {
            let _ = writeln!(text, "Since: {}.", knob.since);
        }
        if let Some(default) = default(knob) {
            let _ = writeln!(text, "Default:\n.Ql {}", word(default));
        }
    }
    text.push_str(
        ".El\n.Pp\nKnobs whose names are made of something:\n.Bl -tag -width Ds\n\
         .It Ic NAMED_CHROOT_ Ns Ar name Ns Ic _ROOT , _BIND , _ETC , _DEV , _ALLOW , _REVISION\n\
         How a named root is put together and who may have it.\n\
         .It Ic SLOTn_USER\nThe account of jobs in that slot which don't run as their owner.\n\
         .It Ic SLOTn_CPU_AFFINITY\nThe CPUs of jobs in that slot.\n\
         .It Ic ENVIRONMENT_FOR_Assigned Ns Ar RESOURCE\nVariables that tell a job what it was assigned of a resource.\n\
         .It Ar KEYWORD Ns Ic _HOOK_PREPARE_JOB\nand its like: programs of the admin's around jobs.\n.El\n\
         .Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/condor/config.d/60-cloister.conf\nThe switch and the named roots, as the package \
         brings it.\n.El\n.Sh SEE ALSO\n.Xr cloister-attributes 5 ,\n.Xr cloister 8\n",
    );
    text
}

/// cloister-attributes(5)
pub(super) fn attributes() -> String {
    let about = "attributes of jobs and slots that the Cloister starter reads and reports";
    let mut text = head("CLOISTER-ATTRIBUTES", "cloister-attributes", about);
    text.push_str(
        "In submit files, attributes without a command of their own are written with\na plus:\n.Dl +RequestedChroot = \\(dqEL9\\(dq\n",
    );
    for place in Place::ALL {
        let _ = write!(
            text,
            ".Ss {}\n{}\n.Bl -tag -width Ds\n",
            place.title(),
            sentence(place.about())
        );
        for row in ATTRIBUTES.iter().filter(|row| row.place == place) {
            let _ = write!(text, ".It Va {} Pq {}\n{}\n", row.name, row.kind, sentence(row.text));
            if row.whose != "HTCondor" {
                let _ = writeln!(text, "Since: {}.", row.whose);
            }
        }
        text.push_str(".El\n");
    }
    text.push_str(".Sh SEE ALSO\n.Xr cloister.conf 5 ,\n.Xr cloister 8\n");
    text
}

/// Text in which nothing is a macro; each sentence begins a line, as mdoc wants it, and none is long.
fn sentence(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace(". ", ".\n").replace("? ", "?\n");
    let mut lines: Vec<String> = Vec::new();
    for sentence in text.lines() {
        let mut line = String::new();
        for word in sentence.split_ascii_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            } else if word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// One argument of a macro.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\e").replace('"', "\\(dq"))
}
