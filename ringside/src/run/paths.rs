//! The paths a running program comes back to: read again at a reload or when a certificate was renewed, or written all along.
//!
//! They are found by the names of keys, in every table, so that components of one's own are looked at too: `*_file`, `*_files` and
//! `files` are read, `directory` and `path` are written.

use std::ffi::OsString;
use std::iter;
use std::path::{Component, Path, PathBuf};

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

    /// The folders that files which are read lie in: a file that is replaced is another one of the same name. So is one behind a
    /// link that is turned elsewhere, which is why the folders of links belong to them.
    pub fn read_folders(&self) -> impl Iterator<Item = PathBuf> {
        self.read.iter().flat_map(|path| iter::once(folder(path).to_owned()).chain(folders_behind(path)))
    }
}

/// Most links that the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Links of the system itself lie in these, such as /var/run: they are not turned elsewhere, and opening their folders would open
/// everything.
const OF_THE_SYSTEM: [&str; 2] = ["/", "/var"];

/// The folders in which the links of a path lie, and the one in which it ends; none for a path without links.
fn folders_behind(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let Ok(path) = std::path::absolute(path) else { return folders };
    let mut here = PathBuf::new();
    let mut ahead: Vec<OsString> = names(&path);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        match next.read_link() {
            Ok(target) if folders.len() < MOST_LINKS => {
                folders.push(here.clone());
                if target.is_absolute() {
                    here.clear();
                }
                ahead.extend(names(&target));
            }
            _ => here = next,
        }
    }
    if !folders.is_empty() {
        folders.push(folder(&here).to_owned());
    }
    folders.retain(|folder| !OF_THE_SYSTEM.iter().any(|system| folder == Path::new(system)));
    folders
}

/// The names of a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    path.components().rev().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned()).collect()
}

/// The folder a file lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_of_links_are_read() {
        let base = tempfile::tempdir().expect("a folder");
        let base = base.path().canonicalize().expect("it is there");
        for name in ["revisions/one", "served", "keys"] {
            fs::create_dir_all(base.join(name)).expect("it is new");
        }
        // A link to a link to a folder, with a link to a file in it.
        symlink(base.join("served/live"), base.join("current")).expect("it is new");
        symlink("../revisions/one", base.join("served/live")).expect("it is new");
        symlink("../../keys/key.pem", base.join("revisions/one/key.pem")).expect("it is new");
        let expected =
            ["", "served", "revisions/one", "keys"].map(|name| base.join(name).components().collect::<PathBuf>());
        assert_eq!(folders_behind(&base.join("current/key.pem")), expected);
        assert!(folders_behind(&base.join("keys/key.pem")).is_empty(), "there is no link in it");
        symlink("round", base.join("round")).expect("it is new");
        assert_eq!(folders_behind(&base.join("round")).len(), MOST_LINKS + 1, "it ends");
    }

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
