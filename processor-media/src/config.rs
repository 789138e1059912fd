//! `[processors.media]` in pipeline.toml.

use std::time::Duration;

use pipeline::settings::{Problems, duration};
use rtp::Codec;
use rtp::emodel::{Impairment, Table};
use serde::{Deserialize, Serialize};

/// What is listened to, for how long, and how it is rated.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Most streams followed, of 256 bytes each. Beyond it the newest is refused and counted. Default 65,536.
    pub max_streams: usize,
    /// Most addresses with a port that take part in media, and most dialogs. Default 65,536.
    pub max_endpoints: usize,
    /// Most streams of one dialog. Default 16.
    pub max_streams_per_dialog: usize,
    /// How long an interval of a stream is, each of which gives a sample. Default 10 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub interval: Duration,
    /// Delay of the emulated jitter buffer: a packet that is later is discarded. Default 60 ms.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub jitter_buffer: Duration,
    /// Whether media of calls pass here, so that their absence is a fault. Default `"auto"`: where media of both parties'
    /// addresses were seen in the last 10 minutes.
    pub visibility: Visibility,
    /// How long after the answer either side has to be heard. Default 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub no_media_after: Duration,
    /// How long a side that was heard may be silent. Default 10 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub stopped_after: Duration,
    /// Look for answers by nobody (`fas_suspect`). Default false.
    pub fas: bool,
    /// Rate delay by the whole term of G.107 instead of its usual approximation. Default false.
    pub full_delay_term: bool,
    /// What codecs do to speech, in place of the built-in values. Default none.
    pub codecs: Vec<CodecValues>,
    /// Follow streams that no description announces, between even ports above 1023. Without effect where
    /// `service.shards` is above 1. Default false.
    pub unknown_streams: bool,
}

/// What one codec does to speech.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct CodecValues {
    /// Its name in SDP.
    pub name: String,
    /// Ie of G.113: 0 to 95.
    pub ie: f32,
    /// Bpl of G.113: above 0, at most 1,000.
    pub bpl: f32,
    /// What it has to know ahead, in milliseconds: 0 to 1,000.
    #[serde(default)]
    pub lookahead: f32,
}

/// Whether media of calls pass here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Where media of both parties' addresses were seen in the last 10 minutes.
    #[default]
    Auto,
    /// Of all calls.
    On,
    /// Of none: no fault is ever stated.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_streams: 65_536,
            max_endpoints: 65_536,
            max_streams_per_dialog: 16,
            interval: Duration::from_secs(10),
            jitter_buffer: Duration::from_millis(60),
            visibility: Visibility::Auto,
            no_media_after: Duration::from_secs(5),
            stopped_after: Duration::from_secs(10),
            fas: false,
            full_delay_term: false,
            codecs: Vec::new(),
            unknown_streams: false,
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) table: Table,
}

impl Config {
    /// The settings; every value that cannot be worked with is named, and then there are none.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        let mut found = Problems::default();
        for (key, value) in [("max_streams", self.max_streams), ("max_endpoints", self.max_endpoints)] {
            if value == 0 || value > MAX_ENTRIES {
                let what = format!("{value} is not between 1 and {MAX_ENTRIES}");
                found.error(key, what, "each takes up to 256 bytes; the default is 65536");
            }
        }
        if !(1..=MAX_PER_DIALOG).contains(&self.max_streams_per_dialog) {
            let what = format!("{} is not between 1 and {MAX_PER_DIALOG}", self.max_streams_per_dialog);
            found.error("max_streams_per_dialog", what, "a call has two streams for each leg; the default is 16");
        }
        let second = Duration::from_secs(1);
        let ranges = [
            ("interval", self.interval, second * 2, second * 3600, "10s"),
            ("jitter_buffer", self.jitter_buffer, Duration::ZERO, second, "60ms"),
            ("no_media_after", self.no_media_after, second, second * 3600, "5s"),
            ("stopped_after", self.stopped_after, second, second * 3600, "10s"),
        ];
        for (key, value, least, most, usual) in ranges {
            if value < least || value > most {
                let (least, most) = (duration::format(least), duration::format(most));
                found.error(
                    key,
                    format!("it is not between {least} and {most}"),
                    format!("the default is \"{usual}\""),
                );
            }
        }
        let mut table = Table::default();
        for (index, values) in self.codecs.iter().enumerate() {
            let codec = Codec::named(values.name.as_bytes());
            let path = |key: &str| format!("codecs[{index}].{key}");
            if codec == Codec::Other && !values.name.eq_ignore_ascii_case("other") {
                let known: Vec<&str> =
                    Codec::ALL.iter().filter(|codec| codec.is_speech()).map(|codec| codec.name()).collect();
                found.error(
                    path("name"),
                    format!("`{}` is no codec that is told apart", values.name),
                    format!("one of {}", known.join(", ")),
                );
            }
            let ranges = [
                ("ie", values.ie, 0.0, 95.0),
                ("bpl", values.bpl, 0.1, 1000.0),
                ("lookahead", values.lookahead, 0.0, 1000.0),
            ];
            for (key, value, least, most) in ranges {
                if !(least..=most).contains(&value) {
                    found.error(
                        path(key),
                        format!("{value} is not between {least} and {most}"),
                        "see ITU-T G.113 Appendix I",
                    );
                }
            }
            table.set(codec, Impairment { ie: values.ie, bpl: values.bpl, lookahead: values.lookahead });
        }
        let sound = !found.has_errors();
        problems.append(found);
        sound.then_some(Settings { config: self, table })
    }
}

impl Settings {
    /// The part of one of so many `shards`: of the bounds an equal share.
    pub(crate) fn divided(mut self, shards: usize) -> Self {
        let shards = shards.max(1);
        self.config.max_streams = self.config.max_streams.div_ceil(shards);
        self.config.max_endpoints = self.config.max_endpoints.div_ceil(shards);
        self
    }
}

/// Most streams or endpoints that may be configured.
const MAX_ENTRIES: usize = 16_000_000;
/// Most streams of a dialog that may be configured.
const MAX_PER_DIALOG: usize = 1024;

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
        let mut problems = Problems::default();
        let settings = Config::default().check(&mut problems).expect("sound");
        assert_eq!((settings.table, problems.iter().count()), (Table::default(), 0));
    }

    #[test]
    fn every_value_that_cannot_work_is_named() {
        let values = |name: &str, ie, bpl, lookahead| CodecValues { name: name.to_owned(), ie, bpl, lookahead };
        let config = Config {
            max_streams: 0,
            max_endpoints: MAX_ENTRIES + 1,
            max_streams_per_dialog: 0,
            interval: Duration::from_secs(1),
            jitter_buffer: Duration::from_secs(2),
            no_media_after: Duration::ZERO,
            stopped_after: Duration::ZERO,
            codecs: vec![values("x-mine", 0.0, 1.0, 0.0), values("PCMU", f32::NAN, 0.0, -1.0)],
            ..Config::default()
        };
        let expected = "max_streams max_endpoints max_streams_per_dialog interval jitter_buffer no_media_after stopped_after \
            codecs[0].name codecs[1].ie codecs[1].bpl codecs[1].lookahead";
        assert_eq!(paths(config).join(" "), expected);
    }

    #[test]
    fn a_codec_gets_the_values_that_are_written() {
        let codecs = vec![CodecValues { name: "pcmu".to_owned(), ie: 1.0, bpl: 4.3, lookahead: 2.0 }];
        let settings = Config { codecs, ..Config::default() }.check(&mut Problems::default()).expect("sound");
        assert_eq!(settings.table.of(Codec::Pcmu), Impairment { ie: 1.0, bpl: 4.3, lookahead: 2.0 });
        assert_eq!(settings.table.of(Codec::Pcma), Table::default().of(Codec::Pcma));
    }
}
