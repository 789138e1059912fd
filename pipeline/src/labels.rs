//! Label sets: pairs of `carrier` and `ua_type` in, small dense indexes out, and back.
//!
//! Bounded at [`MAX_LABEL_SETS`]: a pair beyond that is counted under `other`/`other` and in
//! [`LabelSets::refused`]. Values come from the configuration alone, never from the wire. A set once given
//! out stays, so that an index means the same pair for the life of the process.

mod escaped;
mod names;
mod pages;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use escaped::Escaped;
pub use names::{MAX_NAMES, Name, Named};
pub use pages::Pages;

use names::Names;

/// A pair of `carrier` and `ua_type`, interned; see [`LabelSets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(pub u32);

impl LabelSet {
    /// `carrier="other"`, `ua_type="other"`.
    pub const OTHER: Self = Self(0);
}

/// Most pairs of `carrier` and `ua_type`. A row takes 4 KB per shard, so 16 MB at most.
pub const MAX_LABEL_SETS: usize = Pages::<Pair>::CAPACITY;

/// The label value of what matches nothing.
pub const OTHER: &str = "other";

/// All label sets of the process. Shared: any thread may intern or read.
#[derive(Debug)]
pub struct LabelSets {
    /// By [`Pair::block`]. Taken to intern, never to read.
    index: Mutex<HashMap<Box<str>, LabelSet>>,
    pairs: Pages<Pair>,
    len: AtomicU32,
    refused: AtomicU64,
    single: Names,
}

/// One label set.
#[derive(Debug)]
pub struct Pair {
    /// Value of `carrier`.
    pub carrier: Box<str>,
    /// Value of `ua_type`.
    pub ua_type: Box<str>,
    /// `carrier="…",ua_type="…"`, escaped for the Prometheus text formats.
    pub block: Box<str>,
}

impl Default for LabelSets {
    fn default() -> Self {
        Self::new()
    }
}

impl LabelSets {
    /// Holds [`LabelSet::OTHER`] alone.
    pub fn new() -> Self {
        let sets = Self {
            index: Mutex::default(),
            pairs: Pages::default(),
            len: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            single: Names::default(),
        };
        let other = sets.intern(OTHER, OTHER);
        debug_assert_eq!(other, LabelSet::OTHER);
        sets
    }

    /// The set of this pair, made if it is new. Takes a lock: keep the result.
    pub fn intern(&self, carrier: &str, ua_type: &str) -> LabelSet {
        let block = block(carrier, ua_type).into_boxed_str();
        // What a panicking thread leaves behind is whole: the map is changed last.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = index.get(&block) {
            return *set;
        }
        if index.len() == MAX_LABEL_SETS {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return LabelSet::OTHER;
        }
        let set = LabelSet(index.len() as u32);
        self.pairs.get_or_init(index.len(), || Pair {
            carrier: carrier.into(),
            ua_type: ua_type.into(),
            block: block.clone(),
        });
        self.len.store(set.0 + 1, Ordering::Release);
        index.insert(block, set);
        set
    }

    /// `carrier` and `ua_type` of a set; of an index never given out, those of [`LabelSet::OTHER`].
    pub fn names(&self, set: LabelSet) -> (&str, &str) {
        let pair = self.pair(set);
        (&pair.carrier, &pair.ua_type)
    }

    /// The same, with the pair as the text formats write it.
    pub fn pair(&self, set: LabelSet) -> &Pair {
        let pair = self.pairs.get(set.0 as usize).or_else(|| self.pairs.get(LabelSet::OTHER.0 as usize));
        pair.expect("other/other is interned first")
    }

    /// How many sets were given out; their indexes are below it.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    /// Never: `other`/`other` is always there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a new pair, or a new single name, was turned away at its bound.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) + self.single.refused()
    }

    /// The name `value` of a `label` that is counted by itself, made if it is new; `None` beyond [`MAX_NAMES`]. Takes a
    /// lock: keep the result.
    pub fn intern_name(&self, label: &'static str, value: &str) -> Option<Name> {
        self.single.intern(None, label, value)
    }

    /// The same of a name that is told apart within another: the backend of a service.
    pub fn intern_within(&self, within: (&'static str, &str), label: &'static str, value: &str) -> Option<Name> {
        self.single.intern(Some(within), label, value)
    }

    /// What a name stands for. Panics on one that was not given out here.
    pub fn named(&self, name: Name) -> &Named {
        self.single.get(name)
    }

    /// How many names were given out; their indexes are below it.
    pub fn name_count(&self) -> usize {
        self.single.len()
    }
}

fn block(carrier: &str, ua_type: &str) -> String {
    format!("carrier=\"{}\",ua_type=\"{}\"", Escaped(carrier), Escaped(ua_type))
}
