//! Values of attributes and fields: what a record holds in, as OpenTelemetry and OpenSIPS write it out.

use std::time::Duration;

use md5::{Digest, Md5};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use pipeline::Transport;
use pipeline::call::ladder::Transaction;
use pipeline::call::verdict::ErrorType;
use wire::Tap;

/// The ends of a transaction as indexes into the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// This host is one of them.
    Ours { local: u16, peer: u16 },
    /// Neither is known to be this host.
    Others { source: u16, destination: u16 },
}

impl Ends {
    /// Those of a transaction.
    pub fn of(transaction: &Transaction) -> Self {
        let Transaction { source, destination, .. } = *transaction;
        match transaction.tap {
            Tap::Sender => Self::Ours { local: source, peer: destination },
            Tap::Recipient => Self::Ours { local: destination, peer: source },
            Tap::Between => Self::Others { source, destination },
        }
    }

    /// The other side; between others that of a SERVER span, which sent the request.
    pub fn peer(self) -> u16 {
        match self {
            Self::Ours { peer, .. } => peer,
            Self::Others { source, .. } => source,
        }
    }
}

/// The name of a method. One that is not known has the one that the conventions for HTTP give such.
pub(super) const fn method(method: sip::Method) -> &'static str {
    match method {
        sip::Method::Other => "_OTHER",
        known => known.as_str(),
    }
}

/// CSeq as it is written.
pub(super) fn cseq(number: u32, method: sip::Method) -> String {
    format!("{number} {}", method.as_str())
}

/// Seconds of a delay, rounded once: whole and fraction added up have digits that nobody measured.
pub(super) fn seconds(delay: Duration) -> f64 {
    delay.as_nanos() as f64 / 1e9
}

/// The status of a span that is an error.
pub(super) fn status(error: Option<ErrorType>) -> Option<Status> {
    error.map(|_| Status { code: StatusCode::Error.into(), message: String::new() })
}

/// The transport below TLS and WebSocket, as the semantic conventions have it.
pub(super) fn network_transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => "tcp",
    }
}

/// OpenTelemetry's entry of `tracestate` for a threshold of 56 bits: hexadecimal, without zeros at the end.
pub(super) fn trace_state(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    let digits = digits.trim_end_matches('0');
    format!("ot=th:{}", if digits.is_empty() { "0" } else { digits })
}

/// As OpenSIPS makes it.
pub(super) fn transaction_id(call_id: &str, cseq: &str, branch: &str) -> String {
    hex::encode(hash(&[call_id.as_bytes(), cseq.as_bytes(), branch.as_bytes()]))
}

/// MD5 over the lengths and values of `parts`.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
