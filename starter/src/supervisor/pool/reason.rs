//! Why a job's run is over, as shadows are told and schedds read it (`exit.h` of 23.9.6 and 25.14.1).

/// The starter could not do its work.
pub(crate) const EXCEPTION: u8 = 4;
/// The job ended by itself.
pub(crate) const EXITED: u8 = 100;
/// The same, leaving a core file.
pub(crate) const COREDUMPED: u8 = 103;
/// It is to run again.
pub(crate) const SHOULD_REQUEUE: u8 = 107;
/// It never ran.
pub(crate) const NOT_STARTED: u8 = 108;
/// It is to be held.
pub(crate) const SHOULD_HOLD: u8 = 112;
/// It is to be removed.
pub(crate) const SHOULD_REMOVE: u8 = 113;
/// Its time was over before it could begin.
pub(crate) const MISSED_DEFERRAL_TIME: u8 = 114;
