//! The effective configuration as text: what was written, defaults filled in, secrets hidden.

use serde::Serialize;
use toml::{Table, Value};

use super::check::{Components, Configuration};
use super::node::{Node, Step};
use super::secret::{is_secret_key, is_secret_variable};
use super::variable::written;

impl Configuration {
    /// TOML that means the same as what was loaded, but for values that may be secrets: those read
    /// [`HIDDEN`]. `tree` is what this was checked from; it knows which values came from variables.
    pub fn effective(&self, tree: &Node) -> String {
        let section = |name: &str, components: &Components| {
            let mut tables = Table::new();
            for (id, checked) in components {
                let mut table = Value::Table(checked.effective.clone());
                let path = &mut vec![Step::Key(name.to_owned()), Step::Key(id.to_string())];
                hide(&mut table, path, false, tree);
                tables.insert(id.to_string(), table);
            }
            tables
        };
        let whole = Effective {
            receivers: section("receivers", &self.receivers),
            processors: section("processors", &self.processors),
            exporters: section("exporters", &self.exporters),
            extensions: section("extensions", &self.extensions),
            service: {
                let mut service = Value::try_from(&self.service).expect("it was read from TOML");
                hide(&mut service, &mut vec![Step::Key("service".to_owned())], false, tree);
                service
            },
        };
        toml::to_string(&whole).expect("tables of TOML values can be written as TOML")
    }
}

/// In the order of a file.
#[derive(Serialize)]
struct Effective {
    receivers: Table,
    processors: Table,
    exporters: Table,
    #[serde(skip_serializing_if = "Table::is_empty")]
    extensions: Table,
    service: Value,
}

/// What stands in place of a secret.
pub const HIDDEN: &str = "[hidden]";

/// Hides what is secret below `value`, which stands at `path`; everything if `secret`. Other texts become as they are written.
fn hide(value: &mut Value, path: &mut Vec<Step>, secret: bool, tree: &Node) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                path.push(Step::Key(key.clone()));
                hide(value, path, secret || is_secret_key(key), tree);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                path.push(Step::Index(index));
                hide(value, path, secret, tree);
                path.pop();
            }
        }
        // An empty text hides nothing, and says that none is set.
        Value::String(text) if text.is_empty() => {}
        _ => {
            let variable = tree.at(path).and_then(|node| node.variable.as_deref());
            if secret || variable.is_some_and(is_secret_variable) {
                *value = Value::String(HIDDEN.to_owned());
            } else if let Value::String(text) = value {
                *text = written(&without_user(text)).into_owned();
            }
        }
    }
}

/// `http://user:password@host` without what stands before the `@`.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{HIDDEN}{}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}
