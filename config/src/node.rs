//! The tree of a configuration: values that remember where they were written.
//!
//! [`Node`] is what files, `--set` and variables are merged into and what components read their settings
//! from. It holds what was written and nothing else: defaults belong to the components.

use std::collections::BTreeMap;

use pipeline::settings::{Place, Problems};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where: the value itself, or for a table its header or key.
    pub place: Place,
    /// The text came from a variable: lists may be written in it, and it may be a secret.
    pub variable: Option<String>,
}

/// What can be written in TOML.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text; a date is its text too.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Node>),
    /// A table, in order of its keys.
    Table(BTreeMap<String, Entry>),
    /// A reference to a variable that is not set, which has been reported: as if nothing were written.
    Unresolved,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key was written.
    pub key: Place,
    /// What it was given.
    pub node: Node,
}

/// One step of a path into the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// A place in a list, from 0.
    Index(usize),
}

impl Node {
    /// A value that no variable had a part in.
    pub fn new(value: Value, place: Place) -> Self {
        Self { value, place, variable: None }
    }

    /// A table with one key, both standing at the place of the value.
    pub fn with(key: &str, node: Self) -> Self {
        let place = node.place.clone();
        let entry = Entry { key: place.clone(), node };
        Self::new(Value::Table([(key.to_owned(), entry)].into()), place)
    }

    /// A table without keys.
    pub fn empty(place: Place) -> Self {
        Self::new(Value::Table(BTreeMap::new()), place)
    }

    /// What is written under `key`; `None` if nothing is, or this is no table.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The entries of a table; none if this is something else.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = (&str, &mut Self)> {
        let entries = if let Value::Table(entries) = &mut self.value { Some(entries) } else { None };
        entries.into_iter().flatten().map(|(key, entry)| (key.as_str(), &mut entry.node))
    }

    /// Puts `node` under `key`, whatever stood there. Does nothing if this is no table.
    pub fn put(&mut self, key: &str, node: Self) {
        if let Value::Table(entries) = &mut self.value {
            entries.insert(key.to_owned(), Entry { key: node.place.clone(), node });
        }
    }

    /// Takes out what stands under `key` if `is` says so.
    pub fn remove_if(&mut self, key: &str, is: impl FnOnce(&Self) -> bool) {
        if let Value::Table(entries) = &mut self.value
            && entries.get(key).is_some_and(|entry| is(&entry.node))
        {
            entries.remove(key);
        }
    }

    /// The node at a path; `None` if nothing is written there.
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), Value::Table(entries)) => entries.get(key).map(|entry| &entry.node),
            (Step::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// Where the value at `path` was written, or the nearest thing around it that was.
    pub fn nearest(&self, path: &[Step]) -> &Place {
        let written = (0..=path.len()).rev().find_map(|length| self.at(&path[..length]));
        written.map_or(&self.place, |node| &node.place)
    }

    /// Finds the place of every problem that has only a path yet.
    pub fn locate(&self, problems: &mut Problems) {
        for problem in problems.iter_mut() {
            let path = parse_path(&problem.path).unwrap_or_default();
            problem.place.get_or_insert_with(|| self.nearest(&path).clone());
        }
    }

    /// Merges `later` over this: tables key by key, anything else is replaced.
    pub fn merge(&mut self, later: Self) {
        match (&mut self.value, later.value) {
            (Value::Table(mine), Value::Table(theirs)) => {
                for (key, entry) in theirs {
                    match mine.get_mut(&key) {
                        Some(present) => present.node.merge(entry.node),
                        None => drop(mine.insert(key, entry)),
                    }
                }
            }
            (_, value) => *self = Self { value, place: later.place, variable: later.variable },
        }
    }

    /// Puts `node` at a path of keys unless something is written there; makes the tables on the way.
    /// Does nothing if something on the way is no table.
    pub fn set_default(&mut self, path: &[&str], node: Self) {
        let Value::Table(entries) = &mut self.value else { return };
        match path {
            [] => {}
            [key] => drop(entries.entry((*key).to_owned()).or_insert_with(|| Entry { key: node.place.clone(), node })),
            [key, rest @ ..] => {
                let place = node.place.clone();
                let entry = entries
                    .entry((*key).to_owned())
                    .or_insert_with(|| Entry { key: place.clone(), node: Self::empty(place) });
                entry.node.set_default(rest, node);
            }
        }
    }

    /// The value for a message: short, on one line, and of a variable only its name, for it may be a secret.
    pub(crate) fn describe(&self) -> String {
        if let Some(name) = &self.variable {
            return format!("the value of ${{env:{name}}}");
        }
        match &self.value {
            Value::Text(text) if text.chars().count() <= LONGEST_SHOWN => format!("{text:?}"),
            Value::Text(text) => format!("{:?}...", text.chars().take(LONGEST_SHOWN).collect::<String>()),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Unresolved => "nothing".to_owned(),
        }
    }
}

/// Characters of a text that a message shows.
const LONGEST_SHOWN: usize = 60;

/// `carriers[1].cidrs[0]`; keys that are no bare TOML keys are quoted.
pub fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text += &format!("[{index}]"),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                match is_bare(key) {
                    true => text += key,
                    false => text += &format!("{key:?}"),
                }
            }
        }
    }
    text
}

/// Reads what [`path_text`] writes, and what people type: quotes may be left out around a `/`.
/// `None` for what is no path.
pub fn parse_path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (index, tail) = tail.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = tail;
        } else {
            if !steps.is_empty() {
                rest = rest.strip_prefix('.')?;
            }
            let (key, tail) = match rest.chars().next() {
                Some('"') => basic(&rest[1..])?,
                Some('\'') => rest[1..].split_once('\'').map(|(key, tail)| (key.to_owned(), tail))?,
                _ => {
                    let (key, tail) = rest.split_at(rest.find(['.', '[', '"', '\'']).unwrap_or(rest.len()));
                    (key.to_owned(), tail)
                }
            };
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key));
            rest = tail;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

/// A key up to its closing quote, and what follows; `\"` and `\\` stand for the second character.
fn basic(text: &str) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return Some((key, rest.as_str())),
            '\\' => key.push(rest.next()?),
            other => key.push(other),
        }
    }
}

/// Whether TOML lets the key stand without quotes.
fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
