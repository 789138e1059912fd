//! Grafana dashboards: the TOML files of this folder in, the JSON files of `grafana/` out.
//!
//! [`source`] reads and expands what people write, [`grafana`] lays panels out and says the same in Grafana's words.
//! Deterministic: the same source gives the same bytes, so that a test can tell a stale file. Never asks a server.

pub mod grafana;
pub mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Common, Dashboard, SourceError};

/// The folder with the sources.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every dashboard: where its JSON belongs, and what is to stand there.
///
/// # Errors
/// A file that cannot be read or is no dashboard, named.
pub fn rendered(folder: &Path) -> Result<Vec<(PathBuf, String)>, SourceError> {
    let common = Common::read(&folder.join("common.toml"))?;
    let mut files = Vec::new();
    // That of the daemon is shipped with it.
    let place = |name: &str| match name {
        "steering" => folder.join("../deploy/steer/dashboard.json"),
        _ => folder.join("grafana").join(name).with_extension("json"),
    };
    for name in ["overview", "parties", "trunks", "queues", "registrations", "media", "probes", "capture", "steering"] {
        let dashboard = Dashboard::read(&folder.join(name).with_extension("toml"), &common)?;
        let mut json = serde_json::to_string_pretty(&grafana::dashboard(&dashboard, &common))
            .expect("a value without foreign types becomes text");
        json.push('\n');
        files.push((place(name), json));
    }
    Ok(files)
}

/// Writes what [`rendered`] gives.
///
/// # Errors
/// As [`rendered`], and a file that cannot be written.
pub fn write(folder: &Path) -> Result<(), SourceError> {
    for (path, json) in rendered(folder)? {
        fs::write(&path, json).map_err(|error| SourceError::File(path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
