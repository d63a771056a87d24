//! Giving up rights for good, and lending them for one call.

use std::io;
use std::sync::OnceLock;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::set_no_new_privs;

/// Numbers of an account, as the kernel wants them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ids {
    /// User.
    pub(crate) uid: u32,
    /// Primary group.
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

impl Ids {
    /// The caller's own effective ids.
    pub(crate) fn own() -> io::Result<Self> {
        let groups = own_groups()?;
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups,
        })
    }
}

/// nix asks for the most groups there can be first, by opening a file of /proc.
fn own_groups() -> io::Result<Vec<u32>> {
    Ok(rustix::process::getgroups()?.into_iter().map(|gid| gid.as_raw()).collect())
}

/// Those that root came with: whoever gives them up for good gives up root, too.
fn roots_groups() -> io::Result<&'static [Gid]> {
    static GROUPS: OnceLock<Vec<Gid>> = OnceLock::new();
    if let Some(groups) = GROUPS.get() {
        return Ok(groups);
    }
    let groups = own_groups()?.into_iter().map(Gid::from_raw).collect();
    Ok(GROUPS.get_or_init(|| groups))
}

/// Becomes the account in every respect (real, effective, saved), and checks that it held.
pub(crate) fn become_for_good(ids: &Ids) -> io::Result<()> {
    let groups: Vec<Gid> = ids.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // What the starter itself inherited as inheritable stays through a change of ids.
    drop_capabilities()?;
    if ids.uid != 0 && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("root could be taken back after it was given up"));
    }
    Ok(())
}

/// Becomes the account as `become_for_good` does, but may still end processes of others.
pub(crate) fn become_for_good_but_kill(ids: &Ids) -> io::Result<()> {
    let groups: Vec<Gid> = ids.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    rustix::thread::set_keep_capabilities(true)?;
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    rustix::thread::set_keep_capabilities(false)?;
    let kill = rustix::thread::CapabilitySet::KILL;
    let none = rustix::thread::CapabilitySet::empty();
    let sets =
        rustix::thread::CapabilitySets { effective: kill, permitted: kill, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("root could be taken back after it was given up"));
    }
    Ok(())
}

/// Takes every capability out of the bounding set, so that no program can hand one back.
pub(crate) fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: PR_CAPBSET_DROP reads only its integer argument.
        let answer = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if answer != 0 {
            let error = io::Error::last_os_error();
            // The first number past the kernel's last capability ends the list.
            return if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 {
                Ok(())
            } else {
                Err(error)
            };
        }
    }
    Ok(())
}

/// Whether this process may make others that are spared when memory runs out, and what it says of that
/// therefore stays below what its children may ask for.
pub(crate) fn rules_over_resources() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE))
}

/// From here on no program gains rights by being set-uid or having file capabilities.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Effective rights of another account for as long as the guard lives. Only for a process that is
/// root and has one thread; a process without root lends nothing and keeps its own rights.
#[derive(Debug)]
pub(crate) struct Borrowed {
    own_groups: Option<&'static [Gid]>,
}

impl Borrowed {
    /// Takes on the account's effective ids.
    pub(crate) fn rights_of(ids: &Ids) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { own_groups: None });
        }
        let own_groups = roots_groups()?;
        let groups: Vec<Gid> = ids.groups.iter().copied().map(Gid::from_raw).collect();
        // The guard exists before the first change, so that a failure half-way is undone.
        let guard = Self { own_groups: Some(own_groups) };
        setgroups(&groups)?;
        nix::unistd::setegid(Gid::from_raw(ids.gid))?;
        nix::unistd::seteuid(Uid::from_raw(ids.uid))?;
        Ok(guard)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(groups) = self.own_groups.take() else { return };
        let restored = nix::unistd::seteuid(Uid::from_raw(0))
            .and_then(|()| nix::unistd::setegid(Gid::from_raw(0)))
            .and_then(|()| setgroups(groups));
        if restored.is_err() {
            // Going on with somebody else's rights would be worse than dying here.
            std::process::abort();
        }
    }
}

/// Drops every capability of this process; in a user namespace they come with the namespace, not
/// with an id.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    let none = rustix::thread::CapabilitySet::empty();
    let sets =
        rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    Ok(())
}
