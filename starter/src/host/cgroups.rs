//! Where the machine lets this starter make cgroups for jobs, if it does: the rules are HTCondor's.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

use crate::knobs::Knobs;

/// Where the one tree of cgroup v2 is on a machine that has no other.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// Where jobs' cgroups are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// In this directory, which may have yet to be made.
    Below(PathBuf),
    /// Nowhere, for this reason.
    None(String),
}

/// Looks for the place: BASE_CGROUP beside the starter's own cgroup, because one that has processes of
/// its own can have none with limits below it.
pub(crate) fn find(knobs: &Knobs, privileged: bool) -> Cgroups {
    let Some(base) = knobs.base_cgroup.as_deref() else {
        return Cgroups::None("BASE_CGROUP is empty".to_owned());
    };
    if !Path::new(ROOT).join("cgroup.procs").exists() {
        return Cgroups::None(format!(
            "this machine's {ROOT} is not a tree of cgroup v2 (systemd.unified_cgroup_hierarchy=1 on \
             the kernel's command line makes it one)"
        ));
    }
    if !privileged && !knobs.create_cgroup_without_root {
        return Cgroups::None(
            "the starter isn't root, and CREATE_CGROUP_WITHOUT_ROOT is False".to_owned(),
        );
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match place(&own, base) {
        None => Cgroups::None(format!("{base} beside {:?} is no place in {ROOT}", own.trim_end())),
        Some(path) => {
            // What is missing is made, where what is there may be written to.
            let there =
                path.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new(ROOT));
            // Who isn't root asks for root only to show a plan.
            let ask = !privileged || rustix::process::geteuid().is_root();
            match if ask { access(there, Access::WRITE_OK) } else { Ok(()) } {
                Ok(()) => Cgroups::Below(path),
                Err(errno) => Cgroups::None(format!(
                    "{} can't be written to: {}",
                    there.display(),
                    std::io::Error::from(errno)
                )),
            }
        }
    }
}

/// The directory, from what /proc/self/cgroup says and the name that the admin gave.
fn place(own: &str, base: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let parent = Path::new(own).parent().unwrap_or_else(|| Path::new(""));
    let relative = parent.join(base.trim_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && relative.components().next().is_some()).then(|| Path::new(ROOT).join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_go_beside_the_starter() {
        let of = |own: &str, base: &str| place(own, base).map(|path| path.display().to_string());
        let service = "0::/system.slice/condor.service\n";
        assert_eq!(
            of(service, "htcondor").as_deref(),
            Some("/sys/fs/cgroup/system.slice/htcondor")
        );
        assert_eq!(of("0::/\n", "/a/b").as_deref(), Some("/sys/fs/cgroup/a/b"));
        assert_eq!(of("4:memory:/x\n0::/one\n", "h").as_deref(), Some("/sys/fs/cgroup/h"));
        for (own, base) in [
            (service, "../x"),
            ("0::/../y/z\n", "h"),
            ("4:memory:/x\n", "h"),
            ("", "h"),
            ("0::/\n", "/"),
        ] {
            assert_eq!(of(own, base), None, "{own:?} {base}");
        }
    }
}
