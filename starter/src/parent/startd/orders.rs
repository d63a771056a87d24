//! What a startd can ask of its starter, and how numbers on the wire become that.

use classad::ClassAd;
use condor_cedar::message::{Signal, Vacate};
use condor_cedar::session::Session;
use zeroize::Zeroizing;

/// Something to do. The same may be asked for more than once, and something harder after something
/// softer: whoever carries it out only ever goes on to the harder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    /// End the job in an orderly way, with its output if it wants that.
    Soft(Option<Why>),
    /// Kill the job now; no output.
    Hard(Option<Why>),
    /// Hold the job: tell the shadow, then stop it.
    Hold {
        /// What the shadow is told; `None` where the sender said nothing.
        why: Option<Why>,
        /// Whether the job may end in an orderly way.
        soft: bool,
    },
    /// Suspend the job. A startd may say so twice.
    Suspend,
    /// Let the job go on. A startd says so twice.
    Continue,
    /// Take a checkpoint.
    Checkpoint,
    /// The job is being removed: stop it with its signal for that.
    Remove,
    /// Read the configuration again.
    Reconfig,
    /// The job's owner wants to see its output; answered with [`answer`](super::Startd::answer).
    Peek(Box<Peek>),
    /// The job's owner wants a shell in it; answered with [`answer`](super::Startd::answer) or
    /// [`hand_over`](super::Startd::hand_over).
    Ssh(Box<Peek>),
    /// A session for the job's owner was handed out.
    Owner(Box<Session>),
    /// Put this in place of the job's proxy. The sender waits for [`Startd::proxy_is_placed`].
    ///
    /// [`Startd::proxy_is_placed`]: super::Startd::proxy_is_placed
    Proxy(Proxy),
    /// The startd is gone: nobody wants the job any more. Said once.
    ParentGone,
}

/// A request of the job's owner.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peek {
    /// The connection that waits.
    pub(crate) call: u64,
    /// What is wanted.
    pub(crate) ad: ClassAd,
}

/// A proxy, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy(pub(crate) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// The reason of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    /// For people, in one line.
    pub(crate) text: String,
    /// `HoldReasonCode` or `VacateReasonCode`.
    pub(crate) code: i32,
    /// `HoldReasonSubCode` or `VacateReasonSubCode`.
    pub(crate) subcode: i32,
}

/// First code that stands for a reason to vacate, not to hold (HTCondor 25.14.1).
const FIRST_VACATE_CODE: i32 = 1000;

impl Asked {
    /// The order in a signal of `DC_RAISESIGNAL`: one of HTCondor's own numbers, or a Unix signal
    /// that couldn't be sent. Others mean nothing to a starter.
    pub(super) fn from_signal(signal: Signal) -> Option<Self> {
        Some(match signal {
            Signal::Suspend => Self::Suspend,
            Signal::Continue => Self::Continue,
            Signal::SoftKill | Signal::Unknown(libc::SIGTERM) => Self::Soft(None),
            Signal::HardKill | Signal::Unknown(libc::SIGQUIT) => Self::Hard(None),
            Signal::Checkpoint => Self::Checkpoint,
            Signal::Remove | Signal::Unknown(libc::SIGUSR1) => Self::Remove,
            Signal::Hold => Self::Hold { why: None, soft: true },
            Signal::Unknown(libc::SIGHUP) => Self::Reconfig,
            _ => return None,
        })
    }

    /// The order in a `STARTER_VACATE_JOB`. To a startd before 24.1 (`vacates` false) the command is
    /// `STARTER_HOLD_JOB`, whatever the code.
    pub(super) fn from_vacate(vacate: Vacate, vacates: bool) -> Self {
        let Vacate { reason, code, subcode, soft } = vacate;
        // The schedd refuses hold reasons of several lines.
        let text = reason.replace(|c: char| c.is_control(), " ");
        let why = Some(Why { text, code, subcode });
        let hold = code > 0 && code < FIRST_VACATE_CODE && subcode > -FIRST_VACATE_CODE;
        match (vacates && !hold, soft) {
            (true, true) => Self::Soft(why),
            (true, false) => Self::Hard(why),
            (false, soft) => Self::Hold { why, soft },
        }
    }
}

#[cfg(test)]
mod tests {
    use condor_cedar::{Reader, Writer};

    use super::*;

    fn signal(number: i32) -> Option<Asked> {
        let mut message = Writer::new(true);
        message.i64(number);
        Asked::from_signal(Reader::new(message.as_bytes(), true).only().unwrap())
    }

    #[test]
    fn numbers_of_signals() {
        for (numbers, order) in [
            (&[15, 102][..], Some(Asked::Soft(None))),
            (&[3, 103], Some(Asked::Hard(None))),
            (&[1], Some(Asked::Reconfig)),
            (&[100], Some(Asked::Suspend)),
            (&[101], Some(Asked::Continue)),
            (&[104], Some(Asked::Checkpoint)),
            (&[10, 105], Some(Asked::Remove)),
            (&[106], Some(Asked::Hold { why: None, soft: true })),
            (&[0, -1, 2, 9, 12, 17, 99, 107, i32::MAX], None),
        ] {
            for number in numbers {
                assert_eq!(signal(*number), order, "{number}");
            }
        }
    }

    #[test]
    fn codes_decide_between_hold_and_vacate() {
        let order = |code, subcode, soft, vacates| {
            let reason = "two\nlines".to_owned();
            Asked::from_vacate(Vacate { reason, code, subcode, soft }, vacates)
        };
        let why = |code, subcode| Some(Why { text: "two lines".into(), code, subcode });
        assert_eq!(order(1009, 0, true, true), Asked::Soft(why(1009, 0)));
        assert_eq!(order(1000, 0, false, true), Asked::Hard(why(1000, 0)));
        assert_eq!(order(0, 3, true, true), Asked::Soft(why(0, 3)));
        assert_eq!(order(21, -1000, false, true), Asked::Hard(why(21, -1000)));
        for (code, subcode) in [(21, 0), (1, -999), (999, 7)] {
            let hold = Asked::Hold { why: why(code, subcode), soft: true };
            assert_eq!(order(code, subcode, true, true), hold);
        }
        let hold = Asked::Hold { why: why(1009, 0), soft: false };
        assert_eq!(order(1009, 0, false, false), hold, "23.9.6 knows nothing but holds");
    }
}
