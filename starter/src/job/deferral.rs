//! Jobs that begin at a time of their own: `deferral_time` and the `cron_*` commands, for which the
//! schedd computes the time. The rules are those of 23.9.6 and 25.14.1.

use std::time::{Duration, SystemTime};

use classad::ClassAd;

/// When a job is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// As soon as it can.
    AtOnce,
    /// At this time by the clock of this machine, and until then not.
    At(SystemTime),
    /// Never: for this reason.
    Missed(String),
}

impl Begin {
    /// What the ad wants of a job with this id, now.
    pub(crate) fn of(ad: &ClassAd, id: &str, now: SystemTime) -> Self {
        if !ad.contains("DeferralTime") {
            return Self::AtOnce;
        }
        let Some(time) = ad.eval_i64("DeferralTime").filter(|time| *time > 0) else {
            let text = ad.get("DeferralTime").map(ToString::to_string).unwrap_or_default();
            return Self::Missed(format!(
                "Invalid execution time '{text}' for Job {id}: a time in seconds since 1970 is needed"
            ));
        };
        let number = |name: &str| ad.eval_i64(name).unwrap_or_default();
        // What the shadow found this machine's clock to be ahead of its own.
        let time = time.saturating_add(number("DeferralOffset"));
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let late = now.saturating_sub(time);
        if late > number("DeferralWindow").max(0) {
            return Self::Missed(format!(
                "Job {id} missed its execution time: it is {late} s late here, more than its window of \
                 {} s",
                number("DeferralWindow")
            ));
        }
        if late >= 0 {
            return Self::AtOnce;
        }
        let time = Duration::from_secs(u64::try_from(time).unwrap_or_default());
        match SystemTime::UNIX_EPOCH.checked_add(time) {
            Some(time) => Self::At(time),
            None => Self::Missed(format!("Invalid execution time for Job {id}: it never comes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(text: &str) -> Begin {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        Begin::of(&ClassAd::parse_old(text).unwrap(), "3.0", now)
    }

    fn at(seconds: u64) -> Begin {
        Begin::At(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn most_jobs_wait_for_nothing() {
        assert_eq!(begin("Cmd = \"x\"\n"), Begin::AtOnce);
        assert_eq!(begin("DeferralTime = 1000\n"), Begin::AtOnce);
    }

    #[test]
    fn the_time_is_that_of_the_shadows_clock() {
        assert_eq!(begin("DeferralTime = 1001\n"), at(1001));
        assert_eq!(begin("DeferralTime = 990 + 20\n"), at(1010));
        assert_eq!(begin("DeferralTime = 1001\nDeferralOffset = 7\n"), at(1008));
        assert_eq!(begin("DeferralTime = 1001\nDeferralOffset = -1\n"), Begin::AtOnce);
    }

    #[test]
    fn a_late_job_runs_within_its_window_only() {
        assert_eq!(begin("DeferralTime = 995\nDeferralWindow = 5\n"), Begin::AtOnce);
        let Begin::Missed(text) = begin("DeferralTime = 994\nDeferralWindow = 5\n") else {
            panic!("it ran late");
        };
        assert!(text.starts_with("Job 3.0 missed its execution time: it is 6 s late"), "{text}");
        assert!(matches!(begin("DeferralTime = 999\n"), Begin::Missed(_)));
        assert!(matches!(begin("DeferralTime = 999\nDeferralWindow = -5\n"), Begin::Missed(_)));
    }

    #[test]
    fn what_is_no_time_is_never() {
        for text in ["0", "-1", "\"soon\"", "Missing", "9223372036854775807 + 0 * Missing"] {
            let begin = begin(&format!("DeferralTime = {text}\n"));
            assert!(matches!(begin, Begin::Missed(_)), "{text}: {begin:?}");
        }
    }
}
