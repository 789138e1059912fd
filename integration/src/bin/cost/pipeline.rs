//! The configurations that are compared.

use crate::sink;

/// How many calls become traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// No traces pipeline: no record is made.
    Off,
    /// A record of each call, sent as the default settings have it: up to 200 a second.
    ByDefault,
    /// Every call is sent.
    Every,
    /// Every call is sent without its messages.
    EveryWithoutLadder,
}

/// All of them, the cheapest first.
pub const ALL: [Traces; 4] = [Traces::Off, Traces::ByDefault, Traces::EveryWithoutLadder, Traces::Every];

impl Traces {
    /// For the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::ByDefault => "200 a second (default)",
            Self::EveryWithoutLadder => "every call, ladder = \"off\"",
            Self::Every => "every call",
        }
    }

    /// How many traces there are of so many calls; `None` where the rate decides.
    pub const fn expected(self, calls: u32) -> Option<u32> {
        match self {
            Self::Off => Some(0),
            Self::ByDefault => None,
            Self::EveryWithoutLadder | Self::Every => Some(calls),
        }
    }

    /// The file, with a receiver and its table.
    pub fn toml(self, receiver: &str, table: &str) -> String {
        let ladder = if self == Self::EveryWithoutLadder { "off" } else { "events" };
        let metrics = format!(
            "{table}[processors.dialog]\ncalls.ladder = \"{ladder}\"\n[processors.enrich]\n[exporters.prometheus]\n\
             endpoint = \"127.0.0.1:2112\"\n[service.pipelines.metrics]\nreceivers = [\"{receiver}\"]\n\
             processors = [\"dialog\", \"enrich\"]\nexporters = [\"prometheus\"]\n"
        );
        let traces = format!(
            "[exporters.otlp_http]\nendpoint = \"http://{}\"\n[service.pipelines.traces]\n\
             receivers = [\"{receiver}\"]\nexporters = [\"otlp_http\"]\n",
            sink::ADDRESS
        );
        let sampling = "[processors.sampling]\nmax_traces_per_second = 100000\n";
        match self {
            Self::Off => metrics,
            Self::ByDefault => format!("{metrics}{traces}processors = [\"dialog\", \"enrich\"]\n"),
            Self::EveryWithoutLadder | Self::Every => {
                format!("{metrics}{traces}processors = [\"dialog\", \"enrich\", \"sampling\"]\n{sampling}")
            }
        }
    }
}
