//! How far a session reaches: HTCondor's authorization levels.

use std::ops::BitOr;

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Nothing: anyone, without a session even.
    Allow,
    /// To look.
    Read,
    /// To change what belongs to a peer.
    Write,
    /// What the negotiator does.
    Negotiator,
    /// What an administrator does.
    Administrator,
    /// To change the configuration.
    Config,
    /// What daemons do among themselves.
    Daemon,
}

/// A set of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Levels(u8);

impl Levels {
    /// What needs no session.
    pub const ALLOW: Self = Self(1);
    /// All there are but CONFIG, which is given to nobody that isn't named in the configuration.
    pub const ALL: Self = Self(0b101_1111);

    /// Whether a command of that level is allowed.
    pub fn contains(self, level: Level) -> bool {
        self.0 & level.bit() != 0
    }
}

impl BitOr for Levels {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Level {
    fn bit(self) -> u8 {
        match self {
            Self::Allow => 1,
            Self::Read => 1 << 1,
            Self::Write => 1 << 2,
            Self::Negotiator => 1 << 3,
            Self::Administrator => 1 << 4,
            Self::Config => 1 << 5,
            Self::Daemon => 1 << 6,
        }
    }

    /// The level with all that it implies (HTCondor 25.14.1).
    pub fn levels(self) -> Levels {
        let implied = match self {
            Self::Allow => Levels::ALLOW,
            Self::Read => Self::Allow.levels(),
            Self::Write | Self::Negotiator | Self::Config => Self::Read.levels(),
            Self::Administrator | Self::Daemon => Self::Write.levels(),
        };
        implied | Levels(self.bit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_restrictive_lists_of_a_live_starter_had_it() {
        let claim = Level::Daemon.levels();
        assert!(claim.contains(Level::Daemon) && claim.contains(Level::Write));
        assert!(!claim.contains(Level::Administrator) && !claim.contains(Level::Negotiator));
        let owner = Level::Read.levels();
        assert!(owner.contains(Level::Read) && owner.contains(Level::Allow));
        assert!(!owner.contains(Level::Write) && !owner.contains(Level::Daemon));
        assert!(Levels::ALL.contains(Level::Negotiator) && !Levels::ALL.contains(Level::Config));
    }
}
