//! The zone that times without one are in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::calendar::{Civil, civil};

/// The local time zone, for times that say none.
#[derive(Debug, Clone, Default)]
pub struct Zone(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    /// Looked up only when an expression asks for it.
    #[default]
    System,
    Fixed(TimeZone),
}

/// What a zone says about one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    /// East of UTC.
    pub(crate) seconds: i32,
    pub(crate) dst: bool,
    pub(crate) abbreviation: String,
}

impl Zone {
    /// The zone of the process, from `TZ` or the system's configuration.
    pub const SYSTEM: Zone = Zone(Kind::System);

    /// Greenwich.
    pub fn utc() -> Zone {
        Zone(Kind::Fixed(TimeZone::UTC))
    }

    /// A zone of the host's zone data base, such as `America/Chicago`.
    pub fn named(name: &str) -> Option<Zone> {
        match name {
            "UTC" => Some(Zone::utc()),
            _ => TimeZone::get(name).ok().map(|zone| Zone(Kind::Fixed(zone))),
        }
    }

    pub(crate) fn at(&self, seconds: i64) -> Offset {
        let system;
        let zone = match &self.0 {
            Kind::System => {
                system = TimeZone::system();
                &system
            }
            Kind::Fixed(zone) => zone,
        };
        // Beyond the years that the zone data knows, the last rule holds.
        let moment = Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        let info = zone.to_offset_info(moment);
        Offset {
            seconds: info.offset().seconds(),
            dst: info.dst().is_dst(),
            abbreviation: info.abbreviation().to_owned(),
        }
    }
}

impl Zone {
    /// What the zone says outside of daylight saving, at or near that moment.
    pub(crate) fn standard_at(&self, seconds: i64) -> Option<Offset> {
        const MONTH: i64 = 30 * 86400;
        (0..12).map(|n| self.at(seconds.saturating_add(n * MONTH))).find(|offset| !offset.dst)
    }
}

/// The fields of a moment on the clocks of `zone`.
pub(crate) fn local_time(seconds: i64, zone: &Zone) -> (Civil, Offset) {
    let offset = zone.at(seconds);
    (civil(seconds.saturating_add(i64::from(offset.seconds))), offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_built_in() {
        let utc = Zone::named("UTC").expect("built in").at(0);
        assert_eq!(utc, Offset { seconds: 0, dst: false, abbreviation: "UTC".into() });
    }

    #[test]
    fn summer_is_an_hour_ahead() {
        // Not every build host has the zone data.
        let Some(zone) = Zone::named("America/Chicago") else { return };
        assert_eq!(zone.at(1_604_128_000).seconds, -18000);
        assert!(zone.at(1_604_128_000).dst);
        assert_eq!(zone.at(1_606_128_000).abbreviation, "CST");
    }
}
