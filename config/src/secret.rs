//! Which values may be secrets: these are shown neither in the effective configuration nor in a message.

use super::node::Step;

/// Whether anything on the way to a value says that it is one.
pub(super) fn is_secret(path: &[Step]) -> bool {
    path.iter().any(|step| matches!(step, Step::Key(key) if is_secret_key(key)))
}

/// Keys whose values are never shown, with everything below them.
pub(super) fn is_secret_key(key: &str) -> bool {
    ["headers", "key", "password", "secret", "token"]
        .iter()
        .any(|word| key.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('_')))
}

/// Variables whose values are never shown, wherever they stand.
pub(super) fn is_secret_variable(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["AUTH", "BASIC", "CREDENTIAL", "HEADERS", "KEY", "PASS", "SECRET", "TOKEN"].iter().any(|word| name.contains(word))
}
