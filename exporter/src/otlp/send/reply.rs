//! A reply that says yes: how much of the request it takes after all (OTLP, "Partial Success").
//!
//! The words beside the number are not looked at; see [`super::verdict`].

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::verdict::{Cause, Verdict};

/// Judges the message of a reply. `items` is how many were sent.
pub(super) fn of_message(message: &[u8], items: u64) -> Verdict {
    // The replies of all three services have the same fields with the same numbers.
    match ExportTraceServiceResponse::decode(message) {
        Ok(reply) => accepted(reply.partial_success.map_or(0, |partial| partial.rejected_spans), items),
        Err(_) => Verdict::Refused(Cause::NotOtlp("it cannot be decoded")),
    }
}

/// Judges the body of a 2xx reply over HTTP. An empty one is the reply with nothing set, whatever its type says.
pub(super) fn of_body(content_type: Option<&[u8]>, body: &[u8], items: u64) -> Verdict {
    let media_type = content_type.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    match media_type.trim_ascii() {
        _ if body.is_empty() => Verdict::Accepted { rejected: 0 },
        b"application/x-protobuf" | b"application/protobuf" => of_message(body, items),
        b"application/json" => of_json(body, items),
        // A page that greets visitors is a 200, too.
        _ => Verdict::Refused(Cause::NotOtlp("it is neither Protobuf nor JSON; see whether the endpoint is right")),
    }
}

fn of_json(body: &[u8], items: u64) -> Verdict {
    let Ok(serde_json::Value::Object(reply)) = serde_json::from_slice(body) else {
        return Verdict::Refused(Cause::NotOtlp("it cannot be decoded"));
    };
    let partial = reply.get("partialSuccess");
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
        .iter()
        .find_map(|key| partial?.get(key))
        // 64-bit numbers are text in the JSON of Protobuf.
        .and_then(|number| number.as_i64().or_else(|| number.as_str()?.parse().ok()));
    accepted(rejected.unwrap_or(0), items)
}

fn accepted(rejected: i64, items: u64) -> Verdict {
    Verdict::Accepted { rejected: u64::try_from(rejected).unwrap_or(0).min(items) }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    use super::*;

    fn rejected(rejected: u64) -> Verdict {
        Verdict::Accepted { rejected }
    }

    fn partial(rejected_data_points: i64) -> Vec<u8> {
        let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: "too old".to_owned() };
        ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn what_was_rejected_is_never_more_than_was_sent_nor_less_than_nothing() {
        assert_eq!(of_message(&[], 9), rejected(0));
        assert_eq!(of_message(&partial(4), 9), rejected(4));
        assert_eq!(of_message(&partial(i64::MAX), 9), rejected(9));
        assert_eq!(of_message(&partial(-1), 9), rejected(0));
    }

    #[test]
    fn replies_over_http_are_protobuf_json_or_empty() {
        let protobuf = Some(b"application/x-protobuf".as_slice());
        let json = Some(b"application/json; charset=utf-8".as_slice());
        assert_eq!(of_body(protobuf, &partial(2), 9), rejected(2));
        assert_eq!(of_body(json, br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#, 9), rejected(3));
        assert_eq!(of_body(json, br#"{"partialSuccess":{"rejectedDataPoints":3}}"#, 9), rejected(3));
        assert_eq!(of_body(json, b"{}", 9), rejected(0));
        assert_eq!(of_body(None, b"", 9), rejected(0));
        assert_eq!(of_body(Some(b"text/plain"), b"", 9), rejected(0));
    }

    #[test]
    fn anything_else_is_no_acknowledgement() {
        for (content_type, body) in [
            (Some(b"text/html".as_slice()), b"<h1>It works!</h1>".as_slice()),
            (None, b"OK"),
            (Some(b"\xff\xfe"), b"OK"),
            (Some(b"application/json"), b"OK"),
            (Some(b"application/json"), b"[]"),
            (Some(b"application/x-protobuf"), b"\xff\xff\xff"),
        ] {
            let verdict = of_body(content_type, body, 9);
            assert!(matches!(verdict, Verdict::Refused(Cause::NotOtlp(_))), "{verdict:?}");
        }
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_of_a_reply_is_a_panic() {
        let whole = partial(4);
        for at in 0..whole.len() {
            of_message(&whole[..at], 9);
            for bit in 0..8 {
                let mut broken = whole.clone();
                broken[at] ^= 1 << bit;
                of_message(&broken, 9);
            }
        }
    }
}
