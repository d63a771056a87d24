//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// Where every test finds the starter, whoever may enter the directory that it was built in.
pub(crate) const STARTER: &str = "/var/opt/starter";
/// The same for the helper.
pub(crate) const HOSTILE: &str = "/var/opt/hostile";

/// The starter that is tested, as a test sees it.
pub fn starter() -> PathBuf {
    STARTER.into()
}

/// The helper whose subcommands are the hostile jobs, as a test sees it.
pub fn hostile() -> PathBuf {
    HOSTILE.into()
}

/// The starter to test: `CLOISTER_STARTER` if set, else the one that was built with this test, in the
/// same profile.
pub(crate) fn starter_to_test() -> PathBuf {
    std::env::var_os("CLOISTER_STARTER").map_or_else(|| built("starter"), PathBuf::from)
}

/// A program next to this test's own: tests are in `target/PROFILE/deps`, programs in
/// `target/PROFILE`.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run cargo build --workspace --all-targets first",
        path.display()
    );
    path
}
