//! What is wrong with a configuration: every problem at once, each with its place and its help.

use std::fmt;
use std::sync::Arc;

/// Where a value was written. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// File name as it was given, `--set`, or `built-in default`.
    pub file: Arc<str>,
    /// Line; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column; 0 when the line as a whole is meant.
    pub column: usize,
}

impl Place {
    /// A file as a whole.
    pub fn file(name: &str) -> Self {
        Self { file: name.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    /// `pipeline.toml:14:3`, as editors and compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        Ok(())
    }
}

/// An error keeps the configuration from being used, a warning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Probably not what is wanted.
    Warning,
}

/// One thing that is wrong, as the operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it can be lived with.
    pub severity: Severity,
    /// Where it is written; `None` until the path has been looked up.
    pub place: Option<Place>,
    /// Dotted path, `processors.enrich.carriers[1].cidrs[0]`. A component states the path inside its own
    /// table (`carriers[1].cidrs[0]`, or nothing for the whole table); its place is found from that.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Problem {
    /// One line: `pipeline.toml:14:9: receivers.ebpf_sip.ports[0]: 70000 is not between 0 and 65535; ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

/// Collects problems, so that all of them are told at once.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error at `path`; `what` is wrong, `help` says what to do.
    pub fn error(&mut self, path: impl Into<String>, what: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, None, path.into(), what.into(), help.into());
    }

    /// Adds a warning; as [`Problems::error`].
    pub fn warning(&mut self, path: impl Into<String>, what: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, None, path.into(), what.into(), help.into());
    }

    /// Keeps those that `keep` says, which may change them.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut Problem) -> bool) {
        self.list.retain_mut(keep);
    }

    /// Adds an error whose place is known.
    pub fn error_at(
        &mut self,
        place: &Place,
        path: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, Some(place.clone()), path.into(), what.into(), help.into());
    }

    /// Adds a warning whose place is known.
    pub fn warning_at(
        &mut self,
        place: &Place,
        path: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, Some(place.clone()), path.into(), what.into(), help.into());
    }

    /// Takes over what another collector holds.
    pub fn append(&mut self, mut others: Self) {
        self.list.append(&mut others.list);
    }

    /// Whether anything keeps the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Everything said so far.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// For whoever knows the places: changes each problem in turn.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Problem> {
        self.list.iter_mut()
    }

    /// In the order of the files, so that the list reads along with them; says nothing twice.
    pub fn sort(&mut self, files: &[&str]) {
        let rank = |problem: &Problem| {
            let place = problem.place.as_ref();
            let file = place.and_then(|place| files.iter().position(|file| *file == &*place.file));
            (file.unwrap_or(files.len()), place.map(|place| (place.line, place.column)))
        };
        self.list.sort_by_key(rank);
        self.list.dedup();
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, path: String, what: String, help: String) {
        self.list.push(Problem { severity, place, path, what, help });
    }
}

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}
