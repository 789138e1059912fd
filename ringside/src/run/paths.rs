//! The paths a running program comes back to: read again at a reload or when a certificate was renewed, or written all along.
//!
//! They are found by the names of keys, in every table, so that components of one's own are looked at too: `*_file`, `*_files` and
//! `files` are read, `directory` and `path` are written.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::settings::Loaded;

/// What is come back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Files that are read.
    pub read: Vec<PathBuf>,
    /// Folders that are written to.
    pub written: Vec<PathBuf>,
}

impl Paths {
    /// Those of a configuration, its own files included.
    pub fn of(loaded: &Loaded) -> Self {
        let mut paths = Self::default();
        paths.read.extend(loaded.files.iter().map(PathBuf::from).filter(|path| path.exists()));
        let configuration = &loaded.configuration;
        let tables =
            [&configuration.receivers, &configuration.processors, &configuration.exporters, &configuration.extensions];
        for checked in tables.into_iter().flat_map(|components| components.values()) {
            checked.effective.iter().for_each(|(key, value)| paths.add(key, value));
        }
        paths
    }

    fn add(&mut self, key: &str, value: &Value) {
        match value {
            Value::Table(table) => table.iter().for_each(|(key, value)| self.add(key, value)),
            Value::Array(items) => items.iter().for_each(|item| self.add(key, item)),
            Value::String(text) if text.is_empty() || text == "-" => {}
            Value::String(text) if key == "files" || key.ends_with("_file") || key.ends_with("_files") => {
                self.read.push(text.into());
            }
            Value::String(text) if key == "directory" => self.written.push(text.into()),
            Value::String(text) if key == "path" => self.written.push(folder(Path::new(text)).to_owned()),
            _ => {}
        }
    }

    /// The folders that files which are read lie in: a file that is replaced is another one of the same name.
    pub fn read_folders(&self) -> impl Iterator<Item = &Path> {
        self.read.iter().map(|path| folder(path))
    }
}

/// The folder a file lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_the_names_of_their_keys() {
        let table: toml::Table = "endpoint = 'a:1'\ndirectory = '/var/lib/x'\npath = '/var/log/calls.csv'\nfiles = ['-', 'a.pcap']\n\
                                  tls = { cert_file = '/etc/c.pem', key_file = '', name = 'n' }\nlist = [{ ca_file = 'ca' }]"
            .parse()
            .expect("it is TOML");
        let mut paths = Paths::default();
        table.iter().for_each(|(key, value)| paths.add(key, value));
        let mut read: Vec<&str> = paths.read.iter().filter_map(|path| path.to_str()).collect();
        read.sort_unstable();
        assert_eq!(read, ["/etc/c.pem", "a.pcap", "ca"]);
        assert_eq!(paths.written, [Path::new("/var/lib/x"), Path::new("/var/log")]);
        assert_eq!(folder(Path::new("a.pcap")), Path::new("."));
    }
}
