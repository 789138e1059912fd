//! `[processors.dialog.calls]` in pipeline.toml: what records of calls hold, and when they leave.

use std::time::Duration;

use pipeline::call::ladder::LadderForm;
use pipeline::call::sent::MAX_SENT_IN_ALL;
use pipeline::settings::network::{self, IpNet};
use pipeline::settings::{Problems, duration, size};
use serde::{Deserialize, Serialize};

use crate::privacy::{Own, keyed};

/// Records of whole calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Which trace a call is.
    pub trace_id: TraceId,
    /// How the ids of spans are made. Default `own`.
    pub span_ids: SpanIds,
    /// Networks of the hosts whose ringside sends traces too: what one of them sent here hangs below its span. Default none.
    pub observed: Vec<String>,
    /// What a record may hold.
    pub privacy: Privacy,
    /// How exporters show the messages of a call; `off` keeps none. Default `events`.
    pub ladder: Ladder,
    /// What is kept of the messages themselves, for whoever looks at calls. Default `off`.
    pub raw: Raw,
    /// Most bytes of them kept of all calls that are up; not a key.
    #[serde(skip)]
    pub raw_room: usize,
    /// Most bytes of all records of calls that are up, messages as they were sent aside. Default 256 MiB, at least 1 MiB.
    #[serde(with = "size")]
    #[schemars(with = "pipeline::settings::size::Written")]
    pub max_record_memory: usize,
    /// When a record leaves. Default `on_end`.
    pub emit: Emit,
    /// Calls older than this leave in pieces, their sessions cut into segments. Default 15 min, at least 1 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub max_segment: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trace_id: TraceId::default(),
            span_ids: SpanIds::default(),
            observed: Vec::new(),
            privacy: Privacy::default(),
            ladder: Ladder::default(),
            raw: Raw::default(),
            max_record_memory: 256 << 20,
            raw_room: MAX_SENT_IN_ALL,
            emit: Emit::default(),
            max_segment: Duration::from_secs(15 * 60),
        }
    }
}

/// Which trace a call is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct TraceId {
    /// Where the id is from: the first of these that the first INVITE has; the Call-ID if it has none of them.
    /// Default `["call_id"]`.
    pub from: Vec<TraceSource>,
    /// Carriers (the label) whose `traceparent` is adopted. Default none.
    pub trusted_carriers: Vec<String>,
    /// The secret that ids are made with where the Call-ID is not shown, the same on every host of a fleet. Default: one of this
    /// process alone.
    pub key: String,
}

impl Default for TraceId {
    fn default() -> Self {
        Self { from: vec![TraceSource::CallId], trusted_carriers: Vec::new(), key: String::new() }
    }
}

/// What a trace id may be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceSource {
    /// A hash of the Call-ID.
    CallId,
    /// The context in `traceparent` or `x-traceparent` (W3C Trace Context), where the carrier is trusted.
    Traceparent,
    /// The local UUID of Session-ID (RFC 7989 §5).
    SessionId,
}

/// How the ids of transactions' spans are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanIds {
    /// With the side that saw it, client or server, so that every host knows the id that another gives; with this program's
    /// instance id where neither end is this host: two observers of one call never claim the same span.
    #[default]
    Own,
    /// As OpenSIPS names the parents of its spans: for the one observer on the proxy's host.
    Opensips,
}

/// How the messages of a call are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ladder {
    /// As events of spans.
    #[default]
    Events,
    /// As spans.
    Spans,
    /// As log records.
    Logs,
    /// Not at all.
    Off,
}

impl Ladder {
    /// What a record says of it.
    pub const fn form(self) -> LadderForm {
        match self {
            Self::Events => LadderForm::Events,
            Self::Spans => LadderForm::Spans,
            Self::Logs => LadderForm::Logs,
            Self::Off => LadderForm::Off,
        }
    }
}

/// What is kept of the messages of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Raw {
    /// Nothing.
    #[default]
    Off,
    /// Start line and header fields.
    Headers,
    /// The body too.
    Full,
}

/// When a record leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// When the call is over.
    #[default]
    OnEnd,
    /// A first piece when the call is answered, the rest when it is over.
    Progressive,
}

/// What a record may hold of who called whom, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Privacy {
    /// What becomes of phone numbers (user parts of URIs). Default `drop`; `plain` in commands that read a file the
    /// user already holds.
    pub numbers: Numbers,
    /// What becomes of Call-IDs. Default `plain`.
    pub call_id: CallIds,
    /// What becomes of addresses. Default `plain`.
    pub ip: Addresses,
    /// The secret of `hmac` and `hash`. Where it is empty, a Call-ID that is hidden for what it holds is hashed with a secret of
    /// this process.
    pub key: String,
}

/// What becomes of phone numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// Not recorded.
    #[default]
    Drop,
    /// The first four digits; every further one is `*`.
    Mask,
    /// The first 16 hex digits of HMAC-SHA-256 under `privacy.key`.
    Hmac,
    /// As they are.
    Plain,
}

/// What becomes of Call-IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallIds {
    /// As they are, unless they hold what the other keys hide.
    #[default]
    Plain,
    /// The first 32 hex digits of HMAC-SHA-256 under `privacy.key`.
    Hash,
}

/// What becomes of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// As they are.
    #[default]
    Plain,
    /// The network alone: /24 of IPv4, /48 of IPv6.
    Prefix,
}

impl Config {
    /// What ids are made of instead of a Call-ID that is not shown: it is found again from a hash of it by whoever guesses it.
    pub fn id_token(&self, call_id: &[u8], own: &Own) -> Option<Box<[u8; 16]>> {
        let hidden = self.privacy.hides(call_id, own);
        hidden.then(|| Box::new(*keyed(&self.trace_id.key, call_id).first_chunk().expect("it has 32 bytes")))
    }

    /// [`Config::observed`], what cannot be read left out.
    pub fn fleet(&self) -> Vec<IpNet> {
        self.observed.iter().filter_map(|text| network::parse(text).ok()).collect()
    }

    /// Every value that cannot be worked with.
    pub fn check(&self, problems: &mut Problems) {
        if self.raw != Raw::Off && self.privacy.numbers != Numbers::Plain {
            problems.error(
                "calls.raw",
                "messages name who calls whom, which privacy hides",
                "set calls.privacy.numbers = \"plain\", or calls.raw = \"off\"",
            );
        }
        if self.raw != Raw::Off && (self.privacy.ip != Addresses::Plain || self.privacy.call_id != CallIds::Plain) {
            problems.error(
                "calls.raw",
                "messages have addresses and Call-IDs in them, which privacy hides",
                "set calls.privacy.ip and calls.privacy.call_id to \"plain\", or calls.raw = \"off\"",
            );
        }
        if self.trace_id.from.is_empty() {
            problems.error(
                "calls.trace_id.from",
                "a trace id has to be from something",
                "the default is [\"call_id\"]",
            );
        }
        if self.max_segment < MIN_SEGMENT {
            problems.error(
                "calls.max_segment",
                format!("{} is shorter than 1s", duration::format(self.max_segment)),
                "the default is 15m",
            );
        }
        if self.max_record_memory < MIN_MEMORY {
            problems.error(
                "calls.max_record_memory",
                format!("{} is less than 1MiB", size::format(self.max_record_memory)),
                "the default is 256MiB",
            );
        }
        for (index, text) in self.observed.iter().enumerate() {
            if let Err((what, help)) = network::parse(text) {
                problems.error(format!("calls.observed[{index}]"), what, help);
            }
        }
        if !self.observed.is_empty() && self.span_ids == SpanIds::Opensips {
            problems.error(
                "calls.observed",
                "ids as OpenSIPS makes them do not tell the sides of a hop apart",
                "take out calls.span_ids, or calls.observed",
            );
        }
        if self.privacy.call_id == CallIds::Hash && self.privacy.key.is_empty() {
            problems.error(
                "calls.privacy.call_id",
                "\"hash\" needs a secret: without one, whoever guesses a Call-ID can try it",
                "set calls.privacy.key, best as \"${env:NAME}\"",
            );
        }
        if self.privacy.numbers == Numbers::Hmac && self.privacy.key.is_empty() {
            problems.error(
                "calls.privacy.numbers",
                "\"hmac\" needs a secret",
                "set calls.privacy.key, best as \"${env:NAME}\"",
            );
        }
    }
}

/// Least memory of records: some hundred calls.
const MIN_MEMORY: usize = 1 << 20;
/// Shortest segment: every call up makes a piece this often.
const MIN_SEGMENT: Duration = Duration::from_secs(1);
