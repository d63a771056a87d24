//! The account that a job runs as: looked up, and never root.

use super::accounts;
use crate::failure::{Context, Failure, Step, hold};
use crate::plan::{Account, AccountChoice};
use crate::sys::privilege::Ids;

/// The account that was chosen; of a starter that isn't root, its own in every case.
pub(crate) fn account(choice: &AccountChoice, privileged: bool) -> Result<Account, Failure> {
    if !privileged {
        return own();
    }
    let mut account = look_up(&choice.name)?;
    if let Some(group) = &choice.group {
        account.ids.gid = group_of(&account, group)?;
    }
    Ok(account)
}

/// The account that an unprivileged peer says it has looked up, looked up again: the same one if the peer
/// is right. It may be in any of its own groups.
pub(crate) fn same(claimed: &Account, privileged: bool) -> Result<Account, Failure> {
    if !privileged {
        return own();
    }
    let mut account = look_up(&claimed.name)?;
    if account.ids.groups.contains(&claimed.ids.gid) {
        account.ids.gid = claimed.ids.gid;
    }
    Ok(account)
}

/// The number of a group that the account is in.
fn group_of(account: &Account, group: &str) -> Result<u32, Failure> {
    match accounts::group_of(group)? {
        Some(gid) if account.ids.groups.contains(&gid) => Ok(gid),
        found => Err(Failure::job(
            Step::Account,
            hold::CANNOT_SWITCH_PRIMARY_GROUP,
            0,
            format!(
                "Could not install primary unix group {group} from supplemental groups: {}",
                match found {
                    Some(_) => format!("{} isn't in it on this machine", account.name),
                    None => "this machine doesn't know it".to_owned(),
                }
            ),
        )),
    }
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
    use crate::failure::Disposition;

    #[test]
    fn an_account_runs_in_groups_of_its_own_only() {
        let nobody = |group: &str| AccountChoice {
            name: "nobody".into(),
            group: Some(group.into()),
            why: "a test",
        };
        let own = look_up("nobody").unwrap();
        let name = accounts::group_name(own.ids.gid).unwrap();
        assert_eq!(account(&nobody(&name), true).unwrap(), own);
        for (group, why) in [("root", "isn't in it"), ("no-such-group", "doesn't know it")] {
            let failure = account(&nobody(group), true).unwrap_err();
            assert!(failure.message.contains(why), "{failure}");
            assert_eq!(failure.disposition, Disposition::Hold { code: 49, subcode: 0 });
        }
        let mut claimed = own.clone();
        claimed.ids.gid = 1;
        assert_eq!(same(&claimed, true).unwrap(), own);
    }

    #[test]
    fn root_is_refused_and_unknown_accounts_are_named() {
        assert!(look_up("root").unwrap_err().message.contains("rights of root"));
        let message = look_up("no-such-account").unwrap_err().message;
        assert!(message.contains("no-such-account is not known"), "{message}");
        assert_eq!(look_up("nobody").unwrap().name, "nobody");
    }
}
