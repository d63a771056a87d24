//! The password and group databases, read without loading anything into this process.
//!
//! The C library answers such questions through modules (LDAP, sssd, systemd) that it loads into the
//! caller: code from elsewhere, in a process that is root. So the files are read here, and where
//! nsswitch.conf names more than files, `getent` is asked, a process of its own. It also lets the
//! starter be one static program, which starts faster and runs under any distribution.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::failure::{Failure, Reason, Step};
use crate::sys::open::read_short;

static PASSWD: Database = Database { path: "/etc/passwd", text: OnceLock::new() };
static GROUP: Database = Database { path: "/etc/group", text: OnceLock::new() };
static NSSWITCH: Database = Database { path: "/etc/nsswitch.conf", text: OnceLock::new() };

/// One of the files. It is read once: a starter has one job, and its launcher asks the same again.
struct Database {
    path: &'static str,
    text: OnceLock<String>,
}

impl Database {
    /// Its text; nothing where there is no such file.
    fn text(&self) -> Result<&str, Failure> {
        if let Some(text) = self.text.get() {
            return Ok(text);
        }
        let text = match read_short(self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::os(Step::Account, self.path, &error)),
        };
        Ok(self.text.get_or_init(|| text))
    }
}

/// Reads the files, so that processes which are forked later needn't. What can't be read now is an
/// error for whoever needs it.
pub(crate) fn read_ahead() {
    for database in [&NSSWITCH, &PASSWD, &GROUP] {
        let _ = database.text();
    }
}

/// A line of the password database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Login name.
    pub(crate) name: String,
    /// User id.
    pub(crate) uid: u32,
    /// Primary group.
    pub(crate) gid: u32,
    /// Home directory.
    pub(crate) home: PathBuf,
}

/// The account of this name.
pub(crate) fn user(name: &str) -> Result<Option<User>, Failure> {
    // Numbers and options would mean something else to getent.
    let plain = !name.is_empty()
        && !name.starts_with('-')
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && !name.contains([':', '\n', '\0']);
    if !plain {
        return Ok(None);
    }
    find_user(name, |text| named(text, name))
}

/// The account of this name if the machine itself has it, without asking anybody else.
pub(crate) fn local_user(name: &str) -> Result<Option<User>, Failure> {
    Ok(named(PASSWD.text()?, name).map(User::from))
}

/// The account with this number.
pub(crate) fn user_of(uid: u32) -> Result<Option<User>, Failure> {
    find_user(&uid.to_string(), |text| {
        text.lines().filter_map(Entry::parse).find(|entry| entry.uid == uid)
    })
}

/// The name of a group.
pub(crate) fn group_name(gid: u32) -> Option<String> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    };
    GROUP
        .text()
        .ok()?
        .lines()
        .find_map(line)
        .or_else(|| getent("group", &gid.to_string()).ok()??.lines().find_map(line))
}

/// The number of a group.
pub(crate) fn group_of(name: &str) -> Result<Option<u32>, Failure> {
    // Numbers and options would mean something else to getent.
    let plain = name.bytes().any(|byte| !byte.is_ascii_digit())
        && !name.starts_with('-')
        && !name.contains([':', '\n', '\0']);
    let number = |text: &str| {
        let mut fields = text.lines().map(|line| line.split(':'));
        fields
            .find_map(|mut line| (line.next() == Some(name)).then(|| line.nth(1)?.parse().ok())?)
    };
    if !plain {
        return Ok(None);
    }
    match number(GROUP.text()?) {
        Some(gid) => Ok(Some(gid)),
        None => Ok(getent("group", name)?.as_deref().and_then(number)),
    }
}

/// All groups of an account, the primary one among them.
pub(crate) fn groups(user: &User) -> Result<Vec<u32>, Failure> {
    let services = Services::read("initgroups").or_else(|| Services::read("group"));
    let mut groups = vec![user.gid];
    let mut add = |gid: u32| {
        if !groups.contains(&gid) {
            groups.push(gid);
        }
    };
    if services.is_none_or(|services| services.only_files()) {
        for line in GROUP.text()?.lines() {
            let mut fields = line.split(':').skip(2);
            let (Some(gid), Some(members)) = (fields.next(), fields.next()) else { continue };
            if let Ok(gid) = gid.parse()
                && members.split(',').any(|member| member.trim() == user.name)
            {
                add(gid);
            }
        }
    } else if let Some(text) = getent("initgroups", &user.name)? {
        // NAME GID GID ...
        text.split_ascii_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).for_each(add);
    }
    Ok(groups)
}

fn find_user(
    key: &str,
    find: impl for<'a> Fn(&'a str) -> Option<Entry<'a>>,
) -> Result<Option<User>, Failure> {
    let services = Services::read("passwd");
    let files_first = services.as_ref().is_none_or(|services| services.starts_with_files());
    if files_first {
        let found = find(PASSWD.text()?).map(User::from);
        if found.is_some() || services.is_none_or(|services| services.nothing_but_files()) {
            return Ok(found);
        }
    }
    Ok(find(&getent("passwd", key)?.unwrap_or_default()).map(User::from))
}

/// The first account of this name in a password file.
fn named<'a>(text: &'a str, name: &str) -> Option<Entry<'a>> {
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    text.lines().filter(is_it).find_map(Entry::parse)
}

impl From<Entry<'_>> for User {
    fn from(entry: Entry<'_>) -> Self {
        let Entry { name, uid, gid, home } = entry;
        Self { name: name.to_owned(), uid, gid, home: home.into() }
    }
}

/// The same line as it stands in the file.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Entry<'a> {
    /// NAME:PASSWORD:UID:GID:GECOS:HOME:SHELL. Lines of the compat syntax (+ and -) are no accounts.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name =
            fields.next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?;
        Some(Self { name, uid, gid, home })
    }
}

/// Asks the whole name service; `None` if it knows nothing by that key.
fn getent(database: &str, key: &str) -> Result<Option<String>, Failure> {
    let answer = Command::new("/usr/bin/getent")
        .args([database, key])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match answer {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        // 2: not found. A database that getent does not know means the same here.
        Ok(output) if matches!(output.status.code(), Some(1 | 2)) => Ok(None),
        Ok(output) => Err(Failure::host(
            Step::Account,
            format!("getent {database} {key} failed ({}): is the name service up?", output.status),
        )),
        // A machine without getent has no name service but the files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::host(
            Step::Account,
            format!("asking the name service with getent: {}", Reason(&error)),
        )),
    }
}

/// The services that nsswitch.conf names for a database.
struct Services(Vec<String>);

impl Services {
    fn read(database: &str) -> Option<Self> {
        Self::parse(NSSWITCH.text().ok()?, database)
    }

    fn parse(text: &str, database: &str) -> Option<Self> {
        let list = text.lines().find_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let (name, list) = line.split_once(':')?;
            (name.trim() == database).then_some(list)
        })?;
        // [NOTFOUND=return] and its like only shorten the way that getent knows.
        let words = list.split_ascii_whitespace().filter(|word| !word.starts_with('['));
        Some(Self(words.map(str::to_owned).collect()))
    }

    fn starts_with_files(&self) -> bool {
        self.0.first().is_none_or(|first| first == "files")
    }

    fn nothing_but_files(&self) -> bool {
        self.0.iter().all(|service| service == "files")
    }

    /// systemd only adds accounts of its own, which are found by name and have no groups elsewhere.
    fn only_files(&self) -> bool {
        self.0.iter().all(|service| service == "files" || service == "systemd")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_accounts_are_found() {
        let root = user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_of(0).unwrap().unwrap().name, "root");
        assert_eq!(group_name(0).as_deref(), Some("root"));
        assert_eq!(group_of("root").unwrap(), Some(0));
        assert!(groups(&root).unwrap().contains(&0));
        for nobody in ["no-such-account", "", "-x", "0", "a:b", "a\nroot"] {
            assert_eq!(user(nobody).unwrap(), None, "{nobody:?}");
            assert_eq!(group_of(nobody).unwrap(), None, "{nobody:?}");
        }
    }

    #[test]
    fn our_answers_are_the_c_librarys() {
        for line in PASSWD.text().unwrap().lines() {
            let Some(ours) = Entry::parse(line).map(User::from) else { continue };
            let theirs = getent("passwd", &ours.name).unwrap().unwrap();
            assert_eq!(Entry::parse(theirs.trim()).map(User::from), Some(ours.clone()));
            let theirs = getent("initgroups", &ours.name).unwrap().unwrap_or_default();
            let mut theirs: Vec<u32> =
                theirs.split_ascii_whitespace().skip(1).map(|gid| gid.parse().unwrap()).collect();
            let mut ours = groups(&ours).unwrap();
            ours.retain(|gid| *gid != ours_primary(line));
            theirs.retain(|gid| *gid != ours_primary(line));
            theirs.sort_unstable();
            ours.sort_unstable();
            assert_eq!(ours, theirs, "{line}");
        }
    }

    fn ours_primary(line: &str) -> u32 {
        Entry::parse(line).unwrap().gid
    }

    #[test]
    fn nsswitch_says_who_is_asked() {
        let text =
            "# passwd: no\npasswd:  files [NOTFOUND=continue] sss # x\ngroup: files systemd\n";
        let passwd = Services::parse(text, "passwd").unwrap();
        assert!(passwd.starts_with_files() && !passwd.nothing_but_files() && !passwd.only_files());
        assert!(Services::parse(text, "group").unwrap().only_files());
        assert!(Services::parse(text, "initgroups").is_none());
    }

    #[test]
    fn odd_lines_are_no_accounts() {
        for line in ["", "+::::::", "-bad:x:1:1::/:", "a:x:1", "a:x:x:1::/:", "#a:x:1:1::/:"] {
            assert!(Entry::parse(line).is_none(), "{line}");
        }
    }
}
