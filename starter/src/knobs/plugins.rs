//! Knobs of transfer plugins, which are read for jobs with URLs only.

use std::path::PathBuf;

use condor_config::Config;
use serde::Deserialize;

use super::table::{Kind, Knob, Since, since};
use super::{Knobs, unusable, values};
use crate::failure::Failure;

macro_rules! knobs {
    ($(#[doc = $text:literal] $name:ident $field:ident: $type:ty = $kind:ident $default:literal $(, $since:expr)?;)+) => {
        /// Every knob of them, in the order of the manual.
        pub(super) const TABLE: &[Knob] = &[$(Knob {
            name: stringify!($name),
            field: stringify!($field),
            kind: Kind::$kind,
            default: $default,
            text: $text,
            rust_type: stringify!($type),
            since: since!($($since)?),
        }),+];

        /// Their values.
        #[derive(Clone, Debug, Deserialize)]
        pub(crate) struct PluginKnobs {
            $(#[doc = $text] #[serde(default)] pub(crate) $field: $type,)+
        }
    };
}

knobs! {
    /// Let plugins fetch and store files by URL.
    ENABLE_URL_TRANSFERS enable_url_transfers: bool = Boolean "True";
    /// The machine's transfer plugins, absolute paths. A later one takes schemes over from earlier ones.
    FILETRANSFER_PLUGINS filetransfer_plugins: Option<String> = Text "";
    /// Use plugins that move many files in one call.
    ENABLE_MULTIFILE_TRANSFER_PLUGINS enable_multifile_transfer_plugins: bool = Boolean "True";
    /// Seconds that plugins may take to say which schemes they are for.
    FILETRANSFER_PLUGIN_CLASSAD_TIMEOUT filetransfer_plugin_classad_timeout: i64 = Number "20", Since::Condor("25.2");
    /// Seconds that a call of a plugin may take before it is killed.
    MAX_FILE_TRANSFER_PLUGIN_LIFETIME max_file_transfer_plugin_lifetime: i64 = Number "72000";
    /// Whether jobs may not bring plugins, an expression over slot (MY) and job (TARGET): True, or 2 to ignore them.
    STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS starter_disable_user_supplied_transfer_plugins: Option<String> = Text "", Since::Condor("25.11");
    /// Hear what plugins say to standard error, too.
    REDIRECT_FILETRANSFER_PLUGIN_STDERR_TO_STDOUT redirect_filetransfer_plugin_stderr_to_stdout: bool = Boolean "True";
    /// Set to log what a plugin says that succeeds.
    LOG_FILETRANSFER_PLUGIN_STDOUT_ON_SUCCESS log_filetransfer_plugin_stdout_on_success: Option<String> = Text "";
    /// The same for one that fails.
    LOG_FILETRANSFER_PLUGIN_STDOUT_ON_FAILURE log_filetransfer_plugin_stdout_on_failure: Option<String> = Text "D_ALWAYS";
    /// Have the shadow sign URLs in object stores (s3, gs).
    SIGN_S3_URLS sign_s3_urls: bool = Boolean "True";
    /// A log with what plugins have moved, an ad for each file.
    FILE_TRANSFER_STATS_LOG file_transfer_stats_log: Option<PathBuf> = Text "";
}

impl Knobs {
    /// Reads them.
    pub(crate) fn plugins(&self) -> Result<PluginKnobs, Failure> {
        let Some(config) = &self.config else { return Err(unusable("there is no configuration")) };
        PluginKnobs::read(config)
    }
}

impl PluginKnobs {
    /// The typed values.
    pub(crate) fn read(condor: &Config) -> Result<Self, Failure> {
        values(condor, TABLE).map(|(values, _)| values)
    }
}
