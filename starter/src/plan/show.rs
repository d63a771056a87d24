//! The plan in words, one line a step.

use std::fmt;

use super::{Account, Mount, Namespaces, PidOne, Plan, Root, Stdio, Together, What};
use crate::knobs::roots::{Bind, EtcFile, Writing};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sandbox = self.sandbox.path();
        writeln!(f, "job        {}", self.job)?;
        writeln!(f, "account    {}", self.account)?;
        writeln!(f, "sandbox    {} (mode {:04o})", sandbox.display(), self.sandbox.mode)?;
        for file in &self.files.input {
            writeln!(f, "copy in    {} -> {}", file.source.display(), file.name)?;
        }
        writeln!(f, "root       {}", self.root)?;
        if let Root::Named(root) = &self.root {
            for bind in &root.binds {
                writeln!(f, "bind       {bind}   [{}]", root.knob("BIND"))?;
            }
            for file in &root.etc {
                writeln!(
                    f,
                    "file       /etc/{} <- {}   [{}]",
                    file.name(),
                    file,
                    root.knob("ETC")
                )?;
            }
        }
        writeln!(f, "namespaces {}", self.namespaces)?;
        for mount in &self.mounts {
            writeln!(f, "mount      {mount}")?;
        }
        let l = &self.limits;
        let bytes =
            |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |b| b.to_string());
        writeln!(
            f,
            "limits     nice {}, core {}, address space {}, oom_score_adj {}, umask {:03o}",
            l.nice,
            bytes(l.core),
            bytes(l.address_space),
            l.oom_score_adj,
            l.umask
        )?;
        if let Some(most) = l.processes {
            writeln!(f, "processes  {most} (the PID namespace's largest number)")?;
        }
        if let Some(kib) = l.disk_kib {
            writeln!(f, "limit      disk {kib} KiB")?;
        }
        if !l.cpus.is_empty() {
            writeln!(f, "cpus       {:?}", l.cpus)?;
        }
        match &self.together {
            Together::In(cgroup) => {
                writeln!(f, "cgroup     {}", cgroup.name)?;
                for (file, value) in cgroup.settings() {
                    writeln!(f, "limit      {file} {value}")?;
                }
            }
            Together::No(why) => writeln!(f, "cgroup     none: {why}")?,
        }
        writeln!(f, "calls      {}", self.calls)?;
        writeln!(f, "rights     no_new_privs, no capability, only descriptors 0, 1 and 2")?;
        for (name, stdio) in ["stdin", "stdout", "stderr"].iter().zip(&self.program.stdio) {
            writeln!(f, "{name:<10} {stdio}")?;
        }
        writeln!(f, "directory  {}", self.program.directory.display())?;
        for variable in &self.program.environment {
            writeln!(f, "variable   {}", String::from_utf8_lossy(variable))?;
        }
        write!(f, "exec       {}", self.program.path.display())?;
        for argument in &self.program.arguments {
            write!(f, " {:?}", String::from_utf8_lossy(argument))?;
        }
        writeln!(f)?;
        match &self.files.output {
            Some(names) => {
                for name in names {
                    writeln!(f, "copy out   {}", name.display())?;
                }
            }
            None if self.files.transfer => writeln!(f, "copy out   new and changed files")?,
            None => {}
        }
        writeln!(f, "applied    {}", self.applied().join(" "))?;
        for item in &self.not_applied {
            writeln!(f, "not had    {item}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (uid {}, gid {}", self.name, self.ids.uid, self.ids.gid)?;
        if !self.ids.groups.is_empty() {
            write!(f, ", groups")?;
            for group in &self.ids.groups {
                write!(f, " {group}")?;
            }
        }
        write!(f, ")")
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the machine's own"),
            Self::Named(root) => {
                let writing = match root.writing {
                    Writing::Refused => "read-only",
                    Writing::InScratch => "changes go to the sandbox",
                    Writing::InMemory => "changes go to memory",
                };
                write!(f, "{} = {} ({writing}, nosuid, nodev)", root.name, root.path.display())
            }
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writing = if self.writable { "as it is" } else { "read-only" };
        let optional = if self.optional { ", if it is there" } else { "" };
        let (source, target) = (self.source.display(), self.target.display());
        write!(f, "{target} <- the machine's {source} ({writing}{optional})")
    }
}

impl fmt::Display for EtcFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passwd => "the root's, and the job's account",
            Self::Group => "the root's, and the job's groups",
            Self::NameService => "files, and DNS for hosts",
            Self::Resolver | Self::Hosts | Self::TimeZone => "the machine's",
            Self::MachineId => "empty",
        })
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = match self.pid {
            PidOne::Shared => None,
            PidOne::Init => Some("pid (1 is a small init)"),
            PidOne::Job => Some("pid (1 is the job)"),
        };
        let words = [
            self.user.then_some("user"),
            self.mount.then_some("mount"),
            pid,
            self.ipc.then_some("ipc"),
            self.uts.then_some("uts"),
            self.cgroup.then_some("cgroup"),
            self.net.then_some("net"),
        ];
        let list: Vec<&str> = words.into_iter().flatten().collect();
        f.write_str(if list.is_empty() { "none" } else { "" })?;
        f.write_str(&list.join(", "))
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.display();
        match &self.what {
            What::OwnSandboxOnly => {
                write!(f, "{target} <- only the own sandbox, read-only around it")
            }
            What::Private(dir) => {
                write!(f, "{target} <- sandbox/{} (nosuid, nodev)", dir.display())
            }
            What::Memory => write!(f, "{target} <- new tmpfs (nosuid, nodev)"),
            What::Devices { granted, machines_memory } => {
                write!(f, "{target} <- new /dev: null zero full random urandom tty pts shm")?;
                let machines = if *machines_memory { " (shm is the machine's)" } else { "" };
                write!(f, "{machines}; of the machine's, where it has them: {}", granted.join(" "))
            }
            What::Home(dir) => {
                write!(f, "{target} <- sandbox/{} (nosuid, nodev), if it is there", dir.display())
            }
            What::HomeReadOnly => write!(f, "{target} <- itself, read-only, if it is there"),
            What::MemoryIfThere => {
                write!(f, "{target} <- new tmpfs (nosuid, nodev), if it is there")
            }
            What::Hidden => write!(f, "{target} <- nothing (mode 0000), if it is there"),
            What::Processes => write!(f, "{target} <- new proc (nosuid, nodev, noexec)"),
            What::Cgroup => write!(f, "{target} <- the own cgroup (read-only)"),
            What::System => write!(f, "{target} <- the machine's /sys (read-only)"),
            What::Bind(_) => write!(f, "{target} <- the machine's, as the root's knob says"),
            What::ReadOnly => write!(f, "{target} <- itself, read-only, if it is there"),
            What::AsItIs => write!(f, "{target} <- itself, as it is, if it is there"),
        }?;
        write!(f, "   [{}]", self.why)
    }
}

impl fmt::Display for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("/dev/null"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::SameAsOutput => f.write_str("the same file as stdout"),
            Self::Inherit => f.write_str("the starter's own"),
            Self::Stream => f.write_str("a stream from or to the submit side"),
        }
    }
}
