//! Names of components: `type` or `type/name`, as the Collector writes them.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Which component is meant. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    text: Arc<str>,
    kind: usize,
}

impl ComponentId {
    /// Reads `type` or `type/name`. The type begins with a letter and goes on with letters, digits and `_`, 63 in
    /// all; a name is anything printable without spaces. `None` for what is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let kind_fits = kind.starts_with(|first: char| first.is_ascii_alphabetic())
            && kind.len() <= LONGEST_TYPE
            && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name_fits = name.is_none_or(|name| {
            !name.is_empty()
                && name.len() <= LONGEST_NAME
                && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        (kind_fits && name_fits).then(|| Self { text: text.into(), kind: kind.len() })
    }

    /// What it is: the part before the slash.
    pub fn kind(&self) -> &str {
        &self.text[..self.kind]
    }

    /// The whole.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// How to write one, for messages.
pub const FORM: &str = "write `type` or `type/name`, the type in letters, digits and `_`";

/// The Collector's own bounds.
const LONGEST_TYPE: usize = 63;
const LONGEST_NAME: usize = 1024;

#[cfg(test)]
mod tests {
    use super::ComponentId;

    #[test]
    fn an_id_is_a_type_with_or_without_a_name() {
        for (text, kind) in [("dialog", "dialog"), ("otlp_grpc/side-car.1", "otlp_grpc"), ("a/b/c", "a")] {
            assert_eq!(ComponentId::parse(text).expect("an id").kind(), kind);
        }
        for text in ["", "/x", "x/", "1x", "x y", "x/a b", "é", &"x".repeat(64)] {
            assert_eq!(ComponentId::parse(text), None, "{text}");
        }
    }
}
