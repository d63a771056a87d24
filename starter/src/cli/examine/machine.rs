//! The machine itself: what the kernel gives, who the daemons are, where sandboxes are.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Finding;
use crate::failure::{Failure, Reason};
use crate::host::{self, cgroups::Cgroups};
use crate::knobs::Knobs;
use crate::launcher::fence;
use crate::plan::Host;
use crate::sys::privilege::Ids;

/// Looks at everything that isn't a root.
pub(in crate::cli) fn examine(knobs: &Knobs) -> Result<Vec<Finding>, Failure> {
    let host = host::look(knobs)?;
    let daemon = host::daemon_account(knobs, &host)?;
    Ok(vec![
        privilege(&host),
        namespaces(&host),
        kernel(),
        scopes(&host),
        cgroups(&host.cgroups),
        Finding::ok("daemon-account", host::names(&daemon)),
        execute(&knobs.execute, &daemon, &host),
        disk(knobs),
        read_only(knobs),
    ])
}

fn kernel() -> Finding {
    match host::kernel() {
        Ok(found) => Finding::ok("kernel", found),
        Err(why) => Finding::fail("kernel", why),
    }
}

fn scopes(host: &Host) -> Finding {
    match host.scopes {
        true => Finding::ok("scopes", "signals and abstract sockets stay in the cell (Landlock)"),
        false => Finding::warn("scopes", "the kernel has no Landlock scopes: Linux 6.12 has them"),
    }
}

/// Whether a limit of disk space is kept by the file system.
fn disk(knobs: &Knobs) -> Finding {
    let wanted = knobs.starter_enforce_disk_limits || knobs.startd_enforce_disk_limits;
    let can = fs::File::open(&knobs.execute).and_then(|dir| fence::possible(dir.as_fd()));
    match can {
        _ if !wanted => Finding::ok("disk", "STARTER_ENFORCE_DISK_LIMITS is False"),
        Ok(()) => Finding::ok("disk", "sandboxes have project quotas"),
        Err(error) => Finding::warn(
            "disk",
            format!(
                "sandboxes are measured every 10 s, not fenced: no project quotas where EXECUTE is ({}): mount it with \
                 prjquota",
                Reason(&error)
            ),
        ),
    }
}

/// Automounts below a read-only directory don't arrive there.
fn read_only(knobs: &Knobs) -> Finding {
    if knobs.read_only.is_empty() {
        return Finding::ok("read-only", "JOB_READ_ONLY_DIRECTORIES is empty");
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lost = table.lines().find_map(|line| {
        let point = Path::new(line.split(' ').nth(4)?);
        let automount = line.split(' ').skip_while(|word| *word != "-").nth(1) == Some("autofs");
        let frozen = knobs.read_only.iter().filter(|dir| point.starts_with(dir)).max();
        let free = knobs.read_only_exceptions.iter().filter(|dir| point.starts_with(dir)).max();
        (automount && frozen.is_some() && free < frozen).then_some(point)
    });
    match lost {
        Some(point) => Finding::warn(
            "read-only",
            format!(
                "{} is mounted on demand, which doesn't reach jobs below a read-only directory: add it to \
                 JOB_READ_ONLY_EXCEPTIONS",
                point.display()
            ),
        ),
        None => {
            let list: Vec<_> =
                knobs.read_only.iter().map(|dir| dir.display().to_string()).collect();
            Finding::ok("read-only", list.join(" "))
        }
    }
}

fn privilege(host: &Host) -> Finding {
    if host.privileged {
        Finding::ok("root", "the starter has root: jobs can get accounts and every isolation")
    } else {
        Finding::warn(
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
        return Finding::fail("namespaces", format!("the kernel lacks: {}", missing.join(" ")));
    }
    if host.privileged || host.user_namespaces {
        Finding::ok("namespaces", "mnt pid ipc uts cgroup net")
    } else {
        Finding::warn(
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
            Finding::ok("cgroups", format!("jobs' limits and usage: {}", path.display()))
        }
        Cgroups::None(why) => Finding::warn(
            "cgroups",
            format!("no limits on memory and processes, and usage by /proc: {why}"),
        ),
    }
}

fn execute(path: &Path, daemon: &Ids, host: &Host) -> Finding {
    if path.as_os_str().is_empty() {
        return Finding::warn("execute", "EXECUTE is not set: a pool's configuration names it");
    }
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            return Finding::fail(
                "execute",
                format!("{}: {error}: make it, or correct EXECUTE", path.display()),
            );
        }
    };
    let show = path.display();
    if !meta.is_dir() {
        return Finding::fail("execute", format!("{show} is not a directory: correct EXECUTE"));
    }
    if host.privileged && meta.uid() != daemon.uid {
        let owner = host::names(daemon);
        return Finding::fail(
            "execute",
            format!("{show} belongs to uid {}: chown {owner} {show}", meta.uid()),
        );
    }
    if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
        return Finding::fail(
            "execute",
            format!("{show} can be written by others: chmod 755 {show}"),
        );
    }
    Finding::ok("execute", format!("{show}"))
}
