//! What the configuration knows of its host and process: the `<Detected>` knobs.
//!
//! Each fact is found out when it is first asked for. Most are never asked for, and some
//! (a user's home, a network address) cost more than reading all files.

use std::sync::OnceLock;

use crate::io;
use crate::options::Options;

/// The detected knobs. The order is that of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Tilde,
    Hostname,
    FullHostname,
    Username,
    RealUid,
    RealGid,
    Pid,
    Ppid,
    IpAddress,
    IpAddressIsIpv6,
    Ipv4Address,
    Ipv6Address,
    DetectedCpus,
    DetectedCpusLimit,
    DetectedCores,
    DetectedPhysicalCpus,
    DetectedMemory,
    Arch,
    Opsys,
    OpsysAndVer,
    OpsysVer,
    OpsysMajorVer,
    OpsysName,
    OpsysLongName,
    OpsysShortName,
    OpsysLegacy,
    UnameArch,
    UnameOpsys,
    UtsnameSysname,
    UtsnameNodename,
    UtsnameRelease,
    UtsnameVersion,
    UtsnameMachine,
    CondorIsAdmin,
    Python3,
}

/// Fact, name, and whether a configuration can't change it.
pub(crate) const NAMES: &[(Fact, &str, bool)] = &[
    (Fact::Tilde, "TILDE", true),
    (Fact::Hostname, "HOSTNAME", true),
    (Fact::FullHostname, "FULL_HOSTNAME", true),
    (Fact::Username, "USERNAME", true),
    (Fact::RealUid, "REAL_UID", true),
    (Fact::RealGid, "REAL_GID", true),
    (Fact::Pid, "PID", true),
    (Fact::Ppid, "PPID", true),
    (Fact::IpAddress, "IP_ADDRESS", true),
    (Fact::IpAddressIsIpv6, "IP_ADDRESS_IS_IPV6", true),
    (Fact::Ipv4Address, "IPV4_ADDRESS", true),
    (Fact::Ipv6Address, "IPV6_ADDRESS", true),
    (Fact::DetectedCpus, "DETECTED_CPUS", true),
    (Fact::DetectedCpusLimit, "DETECTED_CPUS_LIMIT", false),
    (Fact::DetectedCores, "DETECTED_CORES", false),
    (Fact::DetectedPhysicalCpus, "DETECTED_PHYSICAL_CPUS", false),
    (Fact::DetectedMemory, "DETECTED_MEMORY", false),
    (Fact::Arch, "ARCH", false),
    (Fact::Opsys, "OPSYS", false),
    (Fact::OpsysAndVer, "OPSYSANDVER", false),
    (Fact::OpsysVer, "OPSYSVER", false),
    (Fact::OpsysMajorVer, "OPSYSMAJORVER", false),
    (Fact::OpsysName, "OPSYSNAME", false),
    (Fact::OpsysLongName, "OPSYSLONGNAME", false),
    (Fact::OpsysShortName, "OPSYSSHORTNAME", false),
    (Fact::OpsysLegacy, "OPSYSLEGACY", false),
    (Fact::UnameArch, "UNAME_ARCH", false),
    (Fact::UnameOpsys, "UNAME_OPSYS", false),
    (Fact::UtsnameSysname, "UTSNAME_SYSNAME", false),
    (Fact::UtsnameNodename, "UTSNAME_NODENAME", false),
    (Fact::UtsnameRelease, "UTSNAME_RELEASE", false),
    (Fact::UtsnameVersion, "UTSNAME_VERSION", false),
    (Fact::UtsnameMachine, "UTSNAME_MACHINE", false),
    (Fact::CondorIsAdmin, "CondorIsAdmin", false),
    (Fact::Python3, "PYTHON3", false),
];

/// The facts found so far.
#[derive(Debug)]
pub(crate) struct Facts {
    known: [OnceLock<Option<String>>; NAMES.len()],
    hostname: Option<String>,
    full_hostname: Option<String>,
    tilde: Option<String>,
    path: Option<std::ffi::OsString>,
    /// `COUNT_HYPERTHREAD_CPUS`, which decides what a CPU is.
    pub(crate) count_threads: bool,
    naming: Naming,
}

/// What a configuration says about the host's name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Naming {
    /// `NETWORK_HOSTNAME`: this is the name.
    pub(crate) name: Option<String>,
    /// `NO_DNS`: don't ask anyone for it.
    pub(crate) ask_nobody: bool,
    /// `DEFAULT_DOMAIN_NAME`: for names without one.
    pub(crate) domain: Option<String>,
}

impl Facts {
    pub(crate) fn new(options: &Options) -> Facts {
        Facts {
            known: [const { OnceLock::new() }; NAMES.len()],
            hostname: options.hostname.clone(),
            full_hostname: options.full_hostname.clone(),
            tilde: options.tilde.as_ref().map(|path| path.to_string_lossy().into_owned()),
            path: options
                .env
                .iter()
                .find(|(name, _)| name == "PATH")
                .map(|(_, value)| value.clone()),
            count_threads: true,
            naming: Naming::default(),
        }
    }

    /// Takes the configuration's word on the host's name, which may already have been asked for.
    pub(crate) fn set_naming(&mut self, naming: Naming) {
        if self.naming != naming {
            self.naming = naming;
            for fact in [Fact::Hostname, Fact::FullHostname] {
                if let Some(known) = self.known.get_mut(fact as usize) {
                    *known = OnceLock::new();
                }
            }
        }
    }

    /// The name as HTCondor finds it: the configuration's, or what the host's own stands for.
    fn full_hostname(&self) -> Option<String> {
        if self.full_hostname.is_some() {
            return self.full_hostname.clone();
        }
        let naming = &self.naming;
        let own = || io::uname().map(|uts| uts.nodename);
        let given = naming.name.clone().or_else(|| self.hostname.clone());
        let name = match given {
            Some(name) => name,
            None if naming.ask_nobody => own()?,
            None => own().map(|name| io::canonical_name(&name).unwrap_or(name))?,
        };
        match &naming.domain {
            Some(domain) if !name.contains('.') => {
                Some(format!("{name}.{}", domain.trim_start_matches('.')))
            }
            _ => Some(name),
        }
    }

    /// The fact's text; `None` if the host has no such thing.
    pub(crate) fn get(&self, fact: Fact) -> Option<&str> {
        // A fact is its own index: `names_are_in_order` holds this together.
        let known = self.known.get(fact as usize)?;
        known.get_or_init(|| self.find(fact)).as_deref()
    }

    fn find(&self, fact: Fact) -> Option<String> {
        let own = |text: &str| Some(text.to_owned());
        match fact {
            Fact::Tilde => self.tilde.clone().or_else(|| io::home_of("condor")),
            Fact::Hostname => {
                let full = self.hostname.clone().or_else(|| self.full_hostname());
                Some(full?.split('.').next().unwrap_or_default().to_owned())
            }
            Fact::FullHostname => self.full_hostname(),
            Fact::Username => io::username(),
            Fact::RealUid => Some(io::real_ids().0.to_string()),
            Fact::RealGid => Some(io::real_ids().1.to_string()),
            Fact::Pid => Some(std::process::id().to_string()),
            Fact::Ppid => Some(std::os::unix::process::parent_id().to_string()),
            Fact::IpAddress => self
                .get(Fact::Ipv4Address)
                .or_else(|| self.get(Fact::Ipv6Address))
                .map(str::to_owned),
            Fact::IpAddressIsIpv6 => {
                own(if self.get(Fact::Ipv4Address).is_none() { "true" } else { "false" })
            }
            Fact::Ipv4Address => io::addresses().0.map(|address| address.to_string()),
            Fact::Ipv6Address => io::addresses().1.map(|address| address.to_string()),
            Fact::DetectedCpus => {
                let cpus = io::cpus();
                Some(if self.count_threads { cpus.threads } else { cpus.cores }.to_string())
            }
            Fact::DetectedCpusLimit => {
                let cpus = io::cpus();
                let counted = if self.count_threads { cpus.threads } else { cpus.cores };
                Some(counted.min(cpus.usable).to_string())
            }
            Fact::DetectedCores => Some(io::cpus().threads.to_string()),
            Fact::DetectedPhysicalCpus => Some(io::cpus().cores.to_string()),
            Fact::DetectedMemory => io::memory_megabytes().map(|size| size.to_string()),
            Fact::Arch => own(match std::env::consts::ARCH {
                "x86_64" => "X86_64",
                "x86" => "INTEL",
                "powerpc64" => "ppc64le",
                other => other,
            }),
            Fact::Opsys | Fact::OpsysLegacy => own("LINUX"),
            Fact::OpsysAndVer => {
                let (name, version) = (io::os_release().name, io::os_release().major);
                Some(format!("{name}{version}"))
            }
            Fact::OpsysVer => {
                let release = io::os_release();
                Some(format!("{}{}", release.major, release.minor_two_digits()))
            }
            Fact::OpsysMajorVer => Some(io::os_release().major),
            Fact::OpsysName | Fact::OpsysShortName => Some(io::os_release().name),
            Fact::OpsysLongName => Some(io::os_release().pretty),
            Fact::UnameArch | Fact::UtsnameMachine => io::uname().map(|uts| uts.machine),
            Fact::UnameOpsys | Fact::UtsnameSysname => io::uname().map(|uts| uts.sysname),
            Fact::UtsnameNodename => io::uname().map(|uts| uts.nodename),
            Fact::UtsnameRelease => io::uname().map(|uts| uts.release),
            Fact::UtsnameVersion => io::uname().map(|uts| uts.version),
            Fact::CondorIsAdmin => own(if io::is_root() { "true" } else { "false" }),
            Fact::Python3 => io::find_program("python3", self.path.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        for (index, (fact, ..)) in NAMES.iter().enumerate() {
            assert_eq!(*fact as usize, index);
        }
    }

    #[test]
    fn every_fact_can_be_asked_for() {
        let facts = Facts::new(&Options::default());
        for (fact, ..) in NAMES {
            let _ = facts.get(*fact);
        }
        assert_eq!(facts.get(Fact::Pid), Some(std::process::id().to_string().as_str()));
    }
}
