//! The proleptic Gregorian calendar, from seconds and back.

/// Calendar fields of a moment in some zone. Month and day count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 0 is 1 January.
    pub(crate) yearday: i64,
}

/// Days since 1970-01-01. The month may be any number: 0 is December of the year before; so may
/// the day.
///
/// The arithmetic is that of Howard Hinnant's `chrono`-compatible date algorithms: years begin in
/// March, so that the leap day is the last.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The fields of a count of seconds since 1970.
pub(crate) fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86400);
    let of_day = seconds.rem_euclid(86400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
        weekday: (days + 4).rem_euclid(7),
        yearday: days - days_from_civil(year, 1, 1),
    }
}

impl Civil {
    /// Seconds since 1970 if the fields are UTC; fields may be out of their range.
    pub(crate) fn seconds(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * 86400
            + self.hour * 3600
            + self.minute * 60
            + self.second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for seconds in [0, -1, 86399, 951_782_400, 1_604_128_000, -62_135_596_800, 253_402_300_799]
        {
            assert_eq!(civil(seconds).seconds(), seconds);
        }
        let t = civil(951_782_400);
        assert_eq!((t.year, t.month, t.day, t.weekday, t.yearday), (2000, 2, 29, 2, 59));
    }

    #[test]
    fn fields_out_of_range_carry() {
        assert_eq!(days_from_civil(2020, 1, 0), days_from_civil(2019, 12, 31));
        assert_eq!(days_from_civil(2020, 0, 1), days_from_civil(2019, 12, 1));
        assert_eq!(days_from_civil(2020, 14, 1), days_from_civil(2021, 2, 1));
    }
}
