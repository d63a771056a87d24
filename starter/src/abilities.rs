//! What this starter tells a pool that it can do: one table, which the probe prints.
//!
//! An ability that isn't there is left out, not said to be False: HTCondor lists every name that
//! begins with `Has` in StarterAbilityList, whatever its value.

/// Whether a job goes on while the shadow is away. Without it a shadow gives up when the connection
/// breaks, and the schedd starts the job anew (source: `RemoteResource`, 23.9.6 and 25.14.1). The same
/// value belongs in the ad that registers a starter with its shadow.
pub(crate) const RECONNECT: bool = true;

/// Attributes with the same value on every machine, and whether this starter has what they promise.
pub(crate) const ABILITIES: &[(&str, bool)] = &[
    ("HasFileTransfer", true),
    ("HasPerFileEncryption", true),
    ("HasReconnect", RECONNECT),
    // OsUser goes before Owner when the account is chosen.
    ("HasOsUser", true),
    // Names for input files, as schedds of 25.x send them in TransferInputRemaps.
    ("HasTransferInputRemaps", false),
    // deferral_time and cron_*.
    ("HasJobDeferral", true),
    // transfer_checkpoint_files.
    ("HasSelfCheckpointTransfers", true),
    // tool_daemon_cmd.
    ("HasTDP", false),
    // Jobs from the configuration (COD, BOINC), and from standard input with a startd as parent.
    ("HasJICLocalConfig", false),
    ("HasJICLocalStdin", false),
    // Common input files.
    ("HasCommonFilesTransfer", false),
];
