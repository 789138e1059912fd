//! `[exporters.otlp_grpc]` and `[exporters.otlp_http]`: the Collector's keys in, [`Settings`] out.
//!
//! Two tables, one sender: [`GrpcConfig`] and [`HttpConfig`] differ in how an endpoint is written and in the
//! default timeout. Keys left out are filled from `OTEL_*` variables before this is read ([`super::env`]).

mod endpoint;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use pipeline::settings::{Problems, size};
use serde::{Deserialize, Serialize};

pub use endpoint::Endpoint;
pub use tables::{Aggregation, Batch, Compression, GrpcConfig, HttpConfig, Queue, Retry, Temporality, Tls, TlsVersion};

use super::payload::Signal;

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// A table that was checked, for either protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How requests travel.
    pub protocol: Protocol,
    /// By [`Signal::index`]; `None` where no endpoint is known for it. All the same for gRPC.
    pub endpoints: [Option<Endpoint>; Signal::ALL.len()],
    /// Sent with every request; values are marked sensitive, so that `Debug` does not show them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// How requests are compressed.
    pub compression: Compression,
    /// Trust and identity. Files are read when the exporter starts.
    pub tls: Tls,
    /// What is done about answers that ask to try again.
    pub retry: Retry,
    /// What waits to be sent.
    pub queue: Queue,
    /// Largest request before compression, in bytes.
    pub max_request_size: usize,
    /// What a data point counts from.
    pub temporality: Temporality,
    /// The buckets of histograms.
    pub aggregation: Aggregation,
    /// How often metrics are sent.
    pub metric_export_interval: Duration,
}

impl Settings {
    /// Where a signal goes.
    pub fn endpoint(&self, signal: Signal) -> Option<&Endpoint> {
        self.endpoints[signal.index()].as_ref()
    }

    /// Checks `[exporters.otlp_grpc]`. `None` when something is wrong, all of which is then in `problems`.
    pub fn grpc(config: GrpcConfig, problems: &mut Problems) -> Option<Self> {
        let endpoint = endpoint::grpc(&config.endpoint, config.tls.insecure, problems);
        let settings = Self {
            protocol: Protocol::Grpc,
            endpoints: std::array::from_fn(|_| endpoint.clone()),
            headers: headers(&config.headers, problems),
            timeout: config.timeout,
            compression: config.compression,
            tls: config.tls,
            retry: config.retry_on_failure,
            queue: config.sending_queue,
            max_request_size: config.max_request_size,
            temporality: config.temporality,
            aggregation: config.default_histogram_aggregation,
            metric_export_interval: config.metric_export_interval,
        };
        settings.checked(problems)
    }

    /// Checks `[exporters.otlp_http]`; see [`Settings::grpc`].
    pub fn http(config: HttpConfig, problems: &mut Problems) -> Option<Self> {
        let base = endpoint::http("endpoint", &config.endpoint, problems);
        let endpoints = Signal::ALL.map(|signal| {
            let (key, own) = match signal {
                Signal::Metrics => ("metrics_endpoint", &config.metrics_endpoint),
                Signal::Traces => ("traces_endpoint", &config.traces_endpoint),
                Signal::Logs => ("logs_endpoint", &config.logs_endpoint),
            };
            let below = || base.as_ref().map(|base| base.below(signal.http_path()));
            if own.is_empty() { below() } else { endpoint::http(key, own, problems) }
        });
        let settings = Self {
            protocol: Protocol::Http,
            endpoints,
            headers: headers(&config.headers, problems),
            timeout: config.timeout,
            compression: config.compression,
            tls: config.tls,
            retry: config.retry_on_failure,
            queue: config.sending_queue,
            max_request_size: config.max_request_size,
            temporality: config.temporality,
            aggregation: config.default_histogram_aggregation,
            metric_export_interval: config.metric_export_interval,
        };
        settings.checked(problems)
    }

    fn checked(self, problems: &mut Problems) -> Option<Self> {
        let Self { tls, retry, queue, .. } = &self;
        let positive = [
            ("timeout", self.timeout),
            ("metric_export_interval", self.metric_export_interval),
            ("retry_on_failure.initial_interval", retry.initial_interval),
            ("retry_on_failure.max_interval", retry.max_interval),
            ("sending_queue.batch.flush_timeout", queue.batch.flush_timeout),
        ];
        for (key, _) in positive.iter().filter(|(_, value)| value.is_zero()) {
            problems.error(*key, "0 leaves no time at all", "give a duration such as \"5s\"");
        }
        let within = |value: f64, low: f64, high: f64| (low..=high).contains(&value);
        if !within(retry.multiplier, 1.0, 100.0) {
            let what = format!("{} is not between 1 and 100", retry.multiplier);
            problems.error("retry_on_failure.multiplier", what, "each wait is this much longer than the one before");
        }
        if !within(retry.randomization_factor, 0.0, 1.0) {
            let what = format!("{} is not between 0 and 1", retry.randomization_factor);
            problems.error(
                "retry_on_failure.randomization_factor",
                what,
                "0.5 makes a wait up to half longer or shorter",
            );
        }
        if !(1..=MOST_CONSUMERS).contains(&queue.num_consumers) {
            let what = format!("{} is not between 1 and {MOST_CONSUMERS}", queue.num_consumers);
            problems.error(
                "sending_queue.num_consumers",
                what,
                "2 keep one request on its way while another is answered",
            );
        }
        if !(SMALLEST_REQUEST..=LARGEST_REQUEST).contains(&self.max_request_size) {
            let what = format!("{} is not between 64KiB and 64MiB", size::format(self.max_request_size));
            problems.error("max_request_size", what, "servers commonly refuse above 4MiB");
        } else if queue.queue_size < self.max_request_size {
            let what = format!("{} cannot hold one largest request", size::format(queue.queue_size));
            let help = format!("give it max_request_size ({}) at least", size::format(self.max_request_size));
            problems.error("sending_queue.queue_size", what, help);
        }
        if !queue.enabled && !queue.storage.is_empty() {
            let what = "without the queue nothing waits on disk";
            problems.error("sending_queue.storage", what, "leave `enabled` true, or take `storage` out");
        }
        if queue.batch.max_size == 0 || queue.batch.max_size < queue.batch.min_size {
            let what = format!("{} is below min_size ({})", queue.batch.max_size, queue.batch.min_size.max(1));
            problems.error("sending_queue.batch.max_size", what, "make it min_size at least");
        }
        for (key, missing, other) in [
            ("tls.cert_file", tls.cert_file.is_none(), tls.key_file.is_some()),
            ("tls.key_file", tls.key_file.is_none(), tls.cert_file.is_some()),
        ] {
            if missing && other {
                problems.error(key, "a client certificate needs both its file and that of its key", "add it");
            }
        }
        if tls.ca_file.is_some() && tls.ca_pem.is_some() {
            problems.error("tls.ca_pem", "the authorities are given twice", "keep one of `ca_file` and `ca_pem`");
        }
        (!problems.has_errors()).then_some(self)
    }
}

fn headers(headers: &BTreeMap<String, String>, problems: &mut Problems) -> Vec<(HeaderName, HeaderValue)> {
    let mut read = Vec::new();
    for (name, value) in headers {
        match (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                read.push((name, value));
            }
            // Neither is shown: a secret may stand in the name's place.
            (Err(_), _) => problems.error("headers", "a name is none HTTP allows", "use letters, digits and `-`"),
            (_, Err(_)) => {
                problems.error("headers", "a value has characters HTTP does not allow", "take out line ends")
            }
        }
    }
    read
}

const MOST_CONSUMERS: usize = 64;
const SMALLEST_REQUEST: usize = 64 << 10;
const LARGEST_REQUEST: usize = 64 << 20;

#[cfg(test)]
mod tests;
