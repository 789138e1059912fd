//! How long a server wants us to wait: `Retry-After` (RFC 9110 §10.2.3) and gRPC's `RetryInfo` in, a duration out.
//!
//! What cannot be read is as if it were not there: an answer is hostile input like any other.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;
use tonic_types::pb;

/// Reads `Retry-After`: seconds, or a date, of which what remains from `now` on counts.
pub(super) fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
}

/// Reads the `RetryInfo` of `grpc-status-details-bin`, a `google.rpc.Status` in base 64, with or without padding.
pub(super) fn retry_info(details: &[u8]) -> Option<Duration> {
    if details.len() > DETAILS_BYTES {
        return None;
    }
    let status = pb::Status::decode(BASE64.decode(details).ok()?.as_slice()).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = pb::RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    // Whole seconds hidden in the nanoseconds would overflow `Duration::new`.
    let delay = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()))?;
    Some(delay.min(LONGEST))
}

/// Longest wait that is believed: beyond a day it is a mistake, and additions to it could overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Largest header of details that is looked into.
const DETAILS_BYTES: usize = 16 * 1024;

/// gRPC servers send binary headers either way ("Custom-Metadata" in gRPC over HTTP/2).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use prost_types::Any;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let read = |text: &str| retry_after(text.as_bytes(), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read(" 0 "), Some(Duration::ZERO));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:40 GMT"), Some(Duration::from_secs(3)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "already over");
    }

    #[test]
    fn a_wait_that_cannot_be_meant_is_cut_to_a_day_and_rubbish_is_none() {
        let read = |text: &[u8]| retry_after(text, SystemTime::UNIX_EPOCH);
        for text in ["99999999999999999999999", "18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(read(text.as_bytes()), Some(LONGEST), "{text}");
        }
        for text in [b"".as_slice(), b"-1", b"1.5", b"soon", b"\xff\xfe", b"+5"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    fn details(seconds: i64, nanos: i32) -> Vec<u8> {
        let info = pb::RetryInfo { retry_delay: Some(prost_types::Duration { seconds, nanos }) };
        let detail = |name: &str, value| Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value };
        let details = vec![detail("DebugInfo", vec![0xff]), detail("RetryInfo", info.encode_to_vec())];
        let status = pb::Status { code: 8, message: "later".into(), details };
        BASE64.encode(status.encode_to_vec()).into_bytes()
    }

    #[test]
    fn retry_info_is_found_among_other_details_with_padding_and_without() {
        let padded = details(2, 500_000_000);
        assert_eq!(retry_info(&padded), Some(Duration::from_millis(2500)));
        let bare = padded.strip_suffix(b"=").unwrap_or(&padded);
        let bare = bare.strip_suffix(b"=").unwrap_or(bare);
        assert_eq!(retry_info(bare), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_retry_info_that_is_rubbish_is_none() {
        for (seconds, nanos) in [(-1, 0), (0, -1)] {
            assert_eq!(retry_info(&details(seconds, nanos)), None);
        }
        assert_eq!(retry_info(&details(i64::MAX, i32::MAX)), Some(LONGEST));
        assert_eq!(retry_info(b"!!! no base 64 !!!"), None);
        assert_eq!(retry_info(&BASE64.encode([0xff; 40]).into_bytes()), None);
        assert_eq!(retry_info(&vec![b'A'; DETAILS_BYTES + 1]), None);
        let whole = details(1, 0);
        for end in 0..whole.len() {
            let _ = retry_info(&whole[..end]);
        }
    }
}
