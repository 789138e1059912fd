//! `[extensions.file_storage]`: a folder in which exporters keep what waits to be sent, as the Collector's.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use pipeline::component::{Extension, ExtensionError};
use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

/// `[extensions.file_storage]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Where it is. It is made where it is not there. Default `/var/lib/ringside`.
    pub directory: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { directory: PathBuf::from("/var/lib/ringside") }
    }
}

impl Config {
    /// The settings; here they are the keys themselves.
    pub fn checked(self, problems: &mut Problems) -> Option<Self> {
        if !self.directory.is_absolute() {
            let what = format!("{:?} is no absolute path", self.directory);
            problems.error("directory", what, "write it from the root on, such as \"/var/lib/ringside\"");
            return None;
        }
        Some(self)
    }
}

/// The folder.
pub struct FileStorage(Config);

impl FileStorage {
    /// Nothing is opened: exporters do that, each with a folder of its own in it.
    pub fn new(config: Config) -> Self {
        Self(config)
    }
}

impl Extension for FileStorage {
    fn start(&mut self) -> Result<(), ExtensionError> {
        Ok(())
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.0.directory)
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = settings.downcast::<Config>().expect("settings come from the check of the same type");
        if *new == self.0 { Vec::new() } else { vec!["directory"] }
    }

    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }
}
