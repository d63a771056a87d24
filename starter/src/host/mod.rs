//! What there is to know about the machine before a job is looked at.

pub(crate) mod accounts;
pub(crate) mod cgroups;
pub(crate) mod names;
pub(crate) mod run_as;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Step};
use crate::knobs::Knobs;
use crate::plan::Host;
use crate::sys::privilege::Ids;
use crate::sys::scope;

/// Looks at the machine.
pub(crate) fn look(knobs: &Knobs) -> Result<Host, Failure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let privileged = rustix::process::geteuid().is_root();
    Ok(Host {
        privileged,
        user_namespaces: privileged || user_namespaces(),
        numbers_by_namespace: numbers_by_namespace(),
        scopes: scope::available(),
        cgroups: cgroups::find(knobs, privileged),
        pid: std::process::id(),
        name,
    })
}

/// The kernel, or why it can't hold a cell: mount_setattr (Linux 5.12) is the newest call it needs.
pub(crate) fn kernel() -> Result<String, String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if version() >= (5, 12) {
        Ok(format!("Linux {release}"))
    } else {
        Err(format!("Linux {release}: 5.12 or newer is needed for mounts by descriptor"))
    }
}

/// Whether each PID namespace has a largest process number of its own.
pub(crate) fn numbers_by_namespace() -> bool {
    version() >= (6, 14)
}

/// The kernel's version, its first two numbers.
fn version() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether an unprivileged process may make user namespaces and gets rights in them.
fn user_namespaces() -> bool {
    let number =
        |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let most = number("/proc/sys/user/max_user_namespaces").unwrap_or(0);
    let debian_off = number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0);
    let ubuntu_off = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    most > 0 && !debian_off && !ubuntu_off
}

/// The account that the daemons and the supervisor have: CONDOR_IDS, else the account condor, else
/// nobody. A starter that isn't root keeps its own.
pub(crate) fn daemon_account(knobs: &Knobs, host: &Host) -> Result<Ids, Failure> {
    if !host.privileged {
        return Ids::own().at(Step::Account, "own ids");
    }
    if let Some(text) = &knobs.condor_ids {
        let ids = text.split_once('.').and_then(|(uid, gid)| {
            Some((uid.trim().parse::<u32>().ok()?, gid.trim().parse::<u32>().ok()?))
        });
        return match ids {
            Some((uid, gid)) if uid != 0 && gid != 0 => Ok(Ids { uid, gid, groups: vec![] }),
            _ => Err(Failure::host(
                Step::Configuration,
                format!("CONDOR_IDS is {text}: two numbers above 0 are needed, UID.GID"),
            )),
        };
    }
    for name in ["condor", "nobody"] {
        if let Some(user) = accounts::local_user(name)?
            && user.uid != 0
            && user.gid != 0
        {
            return Ok(Ids { uid: user.uid, gid: user.gid, groups: vec![] });
        }
    }
    Err(Failure::host(
        Step::Account,
        "there is neither an account condor nor nobody: create one, or set CONDOR_IDS = UID.GID",
    ))
}

/// Makes sure that EXECUTE exists. Without a pool's configuration a directory of our own serves,
/// made with the owner and mode that a pool's has.
pub(crate) fn prepare_execute(
    knobs: &mut Knobs,
    host: &Host,
    daemon: &Ids,
    for_people: bool,
) -> Result<(), Failure> {
    if knobs.execute.as_os_str().is_empty() {
        if !for_people {
            return Err(Failure::host(
                Step::Configuration,
                "EXECUTE is not set: name the directory for sandboxes in the configuration",
            ));
        }
        knobs.execute = own_execute(host, daemon)?;
    }
    // The path is used in several mount namespaces and compared there, so it is made plain once.
    let plain = fs::canonicalize(&knobs.execute)
        .at(Step::Configuration, format!("EXECUTE directory {}", knobs.execute.display()))?;
    knobs.execute = plain;
    Ok(())
}

fn own_execute(host: &Host, daemon: &Ids) -> Result<PathBuf, Failure> {
    let path = if host.privileged {
        PathBuf::from("/var/lib/cloister/execute")
    } else {
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
        state
            .or(home)
            .ok_or_else(|| Failure::host(Step::Configuration, "neither EXECUTE nor HOME is set"))?
            .join("cloister/execute")
    };
    if !path.is_dir() {
        let make = || -> std::io::Result<()> {
            fs::create_dir_all(&path)?;
            if host.privileged {
                std::os::unix::fs::chown(&path, Some(daemon.uid), Some(daemon.gid))?;
            }
            Ok(())
        };
        make().at(Step::Configuration, format!("making {}", path.display()))?;
    }
    Ok(path)
}

/// The names of an account and a group, for people.
pub(crate) fn names(ids: &Ids) -> String {
    let user = accounts::user_of(ids.uid).ok().flatten().map(|user| user.name);
    let group = accounts::group_name(ids.gid);
    format!(
        "{}:{}",
        user.unwrap_or_else(|| ids.uid.to_string()),
        group.unwrap_or_else(|| ids.gid.to_string())
    )
}
