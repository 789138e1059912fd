//! `[service]` in pipeline.toml: the pipelines, and what concerns the program as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

/// The table as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Service {
    /// Extensions that run. Default none.
    pub extensions: Vec<String>,
    /// Threads that follow calls, each a part of them. 1 to [`MAX_SHARDS`]. With one, the thread that captures does it;
    /// with more they come on top of it. Bounds (`max_calls`, `max_traces_per_second`) are divided among them. Default 1.
    pub shards: usize,
    /// Longest time from SIGTERM to the end. Default 10 s.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
    /// Names of metrics.
    pub metrics: Metrics,
    /// What the program says about itself.
    pub telemetry: Telemetry,
    /// What is joined to what, by `metrics`, `metrics/name`, `traces` or `traces/name`.
    pub pipelines: BTreeMap<String, Pipeline>,
}

/// Names of metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Metrics {
    /// Prefix of every metric's name, without the underscore after it. Default `sip_exporter`.
    pub namespace: String,
}

/// What the program says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Telemetry {
    /// Its log, on standard error.
    pub logs: Logs,
    /// Who it is, with everything it pushes: resource attributes, by their names. An empty text leaves one out.
    pub resource: BTreeMap<String, String>,
}

/// The program's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Logs {
    /// Least important kind of line that is written. Default `info`.
    pub level: Level,
    /// How a line looks. Default `text`.
    pub encoding: Encoding,
}

/// How important a line of the log is, named as the Collector does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// One pipeline: ids of its components.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
        if self.pipelines.is_empty() {
            let help = "add `[service.pipelines.metrics]` with receivers, processors and exporters";
            problems.error("pipelines", "there is no pipeline, so nothing would run", help);
        }
    }
}
