//! Text in, tree out: TOML files and `--set path=value`, every value with its place.

use std::ops::Range;
use std::sync::Arc;

use pipeline::settings::{Place, Problems};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Entry, Node, Step, Value, parse_path, path_text};

/// Parses one file. `None` if it is not TOML; then `problems` holds every place where it is not.
pub(super) fn file(name: &str, text: &str, problems: &mut Problems) -> Option<Node> {
    // Some editors begin a file with a byte order mark; it is no column.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = lines.place(&error.span().unwrap_or_default());
        problems.error_at(
            &place,
            "",
            format!("not TOML: {}", error.message()),
            "https://toml.io shows how it is written",
        );
    }
    let value = lines.table(table.get_ref());
    errors.is_empty().then(|| Node::new(value, Place::file(name)))
}

/// Parses `path=value` as given to `--set`: a value that is not TOML is text.
pub(super) fn set(argument: &str, problems: &mut Problems) -> Option<Node> {
    let place = Place::file("--set");
    let steps = argument.split_once('=').and_then(|(path, value)| Some((parse_path(path.trim())?, value)));
    let Some((steps, value)) = steps.filter(|(steps, _)| steps.iter().all(|step| matches!(step, Step::Key(_)))) else {
        let help = "write path=value, for instance exporters.prometheus.endpoint=127.0.0.1:2113; lists are set whole";
        problems.error_at(&place, "", format!("{argument:?} sets nothing"), help);
        return None;
    };
    let place = Place::file(&format!("--set {}", path_text(&steps)));
    let mut node = match DeValue::parse(value.trim()) {
        Ok(parsed) => {
            Node { value: Lines::new(&place.file, "").value(parsed.get_ref()), place: place.clone(), variable: None }
        }
        Err(_) => Node { value: Value::Text(value.to_owned()), place: place.clone(), variable: None },
    };
    node.settle(&place);
    for step in steps.iter().rev() {
        let Step::Key(key) = step else { continue };
        node = Node::with(key, node);
    }
    Some(node)
}

/// Parses a list held by a variable; its items stand where the variable stands.
pub(super) fn list(text: &str, holder: &Node) -> Option<Vec<Node>> {
    let parsed = DeValue::parse(text.trim()).ok()?;
    let value = Lines::new("", "").value(parsed.get_ref());
    let mut node = Node { value, place: holder.place.clone(), variable: holder.variable.clone() };
    node.settle(&holder.place);
    match node.value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

impl Node {
    /// Gives everything below the same place.
    fn settle(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.settle(place)),
            Value::Table(entries) => entries.values_mut().for_each(|entry| {
                entry.key = place.clone();
                entry.node.settle(place);
            }),
            _ => {}
        }
    }
}

/// From byte offsets to places.
struct Lines<'a> {
    file: Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(name: &str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: name.into(), text, starts }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let before = self.starts.get(line - 1).and_then(|start| self.text.get(*start..span.start));
        Place { file: self.file.clone(), line, column: before.map_or(0, |before| before.chars().count() + 1) }
    }

    fn table(&self, table: &DeTable<'_>) -> Value {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            (name.to_string(), Entry { key: self.place(&key.span()), node: self.node(value) })
        };
        Value::Table(table.iter().map(entry).collect())
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        Node::new(self.value(value.get_ref()), self.place(&value.span()))
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            // Beyond 64 bits it stays text: whatever reads it says what fits there.
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Text(digits.as_str().to_owned()),
            },
            DeValue::Float(digits) => match digits.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => Value::Text(digits.as_str().to_owned()),
            },
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(date) => Value::Text(date.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.table(table),
        }
    }
}
