//! Durations as people write them, Go style (`200ms`, `1.5s`, `1m30s`): text in, typed values out, and back.
//!
//! `#[serde(with = "pipeline::settings::duration")]` on a field of type [`Duration`]. Exact: what is read is written
//! back as text with the same value.

use std::time::Duration;

use serde::{Deserializer, Serializer, de};

/// Reads `200ms`, `1.5s`, `1m30s`, `0`. Errs on a number without a unit, a negative or an unknown unit.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(DurationText)
}

/// Writes the shortest Go-style text with the same value.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*value))
}

/// The same for `Option<Duration>`; add `default` and `skip_serializing_if = "Option::is_none"`.
pub mod option {
    use super::*;

    /// As [`super::deserialize`]; a key that is present is `Some`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }

    /// As [`super::serialize`].
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// A duration as it is written, for a schema: `#[schemars(with = "pipeline::settings::duration::Written")]`.
#[derive(schemars::JsonSchema)]
#[schemars(inline)]
pub struct Written(#[schemars(regex(pattern = r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h))+)$"))] pub String);

/// Parses a Go-style duration. `None` when it is not one, or is longer than 292 years (Go's own bound).
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(digits, scale)?)?;
        rest = tail;
    }
    (!text.is_empty() && total <= i64::MAX as u64).then(|| Duration::from_nanos(total))
}

/// The shortest Go-style text: `1m30s`, `1.5s`, `200ms`, `0s`.
pub fn format(value: Duration) -> String {
    let seconds = value.as_secs();
    let nanos = u64::from(value.subsec_nanos());
    if seconds == 0 && nanos > 0 {
        let (unit, scale) = match nanos {
            1_000_000.. => ("ms", 1_000_000),
            1_000.. => ("us", 1_000),
            _ => ("ns", 1),
        };
        return decimal(nanos, scale) + unit;
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let below_minute = seconds % 60 * 1_000_000_000 + nanos;
    let mut text = String::new();
    for (count, unit) in [(hours, "h"), (minutes, "m")] {
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    if below_minute > 0 || text.is_empty() {
        text += &decimal(below_minute, 1_000_000_000);
        text.push('s');
    }
    text
}

/// Go's names of units, in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `1.5` times `scale`, cut to whole nanoseconds.
fn scaled(digits: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mut total = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.checked_mul(scale)? };
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(total)
}

/// `value / scale` with as many decimals as it takes.
fn decimal(value: u64, scale: u64) -> String {
    let (whole, fraction) = (value / scale, value % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    format!("{whole}.{fraction:0width$}").trim_end_matches('0').to_owned()
}

struct DurationText;

impl de::Visitor<'_> for DurationText {
    type Value = Duration;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as \"30s\", \"1m30s\" or \"200ms\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text.trim()).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, millis) in
            [("200ms", 200), ("1.5s", 1500), ("1m30s", 90_000), ("24h", 86_400_000), ("0", 0), ("0s", 0), (".5s", 500)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("3us"), Some(Duration::from_micros(3)));
        assert_eq!(parse("3\u{b5}s"), Some(Duration::from_micros(3)));
        assert_eq!(parse("7ns"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "-1s",
            "1 s",
            "1d",
            "s",
            ".s",
            "1..5s",
            "1.2.3s",
            "1s2",
            "300000000000h",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_back_with_the_same_value() {
        for text in ["0s", "200ms", "1.5s", "1m30s", "24h", "1h0.25s", "1.5us", "7ns", "30m", "2ms"] {
            let value = parse(text).expect("the list holds durations");
            assert_eq!(format(value), text);
        }
    }
}
