//! The account that a job runs as: looked up, and never root.

use super::accounts;
use crate::failure::{Context, Failure, Step};
use crate::plan::Account;
use crate::sys::privilege::Ids;

/// The account of this name; of a starter that isn't root, its own in every case.
pub(crate) fn account(name: &str, privileged: bool) -> Result<Account, Failure> {
    if privileged { look_up(name) } else { own() }
}

/// Asks the password and group databases. Uid 0 and gid 0 are never accepted, in no list.
pub(crate) fn look_up(name: &str) -> Result<Account, Failure> {
    let Some(user) = accounts::user(name)? else {
        return Err(Failure::host(
            Step::Account,
            format!(
                "account {name} is not known on this machine: create it, or name another in \
                 SLOT<n>_USER or NOBODY_SLOT_USER"
            ),
        ));
    };
    let groups = accounts::groups(&user)?;
    let ids = Ids { uid: user.uid, gid: user.gid, groups };
    let account = Account { name: user.name, ids, home: user.home };
    refuse_root(&account)?;
    Ok(account)
}

/// The account of a starter that isn't root: its own.
pub(crate) fn own() -> Result<Account, Failure> {
    let ids = Ids::own().at(Step::Account, "own groups")?;
    let (name, home) = match accounts::user_of(ids.uid)? {
        Some(user) => (user.name, user.home),
        None => (ids.uid.to_string(), "/".into()),
    };
    Ok(Account { name, ids, home })
}

fn refuse_root(account: &Account) -> Result<(), Failure> {
    let Ids { uid, gid, groups } = &account.ids;
    if *uid == 0 || *gid == 0 || groups.contains(&0) {
        return Err(Failure::host(
            Step::Account,
            format!(
                "account {} has the rights of root (uid or gid 0), which no job gets",
                account.name
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_refused_and_unknown_accounts_are_named() {
        assert!(look_up("root").unwrap_err().message.contains("rights of root"));
        let message = look_up("no-such-account").unwrap_err().message;
        assert!(message.contains("no-such-account is not known"), "{message}");
        assert_eq!(look_up("nobody").unwrap().name, "nobody");
    }
}
