//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// The starter that is tested: `CLOISTER_STARTER` if set, else the one that was built with this
/// test, in the same profile.
pub fn starter() -> PathBuf {
    std::env::var_os("CLOISTER_STARTER").map_or_else(|| built("starter"), PathBuf::from)
}

/// The helper whose subcommands are the hostile jobs.
pub fn hostile() -> PathBuf {
    built("hostile")
}

/// Tests are in `target/PROFILE/deps`, programs in `target/PROFILE`.
fn built(name: &str) -> PathBuf {
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
