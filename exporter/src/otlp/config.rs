//! `[exporters.otlp_grpc]` and `[exporters.otlp_http]`: the Collector's keys in, [`Settings`] out.
//!
//! Two tables, one sender: [`GrpcConfig`] and [`HttpConfig`] differ in how an endpoint is written and in the
//! default timeout. Keys left out are filled from `OTEL_*` variables before this is read ([`super::env`]).

mod endpoint;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use pipeline::config::{Problems, duration, size};
use serde::{Deserialize, Serialize};

pub use endpoint::Endpoint;

use super::payload::Signal;

/// `[exporters.otlp_grpc]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct GrpcConfig {
    /// `host:port`, `http://host:port` (no TLS) or `https://host:port`. A `host:port` alone means TLS unless
    /// `tls.insecure`. Default: `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Longest wait for one answer. Default 5 s.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Sent with every request. Never shown.
    pub headers: BTreeMap<String, String>,
    /// `gzip` or `none`. Default `gzip`.
    pub compression: Compression,
    /// Trust and identity.
    pub tls: Tls,
    /// What is done about answers that ask to try again.
    pub retry_on_failure: Retry,
    /// What waits to be sent.
    pub sending_queue: Queue,
    /// Largest request before compression, in bytes. Default 3.5 MiB: servers commonly refuse above 4 MiB.
    #[serde(with = "size")]
    pub max_request_size: usize,
    /// `cumulative` or `delta`. Default `cumulative`.
    pub temporality: Temporality,
    /// How often metrics are sent. Default 60 s.
    #[serde(with = "duration")]
    pub metric_export_interval: Duration,
}

/// `[exporters.otlp_http]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct HttpConfig {
    /// `http://` or `https://`, host, port and perhaps a path; `/v1/metrics` and `/v1/traces` are appended. Default:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Where metrics go, used as it stands. Default: below `endpoint`.
    pub metrics_endpoint: String,
    /// Where traces go, used as it stands. Default: below `endpoint`.
    pub traces_endpoint: String,
    /// Where log records go (`ladder = "logs"`), used as it stands. Default: below `endpoint`.
    pub logs_endpoint: String,
    /// Longest wait for one answer. Default 10 s.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Sent with every request. Never shown.
    pub headers: BTreeMap<String, String>,
    /// `gzip` or `none`. Default `gzip`.
    pub compression: Compression,
    /// Trust and identity.
    pub tls: Tls,
    /// What is done about answers that ask to try again.
    pub retry_on_failure: Retry,
    /// What waits to be sent.
    pub sending_queue: Queue,
    /// Largest request before compression, in bytes. Default 3.5 MiB: servers commonly refuse above 4 MiB.
    #[serde(with = "size")]
    pub max_request_size: usize,
    /// `cumulative` or `delta`. Default `cumulative`.
    pub temporality: Temporality,
    /// How often metrics are sent. Default 60 s.
    #[serde(with = "duration")]
    pub metric_export_interval: Duration,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Level 1.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

/// What a data point of a counter or histogram counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// The start of the program.
    #[default]
    Cumulative,
    /// The last point the server has acknowledged.
    Delta,
}

/// `tls`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Tls {
    /// No TLS for a gRPC endpoint without a scheme. Default false.
    pub insecure: bool,
    /// Any certificate will do. Default false.
    pub insecure_skip_verify: bool,
    /// PEM file of the authorities to trust. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The same, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Trust the authorities of the system too when `ca_file` or `ca_pem` is given. Default false.
    pub include_system_ca_certs_pool: bool,
    /// PEM file of the own certificate, for servers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name the server's certificate must have. Default: the host of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name_override: Option<String>,
    /// `1.2` or `1.3`. Default `1.2`.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// `retry_on_failure`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Retry {
    /// Try again. Default true.
    pub enabled: bool,
    /// First wait. Default 5 s.
    #[serde(with = "duration")]
    pub initial_interval: Duration,
    /// Longest wait. Default 30 s.
    #[serde(with = "duration")]
    pub max_interval: Duration,
    /// Given up after this long; 0 never. Default 5 min.
    #[serde(with = "duration")]
    pub max_elapsed_time: Duration,
    /// Each wait is this much longer than the one before. Default 1.5.
    pub multiplier: f64,
    /// Each wait is up to this part longer or shorter, 0 to 1. Default 0.5.
    pub randomization_factor: f64,
}

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Queue {
    /// Requests wait while others are sent; without it, what cannot be sent at once is dropped. Default true.
    pub enabled: bool,
    /// Requests on their way at a time. Default 2.
    pub num_consumers: usize,
    /// Most bytes that wait. Default 4 MiB.
    #[serde(with = "size")]
    pub queue_size: usize,
    /// How spans are put together.
    pub batch: Batch,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Batch {
    /// A request leaves after this long, full or not. Default 1 s.
    #[serde(with = "duration")]
    pub flush_timeout: Duration,
    /// A request leaves once it has this many spans. Default 512.
    pub min_size: usize,
    /// Most spans of a request; a call is not cut for it. Default 2048.
    pub max_size: usize,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            timeout: Duration::from_secs(5),
            headers: BTreeMap::new(),
            compression: Compression::default(),
            tls: Tls::default(),
            retry_on_failure: Retry::default(),
            sending_queue: Queue::default(),
            max_request_size: MAX_REQUEST_SIZE,
            temporality: Temporality::default(),
            metric_export_interval: METRIC_EXPORT_INTERVAL,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let GrpcConfig { headers, compression, tls, retry_on_failure, sending_queue, .. } = GrpcConfig::default();
        Self {
            endpoint: String::new(),
            metrics_endpoint: String::new(),
            traces_endpoint: String::new(),
            logs_endpoint: String::new(),
            timeout: Duration::from_secs(10),
            headers,
            compression,
            tls,
            retry_on_failure,
            sending_queue,
            max_request_size: MAX_REQUEST_SIZE,
            temporality: Temporality::default(),
            metric_export_interval: METRIC_EXPORT_INTERVAL,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            insecure: false,
            insecure_skip_verify: false,
            ca_file: None,
            ca_pem: None,
            include_system_ca_certs_pool: false,
            cert_file: None,
            key_file: None,
            server_name_override: None,
            min_version: TlsVersion::V1_2,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { enabled: true, num_consumers: 2, queue_size: 4 << 20, batch: Batch::default() }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { flush_timeout: Duration::from_secs(1), min_size: 512, max_size: 2048 }
    }
}

/// 3.5 MiB.
const MAX_REQUEST_SIZE: usize = 7 << 19;
const METRIC_EXPORT_INTERVAL: Duration = Duration::from_secs(60);

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            let cure = format!("give it max_request_size ({}) at least", size::format(self.max_request_size));
            problems.error("sending_queue.queue_size", what, cure);
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
