//! Names that are counted by themselves, without a `ua_type` beside them: a carrier as a trunk, a queue.
//!
//! As with pairs, values come from the configuration alone, and a name once given out stays.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Escaped, Pages};

/// A label with one of its values, interned; see [`LabelSets::intern_name`](super::LabelSets::intern_name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u16);

/// What a [`Name`] stands for.
#[derive(Debug)]
pub struct Named {
    /// The label.
    pub label: &'static str,
    /// Its value.
    pub value: Box<str>,
    /// The label and value it is told apart within: the service of a backend. `None` of what stands for itself.
    pub within: Option<(&'static str, Box<str>)>,
    /// `label="value"`, that of `within` before it, escaped for the Prometheus text formats.
    pub block: Box<str>,
}

/// Most names: 256 carriers, 256 queues, 64 services and 1,024 backends, and as many again that a reload took out. A row takes
/// 2 KB per shard, once something was counted there.
pub const MAX_NAMES: usize = 3200;

/// All names of the process.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By [`Named::block`]. Taken to intern, never to read.
    index: Mutex<HashMap<Box<str>, Name>>,
    names: Pages<Named>,
    len: AtomicU32,
    refused: AtomicU64,
}

impl Names {
    pub(super) fn intern(
        &self,
        within: Option<(&'static str, &str)>,
        label: &'static str,
        value: &str,
    ) -> Option<Name> {
        let own = format!("{label}=\"{}\"", Escaped(value));
        let block = within.map_or(own.clone(), |(label, value)| format!("{label}=\"{}\",{own}", Escaped(value)));
        let block = block.into_boxed_str();
        // What a panicking thread leaves behind is whole: the map is changed last.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = index.get(&block) {
            return Some(*name);
        }
        if index.len() == MAX_NAMES {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let name = Name(index.len() as u16);
        self.names.get_or_init(index.len(), || Named {
            label,
            value: value.into(),
            within: within.map(|(label, value)| (label, value.into())),
            block: block.clone(),
        });
        self.len.store(u32::from(name.0) + 1, Ordering::Release);
        index.insert(block, name);
        Some(name)
    }

    pub(super) fn get(&self, name: Name) -> &Named {
        self.names.get(usize::from(name.0)).expect("a name is given out by the sets that are asked for it")
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LabelSets;
    use super::*;

    #[test]
    fn a_name_is_one_of_its_label_and_stays() {
        let sets = LabelSets::new();
        let carrier = sets.intern_name("carrier", "al\"pha").expect("there is room");
        let queue = sets.intern_name("queue", "al\"pha").expect("there is room");
        assert_ne!(carrier, queue);
        assert_eq!(sets.intern_name("carrier", "al\"pha"), Some(carrier));
        assert_eq!((sets.named(queue).label, &*sets.named(queue).block), ("queue", "queue=\"al\\\"pha\""));
        assert_eq!((sets.name_count(), &*sets.named(carrier).value), (2, "al\"pha"));
    }

    #[test]
    fn a_name_within_another_has_both_labels() {
        let sets = LabelSets::new();
        let name = sets.intern_within(("service", "a"), "backend", "b").expect("there is room");
        assert_eq!(&*sets.named(name).block, "service=\"a\",backend=\"b\"");
        assert_ne!(sets.intern_within(("service", "c"), "backend", "b"), Some(name));
        assert_ne!(sets.intern_name("backend", "b"), Some(name));
        assert_eq!(sets.intern_within(("service", "a"), "backend", "b"), Some(name));
    }

    #[test]
    fn names_beyond_the_bound_are_refused_and_counted() {
        let sets = LabelSets::new();
        let given = (0..=MAX_NAMES).filter_map(|number| sets.intern_name("carrier", &number.to_string())).count();
        assert_eq!((given, sets.refused(), sets.name_count()), (MAX_NAMES, 1, MAX_NAMES));
        assert_eq!(sets.intern_name("carrier", "7"), Some(Name(7)));
    }
}
