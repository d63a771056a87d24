//! `starter check`: can this machine isolate jobs, and are its named roots fit for use?

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::failure::Failure;
use crate::host::{self, cgroups::Cgroups};
use crate::knobs::{self, Knobs};
use crate::launcher::root;
use crate::plan::{Host, NamedRoot, named_roots};
use crate::sys::privilege::Ids;

/// How one examination went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One examination: a stable name, what was found, and how to mend it.
#[derive(Debug)]
struct Finding {
    grade: Grade,
    id: &'static str,
    found: String,
}

/// Prints one line per examination. Exit code 0: all well, 1: warnings, 2: failures.
pub(super) fn main(arguments: &[OsString]) -> Result<u8, String> {
    let wanted = arguments
        .iter()
        .map(|word| match word.to_str() {
            Some(name) if !name.starts_with('-') => Ok(name),
            _ => Err("check takes names of roots only".to_owned()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let findings = match examine(&wanted) {
        Ok(findings) => findings,
        Err(failure) => vec![fail("configuration", failure.message)],
    };
    for finding in &findings {
        let grade = match finding.grade {
            Grade::Ok => "ok  ",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        say!("{grade}  {:<18} {}", finding.id, finding.found);
    }
    Ok(match findings.iter().map(|finding| finding.grade).max() {
        None | Some(Grade::Ok) => 0,
        Some(Grade::Warn) => 1,
        Some(Grade::Fail) => 2,
    })
}

fn ok(id: &'static str, found: impl Into<String>) -> Finding {
    Finding { grade: Grade::Ok, id, found: found.into() }
}

fn warn(id: &'static str, found: impl Into<String>) -> Finding {
    Finding { grade: Grade::Warn, id, found: found.into() }
}

fn fail(id: &'static str, found: impl Into<String>) -> Finding {
    Finding { grade: Grade::Fail, id, found: found.into() }
}

fn examine(wanted: &[&str]) -> Result<Vec<Finding>, Failure> {
    let knobs = Knobs::read(&knobs::load(None, false)?)?;
    let host = host::look(&knobs)?;
    let daemon = host::daemon_account(&knobs, &host)?;
    let mut findings = Vec::new();
    if wanted.is_empty() {
        findings.push(privilege(&host));
        findings.push(namespaces(&host));
        findings.push(
            host::kernel().map_or_else(|why| fail("kernel", why), |found| ok("kernel", found)),
        );
        findings.push(cgroups(&host.cgroups));
        findings.push(ok("daemon-account", host::names(&daemon)));
        findings.push(execute(&knobs.execute, &daemon, &host));
    }
    let roots = named_roots(knobs.named_chroot.as_deref());
    if roots.is_empty() && wanted.is_empty() {
        findings.push(ok("named-roots", "none offered (NAMED_CHROOT is empty)"));
    }
    for root in &roots {
        match root {
            Err(why) => findings.push(fail("named-root", format!("NAMED_CHROOT: {why}"))),
            Ok(root) if wanted.is_empty() || wanted.contains(&root.name.as_str()) => {
                findings.extend(named_root(root, &knobs.execute));
            }
            Ok(_) => {}
        }
    }
    for name in wanted {
        if !roots.iter().flatten().any(|root| root.name == *name) {
            findings.push(fail("named-root", format!("{name} is not in NAMED_CHROOT")));
        }
    }
    Ok(findings)
}

fn privilege(host: &Host) -> Finding {
    if host.privileged {
        ok("root", "the starter has root: jobs can get accounts and every isolation")
    } else {
        warn(
            "root",
            "not root: every job runs as this account, in a user namespace if there can be one",
        )
    }
}

fn namespaces(host: &Host) -> Finding {
    let missing: Vec<&str> = ["mnt", "pid", "ipc", "uts", "cgroup", "net"]
        .into_iter()
        .filter(|name| !Path::new("/proc/self/ns").join(name).exists())
        .collect();
    if !missing.is_empty() {
        return fail("namespaces", format!("the kernel lacks: {}", missing.join(" ")));
    }
    if host.privileged || host.user_namespaces {
        ok("namespaces", "mnt pid ipc uts cgroup net")
    } else {
        warn(
            "namespaces",
            "user namespaces are off for this account, so there is no isolation without root: set \
             sysctl user.max_user_namespaces above 0 and kernel.apparmor_restrict_unprivileged_userns \
             to 0",
        )
    }
}

fn cgroups(cgroups: &Cgroups) -> Finding {
    match cgroups {
        Cgroups::Below(path) => {
            ok("cgroups", format!("jobs' limits and usage: {}", path.display()))
        }
        Cgroups::None(why) => {
            warn("cgroups", format!("no limits on memory and processes, and usage by /proc: {why}"))
        }
    }
}

fn execute(path: &Path, daemon: &Ids, host: &Host) -> Finding {
    if path.as_os_str().is_empty() {
        return warn("execute", "EXECUTE is not set: a pool's configuration names it");
    }
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            return fail(
                "execute",
                format!("{}: {error}: make it, or correct EXECUTE", path.display()),
            );
        }
    };
    let show = path.display();
    if !meta.is_dir() {
        return fail("execute", format!("{show} is not a directory: correct EXECUTE"));
    }
    if host.privileged && meta.uid() != daemon.uid {
        let owner = host::names(daemon);
        return fail(
            "execute",
            format!("{show} belongs to uid {}: chown {owner} {show}", meta.uid()),
        );
    }
    if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
        return fail("execute", format!("{show} can be written by others: chmod 755 {show}"));
    }
    ok("execute", format!("{show}"))
}

fn named_root(root: &NamedRoot, execute: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &root.name;
    match root::open(root) {
        Err(failure) => return vec![fail("root-path", failure.message)],
        Ok(_) => findings.push(ok("root-path", format!("{name} = {}", root.path.display()))),
    }
    if let Err(why) = root.apart_from(execute) {
        findings.push(fail("root-execute", why));
    }
    let shell = ["bin/sh", "usr/bin/sh", "usr/bin/env"];
    if !shell.iter().any(|file| fs::symlink_metadata(root.path.join(file)).is_ok()) {
        findings
            .push(warn("root-shell", format!("{name} has no /bin/sh: scripts will not run in it")));
    }
    let missing: Vec<&str> = ["proc", "dev", "sys", "tmp"]
        .into_iter()
        .filter(|dir| !root.path.join(dir).is_dir())
        .collect();
    if !missing.is_empty() {
        findings.push(warn(
            "root-mount-points",
            format!(
                "{name} lacks /{}: they are put there for each job, which is slower than mkdir in it once",
                missing.join(" /")
            ),
        ));
    }
    findings
}
