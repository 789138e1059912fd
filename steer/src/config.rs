//! `steer.toml`: the file as it is written, with the default of every key.
//!
//! What is written here is neither looked up nor compared: [`Settings`] are what a file comes to once everything in it was
//! checked (`check.rs`), and [`load()`] reads files, merges them and tells every mistake at once, each with its line.

mod check;
mod load;
mod rules;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

use config::service::Logs;
use glob::MatchOptions;
use pipeline::settings::duration;
use serde::Deserialize;

pub use ::config::file::refused;
pub use check::{LONGEST_NAME, MOST_WEIGHT, inside, unconfigured};
pub use load::{Loaded, load};
pub use settings::{Backend, Probe, Service, Settings};

/// How patterns of names are matched, of devices and of files.
pub const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Where the configuration is looked for without `--config`.
pub const DEFAULT_FILE: &str = "/etc/ringside/steer.toml";

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct File {
    /// `[steer]`.
    pub steer: Steer,
    /// `[discovery]`.
    pub discovery: Discovery,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[hints]`.
    pub hints: Hints,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[[service]]`.
    pub service: Vec<ServiceTable>,
}

/// What the daemon does, where, and how much it holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Steer {
    /// Whether packets are changed. Default `observe`.
    pub mode: Mode,
    /// How a packet gets to its backend. Default `stack`.
    pub path: Path,
    /// Path `direct` is taken although this node drops some of what it forwards. Default false.
    pub allow_policy_bypass: bool,
    /// Devices by which packets of clients and replies of backends enter: names, `*` and `?` stand for others. Required.
    pub interfaces: Vec<String>,
    /// Networks that backends lie in; one outside is refused wherever it comes from. Required.
    pub allowed_backends: Vec<String>,
    /// Key of the hash of Call-IDs, 32 hexadecimal digits, the same on all nodes. Without it one is made and kept.
    pub cluster_key: Option<String>,
    /// How long new dialogs are steered by the last tables once nobody looks after them. Default 300 s.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// How long after switching on, or an outage, what belongs to an unknown dialog goes the standard way. Default 30 min.
    #[serde(with = "duration")]
    pub settle: Duration,
    /// How long a dialog is remembered after its last packet. Default 12 h.
    #[serde(with = "duration")]
    pub dialog_idle: Duration,
    /// Most dialogs. Default 100,000.
    pub max_dialogs: u32,
    /// Most flows. Default 100,000.
    pub max_flows: u32,
    /// Most datagrams whose fragments are followed at a time. Default 8,192.
    pub max_fragments: u32,
    /// Most token buckets of limits. Default 65,536.
    pub max_buckets: u32,
    /// Names of tc programs of others that may be on the devices.
    pub beside: Vec<String>,
    /// Where the daemon keeps what survives a reboot. Default `/var/lib/ringside-steer`.
    pub state_dir: PathBuf,
    /// Where programs and maps are pinned. Default `/sys/fs/bpf/ringside-steer`.
    pub pin_dir: PathBuf,
    /// The control socket. Default `/run/ringside-steer/control.sock`.
    pub control: PathBuf,
}

/// Whether packets are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They pass, and what would be done is counted.
    #[default]
    Observe,
    /// They are steered.
    Active,
}

impl Mode {
    /// Its name in the file and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Active => "active",
        }
    }
}

/// How a packet gets to its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Only addresses change; routing and netfilter see every packet.
    #[default]
    Stack,
    /// Into the pod or towards its node, past routing and netfilter.
    Direct,
}

impl Path {
    /// Its name in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Direct => "direct",
        }
    }
}

/// Where backends come from besides the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Discovery {
    /// Files of backends; `*` and `?` may stand in the last part of a path. Default none.
    pub files: Vec<String>,
}

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Address and port of `/metrics` and `/health`. Default `127.0.0.1:2114`.
    pub endpoint: String,
}

/// Where backends say how they are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Hints {
    /// Address and port of `/v1/hint`. Without it there are no hints.
    pub listen: Option<String>,
}

/// What the daemon says about itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Its log, on standard error.
    pub logs: Logs,
}

/// A service address and what stands behind it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceTable {
    /// Its name, a label of metrics.
    pub name: String,
    /// Addresses and ports that clients send to.
    pub addresses: Vec<String>,
    /// What keeps packets together. Default `call_id`.
    pub affinity: Affinity,
    /// Calls for help.
    pub emergency: Emergency,
    /// Whether weights follow how backends answer. Default `off`.
    pub adaptive: Adaptive,
    /// From INVITE to first response, the longest that is well. Default 200 ms.
    #[serde(with = "duration")]
    pub latency_target: Duration,
    /// OPTIONS to each backend. Without it there are none.
    pub probe: Option<ProbeTable>,
    /// `[[service.backend]]`.
    pub backend: Vec<BackendTable>,
    /// `[[service.rule]]`; the first that matches wins.
    pub rule: Vec<RuleTable>,
}

/// What keeps packets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// The Call-ID.
    #[default]
    CallId,
    /// Address and port of the client.
    Source,
}

/// Whether weights follow how backends answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adaptive {
    /// They do not.
    #[default]
    Off,
    /// What they would be is computed and exported.
    Report,
    /// They do.
    On,
}

/// Calls for help: `urn:service:sos`, and calls to these users.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Emergency {
    /// User parts of Request-URIs.
    pub users: Vec<String>,
    /// How many go before everything else; beyond it they are treated as any other call.
    pub limit: Option<Rate>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rate {
    /// Messages a second.
    pub rate: u32,
    /// Messages at once.
    pub burst: u32,
}

/// OPTIONS to each backend.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProbeTable {
    /// From one to the next. Default 2 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Unanswered ones running that take a backend down. Default 3.
    pub down_after: u32,
    /// Answered ones running that bring it up. Default 2.
    pub up_after: u32,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct BackendTable {
    /// Its name, a label of metrics.
    pub name: String,
    /// Its address and port, one per family.
    pub addresses: Vec<String>,
    /// Its share of new dialogs, to be compared with those of the others: 0 to 1000. Default 100.
    pub weight: u32,
    /// Whether it takes new dialogs. Default `up`.
    pub state: State,
}

/// Whether a backend takes dialogs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// New and known ones.
    #[default]
    Up,
    /// Known ones.
    Drain,
    /// None.
    Down,
}

impl State {
    /// Its name in the file and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RuleTable {
    /// What it is about.
    pub r#match: MatchTable,
    /// What happens; this or `limit`.
    pub action: Option<Action>,
    /// How much of it passes; this or `action`.
    pub limit: Option<LimitTable>,
    /// Priority of the packet for queueing disciplines, 0 to 7.
    pub priority: Option<u32>,
    /// DSCP of the packet (RFC 2474), 0 to 63.
    pub dscp: Option<u32>,
}

/// What a rule is about: everything that is written has to fit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MatchTable {
    /// Methods; `OTHER` stands for all that have no name here.
    pub method: Vec<String>,
    /// Networks of clients.
    pub cidr: Vec<String>,
    /// Calls for help.
    pub emergency: bool,
    /// While the service is overloaded.
    pub overload: bool,
    /// Requests within dialogs too.
    pub in_dialog: bool,
    /// What has no Call-ID.
    pub no_call_id: bool,
}

/// What happens to what a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is steered.
    Steer,
    /// It goes the standard way.
    Pass,
    /// It is dropped.
    Drop,
}

/// How much passes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct LimitTable {
    /// Messages a second.
    #[serde(default)]
    pub rate: u32,
    /// Messages at once.
    #[serde(default)]
    pub burst: u32,
    /// Whether all clients share it.
    pub per: Per,
    /// What happens to the rest.
    pub over: Over,
}

/// Who shares a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// All clients.
    Service,
    /// Each address; over IPv6 each network of 64 bits.
    Source,
}

/// What happens beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It is dropped.
    Drop,
    /// It is counted, and steered all the same.
    Count,
}

impl Default for Steer {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            path: Path::default(),
            allow_policy_bypass: false,
            interfaces: Vec::new(),
            allowed_backends: Vec::new(),
            cluster_key: None,
            grace: Duration::from_secs(300),
            settle: Duration::from_secs(30 * 60),
            dialog_idle: Duration::from_secs(12 * 3600),
            max_dialogs: 100_000,
            max_flows: 100_000,
            max_fragments: 8192,
            max_buckets: 65_536,
            beside: Vec::new(),
            state_dir: "/var/lib/ringside-steer".into(),
            pin_dir: "/sys/fs/bpf/ringside-steer".into(),
            control: "/run/ringside-steer/control.sock".into(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { endpoint: "127.0.0.1:2114".to_owned() }
    }
}

impl Default for ServiceTable {
    fn default() -> Self {
        Self {
            name: String::new(),
            addresses: Vec::new(),
            affinity: Affinity::default(),
            emergency: Emergency::default(),
            adaptive: Adaptive::default(),
            latency_target: Duration::from_millis(200),
            probe: None,
            backend: Vec::new(),
            rule: Vec::new(),
        }
    }
}

impl Default for ProbeTable {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), down_after: 3, up_after: 2 }
    }
}

impl Default for BackendTable {
    fn default() -> Self {
        Self { name: String::new(), addresses: Vec::new(), weight: Backend::WEIGHT, state: State::default() }
    }
}
