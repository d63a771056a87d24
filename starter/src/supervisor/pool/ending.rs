//! Whether and how the job is being made to end: orders come more than once and in any sequence, and
//! only ever make it harder.

use std::time::{Duration, Instant};

use crate::parent::startd::{Asked, Why};

/// The harder, the later in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// The job is asked to end, and may take its time.
    Soft,
    /// It is killed.
    Hard,
}

/// What was asked for so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    /// `None`: nothing.
    pub(super) how: Option<How>,
    /// The reason that came with the first order.
    pub(super) why: Option<Why>,
    /// The job is to be removed.
    pub(super) remove: bool,
    /// The job is to be held, for this reason.
    pub(super) hold: Option<Why>,
    /// The shadow knows of that.
    pub(super) hold_told: bool,
    /// What was done about it.
    done: Option<How>,
    /// When the job is killed that was asked.
    pub(super) kill_at: Option<Instant>,
}

impl Ending {
    /// Takes an order to end into account; others mean nothing here.
    pub(super) fn take(&mut self, asked: Asked) {
        let (how, why) = match asked {
            Asked::Soft(why) => (How::Soft, why),
            Asked::Hard(why) => (How::Hard, why),
            Asked::ParentGone => (How::Hard, None),
            Asked::Remove => {
                self.remove = true;
                (How::Soft, None)
            }
            Asked::Hold { why, soft } => {
                let why = why.unwrap_or_else(|| Why {
                    text: "held by the execute machine".to_owned(),
                    code: 0,
                    subcode: 0,
                });
                self.hold.get_or_insert(why);
                (if soft { How::Soft } else { How::Hard }, None)
            }
            Asked::Suspend
            | Asked::Continue
            | Asked::Checkpoint
            | Asked::Proxy(_)
            | Asked::Reconfig
            | Asked::Peek(_)
            | Asked::Ssh(_)
            | Asked::Owner(_) => return,
        };
        self.how = self.how.max(Some(how));
        if self.why.is_none() {
            self.why = why;
        }
    }

    /// What is to be done now to a job that runs, once for each step; `patience` is what the job may
    /// take once it was asked.
    pub(super) fn next(&mut self, patience: Duration) -> Option<How> {
        let now = Instant::now();
        if self.kill_at.is_some_and(|when| when <= now) {
            self.how = Some(How::Hard);
        }
        if self.how <= self.done {
            return None;
        }
        self.done = self.how;
        self.kill_at = (self.how == Some(How::Soft)).then(|| now + patience);
        self.how
    }

    /// Whether the job was asked or killed, so that its end is not its own.
    pub(super) fn is_under_way(&self) -> bool {
        self.how.is_some()
    }

    /// Whether the output of an evicted job goes where that of an ended one goes.
    pub(super) fn wants_final_output(&self) -> bool {
        const CLAIM_DEACTIVATED: i32 = 1009;
        self.why.as_ref().is_some_and(|why| why.code == CLAIM_DEACTIVATED && why.subcode == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn why(code: i32) -> Option<Why> {
        Some(Why { text: "x".into(), code, subcode: 0 })
    }

    #[test]
    fn orders_only_get_harder_and_are_carried_out_once() {
        let mut ending = Ending::default();
        assert_eq!(ending.next(LONG), None);
        ending.take(Asked::Soft(why(1009)));
        ending.take(Asked::Soft(why(1010)));
        assert_eq!(ending.next(LONG), Some(How::Soft));
        assert!(ending.kill_at.is_some());
        assert_eq!(ending.next(LONG), None);
        ending.take(Asked::Hard(None));
        ending.take(Asked::Soft(None));
        assert_eq!(ending.next(LONG), Some(How::Hard));
        assert_eq!((ending.next(LONG), ending.kill_at), (None, None));
        assert_eq!(ending.why, why(1009));
    }

    #[test]
    fn patience_ends() {
        let mut ending = Ending::default();
        ending.take(Asked::Remove);
        assert_eq!(ending.next(Duration::ZERO), Some(How::Soft));
        assert_eq!(ending.next(Duration::ZERO), Some(How::Hard));
    }

    #[test]
    fn what_is_no_end_changes_nothing() {
        let mut ending = Ending::default();
        for asked in [Asked::Suspend, Asked::Continue, Asked::Checkpoint, Asked::Reconfig] {
            ending.take(asked);
        }
        assert!(!ending.is_under_way());
        ending.take(Asked::Hold { why: why(21), soft: false });
        assert_eq!((ending.how, ending.hold.clone()), (Some(How::Hard), why(21)));
    }
}
