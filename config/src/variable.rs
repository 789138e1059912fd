//! `${env:NAME}` and `${env:NAME:-default}`, replaced in values after parsing, so that no quoting is needed
//! and nothing a variable holds can become a key.

use std::borrow::Cow;

use pipeline::settings::Problems;

use super::node::{Node, Step, Value, path_text};
use super::secret::is_secret;

/// The variables, and where they are needed.
#[derive(Clone, Copy)]
pub(super) struct Variables<'a> {
    /// A variable's value; `None` if it is unset.
    pub(super) look_up: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the value at a path may be a variable that is unset: it is then an empty text.
    pub(super) may_be_unset: fn(&[Step]) -> bool,
}

/// Replaces every reference below `node` (which stands at `path`). `$$` becomes `$`; a `$` before anything but `{`
/// stays, for regexes end in it.
pub(super) fn expand(node: &mut Node, path: &mut Vec<Step>, variables: &Variables<'_>, problems: &mut Problems) {
    match &mut node.value {
        Value::Text(text) => match replace(text, variables.look_up) {
            Ok(Some(replaced)) => {
                *text = replaced.text;
                node.variable = replaced.name;
            }
            Ok(None) => {}
            Err(Wrong::Unset(_)) if (variables.may_be_unset)(path) => text.clear(),
            Err(wrong) => {
                let (what, help) = wrong.explain(is_secret(path));
                problems.error_at(&node.place, path_text(path), what, help);
                node.value = Value::Unresolved;
            }
        },
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(Step::Index(index));
                expand(item, path, variables, problems);
                path.pop();
            }
        }
        Value::Table(entries) => {
            for (key, entry) in entries {
                path.push(Step::Key(key.clone()));
                expand(&mut entry.node, path, variables, problems);
                path.pop();
            }
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Unresolved => {}
    }
}

struct Replaced {
    text: String,
    /// The first variable in it; `None` if there were only escapes.
    name: Option<String>,
}

/// Why a reference stands for nothing.
enum Wrong {
    NoEnd,
    /// What stands between the braces names no variable.
    NoVariable(String),
    Unset(String),
}

impl Wrong {
    /// What is wrong, and the help. In a secret a dollar sign may be meant, so that nothing around it is shown.
    fn explain(self, secret: bool) -> (String, String) {
        match self {
            Self::NoEnd => {
                ("a reference has no end".to_owned(), "close it with `}`, or write `$$` for a dollar sign".to_owned())
            }
            Self::NoVariable(inner) => {
                let inner = if secret { "..." } else { &inner };
                let help = "write `${env:NAME}` or `${env:NAME:-default}`, or `$$` for a dollar sign";
                (format!("`${{{inner}}}` refers to nothing"), help.to_owned())
            }
            Self::Unset(name) => (
                format!("the variable {name} is not set"),
                format!("set it, or give a default: `${{env:{name}:-default}}`"),
            ),
        }
    }
}

/// How a text is written where references are read: a `$` that would begin one, or end as one, is doubled.
pub fn written(text: &str) -> Cow<'_, str> {
    match text.contains("$$") || text.contains("${") {
        true => text.replace('$', "$$").into(),
        false => text.into(),
    }
}

/// `None` when there is nothing to replace.
fn replace(text: &str, look_up: &dyn Fn(&str) -> Option<String>) -> Result<Option<Replaced>, Wrong> {
    if !text.contains("$$") && !text.contains("${") {
        return Ok(None);
    }
    let mut replaced = Replaced { text: String::new(), name: None };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        replaced.text += before;
        rest = if let Some(tail) = after.strip_prefix('$') {
            replaced.text.push('$');
            tail
        } else if let Some(reference) = after.strip_prefix('{') {
            let (inner, tail) = reference.split_once('}').ok_or(Wrong::NoEnd)?;
            let (name, value) = resolve(inner, look_up)?;
            replaced.text += &value;
            replaced.name.get_or_insert(name);
            tail
        } else {
            replaced.text.push('$');
            after
        };
    }
    replaced.text += rest;
    Ok(Some(replaced))
}

/// What stands between the braces, to the variable's name and value.
fn resolve(inner: &str, look_up: &dyn Fn(&str) -> Option<String>) -> Result<(String, String), Wrong> {
    let reference = inner.strip_prefix("env:").map(|reference| match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    });
    let nested = |default: Option<&str>| default.is_some_and(|default| default.contains("${"));
    let Some((name, default)) = reference.filter(|(name, default)| is_name(name) && !nested(*default)) else {
        return Err(Wrong::NoVariable(inner.to_owned()));
    };
    match look_up(name).or_else(|| default.map(str::to_owned)) {
        Some(value) => Ok((name.to_owned(), value)),
        None => Err(Wrong::Unset(name.to_owned())),
    }
}

/// A name as POSIX shells take it.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
