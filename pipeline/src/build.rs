//! The build: which program runs, and what it was made of.

/// What a program says of itself. A binary fills it in; the default is that of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Version of the release.
    pub version: &'static str,
    /// The commit it was made of, 12 hex digits, with `-dirty` where files had changed when it was compiled; `unknown` outside a checkout.
    pub revision: &'static str,
    /// Version of the compiler.
    pub rustversion: &'static str,
}

impl Default for Build {
    fn default() -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), revision: UNKNOWN, rustversion: UNKNOWN }
    }
}

impl Build {
    /// Names and values, as labels.
    pub const fn labels(&self) -> [(&'static str, &'static str); 3] {
        [("version", self.version), ("revision", self.revision), ("rustversion", self.rustversion)]
    }
}

const UNKNOWN: &str = "unknown";
