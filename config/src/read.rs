//! From the tree to a component's own `Config`: a serde deserializer that knows where everything stands.
//!
//! It reports every unknown key (with the keys expected there) and every value that does not fit, not only
//! the first. It is written by hand because three things are wanted together that no ready-made one gives:
//! places in merged files, numbers and booleans that may be written as text (a variable is text), and
//! errors that do not end the reading.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt;

use pipeline::settings::{Place, Problems};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::node::{Entry, Node, Step, Value, parse_path, path_text};
use super::{secret, source, suggest};

impl Node {
    /// Reads a `T`, whose keys should all have serde defaults. Paths of problems begin with `prefix`. An unknown key is an
    /// error in `problems`, and so is a value that does not fit; the rest is read all the same, until more than 100
    /// values do not fit.
    pub fn read<T: DeserializeOwned>(&self, prefix: &[Step], problems: &mut Problems) -> Partly<T> {
        let reading = Reading::default();
        // A value that does not fit is left out and the rest is read again, so that it hides no other.
        // Each round leaves out one more, so there is an end.
        let value = loop {
            let mistake = match T::deserialize(Reader { node: self, reading: &reading }) {
                Ok(value) => break Some(value),
                Err(mistake) => mistake,
            };
            let mut left_out = reading.left_out.borrow_mut();
            if left_out.len() == MOST_MISTAKES {
                let what = format!("more than {MOST_MISTAKES} values in it do not fit");
                let help = "mend the ones that are told; the rest was not checked";
                problems.error_at(&self.place, path_text(prefix), what, help);
                break None;
            }
            let path = reading.path.take();
            let (what, help) = mistake.explain(self.at(&path), secret::is_secret(&[prefix, &path].concat()));
            problems.error_at(self.nearest(&path), absolute(prefix, &path), what, help);
            if path.is_empty() || !left_out.insert(path) {
                break None;
            }
        };
        for (path, unknown) in reading.unknown.into_inner() {
            problems.error_at(&unknown.place, absolute(prefix, &path), "unknown key", unknown.help);
        }
        let gaps = reading.left_out.into_inner().into_iter().chain(reading.unresolved.into_inner()).collect();
        Partly { value, gaps }
    }
}

/// Values that do not fit are told up to this many in one table. Each is found by reading the table once more, and a running
/// program waits for that when it reloads.
const MOST_MISTAKES: usize = 100;

/// What could be read of a `T`: defaults stand where a value did not fit, elements of lists that did not are missing.
#[derive(Debug)]
pub struct Partly<T> {
    /// `None` where too little is left to make one.
    pub value: Option<T>,
    /// Where something was written and not read. It was reported.
    gaps: Vec<Vec<Step>>,
}

impl<T> Partly<T> {
    /// It, if everything that was written was read.
    pub fn whole(self) -> Option<T> {
        self.value.filter(|_| self.gaps.is_empty())
    }

    /// Whether something below `key` was written and not read.
    pub fn lacks(&self, key: &str) -> bool {
        self.gaps.iter().any(|gap| matches!(gap.first(), Some(Step::Key(first)) if first == key))
    }

    /// Of the problems that a check of the value `found`, those that are not merely about a gap. Their paths become what was
    /// written: behind an element that is missing, others were found at another place in their list.
    fn sift(&self, mut found: Problems) -> Problems {
        if self.gaps.is_empty() {
            return found;
        }
        found.retain_mut(|problem| {
            let path = self.as_written(parse_path(&problem.path).unwrap_or_default());
            let touches = |gap: &Vec<Step>| gap.starts_with(&path) || path.starts_with(gap);
            problem.path = path_text(&path);
            problem.what = self.with_places(&problem.what);
            !self.gaps.iter().any(touches)
        });
        found
    }

    /// What `check` makes of the value. Of the problems that it finds, those are told that are not merely about a gap.
    pub fn check<C>(&self, problems: &mut Problems, check: impl FnOnce(&T, &mut Problems) -> C) -> Option<C> {
        let mut found = Problems::default();
        let checked = check(self.value.as_ref()?, &mut found);
        problems.append(self.sift(found));
        Some(checked)
    }

    /// A text with the places in it as they were written: `"a" is used by carriers[0] already`.
    fn with_places(&self, text: &str) -> String {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
        let words = text.split_inclusive(|c| !is_path(c)).map(|word| {
            let path = word.trim_end_matches(|c| !is_path(c));
            match parse_path(path).filter(|_| path.contains('[')) {
                Some(steps) => word.replacen(path, &path_text(&self.as_written(steps)), 1),
                None => word.to_owned(),
            }
        });
        words.collect()
    }

    /// The path of a value in what was read, as the path in what was written.
    fn as_written(&self, mut path: Vec<Step>) -> Vec<Step> {
        for depth in 0..path.len() {
            let (before, [step, ..]) = path.split_at_mut(depth) else { break };
            let Step::Index(index) = step else { continue };
            let mut missing: Vec<usize> = self.gaps.iter().filter_map(|gap| last_index(gap, before)).collect();
            missing.sort_unstable();
            missing.dedup();
            missing.into_iter().for_each(|gap| *index += usize::from(gap <= *index));
        }
        path
    }
}

/// The place in the list at `list` that a path ends with.
fn last_index(path: &[Step], list: &[Step]) -> Option<usize> {
    match path.split_last()? {
        (Step::Index(index), before) if before == list => Some(*index),
        _ => None,
    }
}

fn absolute(prefix: &[Step], path: &[Step]) -> String {
    path_text(&[prefix, path].concat())
}

/// What is remembered while one `T` is read, over all rounds.
#[derive(Default)]
struct Reading {
    /// The way from the root to the value being read. An error leaves it as it is.
    path: RefCell<Vec<Step>>,
    /// Values that did not fit.
    left_out: RefCell<BTreeSet<Vec<Step>>>,
    unknown: RefCell<BTreeMap<Vec<Step>, Unknown>>,
    /// Values of variables that are not set.
    unresolved: RefCell<BTreeSet<Vec<Step>>>,
}

/// A key that nothing reads.
struct Unknown {
    place: Place,
    help: String,
}

impl Reading {
    /// Goes from a value at `depth` to one inside it, unless that one is left out.
    fn enter(&self, depth: usize, step: Step) -> bool {
        let mut path = self.path.borrow_mut();
        path.truncate(depth);
        path.push(step);
        !self.left_out.borrow().contains(&*path)
    }

    /// Notes a value that is not there.
    fn pass_over(&self, depth: usize, step: Step) {
        let path = [&self.path.borrow()[..depth], &[step]].concat();
        self.unresolved.borrow_mut().insert(path);
    }

    fn leave(&self, depth: usize) {
        self.path.borrow_mut().truncate(depth);
    }

    fn depth(&self) -> usize {
        self.path.borrow().len()
    }

    fn unknown_key(&self, key: &str, place: &Place, expected: &[&str]) {
        let mut path = self.path.borrow().clone();
        path.push(Step::Key(key.to_owned()));
        let found = || Unknown { place: place.clone(), help: suggest::help(key, expected) };
        self.unknown.borrow_mut().entry(path).or_insert_with(found);
    }
}

/// Why a value does not fit.
#[derive(Debug)]
enum Mistake {
    /// Something else is expected: says what.
    Expected(String),
    /// One of a few words is expected.
    Word { found: String, known: &'static [&'static str] },
    /// A key that has no default is missing.
    Missing(&'static str),
    /// In the words of the type that was read.
    Other(String),
}

impl Mistake {
    fn explain(self, node: Option<&Node>, secret: bool) -> (String, String) {
        let found = match node {
            Some(_) if secret => "the value".to_owned(),
            Some(node) => node.describe(),
            None => "nothing".to_owned(),
        };
        match self {
            Self::Expected(expected) => (format!("{found} does not fit"), format!("write {expected}")),
            Self::Word { found: word, known } => (format!("{found} is not known"), suggest::help(&word, known)),
            Self::Missing(key) => (format!("`{key}` is missing"), format!("add `{key} = ...`")),
            Self::Other(text) => (format!("{found} does not fit"), text),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Other(text.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        // What serde calls text and names of files.
        let text = ["a string", "path string"].contains(&expected.as_str());
        Self::Expected(if text { "text in quotes".to_owned() } else { expected })
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }
}

/// One value, ready for serde.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    reading: &'a Reading,
}

impl Reader<'_> {
    /// A whole number from `low` to `high`, perhaps written as text.
    fn whole<T: TryFrom<i128>>(self, low: impl fmt::Display, high: impl fmt::Display) -> Result<T, Mistake> {
        let number = match &self.node.value {
            Value::Integer(number) => Some(i128::from(*number)),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let fitting = number.filter(|number| *number <= LARGEST).and_then(|number| T::try_from(number).ok());
        fitting.ok_or_else(|| Mistake::Expected(format!("a whole number from {low} to {high}")))
    }

    fn items<'de, V: Visitor<'de>>(self, items: &[Node], visitor: V) -> Result<V::Value, Mistake> {
        let depth = self.reading.depth();
        let value = visitor.visit_seq(Items { rest: items.iter().enumerate(), reading: self.reading, depth })?;
        self.reading.leave(depth);
        Ok(value)
    }

    /// Without `known` every key is let through: they are names given by the operator.
    fn entries<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let Value::Table(entries) = &self.node.value else { return Err(Mistake::Expected("a table".to_owned())) };
        let depth = self.reading.depth();
        let rest = entries.iter();
        let value = visitor.visit_map(Entries { rest, next: None, known, reading: self.reading, depth })?;
        self.reading.leave(depth);
        Ok(value)
    }
}

/// The largest whole number TOML can hold.
const LARGEST: i128 = i64::MAX as i128;

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            visitor.$visit(self.whole::<$type>($type::MIN, LARGEST.min($type::MAX.into()))?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Mistake;

    whole_numbers! {
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let number = match &self.node.value {
            Value::Float(number) => Some(*number),
            // Exact up to 2^53, far above any setting.
            Value::Integer(number) => Some(*number as f64),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        visitor.visit_f64(number.ok_or_else(|| Mistake::Expected("a number".to_owned()))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let truth = match &self.node.value {
            Value::Boolean(truth) => Some(*truth),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        visitor.visit_bool(truth.ok_or_else(|| Mistake::Expected("true or false".to_owned()))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other(""), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::List(items) => self.items(items, visitor),
            Value::Text(text) if self.node.variable.is_some() => match source::list(text, self.node) {
                Some(items) => self.items(&items, visitor),
                None => Err(Mistake::Expected("a list in it, such as [5060, 5062]".to_owned())),
            },
            _ => Err(Mistake::Expected("a list: [...]".to_owned())),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.entries(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.entries(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::Text(text) if known.contains(&text.as_str()) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            Value::Text(text) => Err(Mistake::Word { found: text.clone(), known }),
            _ => Err(Mistake::Word { found: String::new(), known }),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::List(items) => self.items(items, visitor),
            Value::Table(_) => self.entries(None, visitor),
            Value::Unresolved => visitor.visit_unit(),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

/// The values of a list that were not left out.
struct Items<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    reading: &'a Reading,
    depth: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        for (index, node) in self.rest.by_ref() {
            if matches!(node.value, Value::Unresolved) {
                self.reading.pass_over(self.depth, Step::Index(index));
            } else if self.reading.enter(self.depth, Step::Index(index)) {
                return seed.deserialize(Reader { node, reading: self.reading }).map(Some);
            }
        }
        Ok(None)
    }
}

/// The entries of a table that are known and were not left out.
struct Entries<'a> {
    rest: btree_map::Iter<'a, String, Entry>,
    next: Option<&'a Entry>,
    known: Option<&'static [&'static str]>,
    reading: &'a Reading,
    depth: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        for (key, entry) in self.rest.by_ref() {
            self.reading.leave(self.depth);
            if let Some(known) = self.known.filter(|known| !known.contains(&key.as_str())) {
                self.reading.unknown_key(key, &entry.key, known);
            } else if matches!(entry.node.value, Value::Unresolved) {
                self.reading.pass_over(self.depth, Step::Key(key.clone()));
            } else if self.reading.enter(self.depth, Step::Key(key.clone())) {
                self.next = Some(entry);
                return seed.deserialize(key.as_str().into_deserializer()).map(Some);
            }
        }
        // A key that is missing is missed by the table itself.
        self.reading.leave(self.depth);
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let entry = self.next.take().expect("serde asks for a value only after its key");
        seed.deserialize(Reader { node: &entry.node, reading: self.reading })
    }
}
