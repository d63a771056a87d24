//! When this program began, to tell how long a job waited for it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// Takes the time. Later calls change nothing.
pub(crate) fn begin() {
    let _ = BEGUN.get_or_init(Instant::now);
}

/// How long ago that was.
pub(crate) fn since_begin() -> Duration {
    BEGUN.get().map(Instant::elapsed).unwrap_or_default()
}
