//! The numbers of commands.

use std::fmt;

use crate::Level;

/// A level of the table below, where `_` is none.
macro_rules! level {
    (_) => {
        None
    };
    ($level:ident) => {
        Some(Level::$level)
    };
}

/// Makes the enum, its numbers, names and levels out of one table.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal $level:tt,)*) => {
        /// A command of those that a starter sends or receives. A number that isn't known is kept.
        ///
        /// Numbers, names and levels are those of HTCondor 25.14.1.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Command {
            $($(#[$doc])* $name,)*
            /// Any other.
            Unknown(i32),
        }

        impl Command {
            /// All that are known.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// HTCondor's name.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    Self::Unknown(_) => None,
                }
            }

            /// The level that a starter asks of a client; `None` for what a starter isn't asked, or
            /// should refuse.
            pub const fn level(self) -> Option<Level> {
                match self {
                    $(Self::$name => level!($level),)*
                    Self::Unknown(_) => None,
                }
            }
        }

        impl From<i32> for Command {
            fn from(number: i32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }
        }
    };
}

commands! {
    /// First message to a shared port: which daemon is wanted.
    SharedPortConnect = 75 "SHARED_PORT_CONNECT" _,
    /// From a shared port to the daemon that was wanted; a socket follows.
    SharedPortPassSocket = 76 "SHARED_PORT_PASS_SOCK" _,
    /// The value of a knob, for old tools.
    ConfigVal = 457 "CONFIG_VAL" Read,
    /// A new proxy, as a file.
    UpdateGsiCred = 487 "UPDATE_GSI_CRED" Write,
    /// A new proxy, delegated.
    DelegateGsiCred = 500 "DELEGATE_GSI_CRED_STARTER" Write,
    /// From a starter to its startd: may the claim be used again? (25.5 and after)
    ReactivateClaimCheck = 554 "REACTIVATE_CLAIM_CHECK" _,
    /// To a schedd: change the queue.
    QueueWrite = 1112 "QMGMT_WRITE_CMD" _,
    /// A command in an ad.
    CaCmd = 1200 "CA_CMD" Write,
    /// Stop the job; up to 23.9.6 this is STARTER_HOLD_JOB.
    VacateJob = 1500 "STARTER_VACATE_JOB" Daemon,
    /// Make a session for the owner of the job.
    CreateJobOwnerSession = 1501 "CREATE_JOB_OWNER_SEC_SESSION" Daemon,
    /// Start an ssh daemon next to the job.
    StartSshd = 1502 "START_SSHD" Read,
    /// Show the end of output files.
    Peek = 1503 "STARTER_PEEK" Read,
    /// A signal, by its number.
    RaiseSignal = 60000 "DC_RAISESIGNAL" Daemon,
    /// Set a knob for good.
    ConfigPersist = 60002 "DC_CONFIG_PERSIST" _,
    /// Set a knob until the daemon ends.
    ConfigRuntime = 60003 "DC_CONFIG_RUNTIME" _,
    /// Read the configuration again.
    Reconfig = 60004 "DC_RECONFIG" Administrator,
    /// Shut down, jobs may finish in their time.
    OffGraceful = 60005 "DC_OFF_GRACEFUL" Administrator,
    /// Shut down at once.
    OffFast = 60006 "DC_OFF_FAST" Administrator,
    /// The value of a knob.
    DcConfigVal = 60007 "DC_CONFIG_VAL" Read,
    /// From a child to its parent: still there.
    ChildAlive = 60008 "DC_CHILDALIVE" _,
    /// Opens a conversation in a session.
    Authenticate = 60010 "DC_AUTHENTICATE" _,
    /// Nothing.
    Nop = 60011 "DC_NOP" Allow,
    /// Read the configuration again, everything.
    ReconfigFull = 60012 "DC_RECONFIG_FULL" Administrator,
    /// A log file.
    FetchLog = 60013 "DC_FETCH_LOG" Administrator,
    /// Forget a session.
    InvalidateKey = 60014 "DC_INVALIDATE_KEY" _,
    /// Shut down, jobs may take all the time.
    OffPeaceful = 60015 "DC_OFF_PEACEFUL" Administrator,
    /// The next shut-down is a peaceful one.
    SetPeacefulShutdown = 60016 "DC_SET_PEACEFUL_SHUTDOWN" Administrator,
    /// Difference of clocks.
    TimeOffset = 60017 "DC_TIME_OFFSET" Daemon,
    /// Delete old log files.
    PurgeLog = 60018 "DC_PURGE_LOG" Administrator,
    /// Nothing, with a level to be tested.
    NopRead = 60020 "DC_NOP_READ" Read,
    /// Nothing, with a level to be tested.
    NopWrite = 60021 "DC_NOP_WRITE" Write,
    /// Nothing, with a level to be tested.
    NopNegotiator = 60022 "DC_NOP_NEGOTIATOR" Negotiator,
    /// Nothing, with a level to be tested.
    NopAdministrator = 60023 "DC_NOP_ADMINISTRATOR" Administrator,
    /// Nothing, with a level to be tested.
    NopConfig = 60025 "DC_NOP_CONFIG" Config,
    /// Nothing, with a level to be tested.
    NopDaemon = 60026 "DC_NOP_DAEMON" Daemon,
    /// Would another command be allowed?
    SecQuery = 60040 "DC_SEC_QUERY" Allow,
    /// The next shut-down is a forced one.
    SetForceShutdown = 60041 "DC_SET_FORCE_SHUTDOWN" Administrator,
    /// Shut down, now.
    OffForce = 60042 "DC_OFF_FORCE" Administrator,
    /// A random name of the process.
    QueryInstance = 60045 "DC_QUERY_INSTANCE" Allow,
    /// To a shadow: send the input sandbox.
    FileTransferUpload = 61000 "FILETRANS_UPLOAD" _,
    /// To a shadow: receive the output sandbox.
    FileTransferDownload = 61001 "FILETRANS_DOWNLOAD" _,
}

impl fmt::Display for Command {
    /// As logs have it: `DC_NOP (60011)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.number()),
            None => write!(f, "command {}", self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_commands_are_one_to_one() {
        for command in Command::ALL {
            assert_eq!(Command::from(command.number()), *command);
        }
        assert_eq!(Command::from(4711).number(), 4711);
        assert_eq!(Command::from(4711).level(), None);
        assert_eq!(Command::ConfigRuntime.level(), None);
        assert_eq!(Command::VacateJob.to_string(), "STARTER_VACATE_JOB (1500)");
    }
}
