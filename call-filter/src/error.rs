//! What is wrong with a filter: where, what, and what to do about it.

use std::fmt;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The character it is about, from 1 on; one behind the last where something is missing.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}: {}", self.at, self.what, self.help)
    }
}

impl Error {
    pub(crate) fn new(at: usize, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, what: what.into(), help: help.into() }
    }

    /// The filter with a mark below the character it is about, for who typed it.
    pub fn pointed(&self, text: &str) -> String {
        let shown: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        format!("{shown}\n{}^ {}\n{}", " ".repeat(self.at - 1), self.what, self.help)
    }
}
