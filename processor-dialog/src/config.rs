//! `[processors.dialog]` in pipeline.toml: the constants of `sip-metrics.md` 0.3.

use std::time::Duration;

use pipeline::config::duration;
use serde::{Deserialize, Serialize};

use crate::calls;

/// Timeouts, windows and bounds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// RFC 3261 T1, the round trip time estimate everything else is a multiple of. Default 500 ms.
    #[serde(with = "duration")]
    pub t1: Duration,
    /// Longest wait for a final response (timers B, F), and how long ended transactions are kept to absorb
    /// repeats (D, H, I, J, L, M). Default 64 times `t1`.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub transaction_timeout: Option<Duration>,
    /// Longest wait for the final response of an INVITE after the last provisional one (timer C + 5 s). Default 185 s.
    #[serde(with = "duration")]
    pub proceeding: Duration,
    /// How long after a challenge or a redirect the next request may come to belong to it. Default 60 s.
    #[serde(with = "duration")]
    pub retry_window: Duration,
    /// How long after a payload an identical one between the same addresses is a capture duplicate. 0 keeps
    /// every copy. Default 20 ms.
    #[serde(with = "duration")]
    pub dup_window: Duration,
    /// How long the failures of all branches seen below a proxy wait for another branch. Default 2 s.
    #[serde(with = "duration")]
    pub fork_hold: Duration,
    /// Life of a session in the seed's store when its 2xx names no Session-Expires. Default 30 min.
    #[serde(with = "duration")]
    pub session_expires_default: Duration,
    /// A completed call shorter than this is short. Default 6 s.
    #[serde(with = "duration")]
    pub short_call: Duration,
    /// Longest life of a dialog without a session timer. Default 24 h.
    #[serde(with = "duration")]
    pub max_dialog_age: Duration,
    /// Most dialogs held; logical requests are bounded by twice as many, attempts and bindings by as many.
    /// Beyond it the entry idle longest is evicted and counted. Default 500,000.
    pub max_calls: usize,
    /// A Q.850 cause in the deciding final rules the strict NER instead of the status. Default false.
    pub ner_use_q850: bool,
    /// Where a failed INVITE names no Reason, its status is counted as a Q.850 cause (RFC 3398 §8.2.6.1) under
    /// `protocol="derived"`. Default false.
    pub derive_causes: bool,
    /// Records of whole calls.
    pub calls: calls::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            transaction_timeout: None,
            proceeding: Duration::from_secs(185),
            retry_window: Duration::from_secs(60),
            dup_window: Duration::from_millis(20),
            fork_hold: Duration::from_secs(2),
            session_expires_default: Duration::from_secs(30 * 60),
            short_call: Duration::from_secs(6),
            max_dialog_age: Duration::from_secs(24 * 3600),
            max_calls: 500_000,
            ner_use_q850: false,
            derive_causes: false,
            calls: calls::Config::default(),
        }
    }
}

impl Config {
    /// `timeout` of `sip-metrics.md` 0.3.
    pub fn timeout(&self) -> Duration {
        self.transaction_timeout.unwrap_or(self.t1 * 64)
    }
}

/// Largest value of `max_calls`: indices of tables have 32 bits, and twice as many requests must fit.
pub const MAX_CALLS: usize = 100_000_000;
