//! Named roots as an admin offers them: NAMED_CHROOT, and for each name its own knobs
//! (NAMED_CHROOT_name_BIND and so on).

use std::path::{Component, Path, PathBuf};

use condor_config::Config;
use serde::{Deserialize, Serialize};

use super::Knobs;
use super::families::plain_device;

/// A directory tree that an admin offers by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedRoot {
    /// As users write it; compared without regard to case.
    pub(crate) name: String,
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// What becomes of what a job writes to it (`_ROOT`).
    pub(crate) writing: Writing,
    /// What else of the machine is in it (`_BIND`).
    pub(crate) binds: Vec<Bind>,
    /// The files in its /etc that are the machine's or the job's (`_ETC`).
    pub(crate) etc: Vec<EtcFile>,
    /// Names below the machine's /dev in place of JOB_DEVICES (`_DEV`).
    pub(crate) devices: Option<Vec<String>>,
    /// Which jobs may have it: an expression over slot and job (`_ALLOW`).
    pub(crate) allow: Option<String>,
    /// Its revision, or a file in it whose first line is that (`_REVISION`).
    pub(crate) revision: Option<String>,
    /// How many seconds it may take to answer when a job starts (NAMED_CHROOT_TIMEOUT).
    pub(crate) patience: u32,
}

/// What becomes of what a job writes to its root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Writing {
    /// It can't.
    #[default]
    Refused,
    /// It is in the sandbox, and goes with it.
    InScratch,
    /// It is in memory.
    InMemory,
}

impl Writing {
    /// The word for it, as it stands in the knob and in the machine ad.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Refused => "ro",
            Self::InScratch => "overlay-scratch",
            Self::InMemory => "overlay-tmpfs",
        }
    }
}

/// A directory or file of the machine's that is in a root too, with all that is mounted below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// Where it is on the machine.
    pub(crate) source: PathBuf,
    /// Where it is in the root.
    pub(crate) target: PathBuf,
    /// Whether jobs may write there, as far as their account may.
    pub(crate) writable: bool,
    /// A machine that doesn't have it offers the root without it.
    pub(crate) optional: bool,
}

/// A file in /etc that a root has from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EtcFile {
    /// The root's own accounts, and the job's.
    Passwd,
    /// The root's own groups, and the job's.
    Group,
    /// Accounts and groups from files only, hosts by files and DNS.
    NameService,
    /// The machine's.
    Resolver,
    /// The machine's.
    Hosts,
    /// The machine's time zone.
    TimeZone,
    /// Empty: the root is no machine.
    MachineId,
}

impl EtcFile {
    const ALL: [Self; 7] = [
        Self::Passwd,
        Self::Group,
        Self::NameService,
        Self::Resolver,
        Self::Hosts,
        Self::TimeZone,
        Self::MachineId,
    ];
    /// What a root gets that nothing is said of.
    const DEFAULT: [Self; 5] =
        [Self::Passwd, Self::Group, Self::Resolver, Self::Hosts, Self::TimeZone];

    /// Its name in /etc.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
            Self::NameService => "nsswitch.conf",
            Self::Resolver => "resolv.conf",
            Self::Hosts => "hosts",
            Self::TimeZone => "localtime",
            Self::MachineId => "machine-id",
        }
    }
}

impl NamedRoot {
    /// One with nothing said of it but name and path.
    pub(crate) fn new(name: &str, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_path_buf(),
            writing: Writing::default(),
            binds: Vec::new(),
            etc: EtcFile::DEFAULT.to_vec(),
            devices: None,
            allow: None,
            revision: None,
            patience: 60,
        }
    }

    /// The name of one of its knobs.
    pub(crate) fn knob(&self, what: &str) -> String {
        format!("NAMED_CHROOT_{}_{what}", self.name)
    }

    /// Whether it is the one of this name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        same_name(&self.name, name)
    }

    /// An error if it or what is bound into it would bring other jobs' sandboxes or the daemons'
    /// directories back into sight.
    pub(crate) fn apart_from(&self, execute: &Path, hidden: &[PathBuf]) -> Result<(), String> {
        if execute.starts_with(&self.path) || self.path.starts_with(execute) {
            return Err(format!(
                "named root {} ({}) and EXECUTE ({}) lie within each other, so that other jobs' \
                 sandboxes would be in sight: move one",
                self.name,
                self.path.display(),
                execute.display()
            ));
        }
        for bind in &self.binds {
            let kept = hidden.iter().map(|dir| (dir.as_path(), "JOB_HIDDEN_DIRECTORIES"));
            let kept = kept.chain([(execute, "EXECUTE")]);
            if let Some((dir, which)) = { kept }.find(|(dir, _)| bind.source.starts_with(dir)) {
                return Err(format!(
                    "{}: {} is in {} ({which}), which no job sees: take it off",
                    self.knob("BIND"),
                    bind.source.display(),
                    dir.display()
                ));
            }
        }
        Ok(())
    }

    /// Reads the knobs of its own.
    fn settings(mut self, knobs: &Knobs, config: &Config) -> Result<Self, String> {
        let text = |what: &str| {
            let value = config.string(&self.knob(what)).map_err(|error| error.to_string())?;
            Ok::<_, String>(value.filter(|text| !text.trim().is_empty()))
        };
        let at = |what: &str, why: String| format!("{}: {why}", self.knob(what));
        let writing = match text("ROOT")?.as_deref().map(str::trim) {
            None | Some("ro") => Writing::Refused,
            Some("overlay-scratch") => Writing::InScratch,
            Some("overlay-tmpfs") => Writing::InMemory,
            Some(other) => {
                let why = format!("{other}: ro, overlay-scratch or overlay-tmpfs is needed");
                return Err(at("ROOT", why));
            }
        };
        let binds = text("BIND")?.unwrap_or_default();
        let binds = binds.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty());
        let binds =
            binds.map(bind).collect::<Result<Vec<_>, _>>().map_err(|why| at("BIND", why))?;
        let etc = match text("ETC")? {
            None => EtcFile::DEFAULT.to_vec(),
            Some(list) => etc(&list).map_err(|why| at("ETC", why))?,
        };
        let devices = match text("DEV")? {
            None => None,
            Some(list) if list.trim().eq_ignore_ascii_case("minimal") => Some(Vec::new()),
            Some(list) => Some(devices(&list).map_err(|why| at("DEV", why))?),
        };
        let allow = text("ALLOW")?;
        if let Some(text) = &allow {
            classad::Expr::parse_old(text).map_err(|error| at("ALLOW", error.to_string()))?;
        }
        let revision = text("REVISION")?.map(|text| text.trim().to_owned());
        let patience = u32::try_from(knobs.named_chroot_timeout.max(1)).unwrap_or(u32::MAX);
        self.writing = writing;
        self.binds = binds;
        self.etc = etc;
        self.devices = devices;
        self.allow = allow;
        self.revision = revision;
        self.patience = patience;
        Ok(self)
    }
}

/// All that NAMED_CHROOT offers, with their own knobs. One that can't be used is an error with its
/// reason, and with its name if it has one; none is left out silently.
pub(super) fn read(knobs: &Knobs, config: &Config) -> Vec<Result<NamedRoot, Unusable>> {
    let Some(list) = knobs.named_chroot.as_deref() else { return Vec::new() };
    let with_knobs = |root: NamedRoot| {
        let name = root.name.clone();
        root.settings(knobs, config).map_err(|why| Unusable { name: Some(name), why })
    };
    items(list).into_iter().map(|item| item.and_then(with_knobs)).collect()
}

/// An item of NAMED_CHROOT that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// Its name, if it is one.
    pub(crate) name: Option<String>,
    /// Why.
    pub(crate) why: String,
}

/// `NAME=PATH` items between commas or blanks.
fn items(list: &str) -> Vec<Result<NamedRoot, Unusable>> {
    let mut roots: Vec<Result<NamedRoot, Unusable>> = Vec::new();
    for item in list.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty()) {
        let root = named(item).and_then(|root| {
            let twice = roots.iter().flatten().any(|known| known.is_named(&root.name));
            if twice { Err(format!("{} is named twice", root.name)) } else { Ok(root) }
        });
        roots
            .push(root.map_err(|why| Unusable { name: None, why: format!("NAMED_CHROOT: {why}") }));
    }
    roots
}

fn named(item: &str) -> Result<NamedRoot, String> {
    let (name, path) =
        item.split_once('=').ok_or_else(|| format!("{item}: NAME=PATH is needed"))?;
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word {
        return Err(format!("{name:?} is not a name: letters, digits and _ , a letter first"));
    }
    if same_name(name, "root") {
        return Err("the name root is reserved for the machine's own root".to_owned());
    }
    if ["default", "timeout"].iter().any(|reserved| same_name(name, reserved)) {
        return Err(format!("the name {name} is reserved for a knob: take another"));
    }
    let path = plain(path).map_err(|why| format!("{name}={why}"))?;
    Ok(NamedRoot::new(name, &path))
}

/// `/SOURCE[:/TARGET][:ro|rw]...[?]`
fn bind(item: &str) -> Result<Bind, String> {
    let (words, optional) = match item.strip_suffix('?') {
        Some(rest) => (rest, true),
        None => (item, false),
    };
    let mut words = words.split(':');
    let source = plain(words.next().unwrap_or_default())?;
    let mut bind = Bind { target: source.clone(), source, writable: false, optional };
    for word in words {
        match word {
            _ if word.starts_with('/') => bind.target = plain(word)?,
            "ro" => bind.writable = false,
            "rw" => bind.writable = true,
            // What every bind is: mounts that the machine makes there later arrive.
            "slave" | "rslave" => {}
            _ => {
                return Err(format!(
                    "{item}: {word:?} is not known: /SOURCE[:/TARGET][:ro|rw][?] is needed"
                ));
            }
        }
    }
    Ok(bind)
}

fn etc(list: &str) -> Result<Vec<EtcFile>, String> {
    let mut files = Vec::new();
    for word in list.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()) {
        match EtcFile::ALL.iter().find(|file| file.name() == word) {
            Some(file) if !files.contains(file) => files.push(*file),
            Some(_) => {}
            None if word == "none" => return Ok(Vec::new()),
            None => {
                let known = EtcFile::ALL.map(EtcFile::name).join(" ");
                return Err(format!("{word} is not one of: {known}, none"));
            }
        }
    }
    Ok(files)
}

fn devices(list: &str) -> Result<Vec<String>, String> {
    let words = list.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    words
        .map(|word| match plain_device(word) {
            true => Ok(word.to_owned()),
            false => Err(format!("{word}: a name below /dev, or minimal, is needed")),
        })
        .collect()
}

/// An absolute path without `.`, `..` and doubled slashes, that isn't `/`.
fn plain(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let parents = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || parents {
        return Err(format!("{text}: an absolute path without .. is needed"));
    }
    let path: PathBuf = path.components().collect();
    if path == Path::new("/") {
        return Err("/ is the machine's own root, which needs no name".to_owned());
    }
    Ok(path)
}

fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(text: &str) -> Vec<Result<NamedRoot, Unusable>> {
        Knobs::from_text(text).roots
    }

    #[test]
    fn items_are_read_and_bad_ones_say_why() {
        let roots = roots(
            "NAMED_CHROOT = SL7=/chroot/sl7, EL9=/cvmfs/x/el9:latest/ 9x=/a, y=b, sl7=/z, root=/, \
             Default=/d\n",
        );
        assert_eq!(roots[0], Ok(NamedRoot::new("SL7", Path::new("/chroot/sl7"))));
        assert_eq!(roots[1], Ok(NamedRoot::new("EL9", Path::new("/cvmfs/x/el9:latest"))));
        let reasons: Vec<&str> =
            roots[2..].iter().map(|root| root.as_ref().unwrap_err().why.as_str()).collect();
        for (reason, part) in
            reasons.iter().zip(["not a name", "absolute path", "twice", "reserved", "a knob"])
        {
            assert!(reason.starts_with("NAMED_CHROOT: ") && reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn each_name_has_knobs_of_its_own() {
        let all = roots(
            "NAMED_CHROOT = EL9=/el9 SL7=/sl7\nNAMED_CHROOT_TIMEOUT = 5\n\
             NAMED_CHROOT_EL9_BIND = /cvmfs:rslave, /data:/srv/data:rw /x:ro?\n\
             NAMED_CHROOT_EL9_ETC = passwd, machine-id\nNAMED_CHROOT_EL9_ROOT = overlay-tmpfs\n\
             NAMED_CHROOT_EL9_DEV = fuse net/tun\nNAMED_CHROOT_EL9_ALLOW = TARGET.X == 1\n\
             NAMED_CHROOT_EL9_REVISION = /etc/stamp\nNAMED_CHROOT_SL7_DEV = minimal\n\
             NAMED_CHROOT_SL7_ETC = none\n",
        );
        let [el9, sl7] = [&all[0], &all[1]].map(|root| root.as_ref().unwrap());
        let bind = |source: &str, target: &str, writable, optional| Bind {
            source: source.into(),
            target: target.into(),
            writable,
            optional,
        };
        assert_eq!(
            el9.binds,
            [
                bind("/cvmfs", "/cvmfs", false, false),
                bind("/data", "/srv/data", true, false),
                bind("/x", "/x", false, true)
            ]
        );
        assert_eq!(el9.etc, [EtcFile::Passwd, EtcFile::MachineId]);
        assert_eq!((el9.writing, el9.patience), (Writing::InMemory, 5));
        assert_eq!(el9.devices.as_deref(), Some(&["fuse".to_owned(), "net/tun".into()][..]));
        assert_eq!(el9.allow.as_deref(), Some("TARGET.X == 1"));
        assert_eq!(el9.revision.as_deref(), Some("/etc/stamp"));
        assert_eq!((sl7.devices.as_deref(), sl7.etc.len()), (Some(&[][..]), 0));
    }

    #[test]
    fn a_bad_knob_makes_its_root_unusable_and_no_other() {
        for (knob, value, part) in [
            ("BIND", "data", "absolute"),
            ("BIND", "/data:wr", "\"wr\" is not known"),
            ("BIND", "/", "machine's own root"),
            ("BIND", "/a:/b/../c", "without .."),
            ("ETC", "shadow", "not one of: passwd"),
            ("ROOT", "rw", "overlay-scratch"),
            ("DEV", "../sda", "below /dev"),
            ("ALLOW", "1 +", "ALLOW"),
        ] {
            let all =
                roots(&format!("NAMED_CHROOT = A=/a B=/b\nNAMED_CHROOT_A_{knob} = {value}\n"));
            let Unusable { name, why } = all[0].as_ref().unwrap_err();
            assert_eq!(name.as_deref(), Some("A"));
            assert!(
                why.starts_with(&format!("NAMED_CHROOT_A_{knob}: ")) && why.contains(part),
                "{why}"
            );
            assert!(all[1].is_ok());
        }
    }

    #[test]
    fn nothing_kept_out_of_sight_comes_back_by_a_bind() {
        let root = |bind: &str| {
            let text = format!("NAMED_CHROOT = A=/a\nNAMED_CHROOT_A_BIND = {bind}\n");
            roots(&text).remove(0).unwrap()
        };
        let fit = |bind: &str| {
            root(bind)
                .apart_from(Path::new("/var/lib/condor/execute"), &["/var/spool/condor".into()])
        };
        assert_eq!(fit("/var"), Ok(()), "what is below is covered");
        assert_eq!(fit("/var/spool/condor2"), Ok(()));
        for bind in ["/var/spool/condor", "/var/spool/condor/1:/x", "/var/lib/condor/execute"] {
            assert!(fit(bind).unwrap_err().contains("which no job sees"), "{bind}");
        }
    }
}
