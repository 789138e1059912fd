//! `[processors.sampling]` in pipeline.toml: which calls become traces.

use std::time::Duration;

use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

/// When a call is worth a trace. A call that none of the first four keeps is left to `ratio`. Defaults are those of the preset
/// `single`.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(from = "Written")]
pub struct Config {
    /// Where the defaults of the other keys are from. Default `single`.
    pub preset: Preset,
    /// A call whose set-up took longer is kept. Default 6 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub slow_setup: Duration,
    /// An answered call shorter than this is kept, up to a share `ratio` of all calls, at least 1 %; 0 keeps none for that
    /// reason. Default 6 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub short_call: Duration,
    /// A call with as many retransmissions, or more, is kept; at least 1. Default 3.
    pub retransmissions: u32,
    /// Share of the other calls that is kept, 0 to 1, by consistent probability sampling on the trace id. Default 1.
    pub ratio: f64,
    /// Most traces a second, whatever they were kept for; calls marked for debugging come on top. Half of it is
    /// reserved for errors. 1 to [`MAX_RATE`]. Default 200.
    pub max_traces_per_second: u32,
    /// Which single requests outside dialogs are traces (REGISTER, OPTIONS and the like). Default those that failed.
    pub requests: Requests,
}

/// Which single requests are traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// Those whose transaction is an error.
    #[default]
    Errors,
    /// Each is decided as a call is.
    All,
    /// None, but those marked for debugging.
    Off,
}

/// Largest value of `max_traces_per_second`.
pub const MAX_RATE: u32 = 1_000_000;

/// Defaults that fit together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// One host, or a few: every call, up to 200 a second.
    #[default]
    Single,
    /// Hundreds of hosts: failures and slow set-ups, 1 % of the rest, up to 50 a second and host.
    Fleet,
}

/// The keys as they are written.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Written {
    preset: Preset,
    #[serde(with = "duration::option")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    slow_setup: Option<Duration>,
    #[serde(with = "duration::option")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    short_call: Option<Duration>,
    retransmissions: Option<u32>,
    ratio: Option<f64>,
    max_traces_per_second: Option<u32>,
    requests: Option<Requests>,
}

impl From<Written> for Config {
    fn from(written: Written) -> Self {
        let Self { slow_setup, short_call, retransmissions, ratio, max_traces_per_second, requests, .. } =
            Self::of(written.preset);
        Self {
            preset: written.preset,
            slow_setup: written.slow_setup.unwrap_or(slow_setup),
            short_call: written.short_call.unwrap_or(short_call),
            retransmissions: written.retransmissions.unwrap_or(retransmissions),
            ratio: written.ratio.unwrap_or(ratio),
            max_traces_per_second: written.max_traces_per_second.unwrap_or(max_traces_per_second),
            requests: written.requests.unwrap_or(requests),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            preset: Preset::Single,
            slow_setup: Duration::from_secs(6),
            short_call: Duration::from_secs(6),
            retransmissions: 3,
            ratio: 1.0,
            max_traces_per_second: 200,
            requests: Requests::Errors,
        }
    }
}

impl Config {
    /// The defaults of a preset.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Single => Self::default(),
            Preset::Fleet => Self {
                preset,
                short_call: Duration::ZERO,
                retransmissions: 10,
                ratio: 0.01,
                max_traces_per_second: 50,
                ..Self::default()
            },
        }
    }

    /// Every value that cannot be worked with; `None` after an error.
    pub fn check(self, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        if self.slow_setup.is_zero() {
            let help = "give a duration such as \"6s\"; to keep every call, set ratio = 1.0";
            found.error("slow_setup", "every set-up takes longer than 0", help);
        }
        if self.retransmissions == 0 {
            let help = "give at least 1; to keep every call, set ratio = 1.0";
            found.error("retransmissions", "every call has 0 retransmissions or more", help);
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            let what = format!("{} is not between 0 and 1", self.ratio);
            found.error("ratio", what, "1.0 keeps every call, 0.01 one of a hundred, 0 none");
        }
        if self.max_traces_per_second == 0 || self.max_traces_per_second > MAX_RATE {
            let what = format!("{} is not between 1 and {MAX_RATE}", self.max_traces_per_second);
            found.error("max_traces_per_second", what, "to send no traces, leave the traces pipeline out");
        }
        let sound = !found.has_errors();
        problems.append(found);
        sound.then_some(self)
    }

    /// The part of one of so many `shards`: an equal share of the rate, at least one a second.
    pub(crate) fn divided(self, shards: usize) -> Self {
        let shards = u32::try_from(shards).unwrap_or(u32::MAX);
        Self { max_traces_per_second: self.max_traces_per_second.div_ceil(shards), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: Config) -> Vec<String> {
        let mut problems = Problems::default();
        assert!(config.check(&mut problems).is_none());
        problems.iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn the_defaults_are_sound() {
        let config = Config::default();
        assert_eq!(config.clone().check(&mut Problems::default()), Some(config));
    }

    #[test]
    fn every_value_that_cannot_work_is_named() {
        let config = Config {
            slow_setup: Duration::ZERO,
            retransmissions: 0,
            ratio: 1.5,
            max_traces_per_second: 0,
            ..Config::default()
        };
        assert_eq!(paths(config), ["slow_setup", "retransmissions", "ratio", "max_traces_per_second"]);
        assert_eq!(paths(Config { ratio: f64::NAN, ..Config::default() }), ["ratio"]);
        assert_eq!(paths(Config { ratio: -0.1, ..Config::default() }), ["ratio"]);
        let rate = MAX_RATE + 1;
        assert_eq!(paths(Config { max_traces_per_second: rate, ..Config::default() }), ["max_traces_per_second"]);
    }

    #[test]
    fn the_ends_of_each_range_are_within_it() {
        for config in [
            Config { ratio: 0.0, retransmissions: 1, max_traces_per_second: 1, ..Config::default() },
            Config { short_call: Duration::ZERO, max_traces_per_second: MAX_RATE, ..Config::default() },
        ] {
            assert!(config.check(&mut Problems::default()).is_some());
        }
    }

    #[test]
    fn keys_are_spelled_as_documented() {
        let text = r#"
            slow_setup = "8s"
            short_call = "0s"
            retransmissions = 5
            ratio = 0.05
            max_traces_per_second = 50
            requests = "all"
        "#;
        let config: Config = toml::from_str(text).expect("a configuration");
        let expected = Config {
            preset: Preset::Single,
            slow_setup: Duration::from_secs(8),
            short_call: Duration::ZERO,
            retransmissions: 5,
            ratio: 0.05,
            max_traces_per_second: 50,
            requests: Requests::All,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_preset_gives_what_is_not_written() {
        let config: Config = toml::from_str("preset = \"fleet\"\nratio = 0.1").expect("a configuration");
        let expected = Config { ratio: 0.1, ..Config::of(Preset::Fleet) };
        assert_eq!(config, expected);
        assert_eq!((config.max_traces_per_second, config.short_call), (50, Duration::ZERO));
        assert_eq!(toml::from_str::<Config>("").expect("a configuration"), Config::default());
    }
}
