//! Settings of the recorder: the table in, a folder and its limits out.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::settings::{Problems, duration, size};
use recordings::Limits;
use serde::{Deserialize, Serialize};

/// `[exporters.pcap]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Folder of the recordings; made if it is not there. Default `/var/lib/ringside/recordings`. A change needs a restart.
    pub directory: PathBuf,
    /// A file of this size is closed. Default 64 MiB.
    #[serde(with = "size")]
    #[schemars(with = "pipeline::settings::size::Written")]
    pub max_file_size: usize,
    /// A file of this age is closed. Default 1 h.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub max_file_age: Duration,
    /// Most bytes of all files; beyond it the oldest are deleted. Default 10 GiB.
    #[serde(with = "size")]
    #[schemars(with = "pipeline::settings::size::Written")]
    pub max_total_size: usize,
    /// Most files, each with its index; beyond it the oldest are deleted. Default 10,000.
    pub max_files: usize,
    /// What is done with closed files. Default `zstd`.
    pub compression: Compression,
}

/// How closed files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they were written.
    None,
    /// Packed in parts of a MiB.
    Zstd,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: "/var/lib/ringside/recordings".into(),
            max_file_size: 64 << 20,
            max_file_age: Duration::from_secs(3600),
            max_total_size: 10 << 30,
            max_files: 10_000,
            compression: Compression::Zstd,
        }
    }
}

/// A [`Config`] that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where recordings go.
    pub directory: PathBuf,
    /// How much of them is kept.
    pub limits: Limits,
}

impl Settings {
    /// `None` when something is wrong, all of which is then in `problems`.
    pub fn check(config: Config, problems: &mut Problems) -> Option<Self> {
        let Config { directory, max_file_size, max_file_age, max_total_size, max_files, compression } = config;
        let mut wrong = Problems::default();
        if directory.as_os_str().is_empty() {
            wrong.error("directory", "no folder is named", "name one that this user may write to");
        }
        if !(SMALLEST..=LARGEST).contains(&max_file_size) {
            let what = format!("{} is not between 64KiB and 1GiB", size::format(max_file_size));
            wrong.error("max_file_size", what, "64MiB are some 100,000 messages");
        } else if max_total_size / 3 < max_file_size {
            let what = format!("{} hold no three files of max_file_size", size::format(max_total_size));
            wrong.error("max_total_size", what, format!("give {} or more", size::format(3 * max_file_size)));
        }
        if max_file_age < YOUNGEST {
            wrong.error("max_file_age", "less than a second", "give a duration such as \"1h\"");
        }
        if max_files < 2 {
            wrong.error("max_files", "one is written and one is kept at least", "give 2 or more");
        }
        let ok = !wrong.has_errors();
        problems.append(wrong);
        let limits = Limits {
            rotate_size: max_file_size as u64,
            rotate_after: max_file_age,
            max_total_size: max_total_size as u64,
            max_files,
            compress: compression == Compression::Zstd,
        };
        ok.then_some(Self { directory, limits })
    }
}

const SMALLEST: usize = 64 << 10;
const LARGEST: usize = 1 << 30;
const YOUNGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: Config) -> Vec<String> {
        let mut problems = Problems::default();
        let usable = Settings::check(config, &mut problems).is_some();
        assert_ne!(usable, problems.has_errors());
        problems.iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn the_default_is_good() {
        assert!(problems(Config::default()).is_empty());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let config = Config {
            directory: PathBuf::new(),
            max_file_size: 1,
            max_file_age: Duration::ZERO,
            max_files: 1,
            ..Config::default()
        };
        assert_eq!(problems(config), ["directory", "max_file_size", "max_file_age", "max_files"]);
        let config = Config { max_total_size: 100 << 20, ..Config::default() };
        assert_eq!(problems(config), ["max_total_size"]);
    }
}
