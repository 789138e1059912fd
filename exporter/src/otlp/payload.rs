//! What is handed to the sender, and what it answers.
//!
//! A payload is encoded once and not changed any more: a retry sends the same bytes.

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

/// Which of OTLP's services takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// `ExportMetricsServiceRequest`; items are data points.
    Metrics,
    /// `ExportTraceServiceRequest`; items are spans.
    Traces,
    /// `ExportLogsServiceRequest`; items are log records.
    Logs,
}

impl Signal {
    /// All of them, in order of their index.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// Position in [`Signal::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// For the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// The path below an OTLP/HTTP endpoint.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }

    /// The path of the gRPC method.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// One request, never above `max_request_size`: whoever encodes splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Who takes it.
    pub signal: Signal,
    /// The Protobuf encoding of the `Export…ServiceRequest`, uncompressed and without a frame head.
    pub body: Bytes,
    /// Data points, spans or log records in it.
    pub items: u64,
    /// Spans of calls that failed: when the queue is full, others make room for them.
    pub important: bool,
}

/// A payload as it travels: compressed and framed. It waits and is retried in this form, so that a queue of so many bytes
/// holds as many requests as it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Who takes it.
    pub signal: Signal,
    /// The body of an HTTP request.
    pub body: Bytes,
    /// As of the payload.
    pub items: u64,
    /// As of the payload.
    pub important: bool,
}

/// A request in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// As of the payload.
    pub signal: Signal,
    /// As it travels.
    pub body: Body,
    /// As of the payload.
    pub items: u64,
    /// As of the payload.
    pub important: bool,
}

/// Where the body of a request in the queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// In memory.
    Held(Bytes),
    /// In a file of the queue on disk.
    Stored {
        /// Which one.
        number: u64,
        /// How long it is.
        bytes: usize,
    },
}

impl Body {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Held(body) => body.len(),
            Self::Stored { bytes, .. } => *bytes,
        }
    }
}

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it.
    Accepted {
        /// Items it refused all the same (partial success), which are not sent again.
        rejected: u64,
    },
    /// It did not arrive, and will not.
    Failed(Failure),
}

impl Outcome {
    /// For spans about deliveries.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepted { rejected: 0 } => "accepted",
            Self::Accepted { .. } => "accepted in part",
            Self::Failed(Failure::Permanent) => "refused",
            Self::Failed(Failure::GaveUp) => "given up",
            Self::Failed(Failure::Ended) => "ended before",
            Self::Failed(Failure::Refused(why)) => why.reason(),
        }
    }
}

/// Why a payload did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server refused it for good.
    Permanent,
    /// Retries went on for `max_elapsed_time`, or are switched off.
    GaveUp,
    /// The program ended before.
    Ended,
    /// It was never sent: there was no room for it, or it is above `max_request_size`.
    Refused(Refused),
}

/// Why the sender did not take a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue holds `queue_size` bytes.
    #[error("the queue is full")]
    QueueFull,
    /// It is above `max_request_size`.
    #[error("the request is too large")]
    TooLarge,
    /// The sender ends.
    #[error("the sender ends")]
    Stopped,
    /// No endpoint is known for this signal.
    #[error("no endpoint takes it")]
    NoEndpoint,
    /// The queue on disk cannot be written or read.
    #[error("the queue on disk cannot be used")]
    Storage,
}

impl Refused {
    /// All of them, in order of their index.
    pub const ALL: [Self; 5] = [Self::QueueFull, Self::TooLarge, Self::Stopped, Self::NoEndpoint, Self::Storage];

    /// The label value `reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Stopped => "stopped",
            Self::NoEndpoint => "no_endpoint",
            Self::Storage => "storage",
        }
    }
}
