//! What changed in a list that pages show: the list now, what it was; what is new out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use call_views::rfc3339;
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::entry::Entry;
use crate::site::Numbers;

/// A list as those pages know it that show it.
#[derive(Default)]
pub struct Changes {
    /// Hashes of what was told of each call, by its name among pages.
    told: HashMap<String, u64>,
}

/// The change of a list.
#[derive(Serialize)]
struct Change<'a> {
    /// The list is these calls, whatever it was.
    reset: bool,
    /// New and changed calls.
    calls: Vec<&'a RawValue>,
    /// Those that are no longer in it: time of their start and Call-ID.
    gone: Vec<&'a str>,
    numbers: Numbers,
}

/// A call as it is told of.
struct One {
    name: String,
    text: Box<RawValue>,
}

impl Changes {
    /// Compares `list` with what it was. Gives what changed, unless nothing did, and if `whole` all of it, for those
    /// who did not know it before.
    pub fn next(&mut self, list: &[Entry], numbers: Numbers, whole: bool) -> Told {
        let lines: Vec<One> = list.iter().map(One::new).collect();
        let now: HashMap<String, u64> = lines.iter().map(|one| (one.name.clone(), hash(one.text.get()))).collect();
        let is_new = |one: &&One| self.told.get(&one.name) != now.get(&one.name);
        let calls: Vec<&RawValue> = lines.iter().filter(is_new).map(|one| &*one.text).collect();
        let gone: Vec<&str> = self.told.keys().filter(|name| !now.contains_key(*name)).map(String::as_str).collect();
        let changed = !calls.is_empty() || !gone.is_empty();
        let change = changed.then(|| event("calls", &Change { reset: false, calls, gone, numbers }));
        self.told = now;
        let whole = whole.then(|| {
            let calls = lines.iter().map(|one| &*one.text).collect();
            event("calls", &Change { reset: true, calls, gone: Vec::new(), numbers })
        });
        Told { whole, change }
    }
}

/// Events about a list.
pub struct Told {
    /// For pages that do not know it yet.
    pub whole: Option<Bytes>,
    /// For the others; `None` when nothing changed.
    pub change: Option<Bytes>,
}

impl One {
    fn new(entry: &Entry) -> Self {
        let line = serde_json::value::to_raw_value(&entry.followed());
        let text = line.expect("text and numbers can be written as JSON");
        Self { name: format!("{} {}", rfc3339(entry.record.start), entry.record.call_id), text }
    }
}

/// An event as it goes over the wire: JSON has no line break in it.
pub fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("text, numbers and maps with text as keys can be written as JSON");
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// A hash of a text.
pub fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
