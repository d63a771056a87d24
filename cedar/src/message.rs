//! The messages of commands that consist of a few values.

use classad::ClassAd;

use crate::error::{PeerMisbehaved, Result};
use crate::wire::Codec;
use crate::{Reader, Writer};

/// Payload of [`Command::ChildAlive`](crate::Command::ChildAlive): no answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChildAlive {
    /// The child's process id.
    pub pid: i32,
    /// Seconds without another of these after which the parent kills the child.
    pub max_hang: u32,
    /// Part of its time that the child waits for the lock of its log, 0 to 1.
    pub lock_delay: f64,
}

impl Codec for ChildAlive {
    fn encode(&self, to: &mut Writer) {
        to.i64(self.pid).i64(self.max_hang).f64(self.lock_delay);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (pid, max_hang) = (from.i32("process id")?, from.integer("time")?);
        // It may be left out.
        let lock_delay = if from.remaining() == 0 { 0.0 } else { from.f64()? };
        Ok(Self { pid, max_hang, lock_delay })
    }
}

/// Payload of [`Command::VacateJob`](crate::Command::VacateJob); the answer is
/// [`Done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacate {
    /// Why, for people.
    pub reason: String,
    /// Why, as a hold or vacate code.
    pub code: i32,
    /// More about it.
    pub subcode: i32,
    /// Whether the job may take its time.
    pub soft: bool,
}

impl Codec for Vacate {
    fn encode(&self, to: &mut Writer) {
        to.string(&self.reason).i64(self.code).i64(self.subcode).i64(self.soft);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            reason: String::from_utf8_lossy(from.string()?).into_owned(),
            code: from.i32("code")?,
            subcode: from.i32("subcode")?,
            soft: from.i64()? != 0,
        })
    }
}

/// The answer 1 to a command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Codec for Done {
    fn encode(&self, to: &mut Writer) {
        to.i64(1);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        match from.i64()? {
            1 => Ok(Self),
            _ => Err(PeerMisbehaved::Unexpected("1 for done").into()),
        }
    }
}

/// Payload of [`Command::RaiseSignal`](crate::Command::RaiseSignal): no answer. Numbers from 100 up
/// are HTCondor's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// Suspend the job.
    Suspend,
    /// Let the job go on.
    Continue,
    /// Stop the job softly.
    SoftKill,
    /// Stop the job at once.
    HardKill,
    /// Take a checkpoint.
    Checkpoint,
    /// The job is being removed.
    Remove,
    /// The job is being held.
    Hold,
    /// Any other.
    Unknown(i32),
}

impl Signal {
    const OWN: [Self; 7] = [
        Self::Suspend,
        Self::Continue,
        Self::SoftKill,
        Self::HardKill,
        Self::Checkpoint,
        Self::Remove,
        Self::Hold,
    ];

    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Suspend => 100,
            Self::Continue => 101,
            Self::SoftKill => 102,
            Self::HardKill => 103,
            Self::Checkpoint => 104,
            Self::Remove => 105,
            Self::Hold => 106,
            Self::Unknown(number) => number,
        }
    }
}

impl Codec for Signal {
    fn encode(&self, to: &mut Writer) {
        to.i64(self.number());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let number = from.i32("signal")?;
        let own = Self::OWN.into_iter().find(|signal| signal.number() == number);
        Ok(own.unwrap_or(Self::Unknown(number)))
    }
}

/// What a starter tells the startd on the inherited socket; no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Whether the job is over: the startd then takes the slot back.
    pub last: bool,
    /// Attributes for the startd's copy of the job ad.
    pub ad: ClassAd,
}

impl Codec for Update {
    fn encode(&self, to: &mut Writer) {
        to.i64(self.last).value(&self.ad);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { last: from.i64()? != 0, ad: from.value()? })
    }
}

/// What a starter asks the startd on the same socket (25.14): an ad with `Result` is the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Colors(
    /// Attributes for the ads of all slots, as `colors_of_SLOT`, while the claim is active.
    pub ClassAd,
);

impl Codec for Colors {
    fn encode(&self, to: &mut Writer) {
        to.i64(2).value(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        from.i64()?;
        Ok(Self(from.value()?))
    }
}

/// The first message of a startd to a starter.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineAds {
    /// The slot.
    pub machine: ClassAd,
    /// Attributes that replace those of the job ad.
    pub overlay: ClassAd,
}

impl Codec for MachineAds {
    fn encode(&self, to: &mut Writer) {
        to.value(&self.machine).value(&self.overlay);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { machine: from.value()?, overlay: from.value()? })
    }
}
