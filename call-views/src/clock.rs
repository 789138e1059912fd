//! Times as people read them, in UTC. Capture times in, text out; never asks what time it is.

use std::time::Duration;

use wire::Timestamp;

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// `2026-01-01T00:00:00.000000Z` (RFC 3339, UTC, microseconds).
pub fn rfc3339(time: Timestamp) -> String {
    format!("{}T{}.{:06}Z", day(time), time_of_day(time), time.as_nanos() % NANOS / 1000)
}

/// `2026-01-01`.
pub fn day(time: Timestamp) -> String {
    let (year, month, day) = date(time.as_nanos() / NANOS / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `00:00:00`.
pub fn time_of_day(time: Timestamp) -> String {
    let seconds = time.as_nanos() / NANOS;
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Milliseconds behind [`time_of_day`]: `.000`.
pub fn millis(time: Timestamp) -> String {
    format!(".{:03}", time.as_nanos() % NANOS / 1_000_000)
}

/// Seconds with three decimals, cut off: `64.010`.
pub fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

/// A length people compare: `1:02:03`, `1:04`, `0:07`.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from
/// March, so that the leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01.
    let day = day + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = (months_since_march + 2) % 12 + 1;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000000Z"),
            (951_782_400_123_456_789, "2000-02-29T00:00:00.123456Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn lengths_have_hours_only_when_they_need_them() {
        assert_eq!([7, 64, 3723].map(|seconds| length(Duration::from_secs(seconds))), ["0:07", "1:04", "1:02:03"]);
    }
}
