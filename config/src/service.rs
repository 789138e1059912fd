//! `[service]` in pipeline.toml: the pipelines, and what concerns the program as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

/// The table as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Service {
    /// Extensions that run. Default none.
    pub extensions: Vec<String>,
    /// Threads that follow calls, each a part of them. 1 to [`MAX_SHARDS`]. With one, the thread that captures does it;
    /// with more they come on top of it. Bounds (`max_calls`, `max_traces_per_second`) are divided among them. Default 1.
    pub shards: usize,
    /// Longest time from SIGTERM to the end. Default 10 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub shutdown_timeout: Duration,
    /// Names of metrics.
    pub metrics: Metrics,
    /// What the program says about itself.
    pub telemetry: Telemetry,
    /// What is joined to what, by `metrics`, `metrics/name`, `traces` or `traces/name`.
    pub pipelines: BTreeMap<String, Pipeline>,
}

/// Names of metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Metrics {
    /// Prefix of every metric's name, without the underscore after it. Default `sip_exporter`.
    pub namespace: String,
}

/// What the program says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Telemetry {
    /// Its log, on standard error.
    pub logs: Logs,
    /// Where the numbers it tells about itself go besides `/internal/metrics`.
    pub metrics: OwnMetrics,
    /// Where spans about itself go.
    pub traces: OwnTraces,
    /// Who it is, with everything it pushes: resource attributes, by their names. An empty text leaves one out.
    pub resource: BTreeMap<String, String>,
}

/// The program's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Logs {
    /// Least important kind of line that is written. Default `info`.
    pub level: Level,
    /// How a line looks. Default `text`.
    pub encoding: Encoding,
    /// Where lines go besides standard error, by OTLP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<Processor>,
}

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct OwnMetrics {
    /// Who is told, by OTLP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<Reader>,
}

/// `service.telemetry.traces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct OwnTraces {
    /// Who is told, by OTLP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<Processor>,
}

/// One of `processors`, nested as the Collector has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Processor {
    /// Several at a time.
    pub batch: Batch,
}

/// `batch` of a processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Batch {
    /// Where they go.
    pub exporter: OwnExporter,
}

/// One of `readers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Reader {
    /// At regular times.
    pub periodic: Periodic,
}

/// `periodic` of a reader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Periodic {
    /// How often. Default 1 min.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub interval: Duration,
    /// Where they go.
    pub exporter: OwnExporter,
}

impl Default for Periodic {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), exporter: OwnExporter::default() }
    }
}

/// `exporter` of a processor or reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct OwnExporter {
    /// A server that speaks OTLP.
    pub otlp: OtlpTarget,
}

/// A server for what the program tells about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct OtlpTarget {
    /// How it is spoken to. Default and only one: `grpc`.
    pub protocol: OtlpProtocol,
    /// `http://host:port`. Default `http://127.0.0.1:4317`.
    pub endpoint: String,
}

impl Default for OtlpTarget {
    fn default() -> Self {
        Self { protocol: OtlpProtocol::Grpc, endpoint: "http://127.0.0.1:4317".to_owned() }
    }
}

/// How a server for what the program tells about itself is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    /// gRPC without TLS.
    #[default]
    Grpc,
}

/// How important a line of the log is, named as the Collector does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks into the program.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What should be looked at.
    Warn,
    /// What does not work.
    Error,
}

impl Level {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// One pipeline: ids of its components.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Pipeline {
    /// Where frames come from; their order means nothing.
    pub receivers: Vec<String>,
    /// What is done with them, in this order.
    pub processors: Vec<String>,
    /// Where the result goes; their order means nothing.
    pub exporters: Vec<String>,
}

/// Largest value of `service.shards`.
pub const MAX_SHARDS: usize = 64;

impl Default for Service {
    fn default() -> Self {
        Self {
            extensions: Vec::new(),
            shards: 1,
            shutdown_timeout: Duration::from_secs(10),
            metrics: Metrics::default(),
            telemetry: Telemetry::default(),
            pipelines: BTreeMap::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { namespace: "sip_exporter".to_owned() }
    }
}

impl Telemetry {
    /// Every server, with the path of the key that names it.
    fn targets(&self) -> impl Iterator<Item = (String, &OtlpTarget)> {
        let signals = [("logs", &self.logs.processors), ("traces", &self.traces.processors)];
        let processors = signals.into_iter().flat_map(|(signal, processors)| {
            processors.iter().enumerate().map(move |(index, one)| {
                let path = format!("{signal}.processors[{index}].batch.exporter.otlp.endpoint");
                (path, &one.batch.exporter.otlp)
            })
        });
        let readers = self.metrics.readers.iter().enumerate().map(|(index, one)| {
            (format!("metrics.readers[{index}].periodic.exporter.otlp.endpoint"), &one.periodic.exporter.otlp)
        });
        processors.chain(readers)
    }
}

impl Service {
    /// Checks what does not concern the graph. Paths are inside `[service]`.
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.shards == 0 || self.shards > MAX_SHARDS {
            let what = format!("{} is not between 1 and {MAX_SHARDS}", self.shards);
            problems.error("shards", what, "1 is right for most; more only where one core is not enough");
        }
        let namespace = &self.metrics.namespace;
        let fits = namespace.starts_with(|first: char| first.is_ascii_alphabetic())
            && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            // Backends that translate names of OTLP join what stands between underscores, and move `total` to the end.
            && namespace.split('_').all(|word| !word.is_empty() && word != "total");
        if !fits {
            let help = "use words of letters and digits with one `_` between them, a letter first and none of them \
                        `total`, for instance `sip_exporter`";
            problems.error("metrics.namespace", format!("{namespace:?} cannot begin the name of a metric"), help);
        }
        if self.telemetry.resource.keys().any(String::is_empty) {
            let help = "name it, for instance \"deployment.environment.name\"";
            problems.error("telemetry.resource", "an attribute has no name", help);
        }
        for (path, target) in self.telemetry.targets() {
            if !target.endpoint.strip_prefix("http://").is_some_and(|authority| authority.contains(':')) {
                let what = format!("{:?} is no address of a server without TLS", target.endpoint);
                let help = "write it as \"http://127.0.0.1:4317\": a Collector on this host, which may pass it on";
                problems.error(format!("telemetry.{path}"), what, help);
            }
        }
        if self.pipelines.is_empty() {
            let help = "add `[service.pipelines.metrics]` with receivers, processors and exporters";
            problems.error("pipelines", "there is no pipeline, so nothing would run", help);
        }
    }
}
