//! `--exec`: a job that is made up, run by a starter as any other is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use classad::ClassAd;

use super::job;
use crate::cli::examine::Finding;

/// Lines of what it said that are shown.
const LINES: usize = 5;

/// Runs a command in a root, as an account or nobody.
pub(super) fn run(command: &str, account: Option<&str>, root: &str) -> Finding {
    let place = if root == "root" { "the machine's root" } else { root };
    let begun = Instant::now();
    let mut finding = match attempt(&job(command, account, root)) {
        Ok(ran) => {
            let time = begun.elapsed().as_millis();
            match ran.code {
                Some(0) => {
                    Finding::ok("run", format!("{place}: {command}: {time} ms{}", ran.isolation))
                }
                code => {
                    let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
                    let why =
                        if ran.said.is_empty() { String::new() } else { format!(": {}", ran.said) };
                    Finding::fail("run", format!("{place}: {command}: exit code {code}{why}"))
                }
            }
        }
        Err(error) => Finding::fail("run", format!("{place}: the starter can't be run: {error}")),
    };
    finding.root = (root != "root").then(|| root.to_owned());
    finding
}

struct Ran {
    code: Option<i32>,
    /// What was applied.
    isolation: String,
    /// The end of what it wrote, in one line.
    said: String,
}

fn attempt(job: &ClassAd) -> std::io::Result<Ran> {
    let result = tempfile()?;
    let mut starter = Command::new("/proc/self/exe")
        .arg("run")
        .args(["-o", &format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&result))])
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = starter.stdin.take() {
        input.write_all(&job.to_old_bytes())?;
    }
    let output = starter.wait_with_output()?;
    let text = std::fs::read_to_string(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&result)
    ))?;
    let ad = ClassAd::parse_old(text.as_str()).unwrap_or_default();
    let words = |name: &str| ad.eval_string(name).unwrap_or_default();
    let mut isolation = format!(" ({})", words("AssignedIsolation"));
    for (name, text) in
        [("AssignedChrootRevision", "revision"), ("IsolationNotApplied", "not applied")]
    {
        if ad.contains(name) {
            isolation.push_str(&format!("; {text}: {}", words(name)));
        }
    }
    let all = [output.stderr, output.stdout].concat();
    let all = String::from_utf8_lossy(&all).into_owned();
    let lines: Vec<&str> = all.lines().filter(|line| !line.trim().is_empty()).take(LINES).collect();
    Ok(Ran { code: output.status.code(), isolation, said: lines.join(" | ") })
}

/// A file without a name that a child inherits.
fn tempfile() -> std::io::Result<std::fs::File> {
    Ok(std::fs::File::from(rustix::fs::memfd_create("result", rustix::fs::MemfdFlags::empty())?))
}
