//! `[processors.dialog]` in pipeline.toml: the constants of `sip-metrics.md` 0.3.

use std::time::Duration;

use pipeline::settings::expressions::Expressions;
use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

use call_records as calls;

/// Timeouts, windows and bounds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// RFC 3261 T1, the round trip time estimate everything else is a multiple of. Default 500 ms.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub t1: Duration,
    /// Longest wait for a final response (timers B, F), and how long ended transactions are kept to absorb
    /// repeats (D, H, I, J, L, M). Default 64 times `t1`.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    pub transaction_timeout: Option<Duration>,
    /// Longest wait for the final response of an INVITE after the last provisional one (timer C + 5 s). Default 185 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub proceeding: Duration,
    /// How long after a challenge or a redirect the next request may come to belong to it. Default 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub retry_window: Duration,
    /// How long after a payload an identical one between the same addresses is a capture duplicate. 0 keeps
    /// every copy. Default 20 ms.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub dup_window: Duration,
    /// How long the failures of all branches seen below a proxy wait for another branch. Default 2 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub fork_hold: Duration,
    /// How long a message waits for one that was captured after it although it came before. Default 1 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub reorder_window: Duration,
    /// Life of a session in the store of per-INVITE sessions when its 2xx names no Session-Expires. Default 30 min.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub session_expires_default: Duration,
    /// A completed call shorter than this is short. Default 6 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub short_call: Duration,
    /// Longest life of a dialog without a session timer. Default 24 h.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub max_dialog_age: Duration,
    /// Most dialogs held; logical requests are bounded by twice as many, attempts and bindings by as many.
    /// Beyond it the entry idle longest is evicted and counted. Default 500,000.
    pub max_calls: usize,
    /// A Q.850 cause in the deciding final rules the strict NER instead of the status. Default false.
    pub ner_use_q850: bool,
    /// Where a failed INVITE names no Reason, its status is counted as a Q.850 cause (RFC 3398 §8.2.6.1) under
    /// `protocol="derived"`. Default false.
    pub derive_causes: bool,
    /// Queues whose callers are counted; the first that fits wins. Default none.
    pub queues: Vec<Queue>,
    /// Records of whole calls.
    pub calls: calls::Config,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct Queue {
    /// Value of the label `queue`.
    pub name: String,
    /// Regular expression that matches anywhere in the Request-URI of an INVITE, or else in the URI of its To.
    #[serde(rename = "match")]
    pub expression: String,
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
            reorder_window: Duration::from_secs(1),
            session_expires_default: Duration::from_secs(30 * 60),
            short_call: Duration::from_secs(6),
            max_dialog_age: Duration::from_secs(24 * 3600),
            max_calls: 500_000,
            ner_use_q850: false,
            derive_causes: false,
            queues: Vec::new(),
            calls: calls::Config::default(),
        }
    }
}

impl Config {
    /// Every value that cannot be worked with; `None` after an error.
    pub fn check(self, problems: &mut Problems) -> Option<Self> {
        let sound = !problems.has_errors();
        if self.max_calls == 0 || self.max_calls > MAX_CALLS {
            problems.error(
                "max_calls",
                format!("{} is not between 1 and {MAX_CALLS}", self.max_calls),
                "each call takes up to 600 bytes; the default is 500000",
            );
        }
        let positive = [
            ("t1", self.t1),
            ("transaction_timeout", self.timeout()),
            ("proceeding", self.proceeding),
            ("retry_window", self.retry_window),
            ("session_expires_default", self.session_expires_default),
            ("max_dialog_age", self.max_dialog_age),
        ];
        for (key, value) in positive {
            if value.is_zero() && !(key == "transaction_timeout" && self.transaction_timeout.is_none()) {
                problems.error(key, "0 would end everything as it begins", "give a duration such as \"30s\"");
            }
        }
        check_queues(&self.queues, problems);
        self.calls.check(problems);
        (sound && !problems.has_errors()).then_some(self)
    }

    /// The part of one of so many `shards`: of the bounds an equal share, of everything else all.
    pub(crate) fn divided(self, shards: usize) -> Self {
        let (raw_room, max_record_memory) = (self.calls.raw_room / shards, self.calls.max_record_memory / shards);
        let calls = calls::Config { raw_room, max_record_memory, ..self.calls };
        Self { max_calls: self.max_calls.div_ceil(shards), calls, ..self }
    }

    /// What requests wait for.
    pub(crate) fn request_waits(&self) -> crate::request::Waits {
        let (timeout, proceeding, fork_hold) = (self.timeout(), self.proceeding, self.fork_hold);
        crate::request::Waits { timeout, proceeding, fork_hold }
    }

    /// What dialogs wait for.
    pub(crate) fn holds(&self) -> crate::dialog::Holds {
        crate::dialog::Holds { fork_hold: self.fork_hold, retry_window: self.retry_window }
    }

    /// What trunk attempts wait for.
    pub(crate) fn trunk_waits(&self) -> crate::trunk::Waits {
        crate::trunk::Waits { fork_hold: self.fork_hold, retry_window: self.retry_window }
    }

    /// What registrations wait for.
    pub(crate) fn registration_waits(&self) -> crate::registration::Waits {
        crate::registration::Waits { fork_hold: self.fork_hold, retry_window: self.retry_window }
    }

    /// What records of calls wait for.
    pub(crate) fn waits(&self) -> calls::Waits {
        calls::Waits { timeout: self.timeout(), proceeding: self.proceeding, retry_window: self.retry_window }
    }

    /// `timeout` of `sip-metrics.md` 0.3.
    pub fn timeout(&self) -> Duration {
        self.transaction_timeout.unwrap_or(self.t1 * 64)
    }
}

/// Queues have a name each, and expressions that can be searched for.
fn check_queues(queues: &[Queue], problems: &mut Problems) {
    if queues.len() > MAX_QUEUES {
        let what = format!("{} queues are more than {MAX_QUEUES}", queues.len());
        problems.error(format!("queues[{MAX_QUEUES}]"), what, "join some, so that the metrics stay countable");
    }
    let mut sound = true;
    for (index, Queue { name, expression }) in queues.iter().enumerate() {
        let path = format!("queues[{index}].name");
        if name.trim().is_empty() {
            problems.error(path, "the name is empty", "name it: it is the value of the label `queue`");
        } else if let Some(before) = queues[..index].iter().position(|before| before.name == *name) {
            let what = format!("{name:?} is used by queues[{before}] already");
            problems.error(path, what, "join the two expressions with `|`, or give each a name of its own");
        }
        let path = format!("queues[{index}].match");
        if expression.is_empty() {
            problems.error(path, "an empty expression matches every call", "write '.*' if that is meant");
            sound = false;
        } else if let Err(error) = Expressions::check(expression) {
            let what = format!("{expression:?} is no expression to search for: {}", error.what);
            problems.error(path, what, error.help);
            sound = false;
        }
    }
    let expressions: Vec<&str> = queues.iter().map(|queue| queue.expression.as_str()).collect();
    if sound && let Err(error) = Expressions::new(&expressions) {
        problems.error("queues", format!("the expressions together: {}", error.what), error.help);
    }
}

/// Most queues, so that the series of a metric stay countable.
const MAX_QUEUES: usize = 256;
/// Largest value of `max_calls`: four times as many transactions have places of 30 bits.
pub const MAX_CALLS: usize = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: Config) -> Vec<String> {
        let mut problems = Problems::default();
        assert!(config.check(&mut problems).is_none());
        problems.iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_specification_and_sound() {
        let config = Config::default();
        assert_eq!(config.timeout(), Duration::from_secs(32));
        let mut problems = Problems::default();
        assert_eq!(config.clone().check(&mut problems), Some(config));
    }

    #[test]
    fn every_value_that_cannot_work_is_named() {
        let privacy = calls::Privacy { numbers: calls::Numbers::Hmac, ..calls::Privacy::default() };
        let trace_id = calls::TraceId { from: Vec::new(), ..calls::TraceId::default() };
        let config = Config {
            t1: Duration::ZERO,
            retry_window: Duration::ZERO,
            max_calls: 0,
            calls: calls::Config { privacy, trace_id, max_segment: Duration::ZERO, ..calls::Config::default() },
            ..Config::default()
        };
        assert_eq!(
            paths(config),
            ["max_calls", "t1", "retry_window", "calls.trace_id.from", "calls.max_segment", "calls.privacy.numbers"]
        );
        assert_eq!(paths(Config { max_calls: MAX_CALLS + 1, ..Config::default() }), ["max_calls"]);
    }

    #[test]
    fn queues_have_names_of_their_own_and_sound_expressions() {
        let queue = |name: &str, expression: &str| Queue { name: name.into(), expression: expression.into() };
        let queues = vec![queue("a", "^sip:1@"), queue("a", "("), queue(" ", ""), queue("b", "sales")];
        let wrong = ["queues[1].name", "queues[1].match", "queues[2].name", "queues[2].match"];
        assert_eq!(paths(Config { queues, ..Config::default() }), wrong);
        let many = (0..=MAX_QUEUES).map(|number| queue(&number.to_string(), "a")).collect();
        assert_eq!(paths(Config { queues: many, ..Config::default() }), ["queues[256]"]);
        let large = (0..MAX_QUEUES).map(|number| queue(&number.to_string(), "[a-z]{2000}")).collect();
        assert_eq!(paths(Config { queues: large, ..Config::default() }), ["queues"]);
        let sound = Config { queues: vec![queue("a", "sip:(1|2)@")], ..Config::default() };
        assert!(sound.check(&mut Problems::default()).is_some());
    }

    #[test]
    fn the_timeout_follows_t1_unless_it_is_given() {
        let t1 = Duration::from_millis(100);
        assert_eq!(Config { t1, ..Config::default() }.timeout(), Duration::from_millis(6400));
        let given = Some(Duration::from_secs(5));
        assert_eq!(Config { t1, transaction_timeout: given, ..Config::default() }.timeout(), Duration::from_secs(5));
    }
}
