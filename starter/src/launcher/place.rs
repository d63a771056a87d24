//! Credentials, put into the sandbox or renewed there: with the job's own rights, so that the job can
//! misuse nothing, and at once, so that the job never reads half of one.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::sandbox::Made;
use crate::failure::{Context, Failure, Step};
use crate::job::{Credentials, TOKENS};
use crate::plan::Account;
use crate::sys::open::openat2;
use crate::sys::privilege::{Borrowed, Ids};

/// Longest credential, in bytes. Tokens and proxies have some kilobytes.
pub(crate) const MAX: u64 = 1 << 20;

/// What is to be put into the sandbox.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Placed {
    /// Tokens, by the names of their files.
    Tokens(Vec<(String, Zeroizing<Vec<u8>>)>),
    /// Tokens of the job's account for these services, from SEC_CREDENTIAL_DIRECTORY_OAUTH: in the
    /// local universe, where nobody else could bring them.
    OwnTokens(Vec<String>),
    /// A proxy, by its name.
    Proxy(String, Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for Placed {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tokens(tokens) => {
                f.debug_list().entries(tokens.iter().map(|(name, _)| name)).finish()
            }
            Self::OwnTokens(services) => f.debug_tuple("OwnTokens").field(services).finish(),
            Self::Proxy(name, _) => f.debug_tuple("Proxy").field(name).finish(),
        }
    }
}

/// Where an account's own tokens are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store<'a> {
    /// SEC_CREDENTIAL_DIRECTORY_OAUTH.
    pub(super) directory: Option<&'a Path>,
    /// TRUST_CREDENTIAL_DIRECTORY: owner and mode don't count.
    pub(super) trusted: bool,
}

/// Puts them there.
pub(super) fn place(
    made: &Made,
    account: &Account,
    placed: &Placed,
    store: Store<'_>,
) -> Result<(), Failure> {
    let owner = &account.ids;
    match placed {
        Placed::Tokens(tokens) => tokens_to(made, owner, tokens),
        Placed::OwnTokens(services) => {
            let token = |service: &String| own_token(&account.name, service, store);
            let tokens: Result<Vec<_>, _> = services.iter().map(token).collect();
            tokens_to(made, owner, &tokens?)
        }
        Placed::Proxy(name, content) => {
            let _rights = Borrowed::rights_of(owner).at(Step::Credentials, "the job's rights")?;
            replace(made.dir.as_fd(), name, content)
                .at(Step::Credentials, made.path.join(name).display())
        }
    }
}

fn tokens_to(
    made: &Made,
    owner: &Ids,
    tokens: &[(String, Zeroizing<Vec<u8>>)],
) -> Result<(), Failure> {
    let path = made.path.join(TOKENS);
    let _rights = Borrowed::rights_of(owner).at(Step::Credentials, "the job's rights")?;
    let directory = directory(made.dir.as_fd()).at(Step::Credentials, path.display())?;
    for (name, content) in tokens {
        replace(directory.as_fd(), name, content)
            .at(Step::Credentials, path.join(name).display())?;
    }
    Ok(())
}

/// The directory of the tokens. A job that has put something else in its place gets no token.
fn directory(sandbox: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match mkdirat(sandbox, TOKENS, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(sandbox, TOKENS, flags, Mode::empty(), how)?)
}

/// Writes a new file, then gives it the name.
fn replace(directory: BorrowedFd<'_>, name: &str, content: &[u8]) -> io::Result<()> {
    if name.is_empty() || name.contains(['/', '\0']) || matches!(name, "." | "..") {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let new = format!("{name}.tmp");
    // One that was left behind.
    match unlinkat(directory, new.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, new.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(content)?;
    Ok(renameat(directory, new.as_str(), directory, name)?)
}

/// An account's token, read with the launcher's rights: the directory is root's or the daemons'.
fn own_token(
    user: &str,
    service: &str,
    store: Store<'_>,
) -> Result<(String, Zeroizing<Vec<u8>>), Failure> {
    let Some(top) = store.directory else {
        return Err(Failure::host(
            Step::Credentials,
            "the job needs OAuth tokens and SEC_CREDENTIAL_DIRECTORY_OAUTH is not set",
        ));
    };
    let name = Credentials::token_file(service);
    let path = top.join(user).join(&name);
    let plain = |word: &str| !word.is_empty() && !word.contains('/') && word != "..";
    if !plain(user) || !plain(&name) {
        return Err(Failure::host(Step::Credentials, format!("no token has the name {name:?}")));
    }
    let read = || -> io::Result<Zeroizing<Vec<u8>>> {
        use std::io::Read as _;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat(rustix::fs::CWD, top, flags, Mode::empty())?;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let relative = format!("{user}/{name}");
        let file = File::from(openat2(&top, relative.as_str(), flags, Mode::empty(), how)?);
        let meta = file.metadata()?;
        let own = std::os::unix::fs::MetadataExt::uid(&meta) == rustix::process::geteuid().as_raw();
        let mode = std::os::unix::fs::MetadataExt::mode(&meta);
        let alone = own && mode & 0o077 == 0;
        if !meta.is_file() || !(store.trusted || alone) {
            return Err(io::Error::other(
                "it isn't a file of the daemons' alone (TRUST_CREDENTIAL_DIRECTORY = True to use it \
                 all the same)",
            ));
        }
        let mut content = Zeroizing::new(Vec::new());
        file.take(MAX).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().at(Step::Credentials, format!("the token {}", path.display()))?;
    Ok((name, content))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn top() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(dir.path()).unwrap();
        (dir, file)
    }

    #[test]
    fn a_credential_is_the_accounts_alone_and_replaced_at_once() {
        let (dir, top) = top();
        fs::write(dir.path().join("p.tmp"), "old").unwrap();
        replace(top.as_fd(), "p", b"one").unwrap();
        let reader = File::open(dir.path().join("p")).unwrap();
        replace(top.as_fd(), "p", b"two").unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "one");
        assert_eq!(fs::read_to_string(dir.path().join("p")).unwrap(), "two");
        let mode = fs::metadata(dir.path().join("p")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, fs::read_dir(dir.path()).unwrap().count()), (0o600, 1));
        for name in ["", "a/b", "..", "."] {
            assert!(replace(top.as_fd(), name, b"x").is_err(), "{name}");
        }
    }

    #[test]
    fn links_lead_nowhere() {
        let (dir, top) = top();
        let (elsewhere, _) = self::top();
        symlink(elsewhere.path(), dir.path().join(TOKENS)).unwrap();
        assert!(directory(top.as_fd()).is_err());
        let target = elsewhere.path().join("target");
        fs::write(&target, "safe").unwrap();
        symlink(&target, dir.path().join("p")).unwrap();
        symlink(&target, dir.path().join("p.tmp")).unwrap();
        replace(top.as_fd(), "p", b"secret").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "safe");
    }

    #[test]
    fn tokens_of_others_are_out_of_reach() {
        let (dir, _) = top();
        fs::create_dir(dir.path().join("alice")).unwrap();
        let token = dir.path().join("alice/box_a.use");
        fs::write(&token, "token").unwrap();
        let read = |user: &str, service: &str, trusted| {
            let store = Store { directory: Some(dir.path()), trusted };
            own_token(user, service, store).map(|(name, content)| (name, content.to_vec()))
        };
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read("alice", "box*a", false).is_err());
        let good = ("box_a.use".to_owned(), b"token".to_vec());
        assert_eq!(read("alice", "box*a", true).unwrap(), good);
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read("alice", "box*a", false).unwrap(), good);
        for (user, service) in [("bob", "box*a"), ("..", "x"), ("bob", "../alice/box_a"), ("", "a")]
        {
            assert!(read(user, service, true).is_err(), "{user} {service}");
        }
        symlink("../alice", dir.path().join("bob")).unwrap();
        assert!(read("bob", "box*a", true).is_err());
    }
}
