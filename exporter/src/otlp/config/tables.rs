//! The tables as they are written: the Collector's keys with their defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pipeline::settings::{duration, size};
use serde::{Deserialize, Serialize};

/// `[exporters.otlp_grpc]`.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct GrpcConfig {
    /// `host:port`, `http://host:port` (no TLS) or `https://host:port`. A `host:port` alone means TLS unless
    /// `tls.insecure`. Default: `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Longest wait for one answer. Default 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
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
    #[schemars(with = "pipeline::settings::size::Written")]
    pub max_request_size: usize,
    /// `cumulative` or `delta`. Default `cumulative`.
    pub temporality: Temporality,
    /// `explicit_bucket_histogram` or `base2_exponential_bucket_histogram`. Default the former.
    pub default_histogram_aggregation: Aggregation,
    /// How often metrics are sent. Default 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub metric_export_interval: Duration,
}

/// `[exporters.otlp_http]`.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
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
    #[schemars(with = "pipeline::settings::duration::Written")]
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
    #[schemars(with = "pipeline::settings::size::Written")]
    pub max_request_size: usize,
    /// `cumulative` or `delta`. Default `cumulative`.
    pub temporality: Temporality,
    /// `explicit_bucket_histogram` or `base2_exponential_bucket_histogram`. Default the former.
    pub default_histogram_aggregation: Aggregation,
    /// How often metrics are sent. Default 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub metric_export_interval: Duration,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Level 1.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

/// What a data point of a counter or histogram counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// The start of the program.
    #[default]
    Cumulative,
    /// The last point the server has acknowledged.
    Delta,
}

/// The buckets of histograms, as OpenTelemetry's variable names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The classic ones of each metric.
    #[default]
    ExplicitBucketHistogram,
    /// Eight for each doubling (scale 3).
    #[serde(rename = "base2_exponential_bucket_histogram")]
    Base2ExponentialBucketHistogram,
}

/// `tls`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Retry {
    /// Try again. Default true.
    pub enabled: bool,
    /// First wait. Default 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub initial_interval: Duration,
    /// Longest wait. Default 30 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub max_interval: Duration,
    /// Given up after this long; 0 never. Default 5 min.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub max_elapsed_time: Duration,
    /// Each wait is this much longer than the one before. Default 1.5.
    pub multiplier: f64,
    /// Each wait is up to this part longer or shorter, 0 to 1. Default 0.5.
    pub randomization_factor: f64,
}

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Queue {
    /// Requests wait while others are sent; without it, what cannot be sent at once is dropped. Default true.
    pub enabled: bool,
    /// Requests on their way at a time. Default 2.
    pub num_consumers: usize,
    /// Most bytes that wait. Default 4 MiB.
    #[serde(with = "size")]
    #[schemars(with = "pipeline::settings::size::Written")]
    pub queue_size: usize,
    /// The extension in whose folder requests wait, of metrics none: `file_storage`. Default: in memory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage: String,
    /// How spans are put together.
    pub batch: Batch,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Batch {
    /// A request leaves after this long, full or not. Default 1 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
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
            default_histogram_aggregation: Aggregation::default(),
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
            default_histogram_aggregation: Aggregation::default(),
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
        Self { enabled: true, num_consumers: 2, queue_size: 4 << 20, storage: String::new(), batch: Batch::default() }
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
