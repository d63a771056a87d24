//! The bodies of the fuzz targets. `cargo +nightly fuzz run NAME` in `fuzz/` calls them for hours, the
//! test `fuzz` for seconds, with the same compiler as everything else.

mod cedar_ad;
mod cedar_packet;
mod cedar_transfer;
mod classad_parse;
mod config_parse;

pub use cedar_ad::cedar_ad;
pub use cedar_packet::cedar_packet;
pub use cedar_transfer::cedar_transfer;
pub use classad_parse::classad_parse;
pub use config_parse::config_parse;
