//! What a file comes to: values that are ready for use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use affinity::Key;
use affinity::control::ProbeRule;
use affinity::policy::Conditional;
use affinity::steer::{self, Capacity, Times};
use config::service::Logs;
use glob::Pattern;
use ipnet::IpNet;

use super::{Adaptive, Mode, Path, State};

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether packets are changed.
    pub mode: Mode,
    /// How packets get to backends.
    pub path: Path,
    /// Path `direct` goes past policies of the node.
    pub allow_policy_bypass: bool,
    /// Which devices get the programs.
    pub interfaces: Vec<Pattern>,
    /// Where backends may lie.
    pub allowed_backends: Vec<IpNet>,
    /// The key of the hash, where it is written.
    pub cluster_key: Option<Key>,
    /// When what lapses.
    pub times: Times,
    /// How much is held.
    pub capacity: Capacity,
    /// Programs of others that may be there.
    pub beside: Vec<String>,
    /// Where the daemon keeps what survives a reboot.
    pub state_dir: PathBuf,
    /// Where programs and maps are pinned.
    pub pin_dir: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Files of backends.
    pub discovery: Vec<Pattern>,
    /// Where metrics are served.
    pub metrics: SocketAddr,
    /// Where hints are taken.
    pub hints: Option<SocketAddr>,
    /// The program's log.
    pub logs: Logs,
    /// What is steered.
    pub services: Vec<Service>,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where clients send to.
    pub addresses: Vec<SocketAddr>,
    /// What keeps packets together.
    pub affinity: steer::Affinity,
    /// Calls for help.
    pub emergency: steer::Emergency,
    /// Whether weights follow how backends answer.
    pub adaptive: Adaptive,
    /// From INVITE to first response, the longest that is well.
    pub latency_target: Duration,
    /// OPTIONS to each backend.
    pub probe: Option<Probe>,
    /// Backends that the file names.
    pub backends: Vec<Backend>,
    /// Rules in order.
    pub rules: Vec<Conditional>,
}

/// OPTIONS to each backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From one to the next.
    pub interval: Duration,
    /// How many decide.
    pub rule: ProbeRule,
}

/// A backend, of the file or of a discovery file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name, within its service.
    pub name: String,
    /// One address for each family at most, and at least one.
    pub addresses: Vec<SocketAddr>,
    /// 0 to 1000.
    pub weight: u32,
    /// Whether it takes dialogs.
    pub state: State,
    /// Whether it is on this node; `None`: the route to it tells.
    pub local: Option<bool>,
}

impl Backend {
    /// The weight of one that says nothing about it.
    pub const WEIGHT: u32 = 100;
}
