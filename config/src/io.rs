//! The only place that touches files, commands, users and the kernel.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access, geteuid, getgid, getuid};

/// The longest file, and the longest output of a command, that is read: far beyond any
/// configuration, and small enough to hold.
pub(crate) const MAX_SOURCE: u64 = 16 << 20;

/// The text of a file. A directory reads as empty, as it does in HTCondor.
pub(crate) fn read(path: &str) -> io::Result<Text> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let owner = metadata.uid();
    if metadata.is_dir() {
        return Ok(Text { text: String::new(), owner });
    }
    // A FIFO or a device has no length; a file may grow while it is read.
    let mut bytes =
        Vec::with_capacity(usize::try_from(metadata.len().min(MAX_SOURCE)).unwrap_or(0) + 1);
    read_bounded(&mut file, &mut bytes)?;
    Ok(Text { text: decode(bytes), owner })
}

/// What was in a file, and whose it is.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) owner: u32,
}

fn read_bounded(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    from.take(MAX_SOURCE + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 16 MiB"));
    }
    Ok(())
}

fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The output of a command, and its wait status: 0 if it went well.
pub(crate) fn run(arguments: &[String], env: &[(OsString, OsString)]) -> io::Result<(String, i32)> {
    let (program, rest) = arguments
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    let mut child = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut bytes = Vec::new();
    let read = match child.stdout.take() {
        Some(mut output) => read_bounded(&mut output, &mut bytes),
        None => Ok(()),
    };
    if read.is_err() {
        // It may still be writing to us.
        let _ = child.kill();
    }
    let status = child.wait()?;
    read?;
    Ok((decode(bytes), status.into_raw()))
}

/// Writes the output of a command where the next reading of the configuration finds it.
pub(crate) fn save(path: &str, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

/// Files of a directory, with the directory in front, in byte order; directories are left out.
pub(crate) fn files_in(directory: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| wanted(name)) else { continue };
        // The kind of most entries is known without asking for it.
        let is_directory = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
            Ok(kind) => kind.is_dir(),
            Err(_) => false,
        };
        if !is_directory {
            files.push(format!("{}/{name}", directory.strip_suffix('/').unwrap_or(directory)));
        }
    }
    files.sort_unstable();
    files
}

/// Can the file be read, as far as its mode tells?
pub(crate) fn is_readable(path: &str) -> bool {
    access(Path::new(path), AccessFlags::R_OK).is_ok()
}

/// Can the file be opened?
pub(crate) fn can_open(path: &Path) -> bool {
    File::open(path).is_ok()
}

/// Is there anything, and is it a directory?
pub(crate) fn is_directory(path: &str) -> io::Result<bool> {
    Ok(fs::metadata(path)?.is_dir())
}

/// The home directory of a user by name.
pub(crate) fn home_of(name: &str) -> Option<String> {
    account(name, |fields| fields.first() == Some(&name)).map(|(_, home)| home)
}

/// The home directory of the effective user.
pub(crate) fn own_home() -> Option<PathBuf> {
    own_account().map(|(_, home)| PathBuf::from(home))
}

/// The name of the effective user.
pub(crate) fn username() -> Option<String> {
    own_account().map(|(name, _)| name)
}

fn own_account() -> Option<(String, String)> {
    let uid = geteuid().to_string();
    account(&uid, |fields| fields.get(2) == Some(&uid.as_str()))
}

/// Name and home directory of an account, from `/etc/passwd` or else from `getent`, which knows the
/// other places. The C library's own functions load modules into the process, which a static
/// program must not do.
fn account(key: &str, is_it: impl Fn(&[&str]) -> bool) -> Option<(String, String)> {
    let find = |text: &str| {
        let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.into_iter().find(|fields| is_it(fields))?;
        Some(((*fields.first()?).to_owned(), (*fields.get(5)?).to_owned()))
    };
    if let Some(found) = read("/etc/passwd").ok().and_then(|file| find(&file.text)) {
        return Some(found);
    }
    let command = ["/usr/bin/getent", "passwd", key].map(str::to_owned);
    let (text, status) = run(&command, &[]).ok()?;
    if status == 0 { find(&text) } else { None }
}

/// Real user and group.
pub(crate) fn real_ids() -> (u32, u32) {
    (getuid().as_raw(), getgid().as_raw())
}

/// The user whose files this process trusts, if it can't become root.
pub(crate) fn own_uid() -> u32 {
    getuid().as_raw()
}

/// Is this process root?
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// What `uname` says.
pub(crate) struct Uname {
    pub(crate) sysname: String,
    pub(crate) nodename: String,
    pub(crate) release: String,
    pub(crate) version: String,
    pub(crate) machine: String,
}

/// What `uname` says.
pub(crate) fn uname() -> Option<Uname> {
    let uts = nix::sys::utsname::uname().ok()?;
    let text = |part: &OsStr| part.to_string_lossy().into_owned();
    Some(Uname {
        sysname: text(uts.sysname()),
        nodename: text(uts.nodename()),
        release: text(uts.release()),
        version: text(uts.version()),
        machine: text(uts.machine()),
    })
}

/// The name that a host's name stands for, from `/etc/hosts` or else from `getent`, which asks name
/// servers as well.
pub(crate) fn canonical_name(name: &str) -> Option<String> {
    let hosts = read("/etc/hosts").ok();
    let lines = hosts.iter().flat_map(|file| file.text.lines());
    for line in lines {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1);
        if names.clone().any(|found| found.eq_ignore_ascii_case(name)) {
            return names.next().map(str::to_owned);
        }
    }
    let command = ["/usr/bin/getent", "ahosts", name].map(str::to_owned);
    let (text, status) = run(&command, &[]).ok()?;
    let canonical = text.lines().next()?.split_whitespace().nth(2)?;
    (status == 0).then(|| canonical.to_owned())
}

/// The first IPv4 and IPv6 address of an interface that is up and not the loopback; the loopback's
/// if there is no other.
pub(crate) fn addresses() -> (Option<IpAddr>, Option<IpAddr>) {
    use nix::net::if_::InterfaceFlags;
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return (None, None) };
    let (mut v4, mut v6) = (None, None);
    let mut loopback = (None, None);
    for interface in interfaces {
        if !interface.flags.contains(InterfaceFlags::IFF_UP) {
            continue;
        }
        let Some(address) = interface.address else { continue };
        let (v4, v6) = if interface.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            (&mut loopback.0, &mut loopback.1)
        } else {
            (&mut v4, &mut v6)
        };
        if let Some(address) = address.as_sockaddr_in() {
            v4.get_or_insert(IpAddr::V4(address.ip()));
        } else if let Some(address) = address.as_sockaddr_in6() {
            v6.get_or_insert(IpAddr::V6(address.ip()));
        }
    }
    if v4.is_none() && v6.is_none() { loopback } else { (v4, v6) }
}

/// The processors of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpus {
    /// As the kernel counts them.
    pub(crate) threads: usize,
    /// Without the second thread of a core.
    pub(crate) cores: usize,
    /// As many as this process can use.
    pub(crate) usable: usize,
}

/// Counts processors.
pub(crate) fn cpus() -> Cpus {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let Ok(cpuinfo) = read("/proc/cpuinfo") else {
        return Cpus { threads: usable, cores: usable, usable };
    };
    let (mut threads, mut cores) = (0, std::collections::BTreeSet::new());
    let mut package = "";
    for line in cpuinfo.text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim_end() {
            "processor" => threads += 1,
            "physical id" => package = value,
            "core id" => {
                cores.insert((package, value));
            }
            _ => {}
        }
    }
    let threads = threads.max(1);
    Cpus { threads, cores: if cores.is_empty() { threads } else { cores.len() }, usable }
}

/// The host's memory.
pub(crate) fn memory_megabytes() -> Option<u64> {
    let meminfo = read("/proc/meminfo").ok()?;
    let line = meminfo.text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// The distribution.
#[derive(Debug, Clone, Default)]
pub(crate) struct OsRelease {
    pub(crate) name: String,
    pub(crate) major: String,
    pub(crate) minor: String,
    pub(crate) pretty: String,
}

impl OsRelease {
    /// `12.4` is version 1204 to HTCondor.
    pub(crate) fn minor_two_digits(&self) -> String {
        format!("{:0>2}", self.minor)
    }
}

/// The distribution, from `/etc/os-release`.
pub(crate) fn os_release() -> OsRelease {
    let mut release = OsRelease::default();
    let Ok(file) = read("/etc/os-release") else { return release };
    for line in file.text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim_matches(['"', '\'']);
        match key {
            "NAME" => {
                value.split_whitespace().next().unwrap_or_default().clone_into(&mut release.name)
            }
            "PRETTY_NAME" => value.clone_into(&mut release.pretty),
            "VERSION_ID" => {
                let (major, minor) = value.split_once('.').unwrap_or((value, "0"));
                major.clone_into(&mut release.major);
                minor.clone_into(&mut release.minor);
            }
            _ => {}
        }
    }
    release
}

/// A program along a search path.
pub(crate) fn find_program(name: &str, path: Option<&OsStr>) -> Option<String> {
    let path = path.unwrap_or_else(|| OsStr::new("/usr/bin:/bin"));
    std::env::split_paths(path).map(|directory| directory.join(name)).find_map(|file| {
        let metadata = fs::metadata(&file).ok()?;
        let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        runs.then(|| file.to_string_lossy().into_owned())
    })
}

/// The operating system's words for an error, as C has them.
pub(crate) fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
