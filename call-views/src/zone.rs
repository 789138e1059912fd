//! In which zone times are shown: UTC, or that of whoever looks.

use jiff::tz::TimeZone;
use wire::Timestamp;

/// A time zone. Cheap to copy; the default is UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone(Option<&'static TimeZone>);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(None);

    /// A zone with its rules.
    pub const fn new(rules: &'static TimeZone) -> Self {
        Self(Some(rules))
    }

    /// The time whose digits in UTC are those that clocks of the zone showed then.
    pub fn shown(self, at: Timestamp) -> Timestamp {
        let offset = i64::from(self.offset(at)) * 1_000_000_000;
        Timestamp::from_nanos(at.as_nanos().saturating_add_signed(offset))
    }

    /// What is said behind such digits: `UTC`, `+01:00`.
    pub fn name(self, at: Timestamp) -> String {
        match self.offset(at) {
            0 => "UTC".to_owned(),
            offset => {
                let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }

    /// Seconds east of UTC, as they were then.
    fn offset(self, at: Timestamp) -> i32 {
        let of = |rules: &TimeZone| {
            let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()?;
            Some(rules.to_offset(at).seconds())
        };
        self.0.and_then(of).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{day, time_of_day};

    fn zone(rules: &str) -> Zone {
        Zone::new(Box::leak(Box::new(TimeZone::posix(rules).expect("rules"))))
    }

    #[test]
    fn times_are_those_that_clocks_showed_in_summer_and_winter() {
        let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        let shown = |zone: Zone, seconds: u64| {
            let at = Timestamp::from_nanos(seconds * 1_000_000_000);
            format!("{} {} {}", day(zone.shown(at)), time_of_day(zone.shown(at)), zone.name(at))
        };
        assert_eq!(shown(berlin, 1_767_225_600), "2026-01-01 01:00:00 +01:00");
        assert_eq!(shown(berlin, 1_782_864_000), "2026-07-01 02:00:00 +02:00");
        assert_eq!(shown(zone("NST3:30"), 1_767_225_600), "2025-12-31 20:30:00 -03:30");
        assert_eq!(shown(Zone::UTC, 1_767_225_600), "2026-01-01 00:00:00 UTC");
        assert_eq!(shown(zone("NST3:30"), 0), "1970-01-01 00:00:00 -03:30");
    }
}
