//! What expressions may ask about the world: the clock, dice, accounts, maps.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers for functions whose value is not in the ads.
pub trait Host: Send + Sync {
    /// Seconds since 1970 UTC, for `time()` and its relatives.
    fn now(&self) -> i64;

    /// Any 64 bits, for `random()`.
    fn random(&self) -> u64;

    /// The home directory of an account, for `userHome()`. Without an account data base: none.
    fn home_dir(&self, user: &str) -> Option<String> {
        let _ = user;
        None
    }

    /// What the configured map named `map` makes of `input`, for `userMap()`: comma-separated.
    fn map_user(&self, map: &str, input: &str) -> Option<String> {
        let _ = (map, input);
        None
    }

    /// A line about an evaluation inside `debug()`.
    fn debug(&self, line: &str) {
        let _ = line;
    }
}

/// The clock and dice of the process; knows neither accounts nor maps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn now(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        }
    }

    fn random(&self) -> u64 {
        // Each state has keys of its own; no statistics are promised, only that values differ.
        RandomState::new().hash_one(0_u8)
    }
}
