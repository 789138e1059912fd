//! Sizes as people write them (`512KiB`, `3.5MiB`, `4096`): text or a number in, bytes out, and back.
//!
//! `#[serde(with = "pipeline::settings::size")]` on a field of type `usize`. Binary units only: `KB` could mean two
//! things.

use std::fmt;

use serde::{Deserializer, Serializer, de};

/// Reads `64KiB`, `3.5MiB`, `1GiB`, `100B`, or a plain number of bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(SizeText)
}

/// Writes the text with the largest unit that needs no more than one decimal; a number of bytes where none does.
pub fn serialize<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*value))
}

/// A size as it is written, for a schema: `#[schemars(with = "pipeline::settings::size::Written")]`.
#[derive(schemars::JsonSchema)]
#[schemars(inline, untagged)]
pub enum Written {
    /// A number of bytes.
    Bytes(u64),
    /// With its unit.
    Text(#[schemars(regex(pattern = r"^ *[0-9]+(\.[0-9]+)? *(B|KiB|MiB|GiB)?$"))] String),
}

/// Bytes; `None` when the text is no size, or more than there can be.
pub fn parse(text: &str) -> Option<usize> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit.trim_start() {
        "" | "B" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.len() <= MOST_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return None;
    }
    let mut bytes = whole.parse::<u128>().ok()? * scale;
    if !fraction.is_empty() {
        let part = fraction.parse::<u128>().ok()? * scale;
        let divisor = 10u128.pow(u32::try_from(fraction.len()).ok()?);
        bytes += (part % divisor == 0).then_some(part / divisor)?;
    }
    usize::try_from(bytes).ok()
}

/// `4MiB`, `3.5MiB`, `1000B`.
pub fn format(bytes: usize) -> String {
    for (unit, scale) in UNITS {
        let tenths = bytes as u128 * 10;
        if bytes as u128 >= scale && tenths.is_multiple_of(scale) {
            let tenths = tenths / scale;
            return match tenths % 10 {
                0 => format!("{}{unit}", tenths / 10),
                tenth => format!("{}.{tenth}{unit}", tenths / 10),
            };
        }
    }
    format!("{bytes}B")
}

/// Longest number on either side of the point.
const MOST_DIGITS: usize = 18;

const UNITS: [(&str, u128); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

struct SizeText;

impl de::Visitor<'_> for SizeText {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"512KiB\" or \"3.5MiB\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<usize, E> {
        parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(bytes), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, bytes) in [
            ("4MiB", 4 << 20),
            ("3.5MiB", 3_670_016),
            ("512KiB", 512 << 10),
            ("1GiB", 1 << 30),
            ("1000B", 1000),
            ("0B", 0),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
            assert_eq!(format(bytes), text);
        }
        assert_eq!(parse(" 4096 "), Some(4096));
        assert_eq!(parse("1.25KiB"), Some(1280));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "4MB", "4mib", "-1", "1.", ".5MiB", "1.3B", "1e3", "99999999999GiB", "4 Mi B"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
